#include "framemill/server/run_server.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "framemill/base/cpu_time.h"
#include "framemill/base/mutex.h"
#include "framemill/server/access.h"
#include "framemill/server/api.h"
#include "framemill/server/api_json.h"
#include "framemill/server/cpu_allowance.h"
#include "framemill/server/http_server.h"

namespace framemill {
namespace {

constexpr std::size_t kAnswersMax = 100'000;
constexpr std::size_t kAnswersOfCameraMax = 300;
constexpr std::size_t kEventsMax = 2'000;
constexpr std::size_t kAlarmsMax = 5'000;
/// What answering requests may take of a core on average, and at once.
constexpr double kCoresMax = .25;
constexpr Duration kCpuBurst = std::chrono::milliseconds(500);
/// Pictures of cameras that nobody asks for any more are let go of.
constexpr Duration kPictureLife = std::chrono::seconds(20);
/// So long the last answers of a camera that was removed can be asked for.
constexpr Duration kAnswerLife = std::chrono::seconds(60);

std::vector<AccessToken> tokens_of(const ServerSettings& settings) {
  std::vector<AccessToken> tokens;
  const auto add = [&tokens](const char* name, Role role, const std::string& secret) {
    if (!secret.empty()) tokens.push_back({name, role, secret});
  };
  add("admin", Role::kAdmin, settings.token);
  add("operate", Role::kOperate, settings.operate_token);
  add("view", Role::kView, settings.view_token);
  return tokens;
}

std::string_view event_kind(CameraState state) {
  switch (state) {
    case CameraState::kUp:
      return "camera_up";
    case CameraState::kDown:
    case CameraState::kFailed:
      return "camera_down";
    case CameraState::kFrozen:
      return "camera_frozen";
    case CameraState::kEnded:
      return "camera_ended";
    case CameraState::kConnecting:
    case CameraState::kPaused:
      break;
  }
  return {};
}

}  // namespace

struct RunServer::State {
  State(const Options& server_options, const Clock& server_clock, CameraAddressRules rules,
        std::unique_ptr<AuditLog> audit_log)
      : options(server_options),
        clock(server_clock),
        access(tokens_of(options.settings), options.settings.hosts),
        addresses(std::move(rules)),
        audit(std::move(audit_log)),
        board(kAnswersMax, kAnswersOfCameraMax),
        events(clock, kEventsMax),
        alarms(kAlarmsMax),
        hub(clock),
        meter(clock, board, [this](const RunFigures& figures) { on_look(figures); }),
        allowance(kCoresMax, kCpuBurst, clock.now()) {}

  const Options options;
  const Clock& clock;
  const Access access;
  const CameraAddressRules addresses;
  const std::unique_ptr<AuditLog> audit;
  AnswerBoard board;
  EventLog events;
  AlarmBoard alarms;
  StreamHub hub;
  RunMeter meter;
  std::unique_ptr<AnswerHistory> history;  // set before api is attached
  CpuAllowance allowance;
  std::unique_ptr<Api> api;
  std::unique_ptr<HttpServer> http;
  std::map<std::string, CameraState> states;  // used by the meter's thread only

