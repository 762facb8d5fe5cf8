#include "framemill/server/api.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/cpu_time.h"
#include "framemill/config/load_settings.h"
#include "framemill/config/setting_value.h"
#include "framemill/config/settings_tables.h"
#include "framemill/engine/run_summary.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/openapi_text.h"
#include "framemill/server/query.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStreamProtocol = "framemill.v1";
/// A picture older than this is not the newest of a camera that is up.
constexpr Duration kPictureAge = std::chrono::seconds(1);
constexpr Duration kPictureWait = std::chrono::milliseconds(1500);
constexpr Duration kPictureLook = std::chrono::milliseconds(50);
constexpr std::size_t kPictureBytesMax = std::size_t{8} << 20U;
constexpr int kJsonDepthMax = 16;

HttpResponse not_found(std::string_view where, std::string_view what, std::string_view remedy) {
  return error_response(404, "not_found",
                        {std::string(what), std::string(where), std::string(remedy)});
}

HttpResponse unknown_camera(const CameraId& id) {
  return not_found(fmt::format("cameras[{}]", id), "there is no such camera",
                   "GET /api/v1/cameras lists them");
}

/// Whether `path` fits `pattern`, in which {} stands for one part; that part.
bool fits(std::string_view path, std::string_view pattern, std::string& name) {
  const std::size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) return path == pattern;
  const std::string_view before = pattern.substr(0, hole);
  const std::string_view after = pattern.substr(hole + 2);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after))
    return false;
  const std::string_view part =
      path.substr(before.size(), path.size() - before.size() - after.size());
  if (part.find('/') != std::string_view::npos) return false;
  name = part;
  return true;
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

/// JSON knows numbers from texts, YAML does not: "slo": 200 is refused, and so is "id": 5.
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

/// The setting `key` becomes what it is in `from`. False where there is no such setting.
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

Json alarm_page(const std::vector<AlarmView>& alarms, std::size_t limit) {
  Json list = Json::array();
  for (const AlarmView& alarm : alarms) list.push_back(alarm_json(alarm));
  const bool is_more = alarms.size() == limit && !alarms.empty();
  return {{"alarms", std::move(list)},
          {"next_cursor", is_more ? Json(alarms.back().raised.alarm_id) : Json(nullptr)}};
}

}  // namespace

Api::Api(ApiParts parts) : parts_(std::move(parts)) {}

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> kRoutes{
      {"GET", "/healthz", Role::kNone, &Api::get_health, {}, false, false},
      {"GET", "/readyz", Role::kNone, &Api::get_readiness, {}, false, false},
      {"GET", "/metrics", Role::kView, &Api::get_metrics, {}},
      {"GET", "/api/v1/openapi.yaml", Role::kNone, &Api::get_openapi, {}, false, false},
      {"GET", "/api/v1/whoami", Role::kNone, &Api::get_whoami, {}, false, false},
      {"GET", "/api/v1/run", Role::kView, &Api::get_run, {}},
      {"GET", "/api/v1/run/summary", Role::kView, &Api::get_summary, {}},
      {"GET", "/api/v1/plan", Role::kView, &Api::get_plan, {}},
      {"GET", "/api/v1/models", Role::kView, &Api::get_models, {}},
      {"GET",
       "/api/v1/cameras",
       Role::kView,
       &Api::list_cameras,
       {"q", "state", "limit", "cursor"}},
      {"POST", "/api/v1/cameras", Role::kAdmin, &Api::add_camera, {}, true},
      {"GET", "/api/v1/cameras/{}", Role::kView, &Api::get_camera, {}},
      {"PATCH", "/api/v1/cameras/{}", Role::kAdmin, &Api::change_camera, {}, true},
      {"DELETE", "/api/v1/cameras/{}", Role::kAdmin, &Api::remove_camera, {}, true},
      {"POST", "/api/v1/cameras/{}/pause", Role::kOperate, &Api::pause_camera, {}, true},
      {"POST", "/api/v1/cameras/{}/resume", Role::kOperate, &Api::resume_camera, {}, true},
      {"POST", "/api/v1/cameras/{}/restart", Role::kOperate, &Api::restart_camera, {}, true},
      {"GET",
       "/api/v1/cameras/{}/snapshot.jpg",
       Role::kView,
       &Api::get_snapshot,
       {"boxes", "width"}},
      {"GET",
       "/api/v1/results",
       Role::kView,
       &Api::list_results,
       {"camera", "origin", "label", "since", "until", "limit", "cursor"}},
      {"GET",
       "/api/v1/events",
       Role::kView,
       &Api::list_events,
       {"camera", "kind", "limit", "cursor"}},
      {"GET",
       "/api/v1/alarms",
       Role::kView,
       &Api::list_alarms,
       {"state", "severity", "camera", "limit", "cursor"}},
      {"GET", "/api/v1/alarms/{}", Role::kView, &Api::get_alarm, {}},
      {"GET", "/api/v1/alarms/{}/picture.jpg", Role::kView, &Api::get_alarm_picture, {}},
      {"POST", "/api/v1/alarms/{}/acknowledge", Role::kOperate, &Api::acknowledge_alarm, {}, true},
      {"POST", "/api/v1/config/reload", Role::kAdmin, &Api::reload_config, {}, true},
      {"GET", "/api/v1/stream", Role::kView, &Api::get_stream, {}},
  };
  return kRoutes;
}

