#include "framemill/engine/engine.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"
#include "framemill/config/rule_defaults.h"
#include "framemill/config/validate.h"
#include "framemill/core/inference_budget.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/device_list.h"
#include "framemill/engine/engine_state.h"
#include "framemill/engine/host_memory.h"
#include "framemill/engine/json_lines_sink.h"
#include "framemill/engine/live_scheduler.h"
#include "framemill/engine/model_ladder.h"
#include "framemill/engine/output_paths.h"
#include "framemill/engine/sinks/open_sinks.h"
#include "framemill/engine/snapshot_sink.h"
#include "framemill/engine/tick_scheduler.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/sched/start_phase.h"
#include "framemill/video/source.h"
#include "framemill/video/source_url.h"

namespace framemill {
namespace {

/// How long finish() may take to answer what was taken; Ctrl-C must end within 5 s.
constexpr Duration kDrainPatience = std::chrono::seconds(3);
/// Opening a source and its first inference keep a core busy for about so long. Beside critical
/// cameras the others are opened one after the other, within kOpeningsMax.
constexpr Duration kOpeningCost = std::chrono::milliseconds(80);
constexpr Duration kOpeningsMax = std::chrono::seconds(3);
/// Live answers reach a sink together with those of so long: far less than an alarm may take, and a
/// tenth of the wake-ups with hundreds of answers a second.
constexpr Duration kSinkGather = std::chrono::milliseconds(40);
/// A database is asked about the past, and each transaction writes whole pages.
constexpr Duration kDatabaseGather = std::chrono::milliseconds(200);

/// Where none of the sources can be opened nothing has to be loaded, and nothing starts. With
/// others beside them they fail on their own.
Result<void> check_sources(const std::vector<CameraSettings>& cameras,
                           const std::string& source_option) {
  std::vector<std::string> lines;
  for (const CameraSettings& camera : cameras) {
    const Result<UrlKind> kind = classify_url(camera.url);
    if (!kind || *kind != UrlKind::kFile) return {};
    const Result<void> checked = check_source_file(camera.url);
    if (checked) return {};
    const std::string place = source_option.empty() ? fmt::format("cameras[{}].url", camera.id)
                                                    : source_option;  // the message names the file
    lines.push_back(fmt::format("{}: {}", place, checked.error().message()));
  }
  if (lines.empty()) return {};
  return fail(list_problems(lines, ErrorCode::kInvalidArgument));
}

/// "-" is the name of a sink, not a place.
std::string_view place_of(std::string_view sink) { return sink == "-" ? "standard output" : sink; }

/// What of the error of a place that is named already matters once the run is over: messages end
/// with a remedy ("...; free some space, results wait in memory meanwhile"), which is for then.
std::string_view closing_reason(std::string_view error, std::string_view place) {
  error = error.substr(0, error.rfind("; "));
  if (error.starts_with(place) && error.substr(place.size()).starts_with(": "))
    error.remove_prefix(place.size() + 2);
  return error;
}

/// What the pool told by detector, by model as configured and its rungs.
void tell_by_rung(DeviceReport& device, const std::vector<std::vector<std::size_t>>& ladders) {
  const auto inferences = std::exchange(device.inferences, {});
  const auto hosted = std::exchange(device.hosted, {});
  const auto lanes_out = std::exchange(device.lanes_out, {});
  for (std::size_t model = 0; model < ladders.size(); ++model) {
    device.inferences.emplace_back();
    device.hosted.emplace_back();
    for (const std::size_t detector : ladders[model]) {
      device.inferences.back().push_back(inferences[detector][0]);
      device.hosted.back().push_back(hosted[detector][0]);
      for (const LaneOutReport& lane : lanes_out)
        if (lane.model == detector) device.lanes_out.emplace_back(lane).model = model;
    }
  }
}

}  // namespace

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  request_stop();
  finish();
  state_->join();
}

