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
#include "framemill/config/rule_defaults.h"
#include "framemill/core/inference_budget.h"
#include "framemill/engine/detector_options.h"
#include "framemill/engine/json_lines_sink.h"
#include "framemill/engine/live_scheduler.h"
#include "framemill/engine/model_ladder.h"
#include "framemill/engine/sinks/open_sinks.h"
#include "framemill/engine/snapshot_sink.h"
#include "framemill/engine/tick_scheduler.h"
#include "framemill/sched/batch_autosizer.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/sched/start_phase.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

/// How long finish() may take to answer what was taken; Ctrl-C must end within 5 s.
constexpr Duration kDrainPatience = std::chrono::seconds(3);
/// Of pictures, until a camera has shown one.
constexpr Size kUsualSize{1920, 1080};
/// How long a model may take at the start to find its best batch.
constexpr Duration kKneePatience = std::chrono::milliseconds(1500);

Result<std::vector<bool>> wanted_classes(const CameraSettings& camera, const Detector& detector) {
  if (camera.classes.empty()) return std::vector<bool>{};
  std::vector<bool> wanted(detector.labels().size(), false);
  for (const std::string& label : camera.classes) {
    const auto found = std::ranges::find(detector.labels(), label);
    if (found == detector.labels().end()) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("cameras[{}].classes: \"{}\" is not a label of {}; it has {}", camera.id,
                      label, detector.facts().path, fmt::join(detector.labels(), ", ")));
    }
    wanted[static_cast<std::size_t>(found - detector.labels().begin())] = true;
  }
  return wanted;
}

}  // namespace

struct Engine::State {
  State(const RunSettings& run_settings, const Clock& run_clock, EngineHooks run_hooks)
      : settings(run_settings), clock(run_clock), hooks(std::move(run_hooks)) {}

  // Constant after create().
  const RunSettings settings;
  const Clock& clock;
  const EngineHooks hooks;
  std::string run_id;
  WallTime started_at;
  TimePoint started_mono;
  ProcessUsage usage_at_start;
  Pace pace = Pace::kLive;
  double share = 1.0;
  Environment environment;
  std::vector<CameraNames> names;
  std::vector<std::size_t> camera_models;
  std::vector<PolicyKind> policies;
  std::vector<std::vector<std::size_t>> ladders;  ///< by model, see FrameSchedulerOptions

  std::atomic<bool> is_stopped_early{false};
  std::atomic<bool> is_device_hung{false};
  mutable Mutex mu;
  CondVar changed;
  bool is_stop_requested GUARDED_BY(mu) = false;
  bool are_sources_done GUARDED_BY(mu) = false;
  std::optional<RunReport> final_report GUARDED_BY(mu);

  // Everything below synchronizes itself. In this order of destruction, last first: sessions feed
  // the scheduler, which feeds the pool, which feeds the ledgers, which feed the sinks.
  std::vector<std::unique_ptr<SinkRunner>> sinks;
  std::unique_ptr<AlarmDesk> alarms;
  std::vector<std::unique_ptr<AnswerLedger>> ledgers;
  std::unique_ptr<AuditDesk> audits;
  std::unique_ptr<TraceWriter> trace;
  std::unique_ptr<DetectorPool> pool;
  std::unique_ptr<FrameScheduler> scheduler;
  std::vector<std::unique_ptr<CameraSession>> sessions;
  std::thread waiter;  ///< tells wait() when the scheduler has nothing left