void Api::attach(Engine& engine, CameraSettings defaults) {
  set_defaults(std::move(defaults));
  engine_ = &engine;
}

void Api::set_defaults(CameraSettings defaults) {
  const MutexLock lock(mu_);
  defaults_ = std::move(defaults);
}

CameraSettings Api::defaults() const {
  const MutexLock lock(mu_);
  return defaults_;
}

std::optional<HttpResponse> Api::check_site(const HttpRequest& request) const {
  if (!parts_.access.is_host_allowed(request.host)) {
    return error_response(421, "misdirected",
                          {fmt::format("{} is no name of this server", quote(request.host)), "Host",
                           "ask by 127.0.0.1 or localhost, or add the name to `server: {hosts: "
                           "[...]}` in the configuration"});
  }
  const bool is_cross_site = request.fetch_site == "cross-site";
  if (is_cross_site || !parts_.access.is_origin_allowed(request.origin, request.host)) {
    return error_response(403, "forbidden",
                          {"a page of another site may not ask this server", "Origin",
                           "open the dashboard at this server's own address, or add the page's "
                           "host to `server: {hosts: [...]}` in the configuration"});
  }
  return std::nullopt;
}

HttpResponse Api::handle(const HttpRequest& request) {
  if (std::optional<HttpResponse> refused = check_site(request)) return *std::move(refused);
  const Principal who = parts_.access.who_is(request.authorization);
  HttpResponse response = dispatch(request, who);
  const bool is_change =
      request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS";
  if (is_change && response.status != 404 && response.status != 405) {
    std::string error;
    if (response.status >= 400 && response.body) {
      const Json body = Json::parse(*response.body, nullptr, false);
      if (body.is_object()) error = body.value("error", "");
    }
    parts_.audit.add({.who = who.name.empty() ? "nobody" : std::string_view(who.name),
                      .peer = request.peer,
                      .action = request.method + " " + request.path,
                      .status = response.status,
                      .error = error});
  }
  return response;
}

