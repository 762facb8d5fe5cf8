// Cameras that come, change and go. An index is given once and for ever, since answers on their way
// carry it; so a camera that is changed is a new index under its old id. The old one is retired:
// its session ends, its last frames are answered, and only when nothing of it is on its way any
// more are its counts taken over by the id (or, where it was removed, by the sum of those that are
// gone) and what it knew of its picture is freed. That waiting is the housekeeper's: whoever asked
// for the change does not wait for a camera that does not hang up.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/config/rule_defaults.h"
#include "framemill/config/validate.h"
#include "framemill/core/inference_budget.h"
#include "framemill/engine/decoder_card.h"
#include "framemill/engine/engine_state.h"
#include "framemill/infer/labels.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

constexpr int kNiceBesideCritical = 5;
/// Frames a second of a camera of which only `every` is known, at most.
constexpr double kMostFramesPerSecond = 60;
/// A batch may take so many times what it took before there was other work.
constexpr int kServiceMargin = 2;

/// How long a change waits for the last answers of the camera it replaces.
constexpr Duration kDrainPatience = std::chrono::seconds(3);
/// How often it is looked whether a retired camera has come to rest; they are few.
constexpr Duration kLookEvery = std::chrono::milliseconds(20);
/// Cameras that have not hung up yet; with more, something is wrong, and changes are refused.
constexpr std::size_t kRetiredMax = 256;
/// Indices of one run: what stays of a retired one is about a kilobyte.
constexpr std::size_t kIndicesMax = 200'000;

/// Keeps the run from ending while cameras are exchanged.
class RunKeptOpen {
 public:
  explicit RunKeptOpen(FrameScheduler& scheduler) : scheduler_(scheduler) {
    scheduler_.begin_changes();
  }
  RunKeptOpen(const RunKeptOpen&) = delete;
  ~RunKeptOpen() { scheduler_.end_changes(); }

 private:
  FrameScheduler& scheduler_;
};

std::string place_of(const CameraSettings& camera) { return fmt::format("cameras[{}]", camera.id); }

}  // namespace

std::size_t Engine::State::model_of(const CameraSettings& camera) const {
  if (camera.model.empty()) return 0;
  const auto model = std::ranges::find(settings.models, camera.model, &ModelSettings::name);
  CHECK(model != settings.models.end());
  return static_cast<std::size_t>(model - settings.models.begin());
}

Result<std::vector<bool>> Engine::State::wanted_classes(const CameraSettings& camera) const {
  const Detector& detector = pool->detector(model_of(camera));
  if (camera.classes.empty()) return std::vector<bool>{};
  std::vector<bool> wanted(detector.labels().size(), false);
  for (const std::string& label : camera.classes) {
    const auto found = std::ranges::find(detector.labels(), label);
    if (found == detector.labels().end() && has_no_names(detector.labels())) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("cameras[{}].classes: \"{}\" is not known, since {} does not name its "
                      "classes; give the model the `labels` it was trained with",
                      camera.id, label, detector.facts().path));
    }
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

Result<std::unique_ptr<Engine::State::Camera>> Engine::State::make_camera(
    const CameraSettings& camera, const CameraPosition& first) {
  Result<std::vector<bool>> wanted = wanted_classes(camera);
  if (!wanted) return fail(wanted.error());
  auto made = std::make_unique<Camera>();
  made->settings = camera;
  made->model = model_of(camera);
  made->policy = camera.policy.value_or(settings.engine.policy);
  made->first = first;
  const Detector& detector = pool->detector(made->model);
  made->index = static_cast<CameraIndex>(names.append({camera.id, labels_of_model[made->model]}));

  LedgerOptions options;
  options.camera = made->index;
  options.first_seq = first.seq;
  options.model = settings.models[made->model].name;
  options.policy = made->policy;
  options.motion = camera.motion.value_or(settings.engine.motion);
  options.ring_frames = ring_frames(camera);
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
  const std::size_t place = ledgers.append(std::make_unique<AnswerLedger>(
      std::move(options), clock, [this](Answer&& answer) { publish(std::move(answer)); }));
  CHECK(place == made->index);
  made->ledger = ledgers[place].get();
  return made;
}