  Result<void> load_models();
  Result<void> open_sinks();
  Result<void> open_trace();
  /// The rules of all cameras; the book of alarms where there is one.
  Result<void> make_alarms();
  std::pair<RunStatus::Camera, CameraCondition> look_at(CameraIndex camera, bool wants_fidelity)
      EXCLUDES(mu);
  /// Since it was last called.
  std::optional<double> device_busy();
  Result<void> make_cameras();
  /// What is to be held, and within which bounds; empty where nothing is.
  std::optional<FidelityControllerOptions> fidelity_target() const;
  /// The largest batch that will be asked for.
  [[nodiscard]] std::size_t batch_max() const;
  /// Service time of batches of `batch`: adds it to `times`, returns the least that was seen.
  Result<Duration> measure(LaneIndex lane, std::size_t batch, ServiceTimes& times);
  /// Tries ever larger batches, see knee_frames(), for about kKneePatience.
  Result<std::size_t> measure_knee(LaneIndex lane, ServiceTimes& times);
  /// Warms all rungs of all models up, and leaves out those that are not cheaper.
  void prepare_models(FrameSchedulerOptions& options);
  /// Warms the lane up; what was measured goes into `options`.
  Result<void> prepare_lane(LaneIndex lane, FrameSchedulerOptions& options);
  /// When and how long the device had worked when device_busy() was called.
  std::pair<TimePoint, Duration> device_looked_at{};
  void publish(Answer&& answer);
  void stop(bool is_early);
  RunReport make_report() const;
};

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  request_stop();
  finish();
}

Result<std::unique_ptr<Engine>> Engine::create(const RunSettings& settings, const Clock& clock,
                                               EngineHooks hooks) {
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
  if (Result<void> loaded = state->load_models(); !loaded) return fail(loaded.error());
  if (Result<void> made = state->make_cameras(); !made) return fail(made.error());
  if (Result<void> made = state->make_alarms(); !made) return fail(made.error());
  if (Result<void> opened = state->open_sinks(); !opened) return fail(opened.error());
  return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Result<void> Engine::State::load_models() {
  std::vector<std::shared_ptr<const Detector>> detectors = hooks.models;
  const bool is_loaded = !detectors.empty();
  const auto load = [&](const ModelSettings& model, const std::string& path) -> Result<void> {
    if (is_loaded) return {};
    Result<DetectorOptions> options = detector_options(model, settings.engine);
    if (!options) return fail(options.error());
    options->batch_max = batch_max();
    options->backend.path = path;
    Result<std::unique_ptr<Detector>> detector = Detector::load(*options);
    if (!detector) return fail(detector.error());
    const ModelFacts& facts = (*detector)->facts();
    spdlog::info("model {}: {} on {} ({}), {} labels, head {}", model.name, facts.name,
                 facts.device, facts.runtime, (*detector)->labels().size(),
                 to_string((*detector)->head_kind()));
    detectors.push_back(std::move(*detector));
    return {};
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
      CHECK(next < detectors.size());
      if (const Result<void> same = check_same_classes(*detectors[i], *detectors[next]); !same) {
        return fail(same.error().at(place));
      }
      ladders[i].push_back(next++);
    }
  }
  CHECK(detectors.size() == next);
  std::size_t threads = 1;
  for (const auto& detector : detectors) {
    threads = std::max(threads, detector->facts().parallel_requests);
  }
  pool = std::make_unique<DetectorPool>(std::move(detectors), threads, clock, hooks.cache);
  return {};
}

