// Alarms: listed, looked at, acknowledged.

#include <algorithm>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/config/setting_value.h"
#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/query.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPictureBytesMax = std::size_t{8} << 20U;

Json alarm_page(const std::vector<AlarmView>& alarms, std::size_t limit) {
  Json list = Json::array();
  for (const AlarmView& alarm : alarms) list.push_back(alarm_json(alarm));
  const bool is_more = alarms.size() == limit && !alarms.empty();
  return {{"alarms", std::move(list)},
          {"next_cursor", is_more ? Json(alarms.back().raised.alarm_id) : Json(nullptr)}};
}

}  // namespace

HttpResponse Api::list_alarms(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> state = query.choice("state", "raised|acknowledged|cleared|all");
  const std::optional<std::string> severity = query.choice("severity", "info|warning|critical");
  const std::optional<std::string> camera = query.id("camera");
  const std::optional<std::string> before = query.text("cursor", 128);
  AlarmBoard::Query asked;
  asked.limit = query.limit();
  if (query.error()) return error_response(*query.error(), "the query");
  asked.is_open_only = !state;
  for (const AlarmState known :
       {AlarmState::kRaised, AlarmState::kAcknowledged, AlarmState::kCleared}) {
    if (state && *state == to_string(known)) asked.state = known;
  }
  for (const AlarmSeverity known :
       {AlarmSeverity::kInfo, AlarmSeverity::kWarning, AlarmSeverity::kCritical}) {
    if (severity && *severity == to_string(known)) asked.severity = known;
  }
  if (camera) asked.camera = *camera;
  if (before) asked.before = *before;
  return json_response(dump(alarm_page(parts_.alarms.newest(asked), asked.limit)));
}

HttpResponse Api::get_alarm(const Call& call) {
  const std::optional<AlarmView> alarm = parts_.alarms.find(call.name);
  if (!alarm) {
    return not_found(quote(call.name), "there is no such alarm",
                     "GET /api/v1/alarms?state=all lists them");
  }
  return json_response(dump(alarm_json(*alarm)));
}

HttpResponse Api::get_alarm_picture(const Call& call) {
  const std::optional<AlarmView> alarm = parts_.alarms.find(call.name);
  // The path comes from the engine, never from the request.
  std::string bytes;
  if (alarm && !alarm->raised.picture_path.empty()) {
    std::ifstream file(alarm->raised.picture_path, std::ios::binary);
    bytes.resize(kPictureBytesMax);
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
  }
  if (bytes.empty()) {
    return not_found(quote(call.name), "there is no such alarm, or it has no picture",
                     "GET /api/v1/alarms?state=all lists them");
  }
  return {.content_type = "image/jpeg",
          .body = std::make_shared<const std::string>(std::move(bytes))};
}

HttpResponse Api::acknowledge_alarm(const Call& call) {
  const Result<Json> body = parse_body(call.request);
  if (!body) return error_response(body.error(), "body");
  std::string by = call.who.name;
  for (const auto& [key, value] : body->items()) {
    const bool is_by = key == "by" && value.is_string();
    const std::string given = is_by ? value.get<std::string>() : std::string();
    if (!is_by || given.empty() || given.size() > 64 ||
        std::ranges::any_of(given, [](unsigned char c) { return c < 0x20 || c == 0x7F; })) {
      return error_response(400, "invalid_argument",
                            {"is not what this takes", quote(key),
                             "send {\"by\": \"name\"} with 1 to 64 bytes, or no body"});
    }
    by = given;
  }
  const Result<AlarmView> done = parts_.alarms.acknowledge(call.name, by);
  if (!done) return error_response(done.error(), quote(call.name));
  return json_response(dump(alarm_json(*done)));
}

}  // namespace framemill