Result<std::unique_ptr<Engine>> Engine::create(const RunSettings& settings, const Clock& clock,
                                               EngineHooks hooks) {
  const std::string source_option = hooks.source_option;
  auto state = std::make_unique<State>(settings, clock, std::move(hooks));
  state->run_id = make_run_id(clock.wall_now());
  state->environment = read_environment();
  const bool have_all_files = std::ranges::all_of(settings.cameras, [](const CameraSettings& c) {
    return !is_live_url(c.url) && !c.is_looped;
  });
  state->pace = settings.engine.pace.value_or(have_all_files ? Pace::kFast : Pace::kLive);
  if (state->pace == Pace::kFast) {
    for (const CameraSettings& camera : settings.cameras) {
      if (!is_live_url(camera.url)) continue;
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("cameras[{}]: a live source cannot be read at pace fast; use pace live, or "
                      "files only",
                      camera.id));
    }
  }
  if (const std::string& trace = settings.output.trace;
      state->pace == Pace::kFast && !trace.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--trace {}: a trace holds what is decided in real time; at pace fast "
                            "there is nothing to record: use --pace live",
                            trace));
  }
  // Models take long to load; what can be known before is told before.
  if (Result<void> found = check_sources(settings.cameras, source_option); !found)
    return fail(found.error());
  if (Result<void> found = check_output_paths(settings); !found) return fail(found.error());
  if (Result<void> loaded = state->load_models(); !loaded) return fail(loaded.error());
  if (Result<void> made = state->make_cameras(); !made) return fail(made.error());
  if (Result<void> made = state->make_alarms(); !made) return fail(made.error());
  if (Result<void> opened = state->open_sinks(); !opened) return fail(opened.error());
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Result<void> Engine::State::load_models() {
  DeviceList devices;
  std::size_t given = 0;
  const auto load = [&](const ModelSettings& model, const std::string& path) -> Result<void> {
    const std::size_t wanted = device_count(model);
    if (!hooks.models.empty()) {
      CHECK(given + wanted <= hooks.models.size());
      devices.add_model(std::span(hooks.models).subspan(given, wanted));
      given += wanted;
      return {};
    }
    Result<DetectorOptions> options = detector_options(model, settings.engine);
    if (!options) return fail(options.error());
    options->batch_max = batch_max();
    options->backend.path = path;
    return devices.load_model(model, settings.engine, *options);
  };
  for (const ModelSettings& model : settings.models) {
    const Result<void> loaded = load(model, model.path);
    if (!loaded) return fail(loaded.error().at(fmt::format("models.{}", model.name)));
    ladders.push_back({ladders.size()});
  }
  // Rungs come after the models, so that a model's index is that of its detector.
  std::size_t next = settings.models.size();
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const ModelSettings& model = settings.models[i];
    for (const std::string& path : model.ladder) {
      const std::string place = fmt::format("models.{}.ladder", model.name);
      if (const Result<void> loaded = load(model, path); !loaded) {
        return fail(loaded.error().at(place));
      }
      const Result<void> same = check_same_classes(devices.model(i), devices.model(next));
      if (!same) {
        return fail(same.error().at(place));
      }
      ladders[i].push_back(next++);
    }
  }
  DevicePool::Options options{.cache = hooks.cache};
  if (hooks.models.empty()) {
    options.load = devices.loader();
    options.is_memory_short = [] { return is_short(read_host_memory()); };
  }
  // Nobody waits for a file: a device that is slow there gets its time.
  if (pace == Pace::kFast) options.health.hang_least = options.health.hang_unknown;
  pool = std::make_unique<DevicePool>(devices.take(), clock, std::move(options));
  for (std::size_t i = 0; i < settings.models.size(); ++i)
    labels_of_model.push_back(
        std::make_shared<const CameraNames::Labels>(pool->detector(i).labels()));
  return {};
}