Result<void> Engine::State::make_cameras() {
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    const CameraSettings& camera = settings.cameras[i];
    const auto model = std::ranges::find(settings.models, camera.model, &ModelSettings::name);
    const std::size_t model_index =
        camera.model.empty() ? 0 : static_cast<std::size_t>(model - settings.models.begin());
    CHECK(model_index < settings.models.size());
    const Detector& detector = pool->detector(model_index);
    Result<std::vector<bool>> wanted = wanted_classes(camera, detector);
    if (!wanted) return fail(wanted.error());
    camera_models.push_back(model_index);
    policies.push_back(camera.policy.value_or(settings.engine.policy));
    names.push_back({camera.id, detector.labels()});

    LedgerOptions options;
    options.camera = static_cast<CameraIndex>(i);
    options.model = settings.models[model_index].name;
    options.policy = policies.back();
    options.motion = camera.motion.value_or(settings.engine.motion);
    options.slo = camera.slo;
    options.score = camera.score ? static_cast<float>(*camera.score) : detector.score();
    options.is_class_wanted = std::move(*wanted);
    for (const auto& polygon : camera.mask) {
      auto& points = options.mask.emplace_back();
      for (const RelativePoint& point : polygon) {
        points.push_back({static_cast<float>(point.x), static_cast<float>(point.y)});
      }
    }
    options.has_latency = pace == Pace::kLive;
    if (!settings.output.snapshot_dir.empty())
      options.snapshot_every = settings.output.snapshot_every;
    options.has_pictures = std::ranges::any_of(
        camera.rules, [](const RuleSettings& rule) { return is_object_rule(*rule.kind); });
    ledgers.push_back(std::make_unique<AnswerLedger>(
        std::move(options), clock, [this](Answer&& answer) { publish(std::move(answer)); }));
  }
  std::vector<AuditDesk::Camera> audited;
  for (std::size_t i = 0; i < ledgers.size(); ++i) {
    audited.push_back({.ledger = ledgers[i].get(),
                       .is_audited = policies[i] == PolicyKind::kAdaptive,
                       .group = static_cast<std::uint32_t>(camera_models[i])});
  }
  double sampled_hz = 0;
  for (const CameraSettings& camera : settings.cameras) sampled_hz += sampled_rate_hz(camera);
  share = budget_share(settings.engine.budget, sampled_hz);
  audits = std::make_unique<AuditDesk>(
      std::move(audited), AuditOptions{.share = settings.engine.audit}, fidelity_target());
  return {};
}

std::optional<FidelityControllerOptions> Engine::State::fidelity_target() const {
  if (!settings.engine.fidelity) return std::nullopt;
  std::vector<BudgetedCamera> cameras;
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    if (policies[i] != PolicyKind::kAdaptive) continue;
    const CameraSettings& camera = settings.cameras[i];
    cameras.push_back({sampled_rate_hz(camera), camera.priority == Priority::kCritical});
  }
  FidelityControllerOptions options;
  options.target = *settings.engine.fidelity;
  options.share_max = share;
  options.share_min = std::min(share, std::max(options.share_min, least_budget_share(cameras)));
  return options;
}

Result<void> Engine::State::make_alarms() {
  AlarmDeskOptions options{.run_id = run_id,
                           .folder = settings.engine.data,
                           .settings = settings.alarms,
                           .is_live = pace == Pace::kLive};
  AlarmDeskHooks desk_hooks;
  desk_hooks.emit = [this](const AlarmEvent& event) {
    for (const auto& sink : sinks) sink->offer_alarm(event);
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
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    const Result<void> set =
        alarms->set_camera(static_cast<CameraIndex>(i), settings.cameras[i], names[i].labels);
    if (!set) return set;
  }
  return {};
}

std::pair<RunStatus::Camera, CameraCondition> Engine::State::look_at(CameraIndex camera,
                                                                     bool wants_fidelity) {
  std::pair<RunStatus::Camera, CameraCondition> look;
  auto& [facts, condition] = look;
  CameraState state = CameraState::kConnecting;
  {
    const MutexLock lock(mu);
    if (camera < sessions.size()) state = sessions[camera]->status().state;
  }
  const CameraCounts counts = ledgers[camera]->counts();
  facts.index = camera;
  facts.id = names[camera].id;
  facts.state = to_string(state);
  facts.captured = counts.captured;
  facts.answered = counts.answered();
  facts.unanswered = counts.sampled() - counts.answered() - counts.in_flight;
  facts.overdue = counts.overdue;
  // A camera that has ended is not down: a file, or the end of the run.
  if (state != CameraState::kEnded) {
    condition.is_down = state != CameraState::kUp && state != CameraState::kFrozen;
    condition.is_frozen = state == CameraState::kFrozen;
  }
  if (wants_fidelity) {
    const FidelityFigure figure = audits->of_camera(camera);
    if (figure.state == FidelityState::kKnown) condition.fidelity = facts.fidelity = figure.value;
  }
  return look;
}

std::optional<double> Engine::State::device_busy() {
  const TimePoint now = clock.now();
  const Duration busy = pool->inference_time();
  const auto [since, busy_before] = std::exchange(device_looked_at, {now, busy});
  if (since == TimePoint() || now <= since) return std::nullopt;
  const double share = to_seconds(busy - busy_before) / to_seconds(now - since) /
                       static_cast<double>(std::max<std::size_t>(1, pool->batches_max()));
  return std::clamp(share, 0.0, 1.0);
}