HttpResponse Api::dispatch(const HttpRequest& request, const Principal& who) {
  Call call{.request = request, .name = {}, .who = who, .engine = engine_};
  std::string allowed;
  for (const Route& route : routes()) {
    if (!fits(request.path, route.path, call.name)) continue;
    if (route.method != request.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    if (who.role < route.role) {
      if (who.role == Role::kNone) {
        return error_response(401, "unauthorized",
                              {"a token is needed, and none that is known was sent",
                               "Authorization", "send `Authorization: Bearer TOKEN`"});
      }
      return error_response(
          403, "forbidden",
          {fmt::format("the role {} does not suffice", to_string(who.role)), "Authorization",
           fmt::format("use a token of the role {}", to_string(route.role))});
    }
    for (const auto& [key, value] : request.query) {
      if (std::ranges::find(route.parameters, key) != route.parameters.end()) continue;
      return error_response(
          400, "invalid_argument",
          {fmt::format("{} is no parameter of this address", quote(key)), quote(key),
           route.parameters.empty()
               ? std::string("leave it out; it has none")
               : fmt::format("there are {}", fmt::join(route.parameters, ", "))});
    }
    if (!call.name.empty() && route.path.starts_with("/api/v1/cameras/") &&
        !is_valid_name(call.name)) {
      return not_found(quote(call.name), "there is no such camera",
                       "ids have letters, digits, dots, underscores and hyphens");
    }
    if (route.is_change && !request.body.empty() && request.content_type != "application/json") {
      return error_response(415, "wrong_type",
                            {"the body is not application/json", "Content-Type",
                             "send `Content-Type: application/json`"});
    }
    if (route.is_engine_needed && (call.engine == nullptr || !parts_.meter.figures())) {
      return error_response(
          Error(ErrorCode::kUnavailable, "the run: it is starting; try again when /readyz says so"),
          "the run");
    }
    return (this->*route.handler)(call);
  }
  if (!allowed.empty()) {
    HttpResponse response =
        error_response(405, "method_not_allowed",
                       {fmt::format("{} is not possible here", quote(request.method)), request.path,
                        fmt::format("use {}", allowed)});
    response.headers.emplace_back("Allow", allowed);
    return response;
  }
  if (request.method == "GET") {
    HttpResponse file = find_static_file(parts_.files, request);
    if (file.status != 404) return file;
  }
  return not_found(quote(request.path), "there is nothing at this address",
                   "see /api/v1/openapi.yaml");
}

void Api::add_event(std::string_view kind, std::string_view camera, std::string_view text,
                    std::string_view by) {
  const RunEvent event = parts_.events.add(kind, camera, text, by);
  parts_.hub.offer(StreamClient::Kind::kEvent,
                   dump({{"type", "event"}, {"event", event_json(event)}}));
}

HttpResponse Api::get_health(const Call& /*call*/) {
  return json_response("{\"status\":\"ok\"}\n");
}

HttpResponse Api::get_readiness(const Call& call) {
  bool is_ready = false;
  std::vector<std::string> reasons;
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  if (call.engine == nullptr || figures == nullptr) {
    reasons.emplace_back("the models are being loaded");
  } else {
    const RunReport& report = figures->report;
    is_ready = !report.is_device_hung && !report.is_stopped_early;
    if (report.is_device_hung) reasons.emplace_back("a batch has not come back from its device");
    if (report.is_stopped_early) reasons.emplace_back("the run ends");
    const auto count = [&report](CameraState state) {
      return std::ranges::count(report.cameras, state,
                                [](const CameraReport& camera) { return camera.status.state; });
    };
    const auto add = [&](CameraState state, std::string_view what) {
      if (const auto cameras = count(state); cameras > 0)
        reasons.push_back(fmt::format("{} of {} cameras {}", cameras, report.cameras.size(), what));
    };
    add(CameraState::kDown, "are down");
    add(CameraState::kFailed, "have failed");
    add(CameraState::kFrozen, "show a frozen picture");
    for (const SinkCounts& sink : report.sinks) {
      if (!sink.last_error.empty()) reasons.emplace_back("a sink fails");
    }
  }
  const Json body{{"ready", is_ready}, {"degraded", !reasons.empty()}, {"reasons", reasons}};
  return json_response(dump(body) + "\n", is_ready ? 200 : 503);
}

HttpResponse Api::get_metrics(const Call& /*call*/) {
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = std::make_shared<const std::string>(
              metrics_page(figures->report, *figures, parts_.alarms, parts_.figures()))};
}

HttpResponse Api::get_openapi(const Call& /*call*/) {
  static const auto kText = std::make_shared<const std::string>(openapi_text());
  return {.content_type = "application/yaml", .body = kText};
}

HttpResponse Api::get_whoami(const Call& call) {
  if (!call.request.authorization.empty() && call.who.role == Role::kNone) {
    return error_response(401, "unauthorized",
                          {"the token is not known", "Authorization", "check the token"});
  }
  return json_response(dump({{"name", call.who.name},
                             {"role", to_string(call.who.role)},
                             {"is_token_needed", parts_.access.is_token_needed()}}));
}

HttpResponse Api::get_run(const Call& /*call*/) {
  Json json = run_json(*parts_.meter.figures());
  json["config_path"] = parts_.config_name.empty() ? Json(nullptr) : Json(parts_.config_name);
  return json_response(dump(json));
}

HttpResponse Api::get_summary(const Call& call) {
  return json_response(to_summary_json(call.engine->report()));
}

HttpResponse Api::get_plan(const Call& /*call*/) {
  return json_response(dump(plan_json(*parts_.meter.figures())));
}

HttpResponse Api::get_models(const Call& call) {
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<std::shared_ptr<const Detector>> detectors = call.engine->models();
  Json models = Json::array();
  for (std::size_t i = 0; i < figures->report.models.size(); ++i) {
    const ModelFacts& facts = figures->report.models[i];
    Json rungs = Json::array();
    if (i < figures->report.ladders.size())
      for (const std::string& rung : figures->report.ladders[i]) rungs.push_back(rung);
    models.push_back({{"model", figures->report.model_names[i]},
                      {"variant", facts.name},
                      {"hash", facts.hash},
                      {"precision", facts.precision},
                      {"runtime", facts.runtime},
                      {"device", facts.device},
                      {"device_name", facts.device_name},
                      {"labels", detectors[i]->labels()},
                      {"input_width", facts.input ? Json(facts.input->width) : Json(nullptr)},
                      {"input_height", facts.input ? Json(facts.input->height) : Json(nullptr)},
                      {"rungs", std::move(rungs)}});
  }
  return json_response(dump({{"models", std::move(models)}}));
}