Result<void> Engine::State::make_alarms() {
  AlarmDeskOptions options{.run_id = run_id,
                           .folder = settings.engine.data,
                           .settings = settings.alarms,
                           .is_live = pace == Pace::kLive};
  AlarmDeskHooks desk_hooks;
  desk_hooks.emit = [this](const AlarmEvent& event) {
    for (const auto& sink : sinks) sink->offer_alarm(event);
    if (hooks.on_alarm) hooks.on_alarm(event);
  };
  desk_hooks.settled = [this] {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const auto& sink : sinks) least = std::min(least, sink->alarms_settled());
    return least;
  };
  desk_hooks.look_at = [this](CameraIndex camera, bool wants_fidelity) {
    return look_at(camera, wants_fidelity);
  };
  desk_hooks.device_busy = [this] { return device_busy(); };
  desk_hooks.show = [this](std::shared_ptr<const RunStatus> status) {
    for (const auto& sink : sinks) sink->offer_status(status);
  };
  Result<std::unique_ptr<AlarmDesk>> desk =
      AlarmDesk::create(std::move(options), clock, std::move(desk_hooks));
  if (!desk) return fail(desk.error());
  alarms = std::move(*desk);
  std::vector<const Camera*> all;
  {
    const MutexLock lock(mu);
    for (const auto& camera : cameras) all.push_back(camera.get());
  }
  for (const Camera* const camera : all) {
    const Result<void> set =
        alarms->set_camera(camera->index, camera->settings, *names[camera->index].labels);
    if (!set) return set;
  }
  return {};
}

std::pair<RunStatus::Camera, CameraCondition> Engine::State::look_at(CameraIndex index,
                                                                     bool wants_fidelity) {
  std::pair<RunStatus::Camera, CameraCondition> look;
  auto& [facts, condition] = look;
  CameraState state = CameraState::kConnecting;
  {
    const MutexLock lock(mu);
    for (const auto& camera : cameras) {
      if (camera->index == index && camera->session) state = camera->session->status().state;
    }
  }
  const CameraCounts counts = ledgers[index]->counts();
  facts.index = index;
  facts.id = names[index].id;
  facts.state = to_string(state);
  facts.captured = counts.captured;
  facts.answered = counts.answered();
  facts.unanswered = counts.sampled() - counts.answered() - counts.in_flight;
  facts.overdue = counts.overdue;
  // A camera that has ended, or rests because somebody said so, is not down.
  if (state != CameraState::kEnded && state != CameraState::kPaused) {
    condition.is_down = state != CameraState::kUp && state != CameraState::kFrozen;
    condition.is_frozen = state == CameraState::kFrozen;
  }
  if (wants_fidelity) {
    const FidelityFigure figure = audits->recent_of_camera(index);
    if (figure.state == FidelityState::kKnown) facts.fidelity = figure.value;
    // Its group's figure would raise the alarms of all cameras at once, for the fault of any.
    if (!figure.is_of_group) condition.fidelity = facts.fidelity;
  }
  return look;
}

std::optional<double> Engine::State::device_busy() {
  const std::vector<DeviceReport> devices = pool->reports();
  const bool is_any_card = std::ranges::any_of(
      devices, [](const auto& device) { return card_of(device.name).starts_with("cuda:"); });
  if (is_any_card && !gpus) gpus = std::make_unique<GpuMeter>();
  return busy_meter.look(clock.now(), devices, gpus ? gpus->read() : std::vector<GpuReading>());
}