Result<void> Engine::State::open_sinks() {
  SinkRunner::Options options;
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
    sinks.push_back(std::make_unique<SinkRunner>(std::move(*sink), options, on_dead));
  }
  for (std::size_t i = 0; i < settings.sinks.size(); ++i) {
    Result<std::unique_ptr<ResultSink>> sink = open_sink(settings, i, run_id, names);
    if (!sink) return fail(sink.error().at(fmt::format("sinks[{}]", i)));
    // Without a reader of its results a run has no point; it goes on without one of its other
    // sinks.
    const bool is_result = settings.sinks[i].type == "jsonl";
    sinks.push_back(std::make_unique<SinkRunner>(
        std::move(*sink), options, is_result ? on_dead : std::function<void(Error)>()));
  }
  if (!settings.output.snapshot_dir.empty()) {
    Result<std::unique_ptr<SnapshotSink>> sink =
        SnapshotSink::create(settings.output.snapshot_dir, names);
    if (!sink) return fail(sink.error());
    SinkRunner::Options few = options;
    few.answers_max = 256;
    sinks.push_back(std::make_unique<SinkRunner>(std::move(*sink), few, nullptr));
  }
  if (!settings.output.trace.empty()) return open_trace();
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

Result<Duration> Engine::State::measure(LaneIndex lane, std::size_t batch, ServiceTimes& times) {
  // As many at a time as will run at a time, a few rounds: the first estimate of the service time.
  if (Result<void> warm = pool->warm_up(lane, batch, pool->batches_max() + 1); !warm) {
    return fail(warm.error());
  }
  constexpr int kRounds = 3;
  const Size size{64, 64};
  auto samples = std::make_shared<std::vector<std::uint8_t>>(64 * 64, 114);
  Picture grey;
  grey.format = PixelFormat::kGray;
  grey.size = size;
  grey.planes[0] = {samples->data(), size.width};
  grey.owner = samples;
  const InferenceJob job{.frame_index = -1, .picture = std::make_shared<const Picture>(grey)};

  Mutex done_mu;
  CondVar done;
  std::optional<Error> error;
  Duration fastest = Duration::max();
  for (int round = 0; round < kRounds; ++round) {
    std::size_t open = pool->batches_max();
    Duration slowest{0};
    for (std::size_t i = 0; i < pool->batches_max(); ++i) {
      pool->submit(lane, std::vector<InferenceJob>(batch, job), [&](BatchOutcome&& outcome) {
        const MutexLock lock(done_mu);
        if (!outcome.detections) error = outcome.detections.error();
        slowest = std::max(slowest, outcome.service_time);
        --open;
        done.notify_all();
      });
    }
    const MutexLock lock(done_mu);
    while (open > 0) done.wait(done_mu);
    if (error) return fail(*error);
    if (round > 0) times.record(batch, slowest);
    fastest = std::min(fastest, slowest);
  }
  return fastest;
}

Result<std::size_t> Engine::State::measure_knee(LaneIndex lane, ServiceTimes& times) {
  const TimePoint give_up_at = clock.now() + kKneePatience;
  std::vector<Duration> time_of_bucket;
  for (const std::size_t bucket : kBatchBuckets) {
    if (bucket > 1 && (bucket > pool->batch_max(lane) || clock.now() >= give_up_at)) break;
    const Result<Duration> time = measure(lane, bucket, times);
    if (!time && bucket == 1) return fail(time.error());
    if (!time) {  // such as too little memory
      spdlog::warn("batches of {} cannot be run: {}", bucket, time.error().message());
      break;
    }
    time_of_bucket.push_back(*time);
    if (bucket > 1 && knee_frames(time_of_bucket) == bucket) {
      // Other work on the machine may have made the smaller one look slow: once more, and the best
      // times count.
      for (std::size_t i = time_of_bucket.size() - 2; i < time_of_bucket.size(); ++i) {
        const Result<Duration> again = measure(lane, kBatchBuckets[i], times);
        if (again) time_of_bucket[i] = std::min(time_of_bucket[i], *again);
      }
    }
    if (knee_frames(time_of_bucket) != bucket) break;
  }
  return knee_frames(time_of_bucket);
}