std::size_t Engine::State::ring_frames(const CameraSettings& camera) const {
  const double rate_hz =
      camera.every == 0 ? camera.rate_hz : kMostFramesPerSecond / static_cast<double>(camera.every);
  if (pace == Pace::kFast) {
    return ring_frames_for(settings.engine.answer_delay + settings.engine.tick, rate_hz);
  }
  if (longest_service == Duration::zero() || unmeasured_models.contains(model_of(camera)))
    return kRingFramesMax;
  return ring_frames_for(camera.slo + kServiceMargin * longest_service, rate_hz);
}

Result<void> Engine::State::make_cameras() {
  std::vector<AuditDesk::Camera> audited;
  for (const CameraSettings& camera : settings.cameras) {
    Result<std::unique_ptr<Camera>> made = make_camera(camera, {});
    if (!made) return fail(made.error());
    audited.push_back({.ledger = (*made)->ledger,
                       .policy = (*made)->policy,
                       .group = static_cast<std::uint32_t>((*made)->model)});
    const MutexLock lock(mu);
    cameras.push_back(std::move(*made));
  }
  const ShareBounds bounds = share_bounds(settings.cameras);
  share = bounds.share;
  audits = std::make_unique<AuditDesk>(audited, AuditOptions{.share = settings.engine.audit},
                                       fidelity_target(bounds));
  return {};
}

Engine::State::ShareBounds Engine::State::share_bounds(
    const std::vector<CameraSettings>& all) const {
  double sampled_hz = 0;
  std::vector<BudgetedCamera> adaptive;
  for (const CameraSettings& camera : all) {
    sampled_hz += sampled_rate_hz(camera);
    if (camera.policy.value_or(settings.engine.policy) != PolicyKind::kAdaptive) continue;
    adaptive.push_back({sampled_rate_hz(camera), camera.priority == Priority::kCritical});
  }
  return {.share = budget_share(settings.engine.budget, sampled_hz),
          .least = least_budget_share(adaptive)};
}

std::optional<FidelityControllerOptions> Engine::State::fidelity_target(
    const ShareBounds& bounds) const {
  if (!settings.engine.fidelity) return std::nullopt;
  FidelityControllerOptions options;
  options.target = *settings.engine.fidelity;
  options.share_max = bounds.share;
  options.share_min = std::min(bounds.share, std::max(options.share_min, bounds.least));
  return options;
}

ScheduledCamera Engine::State::scheduled(const Camera& camera) const {
  ScheduledCamera scheduled;
  scheduled.ledger = camera.ledger;
  scheduled.model = camera.model;
  scheduled.priority = camera.settings.priority;
  scheduled.policy = camera.policy;
  scheduled.slo = camera.settings.slo;
  scheduled.weight = settings.models[camera.model].weight;
  scheduled.rate_hz = sampled_rate_hz(camera.settings);
  if (camera.settings.every == 0) scheduled.period = from_seconds(1.0 / camera.settings.rate_hz);
  return scheduled;
}

std::shared_ptr<const HardwareDecoder> Engine::State::hardware_decoder(const Camera& camera) {
  std::vector<std::string> devices;
  for (DeviceIndex i = 0; i < pool->device_count(); ++i)
    if (has_device(pool->hosts(camera.model), i)) devices.push_back(pool->name(i));
  const int card = decoder_card(devices, camera.index);
  const MutexLock lock(decoders_mu);
  const auto known = hardware_decoders.find(card);
  if (known != hardware_decoders.end()) return known->second;
  Result<std::shared_ptr<const HardwareDecoder>> opened = HardwareDecoder::open(card);
  if (!opened) spdlog::warn("decode: auto: the processor decodes: {}", opened.error().message());
  return hardware_decoders[card] = opened ? *std::move(opened) : nullptr;
}