HttpResponse Api::list_cameras(const Call& call) {
  Query query(call.request);
  const std::optional<std::string> part = query.text("q", 64);
  const std::optional<std::string> state =
      query.choice("state", "connecting|up|frozen|down|paused|ended|failed");
  const std::size_t limit = query.limit();
  const auto begin = static_cast<std::size_t>(query.cursor().value_or(0));
  if (query.error()) return error_response(*query.error(), "the query");
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<CameraReport>& cameras = figures->report.cameras;
  const std::vector<CameraSettings> settings = call.engine->camera_settings();
  const std::map<std::string, int> open = parts_.alarms.open_counts();
  Json page = Json::array();
  std::size_t total = 0;
  bool is_more = false;
  for (std::size_t i = 0; i < cameras.size(); ++i) {
    const CameraReport& camera = cameras[i];
    if (part && lower(camera.id).find(lower(*part)) == std::string::npos) continue;
    if (state && to_string(camera.status.state) != *state) continue;
    const std::size_t place = total++;
    if (place < begin) continue;
    if (page.size() == limit) {
      is_more = true;
      continue;
    }
    const auto own = std::ranges::find(settings, camera.id, &CameraSettings::id);
    const auto alarms = open.find(camera.id);
    page.push_back(camera_json(*figures, i, own == settings.end() ? nullptr : &*own,
                               alarms == open.end() ? 0 : alarms->second));
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
  const std::map<std::string, int> open = parts_.alarms.open_counts();
  const auto alarms = open.find(id);
  HttpResponse response =
      json_response(dump(camera_json(*figures, static_cast<std::size_t>(camera - cameras.begin()),
                                     own == settings.end() ? nullptr : &*own,
                                     alarms == open.end() ? 0 : alarms->second)),
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
  if (const Result<void> added = call.engine->add_camera(*camera); !added)
    return error_response(added.error(), "body");
  add_event("camera_added", camera->id, "added", call.who.name);
  parts_.meter.look();
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
  if (const Result<void> changed = call.engine->change_camera(*camera); !changed)
    return error_response(changed.error(), "body");
  add_event("camera_changed", camera->id, "changed", call.who.name);
  parts_.meter.look();
  return camera_response(call, camera->id, 200);
}

HttpResponse Api::remove_camera(const Call& call) {
  if (const Result<void> removed = call.engine->remove_camera(call.name); !removed)
    return error_response(removed.error(), call.name);
  add_event("camera_removed", call.name, "removed", call.who.name);
  parts_.meter.look();
  return {.status = 204};
}

HttpResponse Api::act_on_camera(const Call& call, Result<void> (Engine::*act)(const CameraId&),
                                std::string_view kind, std::string_view text) {
  const Result<Json> body = parse_body(call.request);
  if (!body) return error_response(body.error(), "body");
  if (!body->empty()) {
    return error_response(400, "invalid_argument",
                          {"the body has settings, and there are none", "body", "send none"});
  }
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

HttpResponse Api::get_snapshot(const Call& call) {
  Query query(call.request);
  const bool has_boxes = query.flag("boxes");
  const auto width = static_cast<int>(query.number("width", 64, 1920, 1280));
  if (query.error()) return error_response(*query.error(), "the query");
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<CameraReport>& cameras = figures->report.cameras;
  const auto camera = std::ranges::find(cameras, call.name, &CameraReport::id);
  if (camera == cameras.end()) return unknown_camera(call.name);
  if (call.request.waited == Duration::zero()) call.engine->want_picture(camera->index);
  const std::shared_ptr<const Answer> answer = parts_.board.picture(camera->index);
  const bool is_new = answer && parts_.clock.now() - answer->stamp.captured_mono <= kPictureAge;
  const CameraState state = camera->status.state;  // up to a second old
  const bool may_come = state == CameraState::kUp || state == CameraState::kConnecting;
  if (!is_new && may_come && call.request.waited < kPictureWait) return {.again_in = kPictureLook};
  if (!answer) {
    return error_response(503, "unavailable",
                          {fmt::format("the camera, which is {}, has not shown a picture since it "
                                       "was asked for one",
                                       to_string(state)),
                           fmt::format("cameras[{}]", call.name), "try again when it is up"});
  }
  std::shared_ptr<const std::string> jpeg;
  {
    const MutexLock lock(mu_);
    const Snapshot& last = snapshots_[camera->index];
    if (last.seq == answer->stamp.seq && last.width == width && last.has_boxes == has_boxes)
      jpeg = last.jpeg;
  }
  if (!jpeg) {
    const CameraNames& names = call.engine->camera_directory()[camera->index];
    const Result<std::vector<std::uint8_t>> drawn = draw_jpeg(
        *answer->picture,
        has_boxes ? std::span<const Detection>(answer->detections) : std::span<const Detection>(),
        names.labels, "", width);
    if (!drawn) return error_response(drawn.error(), call.name);
    jpeg = std::make_shared<const std::string>(drawn->begin(), drawn->end());
    const MutexLock lock(mu_);
    constexpr std::size_t kKept = 256;
    if (snapshots_.size() > kKept) snapshots_.clear();
    snapshots_[camera->index] = {answer->stamp.seq, width, has_boxes, jpeg};
  }
  HttpResponse response{.content_type = "image/jpeg", .body = std::move(jpeg)};
  response.headers.emplace_back("X-Framemill-Seq", std::to_string(answer->stamp.seq));
  response.headers.emplace_back("X-Framemill-Frame-Index",
                                std::to_string(answer->stamp.frame_index));
  response.headers.emplace_back("X-Framemill-Captured-At",
                                format_wall_time(answer->stamp.captured_at));
  return response;
}

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

HttpResponse Api::reload_config(const Call& call) {
  const Result<Json> body = parse_body(call.request);
  if (!body) return error_response(body.error(), "body");
  if (!body->empty()) {
    return error_response(400, "invalid_argument",
                          {"the body has settings, and there are none", "body", "send none"});
  }
  if (!parts_.reload) {
    return error_response(409, "conflict",
                          {"the run has no configuration file", "the run",
                           "start it with one: framemill run CONFIG.yaml"});
  }
  const Result<CameraChanges> changes = parts_.reload();
  if (!changes) {
    add_event("config_refused", "", changes.error().message(), call.who.name);
    return error_response(changes.error(), parts_.config_name);
  }
  add_event("config_reloaded", "",
            fmt::format("{} cameras added, {} changed, {} removed", changes->added.size(),
                        changes->changed.size(), changes->removed.size()),
            call.who.name);
  parts_.meter.look();
  return json_response(dump({{"added", changes->added},
                             {"changed", changes->changed},
                             {"removed", changes->removed},
                             {"unchanged", changes->unchanged}}));
}

HttpResponse Api::get_stream(const Call& /*call*/) {
  HttpResponse response =
      error_response(426, "upgrade_required",
                     {"this address speaks WebSocket only", "Upgrade",
                      "open it as a WebSocket with the subprotocol framemill.v1"});
  response.headers.emplace_back("Upgrade", "websocket");
  return response;
}

UpgradeAnswer Api::upgrade(const HttpRequest& request) {
  UpgradeAnswer answer;
  if (std::optional<HttpResponse> refused = check_site(request)) {
    answer.refusal = *std::move(refused);
    return answer;
  }
  if (request.path != "/api/v1/stream" || request.method != "GET") {
    answer.refusal =
        not_found(quote(request.path), "there is no stream at this address", "open /api/v1/stream");
    return answer;
  }
  Principal who = parts_.access.who_is(request.authorization);
  if (who.role == Role::kNone) who = parts_.access.who_is_by_protocols(request.protocols);
  if (who.role < Role::kView) {
    answer.refusal = error_response(
        401, "unauthorized",
        {"a token is needed, and none that is known was sent", "Sec-WebSocket-Protocol",
         "offer \"framemill.v1\" and \"bearer.<base64url of the token>\""});
    return answer;
  }
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  if (engine_ == nullptr || figures == nullptr) {
    answer.refusal = error_response(
        Error(ErrorCode::kUnavailable, "the run: it is starting; try again when /readyz says so"),
        "the run");
    return answer;
  }
  if (request.protocols.find(kStreamProtocol) != std::string::npos)
    answer.protocol = kStreamProtocol;
  answer.channel = parts_.hub.add_client(dump({{"type", "hello"},
                                               {"run", figures->report.run_id},
                                               {"version", FRAMEMILL_VERSION},
                                               {"role", to_string(who.role)}}));
  return answer;
}

}  // namespace framemill
