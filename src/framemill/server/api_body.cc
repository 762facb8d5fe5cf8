#include "framemill/server/api_body.h"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "framemill/config/setting_value.h"
#include "framemill/config/settings_tables.h"
#include "framemill/server/api_error.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kJsonDepthMax = 16;

}  // namespace

HttpResponse not_found(std::string_view where, std::string_view what, std::string_view remedy) {
  return error_response(404, "not_found",
                        {std::string(what), std::string(where), std::string(remedy)});
}

HttpResponse unknown_camera(const CameraId& id) {
  return not_found(fmt::format("cameras[{}]", id), "there is no such camera",
                   "GET /api/v1/cameras lists them");
}

Json cursor_json(bool is_more, std::int64_t last) {
  return is_more ? Json(std::to_string(last)) : Json(nullptr);
}

/// The body as an object of JSON, not too deep. Empty body: an empty object.
Result<Json> parse_body(const HttpRequest& request) {
  if (request.body.empty()) return Json::object();
  bool is_too_deep = false;
  const Json body = Json::parse(
      request.body,
      [&is_too_deep](int depth, Json::parse_event_t, Json&) {
        is_too_deep |= depth > kJsonDepthMax;
        return !is_too_deep;
      },
      false);
  if (is_too_deep || body.is_discarded())
    return fail(ErrorCode::kInvalidArgument, "body: is no JSON; send an object like {}");
  if (!body.is_object())
    return fail(ErrorCode::kInvalidArgument,
                "body: is no object; send one like {\"id\": \"gate-1\"}");
  return body;
}

Result<void> check_no_body(const HttpRequest& request) {
  const Result<Json> body = parse_body(request);
  if (!body) return fail(body.error());
  if (body->empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "body: the body has settings, and there are none; send none");
}

Result<void> check_types(const Json& camera) {
  const auto is_text = [](const Setting<CameraSettings>& row) {
    return std::visit(
        [](const auto& field) {
          using Field = std::decay_t<decltype(field)>;
          if constexpr (std::is_same_v<Field, TextOrList<CameraSettings>>) {
            return false;
          } else {
            using Value = std::decay_t<decltype(std::declval<CameraSettings&>().*field)>;
            return std::is_same_v<Value, std::string> || std::is_same_v<Value, Duration> ||
                   std::is_enum_v<Value> || std::is_same_v<Value, std::optional<PolicyKind>> ||
                   std::is_same_v<Value, std::optional<MotionMethod>>;
          }
        },
        row.field);
  };
  for (const auto& [key, value] : camera.items()) {
    const Setting<CameraSettings>* const row = find_setting<CameraSettings>(key);
    if (row == nullptr || !is_text(*row) || !(value.is_number() || value.is_boolean())) continue;
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is no text; write one in quotes ({})", key, describe_type(*row)));
  }
  return {};
}

bool reset_setting(std::string_view key, CameraSettings& settings, const CameraSettings& from) {
  const Setting<CameraSettings>* const row = find_setting<CameraSettings>(key);
  if (row == nullptr) return false;
  std::visit(
      [&](const auto& field) {
        using Field = std::decay_t<decltype(field)>;
        if constexpr (!std::is_same_v<Field, TextOrList<CameraSettings>>)
          settings.*field = from.*field;
      },
      row->field);
  return true;
}

}  // namespace framemill