void Engine::State::start_session(Camera& camera, Duration start_delay) {
  const CameraSettings& from = camera.settings;
  const EngineSettings& engine = settings.engine;
  const bool is_fast = pace == Pace::kFast;
  CameraSessionOptions session;
  session.camera = camera.index;
  session.id = from.id;
  session.first = camera.first;
  session.source.url = from.url;
  session.source.username = from.username;
  session.source.password = from.password;
  session.source.may_connect_to = camera.may_connect_to;
  session.source.transport = from.transport;
  if (from.decode == "auto") session.source.hardware_decoder = hardware_decoder(camera);
  session.source.pace = pace;
  session.source.is_looped = from.is_looped;
  session.source.start = from.start;
  session.is_motion_wanted =
      camera.policy == PolicyKind::kAdaptive || camera.policy == PolicyKind::kSimilarity;
  session.source.is_motion_wanted = camera.policy == PolicyKind::kAdaptive &&
                                    from.motion.value_or(engine.motion) != MotionMethod::kFlow;
  session.is_scene_wanted = !is_fast && ladders[camera.model].size() > 1;
  session.source.sampling = {.rate_hz = from.rate_hz, .every = from.every};
  session.is_reconnecting = is_live_url(from.url);
  session.frozen_after = from.frozen_after;
  session.max_frames = engine.max_frames;
  session.max_answers = engine.max_answers;
  session.is_fast = is_fast;
  session.start_delay = start_delay;
  session.is_paused = camera.is_paused;
  const bool is_beside_critical =
      from.priority != Priority::kCritical &&
      std::ranges::any_of(settings.cameras, [](const CameraSettings& other) {
        return other.priority == Priority::kCritical;
      });
  // Decoding of the others makes way for inference and for decoding of critical cameras.
  if (is_beside_critical && !is_fast) session.nice = kNiceBesideCritical;
  if (is_fast) session.max_pts_s = to_seconds(engine.run_for);
  session.run_started_at = started_at;
  camera.session = std::make_unique<CameraSession>(std::move(session), create_source,
                                                   *camera.ledger, *scheduler, clock);
}

std::vector<CameraSettings> Engine::State::current_settings() const {
  std::vector<CameraSettings> all;
  const MutexLock lock(mu);
  for (const auto& camera : cameras) all.push_back(camera->settings);
  return all;
}

Result<void> Engine::State::check_change(const std::vector<CameraSettings>& wanted) const {
  if (pace == Pace::kFast) {
    return fail(ErrorCode::kFailedPrecondition,
                "the run: cameras cannot be changed at pace fast; use `pace: live`");
  }
  if (trace) {
    return fail(ErrorCode::kFailedPrecondition,
                "the run: its cameras cannot change while a trace of it is written; start it "
                "without --trace");
  }
  {
    const MutexLock lock(mu);
    if (!scheduler || is_finishing || is_stop_requested || final_report) {
      return fail(ErrorCode::kUnavailable,
                  "the run: it is starting or ending; try again when it is ready");
    }
    if (retired.size() >= kRetiredMax) {
      return fail(ErrorCode::kUnavailable,
                  "the run: too many cameras that were removed have not hung up yet; try again");
    }
  }
  if (names.size() >= kIndicesMax) {
    return fail(ErrorCode::kFailedPrecondition,
                "the run: cameras were changed too often; restart framemill");
  }
  RunSettings whole = settings;
  whole.cameras = wanted;
  std::vector<std::string> lines;
  for (const SettingProblem& problem : find_problems(whole)) {
    // The last one may go: others can come.
    if (wanted.empty() && problem.place.section == "cameras") continue;
    lines.push_back(describe_place(problem.place, whole) + ": " + problem.message);
  }
  if (!lines.empty()) return fail(list_problems(lines, ErrorCode::kInvalidArgument));
  for (const CameraSettings& camera : wanted) {
    if (const Result<std::vector<bool>> classes = wanted_classes(camera); !classes) {
      return fail(classes.error());
    }
    const Result<void> rules =
        AlarmDesk::check_camera(camera, pool->detector(model_of(camera)).labels());
    if (!rules) return rules;
  }
  return {};
}

bool Engine::State::is_ending() const {
  const MutexLock lock(mu);
  return is_stop_requested || is_finishing;
}

void Engine::State::silence(Camera& camera) {
  camera.session->request_stop();
  camera.session->wait_until_quiet();
  scheduler->remove_camera(camera.index);
}