Result<void> Engine::State::open_sinks() {
  SinkRunner::Options options;
  if (pace == Pace::kLive) options.gather = kSinkGather;
  if (pace == Pace::kFast) {
    // Nothing has to keep up with real time: a full disk stops the work instead of losing answers.
    options.when_full = SinkRunner::WhenFull::kWait;
    options.give_up_after = std::chrono::seconds(5);
  }
  const std::function<void(Error)> on_dead = [this](const Error&) { stop(true); };
  if (!settings.output.results.empty()) {
    Result<std::unique_ptr<JsonLinesSink>> sink =
        JsonLinesSink::create({.path = settings.output.results, .run_id = run_id}, names);
    if (!sink) return fail(sink.error());
    line_files.push_back(sink->get());
    sinks.push_back(std::make_unique<SinkRunner>(std::move(*sink), options, on_dead));
  }
  for (std::size_t i = 0; i < settings.sinks.size(); ++i) {
    Result<std::unique_ptr<ResultSink>> sink = open_sink(settings, i, run_id, names);
    if (!sink) return fail(sink.error().at(fmt::format("sinks[{}]", i)));
    if (auto* const file = dynamic_cast<JsonLinesSink*>(sink->get())) line_files.push_back(file);
    // Without a reader of its results a run has no point; it goes on without one of its other
    // sinks.
    const bool is_result = settings.sinks[i].type == "jsonl";
    SinkRunner::Options own = options;
    if (pace == Pace::kLive && settings.sinks[i].type == "sqlite") own.gather = kDatabaseGather;
    sinks.push_back(std::make_unique<SinkRunner>(
        std::move(*sink), own, is_result ? on_dead : std::function<void(Error)>()));
  }
  if (!settings.output.snapshot_dir.empty()) {
    Result<std::unique_ptr<SnapshotSink>> sink =
        SnapshotSink::create(settings.output.snapshot_dir, names);
    if (!sink) return fail(sink.error());
    SinkRunner::Options few = options;
    few.answers_max = 256;
    sinks.push_back(std::make_unique<SinkRunner>(std::move(*sink), few, nullptr));
  }
  if (!settings.output.trace.empty())
    if (Result<void> opened = open_trace(); !opened) return opened;
  return {};
}

Result<void> Engine::State::open_trace() {
  const std::string& path = settings.output.trace;
  TraceWriter::Run run{.id = run_id, .began = clock.wall_now()};
  for (const CameraSettings& camera : settings.cameras) run.cameras.push_back(camera.id);
  for (const ModelSettings& model : settings.models) run.models.push_back(model.name);
  Result<std::unique_ptr<TraceWriter>> opened = TraceWriter::create(path, std::move(run), {});
  if (!opened) return fail(opened.error());
  trace = std::move(*opened);
  return {};
}

std::size_t Engine::State::batch_max() const {
  std::size_t frames = 0;
  const std::string& rule = settings.engine.batch;
  const auto [end, error] = std::from_chars(rule.data(), rule.data() + rule.size(), frames);
  if (error == std::errc{}) return frames;
  return pace == Pace::kFast ? 1 : kBatchBuckets.back();
}

void Engine::State::publish(Answer&& answer) {
  if (hooks.on_answer) hooks.on_answer(answer);
  audits->count_answer(answer);
  alarms->take(answer);
  SinkRunner* last = nullptr;  // gets the answer itself, the others a copy
  for (const auto& sink : sinks) {
    if (!sink->wants(answer)) continue;
    if (last != nullptr) last->offer(Answer(answer));
    last = sink.get();
  }
  if (last != nullptr) last->offer(std::move(answer));
}

bool Engine::State::is_stop_wanted() const {
  const MutexLock lock(mu);
  return is_stop_requested;
}

void Engine::State::stop(bool is_early) {
  {
    const MutexLock lock(mu);
    if (is_stop_requested) return;
    is_stop_requested = true;
    if (is_early) is_stopped_early = true;
  }
  changed.notify_all();
}