  void on_look(const RunFigures& figures);
  void add_event(std::string_view kind, std::string_view camera, std::string_view text,
                 std::string_view by);
  HttpResponse handle(const HttpRequest& request);
  void open_databases();
};

/// Those of the sinks, which have made their tables by now. Without them there is the memory.
void RunServer::State::open_databases() {
  if (!options.answers_path.empty()) {
    Result<std::unique_ptr<AnswerHistory>> opened = AnswerHistory::open(options.answers_path);
    if (opened) {
      history = std::move(*opened);
    } else {
      spdlog::warn("results are told from memory only: {}", opened.error().message());
    }
  }
  if (options.events_path.empty()) return;
  Result<std::unique_ptr<EventStore>> store =
      EventStore::open(options.events_path, options.events_keep);
  if (store) {
    events.attach(std::move(*store));
  } else {
    spdlog::warn("events are kept in memory only: {}", store.error().message());
  }
}

void RunServer::State::add_event(std::string_view kind, std::string_view camera,
                                 std::string_view text, std::string_view by) {
  const RunEvent event = events.add(kind, camera, text, by);
  hub.offer(StreamClient::Kind::kEvent, dump({{"type", "event"}, {"event", event_json(event)}}));
}

void RunServer::State::on_look(const RunFigures& figures) {
  board.forget_pictures(clock.now() - kPictureLife);
  std::set<CameraIndex> current;
  for (const CameraReport& camera : figures.report.cameras) current.insert(camera.index);
  board.forget_others(current, clock.now() - kAnswerLife);
  std::map<std::string, CameraState> now;
  for (const CameraReport& camera : figures.report.cameras) {
    const CameraState state = camera.status.state;
    now[camera.id] = state;
    const auto before = states.find(camera.id);
    if (before != states.end() && before->second == state) continue;
    const std::string_view kind = event_kind(state);
    if (kind.empty()) continue;
    add_event(kind, camera.id,
              camera.status.last_error.empty() ? to_string(state)
                                               : std::string_view(camera.status.last_error),
              {});
  }
  states = std::move(now);
  if (hub.clients() > 0) {
    hub.offer(StreamClient::Kind::kStats, dump(stats_message(figures, alarms.open_counts())));
  }
}

HttpResponse RunServer::State::handle(const HttpRequest& request) {
  const bool is_cheap = request.path == "/healthz" || request.path == "/readyz";
  if (!is_cheap) {
    const Duration delay = allowance.delay(clock.now());
    // The worker waits, and with it the others behind: that is the purpose.
    if (delay > Duration::zero())
      std::this_thread::sleep_for(std::min<Duration>(delay, std::chrono::seconds(1)));
  }
  const Duration begin = thread_cpu_time();
  HttpResponse response = api->handle(request);
  allowance.spend(thread_cpu_time() - begin);
  return response;
}

RunServer::RunServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

RunServer::~RunServer() { stop(); }

Result<std::unique_ptr<RunServer>> RunServer::create(const Options& options, const Clock& clock) {
  Result<CameraAddressRules> rules = CameraAddressRules::create(options.settings.camera_networks);
  if (!rules) return fail(rules.error());
  Result<std::unique_ptr<AuditLog>> audit = AuditLog::create(options.settings.audit_log, clock);
  if (!audit) return fail(audit.error());
  auto state = std::make_unique<State>(options, clock, std::move(*rules), std::move(*audit));
  State& s = *state;
  s.api = std::make_unique<Api>(
      ApiParts{.clock = clock,
               .access = s.access,
               .addresses = s.addresses,
               .board = s.board,
               .events = s.events,
               .alarms = s.alarms,
               .hub = s.hub,
               .meter = s.meter,
               .audit = *s.audit,
               .files = options.files,
               .figures =
                   [&s] {
                     return ServerFigures{s.http->counts(), s.hub.dropped()};
                   },
               .config_name = std::filesystem::path(options.config_path).filename().string(),
               .save_changes = options.settings.save_changes,
               .is_config_watched = options.is_config_watched});
  Result<std::unique_ptr<HttpServer>> http = HttpServer::create(
      {.listen = options.settings.listen,
       .tls = {.cert_file = options.settings.cert_file,
               .key_file = options.settings.key_file,
               .client_ca_file = options.settings.client_ca_file},
       .limits = {},
       .handle = [&s](const HttpRequest& request) { return s.handle(request); },
       .upgrade = [&s](const HttpRequest& request) { return s.api->upgrade(request); }},
      clock);
  if (!http) return fail(http.error());
  s.http = std::move(*http);
  s.http->start();
  return std::unique_ptr<RunServer>(new RunServer(std::move(state)));
}

void RunServer::take_answer(const Answer& answer) {
  state_->hub.offer_answer(state_->board.take(answer));
}

void RunServer::take_alarm(const AlarmEvent& event) {
  const AlarmView alarm = state_->alarms.take(event);
  state_->hub.offer(StreamClient::Kind::kAlarm,
                    dump({{"type", "alarm"}, {"alarm", alarm_json(alarm)}}));
  state_->add_event("alarm", event.camera_id,
                    fmt::format("{}: {}", to_string(event.state), event.message), event.by);
}

void RunServer::open_databases() { state_->open_databases(); }

void RunServer::attach(
    Engine& engine, CameraSettings defaults, ConfigActions config,
    std::function<Result<void>(const std::string&, const std::string&)> acknowledge_alarm) {
  State& s = *state_;
  if (acknowledge_alarm) s.alarms.set_acknowledge(std::move(acknowledge_alarm));
  s.alarms.attach(
      {.list = [&engine](const AlarmQuery& query) { return engine.alarms().list(query); },
       .find = [&engine](const std::string& id) { return engine.alarms().find(id); }});
  s.hub.attach(engine.report(ReportDetail::kQuick).run_id, engine.camera_directory());
  s.add_event("run_started", "", "the run has started", "");
  s.meter.start(engine);
  s.api->attach(engine, std::move(defaults), std::move(config), s.history.get());
}

void RunServer::set_defaults(const CameraSettings& defaults) {
  state_->api->set_defaults(defaults);
}

void RunServer::note_reload(const Result<CameraChanges>& changes, std::string_view by) {
  State& s = *state_;
  const std::string error = changes ? std::string() : changes.error().message();
  s.audit->add(
      {.who = by, .peer = {}, .action = "reload", .status = changes ? 200 : 400, .error = error});
  if (!changes) {
    s.add_event("config_refused", "", changes.error().message(), by);
    return;
  }
  s.add_event("config_reloaded", "",
              fmt::format("{} cameras added, {} changed, {} removed", changes->added.size(),
                          changes->changed.size(), changes->removed.size()),
              by);
  s.meter.look();
}

void RunServer::stop() {
  State& s = *state_;
  // First those who wake connections, then the connections.
  s.meter.stop();
  s.http->stop();
  s.hub.stop();
}

Result<std::function<void()>> RunServer::prepare_identity() {
  return state_->http->prepare_identity();
}

std::string RunServer::url() const {
  const HttpServer& http = *state_->http;
  return fmt::format("{}://{}/", http.is_tls() ? "https" : "http", http.address());
}

}  // namespace framemill
