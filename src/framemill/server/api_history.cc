// What was: answers and events, newest first, by pages.

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/query.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

HttpResponse Api::list_results(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> id = query.id("camera");
  const std::optional<std::string> origin =
      query.choice("origin", "inferred|propagated|reused|none");
  const std::optional<std::string> label = query.text("label", 64);
  const std::optional<WallTime> since = query.time("since");
  const std::optional<WallTime> until = query.time("until");
  BoardQuery asked{.before = query.cursor(), .limit = query.limit()};
  if (query.error()) return error_response(*query.error(), "the query");
  const CameraDirectory& directory = call.engine->camera_directory();
  std::set<CameraIndex> indices;
  if (id) {
    for (std::size_t i = 0; i < directory.size(); ++i)
      if (directory[i].id == *id) indices.insert(static_cast<CameraIndex>(i));
    if (indices.empty()) return unknown_camera(*id);
  }
  asked.is_wanted = [&](const Answer& answer) {
    if (id && !indices.contains(answer.camera)) return false;
    if (origin && to_string(answer.origin) != *origin) return false;
    if (since && answer.stamp.captured_at < *since) return false;
    if (until && answer.stamp.captured_at >= *until) return false;
    if (!label) return true;
    const CameraNames& names = directory[answer.camera];
    return std::ranges::any_of(answer.detections, [&](const Detection& detection) {
      const auto place = static_cast<std::size_t>(detection.class_id);
      return place < names.labels.size() && names.labels[place] == *label;
    });
  };
  const std::vector<BoardEntry> entries = parts_.board.newest(asked);
  // Lines are written by the code that writes them for the sinks, so that they are the same.
  std::string text = "{\"results\":[";
  const std::string run_id = parts_.meter.figures()->report.run_id;
  for (const BoardEntry& entry : entries) {
    if (text.back() != '[') text.push_back(',');
    append_answer_json(text, *entry.answer, run_id, directory[entry.answer->camera]);
    text.pop_back();  // the line's end
  }
  const bool is_more = entries.size() == asked.limit;
  text += "],\"next_cursor\":" +
          dump(cursor_json(is_more, entries.empty() ? 0 : entries.back().number)) + "}\n";
  return json_response(std::move(text));
}

HttpResponse Api::list_events(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> camera = query.id("camera");
  const std::optional<std::string> kind = query.choice(
      "kind",
      "run_started|camera_added|camera_changed|camera_removed|camera_up|camera_down|camera_frozen|"
      "camera_paused|camera_ended|config_reloaded|config_refused|alarm");
  const std::optional<std::int64_t> before = query.cursor();
  const std::size_t limit = query.limit();
  if (query.error()) return error_response(*query.error(), "the query");
  const std::vector<RunEvent> events =
      parts_.events.newest({.kind = kind ? std::string_view(*kind) : std::string_view(),
                            .camera = camera ? std::string_view(*camera) : std::string_view(),
                            .before = before,
                            .limit = limit});
  Json list = Json::array();
  for (const RunEvent& event : events) list.push_back(event_json(event));
  return json_response(dump({{"events", std::move(list)},
                             {"next_cursor", cursor_json(events.size() == limit,
                                                         events.empty() ? 0 : events.back().id)}}));
}

}  // namespace framemill