void Engine::start() {
  State& s = *state_;
  const EngineSettings& engine = s.settings.engine;
  FrameSchedulerOptions options;
  options.tick = engine.tick;
  options.answer_delay = engine.answer_delay;
  options.similarity_min = engine.similarity;
  if (engine.audit > 0) options.audits = s.audits.get();
  options.trace = s.trace.get();
  options.on_dispatch = s.hooks.on_dispatch;
  options.is_batch_by_utilisation = engine.batch == "utilisation";
  options.is_slot_reserved = engine.critical_slot == "always";
  if (engine.batch != "knee" && !options.is_batch_by_utilisation) {
    options.knee_frames = s.batch_max();
  }
  {
    const MutexLock lock(s.mu);
    for (const auto& camera : s.cameras) options.cameras.push_back(s.scheduled(*camera));
  }
  const std::optional<FidelityTargetReport> target = s.audits->target();
  options.inference_share = s.share;
  options.budget_per_second = engine.budget.per_second;
  if (target) options.adaptive_share = target->share;

  if (s.pace == Pace::kLive) {  // nothing is due at pace fast
    s.prepare_models(options);
    const MutexLock lock(s.mu);
    for (const auto& camera : s.cameras) {
      camera->ledger->set_ring_frames(s.ring_frames(camera->settings));
    }
  }

  s.started_at = s.clock.wall_now();
  s.started_mono = s.clock.now();
  s.usage_at_start = read_process_usage();
  const bool is_fast = s.pace == Pace::kFast;
  std::unique_ptr<FrameScheduler> scheduler;
  if (is_fast) {
    scheduler = std::make_unique<TickScheduler>(std::move(options), *s.pool);
  } else {
    scheduler = std::make_unique<LiveScheduler>(std::move(options), *s.pool, s.clock);
  }
  {
    const MutexLock lock(s.mu);
    s.scheduler = std::move(scheduler);
    const std::vector<Duration> openings = s.opening_times();
    for (std::size_t i = 0; i < s.cameras.size(); ++i) {
      State::Camera& camera = *s.cameras[i];
      const double period_s = 1 / sampled_rate_hz(camera.settings);
      s.start_session(camera, is_fast ? Duration::zero()
                                      : from_seconds(start_time(camera.index, period_s,
                                                                to_seconds(openings[i]))));
    }
  }
  const bool has_rules = std::ranges::any_of(
      s.settings.cameras, [](const CameraSettings& camera) { return !camera.rules.empty(); });
  if (!is_fast || has_rules) s.alarms->start();
  if (!is_fast) {
    s.housekeeper = std::thread([&s] {
      name_this_thread("housekeeper");
      s.keep_house();
      s.is_house_kept = true;
    });
  }
  s.waiter = std::thread([&s] {
    name_this_thread("waiter");
    s.scheduler->wait_until_done();
    {
      const MutexLock lock(s.mu);
      s.are_sources_done = true;
    }
    s.changed.notify_all();
  });
}

std::vector<Duration> Engine::State::opening_times() const {
  std::vector<Duration> times(cameras.size(), Duration::zero());
  const auto is_critical = [](const std::unique_ptr<Camera>& camera) {
    return camera->settings.priority == Priority::kCritical;
  };
  const auto others =
      static_cast<std::int64_t>(cameras.size()) - std::ranges::count_if(cameras, is_critical);
  if (others == static_cast<std::int64_t>(cameras.size()) || others == 0) return times;
  const Duration each =
      std::min(kOpeningCost / std::max(1U, environment.cpu_count), kOpeningsMax / others);
  Duration next = each;
  for (std::size_t i = 0; i < cameras.size(); ++i)
    if (!is_critical(cameras[i])) times[i] = std::exchange(next, next + each);
  return times;
}

void Engine::wait() {
  State& s = *state_;
  const MutexLock lock(s.mu);
  const bool is_timed = s.pace == Pace::kLive && s.settings.engine.run_for > Duration::zero();
  const auto end_at = std::chrono::steady_clock::now() + s.settings.engine.run_for;
  while (!s.is_stop_requested && !s.are_sources_done) {
    if (!is_timed) {
      s.changed.wait(s.mu);
    } else if (s.changed.wait_until(s.mu, end_at) == std::cv_status::timeout) {
      return;
    }
  }
}

void Engine::request_stop() { state_->stop(true); }