void Engine::State::prepare_models(FrameSchedulerOptions& options) {
  for (std::size_t model = 0; model < settings.models.size(); ++model) {
    const std::string& name = settings.models[model].name;
    std::vector<Duration> costs;
    for (const std::size_t detector : ladders[model]) {
      costs.push_back(Duration::zero());
      const ModelFacts& facts = pool->detector(detector).facts();
      // Models of any size get their lanes when the cameras' sizes are known; rungs have to be
      // compared before.
      if (!facts.input && ladders[model].size() == 1) continue;
      const LaneIndex lane = pool->lane_for(detector, facts.input.value_or(kUsualSize));
      if (const Result<void> prepared = prepare_lane(lane, options); !prepared) {
        spdlog::warn("model {}: {}: warming up failed: {}", name, facts.name,
                     prepared.error().message());
        continue;
      }
      const std::size_t batch = std::max<std::size_t>(1, options.lane_knees[lane]);
      costs.back() = options.lane_times[lane].mean(batch) / static_cast<Duration::rep>(batch);
      spdlog::info("model {}: {}: {:.1f} ms an inference, {} in parallel{}", name, facts.name,
                   to_ms(options.lane_times[lane].mean(1)), pool->batches_max(),
                   batch > 1 ? fmt::format(", batches of {}", batch) : "");
    }
    std::vector<std::size_t>& rungs = options.ladders.emplace_back();
    const std::vector<std::size_t> kept = find_cheaper_rungs(costs);
    for (std::size_t i = 0; i < ladders[model].size(); ++i) {
      const std::size_t detector = ladders[model][i];
      if (std::ranges::find(kept, i) != kept.end()) {
        rungs.push_back(detector);
      } else {
        spdlog::warn("model {}: {} is left out of the ladder: it is no cheaper than the rung above",
                     name, pool->detector(detector).facts().name);
      }
    }
    ladders[model] = rungs;
  }
}

std::size_t Engine::State::batch_max() const {
  std::size_t frames = 0;
  const std::string& rule = settings.engine.batch;
  const auto [end, error] = std::from_chars(rule.data(), rule.data() + rule.size(), frames);
  if (error == std::errc{}) return frames;
  return pace == Pace::kFast ? 1 : kBatchBuckets.back();
}

Result<void> Engine::State::prepare_lane(LaneIndex lane, FrameSchedulerOptions& options) {
  ServiceTimes times;
  std::size_t knee = 0;
  if (settings.engine.batch == "knee") {
    const Result<std::size_t> found = measure_knee(lane, times);
    if (!found) return fail(found.error());
    knee = *found;
  } else {
    if (const Result<Duration> time = measure(lane, 1, times); !time) return fail(time.error());
    const std::size_t largest = std::min(batch_max(), pool->batch_max(lane));
    for (const std::size_t bucket : kBatchBuckets) {
      if (bucket == 1 || bucket > largest) continue;
      if (Result<void> warm = pool->warm_up(lane, bucket, 1); !warm) return warm;
    }
  }
  options.lane_times.resize(std::max<std::size_t>(options.lane_times.size(), lane + 1));
  options.lane_knees.resize(options.lane_times.size());
  options.lane_times[lane] = times;
  options.lane_knees[lane] = knee;
  return {};
}

