// Which request goes where, and who may ask; what is done with it is in api_*.cc, a file for each
// resource.

#include "framemill/server/api.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/config/setting_value.h"
#include "framemill/server/api_body.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStreamProtocol = "framemill.v1";

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
       {"camera", "origin", "label", "since", "until", "source", "limit", "cursor"}},
      {"GET",
       "/api/v1/events",
       Role::kView,
       &Api::list_events,
       {"camera", "kind", "since", "until", "limit", "cursor"}},
      {"GET",
       "/api/v1/alarms",
       Role::kView,
       &Api::list_alarms,
       {"state", "severity", "camera", "limit", "cursor"}},
      {"GET", "/api/v1/alarms/{}", Role::kView, &Api::get_alarm, {}},
      {"GET", "/api/v1/alarms/{}/picture.jpg", Role::kView, &Api::get_alarm_picture, {}},
      {"POST", "/api/v1/alarms/{}/acknowledge", Role::kOperate, &Api::acknowledge_alarm, {}, true},
      {"GET", "/api/v1/config", Role::kView, &Api::get_config, {}},
      {"POST", "/api/v1/config/reload", Role::kAdmin, &Api::reload_config, {}, true},
      {"POST", "/api/v1/config/save", Role::kAdmin, &Api::save_config, {}, true},
      {"GET", "/api/v1/stream", Role::kView, &Api::get_stream, {}},
  };
  return kRoutes;
}

void Api::attach(Engine& engine, CameraSettings defaults, ConfigActions config,
                 AnswerHistory* history) {
  set_defaults(std::move(defaults));
  config_ = std::move(config);
  history_ = history;
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
    std::vector<std::string> keys;
    if (response.status < 300) {  // so they are settings, no rubbish
      const Json body = Json::parse(request.body, nullptr, false);
      if (body.is_object())
        for (const auto& item : body.items()) keys.push_back(item.key());
    }
    if (response.status >= 400 && response.body) {
      const Json body = Json::parse(*response.body, nullptr, false);
      if (body.is_object()) error = body.value("error", "");
    }
    const std::string action = request.method + " " + request.path;
    parts_.audit.add({.who = who.name.empty() ? "nobody" : std::string_view(who.name),
                      .peer = request.peer,
                      .action = action,
                      .keys = std::move(keys),
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