RunReport Engine::finish() {
  State& s = *state_;
  {
    const MutexLock lock(s.mu);
    if (s.final_report) return *s.final_report;
  }
  {
    const MutexLock changes(s.changes_mu);  // one that is under way is over first
    const MutexLock lock(s.mu);
    s.is_finishing = true;
  }
  s.changed.notify_all();
  std::vector<CameraSession*> sessions;  // nobody else ends them from here on
  {
    const MutexLock lock(s.mu);
    for (auto& camera : s.cameras) {
      if (camera->session) sessions.push_back(camera->session.get());
    }
  }
  if (s.scheduler) {
    for (CameraSession* session : sessions) session->request_stop();
    s.scheduler->stop(kDrainPatience);
    // A frame that still enters is settled at once; its answer has to be there before the sinks
    // end.
    for (CameraSession* session : sessions) session->wait_until_quiet();
    s.is_device_hung = !s.pool->stop(std::chrono::milliseconds(500));
    if (s.is_device_hung) {
      spdlog::error("a batch has not come back from its device");
      for (std::size_t i = 0; i < s.ledgers.size(); ++i) s.ledgers[i]->close();
    }
  }
  s.alarms->stop();
  for (auto& sink : s.sinks) sink->request_stop();  // all at once: each may take a second or two
  for (auto& sink : s.sinks) sink->stop();
  if (s.trace) s.trace->stop();
  s.alarms->settle();
  const MutexLock lock(s.mu);
  s.final_report = s.make_report(ReportDetail::kFull);
  // Their threads have ended. A run that failed and wrote nothing, or that nobody started, loses no
  // older results and no older trace.
  if (s.scheduler && s.final_report->failures().empty()) {
    for (JsonLinesSink* const file : s.line_files) file->end_empty();
    if (s.trace) {
      s.trace->end_empty();
      s.final_report->trace = s.trace->counts();
    }
  }
  return *s.final_report;
}

void Engine::empty_sinks(Duration patience) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  for (auto& sink : state_->sinks) sink->request_stop();
  for (auto& sink : state_->sinks) (void)sink->wait_until_done(give_up_at);
}