void Engine::State::wait_for_last_answers(const AnswerLedger& ledger) const {
  const TimePoint give_up_at = clock.now() + kDrainPatience;
  while (ledger.counts().in_flight > 0 && clock.now() < give_up_at && !is_ending()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Result<void> Engine::State::add(const CameraSettings& settings_of_camera,
                                AddressFilter may_connect_to) {
  CameraPosition first;
  std::vector<const AnswerLedger*> before;  // of the same id, not at rest yet
  {
    const MutexLock lock(mu);
    for (const Retired& old : retired) {
      if (old.camera->settings.id == settings_of_camera.id) before.push_back(old.camera->ledger);
    }
    if (const auto last = last_positions.find(settings_of_camera.id);
        last != last_positions.end()) {
      first = last->second;
      last_positions.erase(last);
    }
  }
  for (const AnswerLedger* ledger : before) wait_for_last_answers(*ledger);
  Result<std::unique_ptr<Camera>> made = make_camera(settings_of_camera, first);
  if (!made) return fail(made.error());
  Camera& camera = **made;
  camera.may_connect_to = std::move(may_connect_to);
  audits->add_camera({.ledger = camera.ledger,
                      .policy = camera.policy,
                      .group = static_cast<std::uint32_t>(camera.model)});
  scheduler->add_camera(scheduled(camera));
  watch(camera);
  const MutexLock lock(mu);
  start_session(camera, Duration::zero());
  cameras.push_back(std::move(*made));
  return {};
}

Result<void> Engine::State::change(const CameraSettings& settings_of_camera,
                                   AddressFilter may_connect_to) {
  Camera* old = nullptr;
  {
    const MutexLock lock(mu);
    for (const auto& camera : cameras) {
      if (camera->settings.id == settings_of_camera.id) old = camera.get();
    }
  }
  CHECK(old != nullptr);  // only changes take it away, and there is one at a time
  const RunKeptOpen open(*scheduler);
  silence(*old);
  // Lines of a camera leave in frame order: the last of the old index before the first of the new.
  wait_for_last_answers(*old->ledger);
  Result<std::unique_ptr<Camera>> made = make_camera(settings_of_camera, old->session->position());
  CHECK(made.has_value());  // check_change() has seen its classes
  Camera& camera = **made;
  camera.may_connect_to =
      camera.settings.url == old->settings.url ? old->may_connect_to : std::move(may_connect_to);
  camera.is_paused = old->session->is_paused();  // whoever paused it did so for a reason
  audits->add_camera({.ledger = camera.ledger,
                      .policy = camera.policy,
                      .group = static_cast<std::uint32_t>(camera.model)});
  scheduler->add_camera(scheduled(camera));
  watch(camera);
  alarms->forget_camera(old->index);  // where that failed
  {
    const MutexLock lock(mu);
    start_session(camera, Duration::zero());
    const auto place = std::ranges::find(cameras, old, &std::unique_ptr<Camera>::get);
    CHECK(place != cameras.end());
    std::swap(*place, *made);
    retired.push_back({.camera = std::move(*made), .is_replaced = true});
  }
  changed.notify_all();
  return {};
}

void Engine::State::watch(const Camera& camera) {
  const Result<void> watched =
      alarms->set_camera(camera.index, camera.settings, *names[camera.index].labels);
  // check_change() has seen its rules; what may fail still is the disk that keeps alarms.
  if (!watched) spdlog::error("{}: no alarms: {}", camera.settings.id, watched.error().message());
}

void Engine::State::remove(const CameraId& id) {
  Camera* old = nullptr;
  {
    const MutexLock lock(mu);
    for (const auto& camera : cameras) {
      if (camera->settings.id == id) old = camera.get();
    }
  }
  CHECK(old != nullptr);
  const RunKeptOpen open(*scheduler);
  silence(*old);
  alarms->remove_camera(old->index);
  {
    const MutexLock lock(mu);
    const auto place = std::ranges::find(cameras, old, &std::unique_ptr<Camera>::get);
    CHECK(place != cameras.end());
    last_positions[id] = old->session->position();
    retired.push_back({.camera = std::move(*place), .is_replaced = false});
    cameras.erase(place);
  }
  changed.notify_all();
}

void Engine::State::update_shares() {
  const std::vector<CameraSettings> all = current_settings();
  if (all.empty()) return;
  ShareBounds bounds = share_bounds(all);
  if (bounds.share <= 0) return;
  share = bounds.share;
  // Not the guess: what holds a fidelity would be cut to it.
  bounds.share = scheduler->budget_share(bounds.share);
  if (const std::optional<FidelityControllerOptions> target = fidelity_target(bounds)) {
    audits->set_share_bounds(target->share_min, target->share_max);
  }
  const std::optional<FidelityTargetReport> held = audits->target();
  scheduler->set_shares(bounds.share, held ? std::optional(held->share) : std::nullopt);
}

bool Engine::State::is_idle(const Camera& camera) const {
  return camera.ledger->counts().in_flight == 0 && scheduler->is_idle(camera.index) &&
         audits->is_idle(camera.index);
}

void Engine::State::keep_house() {
  while (true) {
    Camera* next = nullptr;
    {
      const MutexLock lock(mu);
      while (retired.empty() && !is_finishing) changed.wait(mu);
      if (is_finishing) return;
      next = retired.front().camera.get();
    }
    next->session->join();
    {
      const MutexLock lock(mu);
      while (!is_finishing && !is_idle(*next)) {
        changed.wait_until(mu, std::chrono::steady_clock::now() + kLookEvery);
      }
      if (is_finishing) return;
      const std::unique_ptr<CameraCounts> counts = next->ledger->retire();
      CHECK(counts != nullptr);
      at_rest.inferences.resize(settings.models.size());
      at_rest.add(next->settings.priority, next->model, *counts);
      add_counts(next->source_before, next->session->status().source);
      if (next->counts_before) counts->merge(*next->counts_before);
      const auto successor = std::ranges::find_if(
          cameras, [&](const auto& camera) { return camera->settings.id == next->settings.id; });
      if (retired.front().is_replaced && successor != cameras.end()) {
        Camera& heir = **successor;
        if (!heir.counts_before) heir.counts_before = std::make_unique<CameraCounts>();
        heir.counts_before->merge(*counts);
        add_counts(heir.source_before, next->source_before);
      } else {
        if (!removed) removed = std::make_unique<Removed>();
        if (!retired.front().is_replaced) ++removed->cameras;
        removed->counts.merge(*counts);
        add_counts(removed->source, next->source_before);
      }
      audits->remove_camera(next->index);
      retired.erase(retired.begin());
    }
  }
}

namespace {

/// The camera of this id, or none.
template <typename Cameras>
auto find_camera(Cameras& cameras, const CameraId& id) {
  return std::ranges::find(cameras, id, &CameraSettings::id);
}

Failure unknown(const CameraId& id) {
  return fail(
      ErrorCode::kNotFound,
      fmt::format("cameras[{}]: there is no such camera; GET /api/v1/cameras lists them", id));
}

}  // namespace

Result<void> Engine::add_camera(const CameraSettings& camera, AddressFilter may_connect_to) {
  State& s = *state_;
  const MutexLock changes(s.changes_mu);
  std::vector<CameraSettings> wanted = s.current_settings();
  if (find_camera(wanted, camera.id) != wanted.end()) {
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}.id: another camera has it; choose another id, or change that "
                            "camera",
                            place_of(camera)));
  }
  wanted.push_back(camera);
  if (Result<void> checked = s.check_change(wanted); !checked) return checked;
  if (Result<void> added = s.add(camera, std::move(may_connect_to)); !added) return added;
  s.update_shares();
  spdlog::info("{}: added", camera.id);
  return {};
}