void Engine::State::publish(Answer&& answer) {
  if (hooks.on_answer) hooks.on_answer(answer);
  audits->count_answer(answer);
  alarms->take(answer);
  for (std::size_t i = 0; i + 1 < sinks.size(); ++i) sinks[i]->offer(Answer(answer));
  if (!sinks.empty()) sinks.back()->offer(std::move(answer));
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
  options.is_batch_by_utilisation = engine.batch == "utilisation";
  if (engine.batch != "knee" && !options.is_batch_by_utilisation) {
    options.knee_frames = s.batch_max();
  }
  for (std::size_t i = 0; i < s.settings.cameras.size(); ++i) {
    const CameraSettings& camera = s.settings.cameras[i];
    ScheduledCamera scheduled;
    scheduled.ledger = s.ledgers[i].get();
    scheduled.model = s.camera_models[i];
    scheduled.priority = camera.priority;
    scheduled.policy = s.policies[i];
    scheduled.slo = camera.slo;
    if (camera.every == 0) {
      scheduled.period = from_seconds(1.0 / camera.rate_hz);
    }
    options.cameras.push_back(scheduled);
  }
  const std::optional<FidelityTargetReport> target = s.audits->target();
  options.inference_share = s.share;
  if (target) options.adaptive_share = target->share;

  if (s.pace == Pace::kLive) s.prepare_models(options);  // nothing is due at pace fast

  s.started_at = s.clock.wall_now();
  s.started_mono = s.clock.now();
  s.usage_at_start = read_process_usage();
  const bool is_fast = s.pace == Pace::kFast;
  if (is_fast) {
    s.scheduler = std::make_unique<TickScheduler>(std::move(options), *s.pool);
  } else {
    s.scheduler = std::make_unique<LiveScheduler>(std::move(options), *s.pool, s.clock);
  }
  {
    const MutexLock lock(s.mu);
    for (std::size_t i = 0; i < s.settings.cameras.size(); ++i) {
      const CameraSettings& camera = s.settings.cameras[i];
      CameraSessionOptions session;
      session.camera = static_cast<CameraIndex>(i);
      session.id = camera.id;
      session.source.url = camera.url;
      session.source.username = camera.username;
      session.source.password = camera.password;
      session.source.transport = camera.transport;
      session.source.pace = s.pace;
      session.source.is_looped = camera.is_looped;
      session.source.start = camera.start;
      const PolicyKind policy = s.policies[i];
      session.is_motion_wanted =
          policy == PolicyKind::kAdaptive || policy == PolicyKind::kSimilarity;
      session.source.is_motion_wanted =
          policy == PolicyKind::kAdaptive &&
          camera.motion.value_or(engine.motion) != MotionMethod::kFlow;
      session.is_scene_wanted = !is_fast && s.ladders[s.camera_models[i]].size() > 1;
      session.source.sampling = {.rate_hz = camera.rate_hz, .every = camera.every};
      session.is_reconnecting = is_live_url(camera.url);
      session.frozen_after = camera.frozen_after;
      session.max_frames = engine.max_frames;
      session.max_answers = engine.max_answers;
      session.is_fast = is_fast;
      if (!is_fast) session.start_delay = from_seconds(start_phase(i) / sampled_rate_hz(camera));
      if (is_fast) session.max_pts_s = to_seconds(engine.run_for);
      session.run_started_at = s.started_at;
      s.sessions.push_back(std::make_unique<CameraSession>(std::move(session), create_source,
                                                           *s.ledgers[i], *s.scheduler, s.clock));
    }
  }
  const bool has_rules = std::ranges::any_of(
      s.settings.cameras, [](const CameraSettings& camera) { return !camera.rules.empty(); });
  if (!is_fast || has_rules) s.alarms->start();
  s.waiter = std::thread([&s] {
    s.scheduler->wait_until_done();
    {
      const MutexLock lock(s.mu);
      s.are_sources_done = true;
    }
    s.changed.notify_all();
  });
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
  if (s.scheduler) {
    for (auto& session : s.sessions) session->request_stop();
    s.scheduler->stop(kDrainPatience);
    // A frame that still enters is settled at once; its answer has to be there before the sinks
    // end.
    for (auto& session : s.sessions) session->wait_until_quiet();
    s.is_device_hung = !s.pool->stop(std::chrono::milliseconds(500));
    if (s.is_device_hung) spdlog::error("a batch has not come back from its device");
  }
  s.alarms->stop();
  for (auto& sink : s.sinks) sink->request_stop();  // all at once: each may take a second or two
  for (auto& sink : s.sinks) sink->stop();
  if (s.trace) s.trace->stop();
  s.alarms->settle();
  RunReport report = s.make_report();
  std::vector<std::unique_ptr<CameraSession>> sessions;
  {
    const MutexLock lock(s.mu);
    sessions.swap(s.sessions);
    s.final_report = report;
  }
  sessions.clear();  // joins: a source that does not let go is only waited for after the report
  if (s.waiter.joinable()) s.waiter.join();
  return report;
}