bool Engine::join(Duration patience) {
  State& s = *state_;
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  while (!s.have_cameras_left()) {
    if (std::chrono::steady_clock::now() >= give_up_at) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  s.join();
  return true;
}

bool Engine::State::have_cameras_left() const {
  const MutexLock lock(mu);
  const auto has_left = [](const std::unique_ptr<Camera>& camera) {
    return camera->session == nullptr || camera->session->has_left();
  };
  return (!housekeeper.joinable() || is_house_kept) && std::ranges::all_of(cameras, has_left) &&
         std::ranges::all_of(retired, has_left, &Retired::camera);
}

void Engine::State::join() {
  std::vector<std::unique_ptr<Camera>> leaving;
  {
    const MutexLock lock(mu);
    leaving.swap(cameras);
  }
  leaving.clear();
  if (housekeeper.joinable()) housekeeper.join();
  std::vector<Retired> last;
  {
    const MutexLock lock(mu);
    last.swap(retired);
  }
  last.clear();
  if (waiter.joinable()) waiter.join();
}

RunReport Engine::report(ReportDetail detail) const {
  const MutexLock lock(state_->mu);
  return state_->final_report ? *state_->final_report : state_->make_report(detail);
}

AlarmDesk& Engine::alarms() { return *state_->alarms; }

std::vector<std::shared_ptr<const Detector>> Engine::models() const {
  return state_->pool->detectors_by_model();
}

CameraReport Engine::State::report_of(const Camera& camera, const SchedulerStatus& status,
                                      ReportDetail detail, PartedCounts& parted) const {
  CameraReport report;
  report.id = camera.settings.id;
  report.index = camera.index;
  report.priority = camera.settings.priority;
  report.policy = camera.policy;
  report.is_file = !is_live_url(camera.settings.url);
  report.slo = camera.settings.slo;
  report.model = settings.models[camera.model].name;
  std::size_t rung = 0;
  if (camera.index < status.rungs.size()) {
    rung = status.rungs[camera.index].rung;
    report.rung_changes = status.rungs[camera.index].changes;
  }
  if (camera.index < status.needs.size()) report.need = status.needs[camera.index];
  report.rung = pool->detector(ladders[camera.model][rung]).facts().name;
  if (camera.session) report.status = camera.session->status();
  report.counts = camera.ledger->counts();
  parted.add(camera.settings.priority, camera.model, report.counts);
  add_counts(report.status.source, camera.source_before);
  if (camera.counts_before) report.counts.merge(*camera.counts_before);
  if (camera.policy == PolicyKind::kAdaptive) {
    report.fidelity = detail == ReportDetail::kFull ? audits->of_camera(camera.index)
                                                    : audits->recent_of_camera(camera.index);
  }
  return report;
}

RunReport Engine::State::make_report(ReportDetail detail) const {
  RunReport report;
  report.run_id = run_id;
  report.started_at = started_at;
  report.wall = clock.now() - started_mono;
  report.usage = read_process_usage();
  report.usage.cpu_user -= usage_at_start.cpu_user;
  report.usage.cpu_system -= usage_at_start.cpu_system;
  report.pace = pace;
  report.policy = settings.engine.policy;
  report.budget = settings.engine.budget;
  report.fidelity_target = audits->target();
  report.devices = pool->reports();
  for (DeviceReport& device : report.devices) tell_by_rung(device, ladders);
  double frames = 0;
  for (const DeviceReport& device : report.devices) {
    report.inference_time += device.inference_time;
    report.batches += device.batches;
    frames += device.batch_mean * static_cast<double>(device.batches);
  }
  if (report.batches > 0) report.batch_mean = frames / static_cast<double>(report.batches);
  report.batch_rule = settings.engine.batch;
  report.batches_max = pool->batches_max();
  const SchedulerStatus status = scheduler ? scheduler->status() : SchedulerStatus{};
  report.inference_share = scheduler ? scheduler->budget_share(share) : share.load();
  report.batch_frames = status.batch_frames;
  report.over_budget = status.over_budget;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    report.models.push_back(pool->detector(i).facts());
    report.model_names.push_back(settings.models[i].name);
    std::vector<std::string>& rungs = report.ladders.emplace_back();
    for (const std::size_t rung : ladders[i]) rungs.push_back(pool->detector(rung).facts().name);
  }
  report.environment = environment;
  report.parted = at_rest;
  report.parted.inferences.resize(settings.models.size());
  for (const auto& camera : cameras) {
    report.cameras.push_back(report_of(*camera, status, detail, report.parted));
    if (camera->policy == PolicyKind::kAdaptive && !report.fidelity) {
      report.fidelity = detail == ReportDetail::kFull ? audits->total() : audits->recent_total();
    }
  }
  if (removed) {
    report.removed_cameras = removed->cameras;
    report.removed = removed->counts;
    report.removed_source = removed->source;
  }
  for (const Retired& old : retired) {
    CameraReport of_index = report_of(*old.camera, status, ReportDetail::kQuick, report.parted);
    const auto successor = std::ranges::find(report.cameras, of_index.id, &CameraReport::id);
    if (old.is_replaced && successor != report.cameras.end()) {
      successor->counts.merge(of_index.counts);
      add_counts(successor->status.source, of_index.status.source);
    } else {
      ++report.removed_cameras;
      report.removed.merge(of_index.counts);
      add_counts(report.removed_source, of_index.status.source);
    }
  }
  for (const CameraReport& camera : report.cameras) {
    report.total.merge(camera.counts);
    if (settings.output.snapshot_dir.empty() || detail == ReportDetail::kQuick) continue;
    const std::string path = settings.output.snapshot_dir + "/" + camera.id + ".jpg";
    if (std::filesystem::exists(path)) report.snapshots.push_back(path);
  }
  report.total.merge(report.removed);
  for (const auto& sink : sinks) report.sinks.push_back(sink->counts());
  if (trace) report.trace = trace->counts();
  report.is_stopped_early = is_stopped_early;
  report.is_device_hung = is_device_hung;
  return report;
}