Result<void> Engine::change_camera(const CameraSettings& camera, AddressFilter may_connect_to) {
  State& s = *state_;
  const MutexLock changes(s.changes_mu);
  std::vector<CameraSettings> wanted = s.current_settings();
  const auto place = find_camera(wanted, camera.id);
  if (place == wanted.end()) return unknown(camera.id);
  if (*place == camera) return {};
  *place = camera;
  if (Result<void> checked = s.check_change(wanted); !checked) return checked;
  if (Result<void> done = s.change(camera, std::move(may_connect_to)); !done) return done;
  s.update_shares();
  spdlog::info("{}: changed", camera.id);
  return {};
}

Result<void> Engine::remove_camera(const CameraId& id) {
  State& s = *state_;
  const MutexLock changes(s.changes_mu);
  std::vector<CameraSettings> wanted = s.current_settings();
  const auto place = find_camera(wanted, id);
  if (place == wanted.end()) return unknown(id);
  wanted.erase(place);
  if (Result<void> checked = s.check_change(wanted); !checked) return checked;
  s.remove(id);
  s.update_shares();
  spdlog::info("{}: removed", id);
  return {};
}

Result<void> Engine::pause_camera(const CameraId& id) {
  return state_->redirect(id, [](CameraSession& session) { return session.pause(); });
}