RunReport Engine::report() const {
  const MutexLock lock(state_->mu);
  return state_->final_report ? *state_->final_report : state_->make_report();
}

AlarmDesk& Engine::alarms() { return *state_->alarms; }

std::vector<std::shared_ptr<const Detector>> Engine::models() const {
  return state_->pool->detectors();
}

RunReport Engine::State::make_report() const {
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
  report.inference_share = share;
  report.fidelity_target = audits->target();
  report.inference_time = pool->inference_time();
  report.batch_rule = settings.engine.batch;
  report.batch_mean = pool->mean_batch();
  const SchedulerStatus status = scheduler ? scheduler->status() : SchedulerStatus{};
  report.batch_frames = status.batch_frames;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    report.models.push_back(pool->detector(i).facts());
    report.model_names.push_back(settings.models[i].name);
  }
  report.environment = environment;
  for (std::size_t i = 0; i < settings.cameras.size(); ++i) {
    const CameraSettings& camera = settings.cameras[i];
    CameraReport entry;
    entry.id = camera.id;
    entry.priority = camera.priority;
    entry.policy = policies[i];
    entry.is_file = !is_live_url(camera.url);
    entry.slo = camera.slo;
    std::size_t rung = 0;
    if (i < status.rungs.size()) {
      rung = status.rungs[i].rung;
      entry.rung_changes = status.rungs[i].changes;
    }
    entry.rung = pool->detector(ladders[camera_models[i]][rung]).facts().name;
    if (i < sessions.size()) entry.status = sessions[i]->status();
    entry.counts = ledgers[i]->counts();
    if (policies[i] == PolicyKind::kAdaptive) {
      entry.fidelity = audits->of_camera(static_cast<CameraIndex>(i));
      report.fidelity = audits->total();
    }
    report.total.merge(entry.counts);
    if (!settings.output.snapshot_dir.empty()) {
      const std::string path = settings.output.snapshot_dir + "/" + camera.id + ".jpg";
      if (std::filesystem::exists(path)) report.snapshots.push_back(path);
    }
    report.cameras.push_back(std::move(entry));
  }
  for (const auto& sink : sinks) report.sinks.push_back(sink->counts());
  if (trace) report.trace = trace->counts();
  report.is_stopped_early = is_stopped_early;
  report.is_device_hung = is_device_hung;
  return report;
}

bool RunReport::is_conserved() const {
  return std::ranges::all_of(cameras,
                             [](const CameraReport& c) { return c.counts.is_conserved(); });
}

std::vector<std::string> RunReport::failures() const {
  std::vector<std::string> lines;
  for (const CameraReport& camera : cameras) {
    if (camera.status.state == CameraState::kFailed) {
      lines.push_back(fmt::format("{}: {}", camera.id, camera.status.last_error));
    }
  }
  if (is_device_hung) lines.push_back("a batch has not come back from its device");
  for (const SinkCounts& sink : sinks) {
    if (sink.lost > 0) {
      lines.push_back(
          fmt::format("{}: {} of {} answers could not be written: {}", sink.name, sink.lost,
                      sink.lost + sink.written,
                      sink.last_error.empty() ? "its queue was full" : sink.last_error));
    }
  }
  if (trace && trace->lost > 0) {
    lines.push_back(fmt::format(
        "{}: {} of {} records of the trace are not in it: {}", trace->path, trace->lost,
        trace->lost + trace->written,
        trace->last_error.empty() ? "the disk was slower than the run" : trace->last_error));
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