void PartedCounts::add(Priority priority, std::size_t model, const CameraCounts& counts) {
  auto& of_priority = latency[static_cast<std::size_t>(priority)];
  for (std::size_t i = 0; i < of_priority.size(); ++i) of_priority[i].merge(counts.latency[i]);
  for (std::size_t i = 0; i < counts.inferences.size(); ++i)
    inferences[model][i] += counts.inferences[i];
}

bool RunReport::is_conserved() const {
  return removed.is_conserved() && std::ranges::all_of(cameras, [](const CameraReport& c) {
           return c.counts.is_conserved();
         });
}

bool CameraReport::has_given_picture() const {
  const auto count = [this](Outcome o) { return counts.outcomes[static_cast<std::size_t>(o)]; };
  const std::int64_t unknown = count(Outcome::kSampledOut) + count(Outcome::kFailed);
  return status.source.frames_decoded > 0 || counts.captured - counts.in_flight > unknown;
}

std::vector<std::string> RunReport::never_seen() const {
  const auto why = [](const CameraStatus& status) -> std::string_view {
    if (!status.last_error.empty()) return status.last_error;
    if (status.state == CameraState::kPaused) return "it was paused";
    if (status.state == CameraState::kEnded) return "it ended before the first one";
    return "it was still connecting when the run ended";
  };
  std::vector<std::string> lines;
  for (const CameraReport& camera : cameras) {
    if (camera.has_given_picture() || camera.status.state == CameraState::kFailed) continue;
    lines.push_back(fmt::format("{}: never gave a picture: {}", camera.id, why(camera.status)));
  }
  return lines;
}

std::vector<std::string> RunReport::failures(CutFiles cut_files) const {
  std::vector<std::string> lines;
  for (const CameraReport& camera : cameras) {
    const bool is_taken = cut_files == CutFiles::kAreTaken && camera.status.is_cut_short;
    if (camera.status.state == CameraState::kFailed && !is_taken) {
      lines.push_back(fmt::format("{}: {}", camera.id, camera.status.last_error));
    }
  }
  // One of several that is out is no failure of the run, as a camera that is down is none.
  if (is_device_hung && std::ranges::none_of(devices, &DeviceReport::is_serving))
    lines.push_back("a batch has not come back from its device");
  for (const SinkCounts& sink : sinks) {
    if (sink.lost > 0) {
      lines.push_back(fmt::format("{}: {} of {} {} could not be written: {}", place_of(sink.name),
                                  sink.lost, sink.lost + sink.written, sink.unit,
                                  sink.last_error.empty()
                                      ? "its queue was full"
                                      : closing_reason(sink.last_error, place_of(sink.name))));
    }
  }
  if (trace && trace->lost > 0) {
    lines.push_back(fmt::format("{}: {} of {} records of the trace are not in it: {}", trace->path,
                                trace->lost, trace->lost + trace->written,
                                trace->last_error.empty()
                                    ? "the disk was slower than the run"
                                    : closing_reason(trace->last_error, trace->path)));
  }
  for (const SinkCounts& sink : sinks) {
    if (sink.spool.dropped > 0) {
      lines.push_back(fmt::format("{}: {} messages were dropped, of {} that were to be delivered",
                                  sink.name, sink.spool.dropped,
                                  sink.spool.dropped + sink.spool.delivered + sink.spool.waiting));
    }
  }
  if (!is_conserved()) {
    lines.push_back(
        "the counts of frames do not add up; this is a bug in framemill, please report it");
  }
  return lines;
}

}  // namespace framemill