Result<void> Engine::resume_camera(const CameraId& id) {
  return state_->redirect(id, [](CameraSession& session) { return session.resume(); });
}

Result<void> Engine::restart_camera(const CameraId& id) {
  State& s = *state_;
  const Result<void> redirected =
      s.redirect(id, [](CameraSession& session) { return session.restart(); });
  if (redirected || redirected.error().code() != ErrorCode::kFailedPrecondition ||
      s.pace == Pace::kFast) {
    return redirected;
  }
  // It has ended for good: a new index goes on in its place.
  const MutexLock changes(s.changes_mu);
  const std::vector<CameraSettings> all = s.current_settings();
  const auto camera = find_camera(all, id);
  if (camera == all.end()) return unknown(id);
  if (Result<void> checked = s.check_change(all); !checked) return checked;
  return s.change(*camera, {});
}

Result<void> Engine::State::redirect(const CameraId& id,
                                     const std::function<bool(CameraSession&)>& act) {
  const MutexLock changes(changes_mu);
  if (Result<void> checked = check_change(current_settings()); !checked) return checked;
  const MutexLock lock(mu);
  for (const auto& camera : cameras) {
    if (camera->settings.id != id) continue;
    if (act(*camera->session)) return {};
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("cameras[{}]: it has ended; restart it", id));
  }
  return unknown(id);
}

Result<CameraChanges> Engine::reconfigure(const RunSettings& before, const RunSettings& after) {
  State& s = *state_;
  std::vector<std::string> lines;
  const auto need_restart = [&lines](bool is_equal, std::string_view section) {
    if (is_equal) return;
    lines.push_back(
        fmt::format("{}: cannot change while the run goes on; restart framemill, or take "
                    "the change back",
                    section));
  };
  need_restart(before.models == after.models, "models");
  need_restart(before.engine == after.engine, "engine");
  need_restart(before.alarms == after.alarms, "alarms");
  need_restart(before.sinks == after.sinks, "sinks");
  need_restart(before.output == after.output, "output");
  need_restart(before.server == after.server, "server");
  if (!lines.empty()) return fail(list_problems(lines, ErrorCode::kInvalidArgument));

  const MutexLock changes(s.changes_mu);
  std::vector<CameraSettings> wanted = s.current_settings();
  CameraChanges result;
  std::vector<CameraSettings> to_add;
  std::vector<CameraSettings> to_change;
  for (const CameraSettings& camera : before.cameras) {
    if (find_camera(after.cameras, camera.id) != after.cameras.end()) continue;
    const auto place = find_camera(wanted, camera.id);
    if (place == wanted.end()) continue;  // somebody has removed it already
    result.removed.push_back(camera.id);
    wanted.erase(place);
  }
  for (const CameraSettings& camera : after.cameras) {
    const auto old = find_camera(before.cameras, camera.id);
    if (old != before.cameras.end() && *old == camera) {
      ++result.unchanged;
      continue;
    }
    const auto place = find_camera(wanted, camera.id);
    if (place == wanted.end()) {
      result.added.push_back(camera.id);
      to_add.push_back(camera);
      wanted.push_back(camera);
    } else if (*place == camera) {
      ++result.unchanged;
    } else {
      result.changed.push_back(camera.id);
      to_change.push_back(camera);
      *place = camera;
    }
  }
  if (result.added.empty() && result.changed.empty() && result.removed.empty()) return result;
  if (Result<void> checked = s.check_change(wanted); !checked) return fail(checked.error());
  const RunKeptOpen open(*s.scheduler);
  for (const CameraId& id : result.removed) s.remove(id);
  for (const CameraSettings& camera : to_change) {
    if (s.is_ending()) break;  // what is left changes nothing any more
    if (Result<void> done = s.change(camera, {}); !done) return fail(done.error());
  }
  for (const CameraSettings& camera : to_add) {
    if (Result<void> added = s.add(camera, {}); !added) return fail(added.error());
  }
  s.update_shares();
  return result;
}

std::vector<CameraSettings> Engine::camera_settings() const { return state_->current_settings(); }

const CameraDirectory& Engine::camera_directory() const { return state_->names; }

void Engine::want_picture(CameraIndex camera) {
  if (camera < state_->ledgers.size()) state_->ledgers[camera]->want_picture();
}

}  // namespace framemill
