// Cameras: listed, added, changed, removed, paused.

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/text_case.h"
#include "framemill/config/load_settings.h"
#include "framemill/config/setting_value.h"
#include "framemill/server/api.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/query.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

HttpResponse Api::list_cameras(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> part = query.text("q", 64);
  const std::optional<std::string> state =
      query.choice("state", "connecting|up|frozen|down|paused|ended|failed");
  const std::size_t limit = query.limit();
  const auto begin = static_cast<std::size_t>(query.cursor().value_or(0));
  if (query.error()) return error_response(*query.error(), "the query");
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<CameraReport>& cameras = figures->report.cameras;
  const std::vector<CameraSettings> settings = call.engine->camera_settings();
  const std::map<std::string, int> open = parts_.alarms.open_counts();
  Json page = Json::array();
  std::size_t total = 0;
  bool is_more = false;
  for (std::size_t i = 0; i < cameras.size(); ++i) {
    const CameraReport& camera = cameras[i];
    const auto own = std::ranges::find(settings, camera.id, &CameraSettings::id);
    if (own == settings.end()) continue;  // removed since the figures were taken
    if (part && to_lower(camera.id).find(to_lower(*part)) == std::string::npos) continue;
    if (state && to_string(camera.status.state) != *state) continue;
    const std::size_t place = total++;
    if (place < begin) continue;
    if (page.size() == limit) {
      is_more = true;
      continue;
    }
    const auto alarms = open.find(camera.id);
    page.push_back(camera_json(*figures, i, *own, alarms == open.end() ? 0 : alarms->second));
  }
  return json_response(
      dump({{"cameras", std::move(page)},
            {"total", total},
            {"next_cursor", cursor_json(is_more, static_cast<std::int64_t>(begin + limit))}}));
}

HttpResponse Api::camera_response(const Call& call, const CameraId& id, int status) {
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<CameraReport>& cameras = figures->report.cameras;
  const auto camera = std::ranges::find(cameras, id, &CameraReport::id);
  if (camera == cameras.end()) return unknown_camera(id);
  const std::vector<CameraSettings> settings = call.engine->camera_settings();
  const auto own = std::ranges::find(settings, id, &CameraSettings::id);
  if (own == settings.end()) return unknown_camera(id);  // removed since the figures were taken
  const std::map<std::string, int> open = parts_.alarms.open_counts();
  const auto alarms = open.find(id);
  HttpResponse response =
      json_response(dump(camera_json(*figures, static_cast<std::size_t>(camera - cameras.begin()),
                                     *own, alarms == open.end() ? 0 : alarms->second)),
                    status);
  if (status == 201) response.headers.emplace_back("Location", "/api/v1/cameras/" + id);
  return response;
}

HttpResponse Api::get_camera(const Call& call) { return camera_response(call, call.name, 200); }

HttpResponse Api::add_camera(const Call& call) {
  const Result<Json> body = parse_body(call.request);
  if (!body) return error_response(body.error(), "body");
  if (const Result<void> typed = check_types(*body); !typed)
    return error_response(typed.error(), "body");
  Result<CameraSettings> camera = parse_camera(call.request.body, defaults());
  if (!camera) return error_response(camera.error(), "body");
  if (camera->id.empty()) {
    return error_response(400, "invalid_argument",
                          {"is missing", "id", "give the camera a name, such as \"gate-1\""});
  }
  if (const Result<void> allowed = parts_.addresses.check(camera->url); !allowed)
    return error_response(allowed.error(), "url");
  if (const Result<void> added = call.engine->add_camera(*camera, parts_.addresses.filter());
      !added)
    return error_response(added.error(), "body");
  add_event("camera_added", camera->id, "added", call.who.name);
  after_change(call);
  return camera_response(call, camera->id, 201);
}

HttpResponse Api::change_camera(const Call& call) {
  Result<Json> body = parse_body(call.request);
  if (!body) return error_response(body.error(), "body");
  const std::vector<CameraSettings> settings = call.engine->camera_settings();
  const auto old = std::ranges::find(settings, call.name, &CameraSettings::id);
  if (old == settings.end()) return unknown_camera(call.name);
  CameraSettings base = *old;
  const CameraSettings fallback = defaults();
  Json given = Json::object();
  for (const auto& [key, value] : body->items()) {
    if (key == "id") {
      return error_response(
          400, "invalid_argument",
          {"a camera keeps its id", "id", "leave it out, or remove the camera and add another"});
    }
    if (value.is_null()) {
      if (key == "url") {
        return error_response(400, "invalid_argument",
                              {"has no default", "url", "write an address, or leave it out"});
      }
      if (reset_setting(key, base, fallback)) continue;
    }
    given[key] = value;
  }
  if (const Result<void> typed = check_types(given); !typed)
    return error_response(typed.error(), "body");
  // With duplicate keys of the request gone, which JSON leaves undefined.
  Result<CameraSettings> camera =
      given.empty() ? Result<CameraSettings>(base) : parse_camera(dump(given), base);
  if (!camera) return error_response(camera.error(), "body");
  if (camera->url != old->url) {
    if (const Result<void> allowed = parts_.addresses.check(camera->url); !allowed)
      return error_response(allowed.error(), "url");
    // Else whoever may change a camera could have its password sent to an address of his own.
    if (!old->password.empty() && !given.contains("password") &&
        camera->password == old->password) {
      return error_response(400, "invalid_argument",
                            {"the password is not sent to another address unasked", "password",
                             "give it again, or null"});
    }
  }
  if (const Result<void> changed = call.engine->change_camera(*camera, parts_.addresses.filter());
      !changed)
    return error_response(changed.error(), "body");
  add_event("camera_changed", camera->id, "changed", call.who.name);
  after_change(call);
  return camera_response(call, camera->id, 200);
}

HttpResponse Api::remove_camera(const Call& call) {
  if (const Result<void> removed = call.engine->remove_camera(call.name); !removed)
    return error_response(removed.error(), call.name);
  add_event("camera_removed", call.name, "removed", call.who.name);
  after_change(call);
  return {.status = 204};
}

HttpResponse Api::act_on_camera(const Call& call, Result<void> (Engine::*act)(const CameraId&),
                                std::string_view kind, std::string_view text) {
  if (const Result<void> empty = check_no_body(call.request); !empty)
    return error_response(empty.error(), "body");
  if (const Result<void> done = (call.engine->*act)(call.name); !done)
    return error_response(done.error(), call.name);
  add_event(kind, call.name, text, call.who.name);
  parts_.meter.look();
  return camera_response(call, call.name, 200);
}

HttpResponse Api::pause_camera(const Call& call) {
  return act_on_camera(call, &Engine::pause_camera, "camera_paused", "paused");
}
HttpResponse Api::resume_camera(const Call& call) {
  return act_on_camera(call, &Engine::resume_camera, "camera_changed", "resumed");
}
HttpResponse Api::restart_camera(const Call& call) {
  return act_on_camera(call, &Engine::restart_camera, "camera_changed", "restarted");
}

}  // namespace framemill
