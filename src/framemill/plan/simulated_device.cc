#include "framemill/plan/simulated_device.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/normal_score.h"
#include "framemill/sched/audit_plan.h"
#include "framemill/sched/split_mix.h"

// How time passes for a batch
//
// The profile says how long batches take while a number of them is kept in flight. A batch draws
// one quantile for all of its life (quantiles of batches near each other resemble as measured), and
// works off its distribution's time at that quantile: with k in flight, dt seconds do dt /
// quantile(k) of the work. So a batch that loses its neighbour half way speeds up, as it does on a
// processor, and with k in flight throughout the times drawn are those measured. A device at 80 %
// speed does 80 % of the work in the same time.

namespace framemill {
namespace {

constexpr TimePoint kStart{};
constexpr Duration kAuditPeriod = std::chrono::milliseconds(250);

/// Batches in flight at once: the most that a model keeps of which the device has cameras.
std::size_t batches_max_of(const SimulatedDevice& device) {
  std::size_t most = 1;
  for (const SimulatedCamera& camera : device.cameras)
    most = std::max(most, device.lanes[camera.lane].batches_max());
  return most;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  /// 0 <= u < 1.
  double uniform() { return static_cast<double>(bits_() >> 11U) * 0x1p-53; }
  /// Of the standard normal distribution.
  double normal() { return normal_quantile((static_cast<double>(bits_() >> 11U) + .5) * 0x1p-53); }

 private:
  SplitMix bits_;
};

/// What has gathered over a camera's sampled frames so far; of two frames, the difference counts.
struct SceneSums {
  std::int64_t frames = 0;
  double loss = 0;
  double drift = 0;
  double unexplained = 0;
};

template <typename Dispatch>
class DeviceSimulation {
 public:
  DeviceSimulation(const SimulatedDevice& device, Dispatch& dispatch)
      : device_(device),
        dispatch_(dispatch),
        random_(device.seed),
        cameras_(device.cameras.size()),
        audits_({.share = device.audit_share,
                 .first_share_inferred = device.share,
                 .seed = device.seed}) {
    slots_ = batches_max_of(device);
    figures_.inferences_of_lane.resize(device.lanes.size());
    const auto seconds = static_cast<std::size_t>(to_seconds(device.length)) + 1;
    const auto make_room = [seconds](ClassFigures& figures) {
      figures.on_time_by_second.resize(seconds);
      figures.inferred_by_second.resize(seconds);
    };
    std::ranges::for_each(figures_.classes, make_room);
    make_room(uncounted_);
    for (const SimulatedCamera& camera : device.cameras) {
      has_adaptive_ |= camera.dispatch.policy == PolicyKind::kAdaptive;
      audits_.add_camera(camera.dispatch.policy);
    }
  }

  DeviceFigures run() {
    for (std::size_t i = 0; i < cameras_.size(); ++i) begin_camera(static_cast<CameraIndex>(i));
    const TimePoint end = kStart + device_.length;
    while (true) {
      TimePoint next = std::min(completion_at_, wake_at_);
      if (!arrivals_.empty()) next = std::min(next, arrivals_.top().at);
      next = std::min(next, next_change());
      if (next >= end) break;
      now_ = std::max(now_, next);
      step();
    }
    now_ = end;
    work_until(now_);
    finish();
    return std::move(figures_);
  }

 private:
  struct Arrival {
    TimePoint at;
    CameraIndex camera = 0;
    friend bool operator>(const Arrival& a, const Arrival& b) {
      return a.at != b.at ? a.at > b.at : a.camera > b.camera;
    }
  };
  struct Camera {
    TimePoint first;  ///< frame
    TimePoint next_nominal;
    TimePoint next_captured;  ///< traced cameras; of the others all frames take as long
    double position = 0;      ///< traced: in its frames, of the one that comes next
    SceneSums coming;         ///< traced with motion: what that frame adds
    bool is_scene_coming = false;
    double objects = 0;  ///< in view
    std::int64_t next_seq = 0;
    TimePoint waiting_captured;  ///< of the frame in its mailbox
    SceneSums waiting_sums;
    TimePoint sent_captured;  ///< of the last frame at a model
    double sent_loss = 0;     ///< of what would be carried to it
    bool is_active = false;
    bool has_state = false;  ///< an inference has completed
    SceneSums sums;
    SceneSums key;
    std::int64_t key_seq = -1;
    std::size_t unsettled = 0;       ///< at a model, not answered yet
    std::vector<TimePoint> behind_;  ///< captured; carried, but an earlier frame is not answered
    std::optional<TimePoint> answered_at;
  };
  struct BatchFrame {
    CameraIndex camera = 0;
    std::int64_t seq = 0;
    TimePoint captured;
    SceneSums sums;
  };
  struct Batch {
    LaneIndex lane = 0;
    std::size_t bucket = 1;
    double quantile = 0;
    double work = 1;  ///< left, 1..0
    TimePoint started_at;
    bool is_audit = false;
    std::vector<BatchFrame> frames;
  };

  void begin_camera(CameraIndex index) {
    const SimulatedCamera& camera = device_.cameras[index];
    if (!camera.taken_over) ++figures_of(index).cameras;
    Camera& state = cameras_[index];
    if (camera.taken_over && camera.taken_over->answered_at) {
      state.answered_at = kStart + *camera.taken_over->answered_at;
    }
    const double active_share = device_.scenes.active.seconds /
                                (device_.scenes.active.seconds + device_.scenes.calm.seconds);
    state.is_active = random_.uniform() < active_share;
    const double drawn = random_.uniform();
    const Duration phase = from_seconds(device_.phase_spread * camera.phase.value_or(drawn) *
                                        to_seconds(camera.dispatch.period));
    state.first = state.next_nominal = kStart + camera.from + phase;
    if (camera.traced) {
      const Played played = played_by(index);
      state.position = std::floor(random_.uniform() * static_cast<double>(played.frames));
    }
    push_arrival(index);
  }

  void push_arrival(CameraIndex index) {
    const SimulatedCamera& camera = device_.cameras[index];
    // A recording has the camera's own pattern.
    const TimePoint nominal = camera.traced ? cameras_[index].next_nominal : on_grid(index);
    if (camera.until != Duration::max() && nominal >= kStart + camera.until) {
      dispatch_.end_camera(index);
      return;
    }
    if (camera.traced) {
      const TracedFrame& frame = played_by(index).at(cameras_[index].position);
      const TimePoint at = std::max(now_, nominal + frame.offset);
      cameras_[index].next_captured = at - frame.delay;
      arrivals_.push({at, index});
      return;
    }
    // Frames of a camera keep their order, whatever the jitter.
    const Duration longest = std::min(device_.jitter, camera.dispatch.period / 2);
    arrivals_.push(
        {nominal + camera.ingest + from_seconds(random_.uniform() * to_seconds(longest)), index});
  }

  /// The first frame that the camera delivers from the nominal moment of its next sample on.
  TimePoint on_grid(CameraIndex index) const {
    const SimulatedCamera& camera = device_.cameras[index];
    const Camera& state = cameras_[index];
    const double period_s = to_seconds(camera.dispatch.period);
    if (camera.fps * period_s < 1 || camera.rate_factor * rate_ != 1) return state.next_nominal;
    const double frames = to_seconds(state.next_nominal - state.first) * camera.fps;
    return state.first + from_seconds(std::ceil(frames - 1e-6) / camera.fps);
  }

  ClassFigures& figures_of(CameraIndex index) {
    const SimulatedCamera& camera = device_.cameras[index];
    if (camera.rate_factor != 1) return figures_.classes.back();
    return figures_.classes[static_cast<std::size_t>(camera.dispatch.priority)];
  }
  /// Where what became of a frame is counted.
  ClassFigures& figures_of(CameraIndex index, TimePoint captured) {
    const Duration at = captured - kStart;
    return at >= device_.count_from && at < device_.count_until ? figures_of(index) : uncounted_;
  }
  std::size_t second() const {
    return static_cast<std::size_t>((now_ - kStart) / std::chrono::seconds(1));
  }

  template <typename Change>
  static TimePoint next_of(const std::vector<Change>& changes, std::size_t done) {
    return done < changes.size() ? kStart + changes[done].at : TimePoint::max();
  }
  TimePoint next_change() const {
    return std::min(next_of(device_.speed, changes_done_),
                    next_of(device_.lanes_changes, lanes_changes_done_));
  }
  /// What is in flight goes on at the new speed.
  void change() {
    work_until(now_);
    if (next_of(device_.speed, changes_done_) <= now_) {
      speed_ = device_.speed[changes_done_++].factor;
    } else {
      lanes_ = &device_.lanes_changes[lanes_changes_done_++].lanes;
    }
    plan_completion();
  }

  void step() {
    ++figures_.events;
    if (next_change() <= now_) {
      change();
      return;
    }
    if (completion_at_ <= now_) {
      complete();
    } else if (!arrivals_.empty() && arrivals_.top().at <= now_) {
      arrive();
    } else {
      wake_at_ = TimePoint::max();
    }
    ask();
  }

  // Arrivals.

  double rate_now() {
    while (rates_done_ < device_.rate.size() && now_ >= kStart + device_.rate[rates_done_].at) {
      rate_ = device_.rate[rates_done_++].factor;
    }
    return rate_;
  }

  void arrive() {
    const CameraIndex index = arrivals_.top().camera;
    arrivals_.pop();
    const SimulatedCamera& camera = device_.cameras[index];
    Camera& state = cameras_[index];
    const TimePoint captured = camera.traced ? state.next_captured : now_ - camera.ingest;
    ++figures_of(index, captured).sampled;
    if (camera.taken_over && captured < kStart + camera.taken_over->blind_until) {
      ++figures_of(index, captured).failed;
      plan_next(index);
      return;
    }
    const bool is_scene_start = pass_scene(index) || state.next_seq == 0;
    ArrivedFrame frame{.sampled = {.camera = index,
                                   .is_stream_start = state.next_seq == 0,
                                   .is_scene_start = is_scene_start},
                       .seq = state.next_seq++,
                       .captured_at = captured,
                       .lane = camera.lane};
    if (dispatch_.is_adaptive(index)) {
      // As in the engine: what waited is answered before the objects are carried on.
      if (const std::optional<std::int64_t> seq = dispatch_.withdraw(index)) {
        answer_without_inference(index, state.waiting_captured, state.waiting_sums, *seq);
      }
      frame.sampled.doubt = doubt_of(state, state.sums);
    }
    const SceneSums waiting_sums = state.waiting_sums;
    const std::optional<std::int64_t> unserved = dispatch_.arrive(frame, now_);
    if (unserved == frame.seq) {
      answer_without_inference(index, captured, state.sums, frame.seq);
    } else {
      if (unserved) {
        answer_without_inference(index, state.waiting_captured, waiting_sums, *unserved);
      }
      state.waiting_captured = captured;
      state.waiting_sums = state.sums;
    }
    plan_next(index);
  }

  void plan_next(CameraIndex index) {
    const SimulatedCamera& camera = device_.cameras[index];
    const double interval_s =
        to_seconds(camera.dispatch.period) / (camera.rate_factor * rate_now());
    cameras_[index].next_nominal += from_seconds(interval_s);
    if (camera.traced) play_on(index, interval_s);
    push_arrival(index);
  }

  // Recorded cameras.

  /// The frames that a camera plays, over and over.
  struct Played {
    const TracedCamera& camera;
    std::size_t begin = 0;
    std::size_t frames = 0;
    [[nodiscard]] const TracedFrame& at(double position) const {
      return camera.frames[begin + static_cast<std::size_t>(position) % frames];
    }
  };
  Played played_by(CameraIndex index) const {
    const SceneTrace& trace = *device_.trace;
    if (device_.scenes.is_always_active && trace.has_motion()) {
      return {trace.cameras[*trace.busiest_camera], trace.busiest_begin,
              trace.busiest_end - trace.busiest_begin};
    }
    const TracedCamera& camera = trace.cameras[*device_.cameras[index].traced];
    return {camera, 0, camera.frames.size()};
  }
  bool has_traced_motion(CameraIndex index) const {
    return device_.cameras[index].traced && played_by(index).camera.has_motion;
  }

  /// To the frame that is sampled `interval_s` after the last one, at the pace of the recording:
  /// frames that were recorded in between add what they saw, one between two adds its part.
  void play_on(CameraIndex index, double interval_s) {
    const Played played = played_by(index);
    Camera& state = cameras_[index];
    double left = interval_s / to_seconds(played.camera.period);
    while (left > 1e-9) {
      const double next = std::floor(state.position) + 1;
      const double part = std::min(left, next - state.position);
      const TracedFrame& frame = played.at(next);
      state.coming.loss += part * frame.loss;
      state.coming.drift += part * frame.drift;
      state.coming.unexplained += part * frame.unexplained;
      state.objects = frame.objects;
      const bool is_reached = state.position + left >= next - 1e-9;
      if (is_reached && frame.is_scene_start) state.is_scene_coming = true;
      state.position = is_reached ? next : state.position + part;
      if (state.position >= static_cast<double>(played.frames)) state.position = 0;
      left -= part;
    }
  }

  /// One more sampled frame of the camera's scene; whether another scene begins with it.
  bool pass_scene(CameraIndex index) {
    const SceneModel& scenes = device_.scenes;
    Camera& state = cameras_[index];
    if (has_traced_motion(index)) {
      ++state.sums.frames;
      state.sums.loss += state.coming.loss;
      state.sums.drift += state.coming.drift;
      state.sums.unexplained += state.coming.unexplained;
      state.coming = {};
      const bool is_scene_start = std::exchange(state.is_scene_coming, false);
      if (is_scene_start) state.sums.loss += 1;  // nothing that was carried is there any more
      return is_scene_start;
    }
    const double period_s = to_seconds(device_.cameras[index].dispatch.period);
    const SceneModel::State& spell = state.is_active ? scenes.active : scenes.calm;
    if (random_.uniform() < period_s / spell.seconds) state.is_active = !state.is_active;
    const SceneModel::State& now = scene_of(state);
    ++state.sums.frames;
    state.sums.loss += now.loss_per_frame;
    state.sums.drift += now.drift_per_frame;
    state.sums.unexplained += now.unexplained_per_frame;
    state.objects = now.objects;
    return false;
  }
  const SceneModel::State& scene_of(const Camera& state) const {
    const SceneModel& scenes = device_.scenes;
    return scenes.is_always_active || state.is_active ? scenes.active : scenes.calm;
  }
  ObjectDoubt doubt_of(const Camera& state, const SceneSums& at) const {
    return {.age = at.frames - state.key.frames,
            .objects = state.objects,
            .drift = at.drift - state.key.drift,
            .unexplained = at.unexplained - state.key.unexplained};
  }
  static double carried_fidelity(double loss) { return std::max(0.0, 1 - loss); }

  // Answers.

  void answer_without_inference(CameraIndex index, TimePoint captured, const SceneSums& sums,
                                std::int64_t seq) {
    Camera& state = cameras_[index];
    ClassFigures& figures = figures_of(index, captured);
    const PolicyKind policy = device_.cameras[index].dispatch.policy;
    if (policy == PolicyKind::kFull) {
      ++figures.superseded;
      return;
    }
    if (!state.has_state) {
      ++figures.late;
      return;
    }
    ++(policy == PolicyKind::kAdaptive ? figures.propagated : figures.reused);
    figures.fidelity_sum +=
        1 - device_.cameras[index].weight * (1 - carried_fidelity(sums.loss - state.key.loss));
    (void)audits_.consider(index, seq, now_);
    if (state.unsettled > 0) {
      state.behind_.push_back(captured);
    } else {
      publish(index, captured, false);
    }
  }

  void publish(CameraIndex index, TimePoint captured, bool is_inferred) {
    Camera& state = cameras_[index];
    ClassFigures& figures = figures_of(index, captured);
    const DispatchCamera& camera = device_.cameras[index].dispatch;
    const Duration latency = now_ - captured;
    figures.answer_latency.record(latency);
    if (is_inferred) figures.inferred_latency.record(latency);
    if (latency > camera.slo) {
      ++figures.not_on_time;
      return;
    }
    ++figures.on_time_by_second[second()];
    if (is_inferred) {
      ++figures.inferred_by_second[second()];
      ++figures.inferred_on_time;
    }
    if (state.answered_at) {
      const Duration gap = now_ - *state.answered_at;
      figures.gap_periods.record(from_seconds(to_seconds(gap) / to_seconds(camera.period)));
      figures.worst_gap = std::max(figures.worst_gap, gap);
    }
    state.answered_at = now_;
  }

  /// The camera's frame at a model is answered: those that waited behind it leave, too.
  void settle(CameraIndex index) {
    Camera& state = cameras_[index];
    if (--state.unsettled > 0) return;
    for (const TimePoint captured : state.behind_) publish(index, captured, false);
    state.behind_.clear();
  }

  // The device.

  double seconds_of(const Batch& batch) const {
    return (*lanes_)[batch.lane].quantile_s(batch.bucket, working(), batch.quantile);
  }
  /// So many of those in flight, oldest first, are being worked on.
  std::size_t working() const {
    return device_.is_serial ? std::min<std::size_t>(1, in_flight_.size()) : in_flight_.size();
  }

  void work_until(TimePoint at) {
    const double passed = to_seconds(at - worked_until_);
    for (std::size_t i = 0; i < working(); ++i) {
      in_flight_[i].work -= speed_ * passed / seconds_of(in_flight_[i]);
    }
    figures_.busy_s += passed * static_cast<double>(in_flight_.size());
    worked_until_ = at;
  }

  void plan_completion() {
    completion_at_ = TimePoint::max();
    if (speed_ <= 0) return;
    for (std::size_t i = 0; i < working(); ++i) {
      const double left = std::max(0.0, in_flight_[i].work) * seconds_of(in_flight_[i]) / speed_;
      const TimePoint at = worked_until_ + from_seconds(left);
      if (at < completion_at_) {
        completion_at_ = at;
        completing_ = i;
      }
    }
  }

  /// Of a batch that starts now: slow spells come and go as they did where the times were measured.
  double draw_quantile(const ServiceDraws& times) {
    if (times.likeness() <= 0 || times.likeness_time() <= Duration::zero())
      return random_.uniform();
    const double kept = std::exp(-to_seconds(now_ - spell_at_) / to_seconds(times.likeness_time()));
    spell_at_ = now_;
    spell_ = kept * spell_ + std::sqrt(1 - kept * kept) * random_.normal();
    return normal_probability(std::sqrt(times.likeness()) * spell_ +
                              std::sqrt(1 - times.likeness()) * random_.normal());
  }

  Batch& start_batch(LaneIndex lane, std::size_t frames) {
    work_until(now_);
    Batch batch{.lane = lane,
                .bucket = bucket_for(frames),
                .quantile = draw_quantile((*lanes_)[lane]),
                .started_at = now_};
    if (!spare_.empty()) {
      batch.frames = std::move(spare_.back());
      spare_.pop_back();
      batch.frames.clear();
    }
    in_flight_.push_back(std::move(batch));
    figures_.inferences += static_cast<std::int64_t>(frames);
    figures_.inferences_of_lane[lane] += static_cast<std::int64_t>(frames);
    plan_completion();
    return in_flight_.back();
  }

  void complete() {
    work_until(now_);
    Batch batch = std::move(in_flight_[completing_]);
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(completing_));
    plan_completion();
    done_cameras_.clear();
    for (const BatchFrame& frame : batch.frames) {
      if (batch.is_audit) break;
      done_cameras_.push_back(frame.camera);
      complete_frame(frame);
    }
    dispatch_.complete(now_, batch.lane, std::max<std::size_t>(1, batch.frames.size()),
                       done_cameras_, now_ - batch.started_at);
    spare_.push_back(std::move(batch.frames));
  }

  void complete_frame(const BatchFrame& frame) {
    Camera& state = cameras_[frame.camera];
    const bool is_adaptive = dispatch_.is_adaptive(frame.camera);
    const bool is_awaited = !is_adaptive || dispatch_.claim(frame.camera, frame.seq);
    if (is_awaited) {
      ClassFigures& figures = figures_of(frame.camera, frame.captured);
      ++figures.inferred;
      figures.fidelity_sum += 1;
      publish(frame.camera, frame.captured, true);
    }
    if (frame.seq > state.key_seq) {
      if (is_adaptive && state.has_state) learn(frame);
      state.key = frame.sums;
      state.key_seq = frame.seq;
      state.has_state = true;
    }
    if (is_awaited) settle(frame.camera);
    if (!is_adaptive) return;
    if (const std::optional<std::int64_t> seq = dispatch_.waiting(frame.camera)) {
      dispatch_.renew_doubt(frame.camera, *seq, doubt_of(state, state.waiting_sums));
    }
  }

  /// What the model found wrong in the boxes carried to `frame`, at random about what is expected.
  void learn(const BatchFrame& frame) {
    const Camera& state = cameras_[frame.camera];
    const ObjectDoubt doubt = doubt_of(state, frame.sums);
    const double objects = has_traced_motion(frame.camera)
                               ? std::max(1.0, played_by(frame.camera).camera.sure_objects)
                               : doubt.objects;
    const double wrong = (frame.sums.loss - state.key.loss) * objects;
    const double whole = std::floor(wrong);
    const auto wanted = static_cast<std::int64_t>(objects);
    const std::int64_t missed =
        static_cast<std::int64_t>(whole) + (random_.uniform() < wrong - whole ? 1 : 0);
    AgreementCounts counts;
    counts.wanted = counts.sure_given = wanted;
    counts.found = counts.sure_right = wanted - std::min(wanted, missed);
    dispatch_.learn(frame.camera, doubt, counts);
  }

  // The scheduler, told and obeyed as the engine does.

  std::optional<InferenceCause> audit_waiting() {
    if (!has_adaptive_ || device_.audit_share <= 0) return std::nullopt;
    if (now_ >= audit_period_ends_) {
      audits_.begin_period();
      audit_period_ends_ = now_ + kAuditPeriod;
    }
    expired_.clear();
    audits_.expire(now_, expired_);
    if (audits_.front() == nullptr) return std::nullopt;
    return audits_.is_due(now_) ? InferenceCause::kDueAudit : InferenceCause::kAudit;
  }

  void ask() {
    bool is_sent = true;
    while (is_sent) {
      const std::optional<InferenceCause> audit = audit_waiting();
      dispatch_.decide(now_, audit, decision_);
      is_sent = decision_.is_audit_wanted || !decision_.batch.empty();
      if (decision_.is_audit_wanted) send_audit(*audit);
      if (!decision_.batch.empty()) send_batch();
      for (const UnservedFrame& frame : decision_.unserved) give_up(frame);
    }
    if (decision_.wake_at) {
      const Duration slip = from_seconds(random_.uniform() * to_seconds(device_.timer_slip));
      wake_at_ = std::max(now_, *decision_.wake_at) + slip + Duration(1);
    } else {
      wake_at_ = TimePoint::max();
    }
  }

  void send_audit(InferenceCause cause) {
    const CameraIndex camera = audits_.take().camera;
    const LaneIndex lane = device_.cameras[camera].lane;
    dispatch_.send_audit(now_, lane, cause);
    start_batch(lane, 1).is_audit = true;
    ++figures_.audits;
  }

  void send_batch() {
    Batch& batch = start_batch(decision_.lane, decision_.batch.size());
    for (const SentFrame& sent : decision_.batch) {
      Camera& state = cameras_[sent.camera];
      batch.frames.push_back({sent.camera, sent.seq, state.waiting_captured, state.waiting_sums});
      state.sent_captured = state.waiting_captured;
      state.sent_loss = state.waiting_sums.loss;
      ++state.unsettled;
      audits_.count_inference(sent.camera);
    }
  }

  void give_up(const UnservedFrame& frame) {
    Camera& state = cameras_[frame.camera];
    if (!is_at_model(frame)) {
      answer_without_inference(frame.camera, state.waiting_captured, state.waiting_sums, frame.seq);
      return;
    }
    // At most one of a camera is at a model: nothing is before it, what is behind it follows.
    --state.unsettled;
    SceneSums sums;
    sums.loss = state.sent_loss;
    answer_without_inference(frame.camera, state.sent_captured, sums, frame.seq);
    ++state.unsettled;
    settle(frame.camera);
  }

  bool is_at_model(const UnservedFrame& frame) const {
    return std::ranges::any_of(in_flight_, [&](const Batch& batch) {
      return std::ranges::any_of(batch.frames, [&](const BatchFrame& other) {
        return other.camera == frame.camera && other.seq == frame.seq;
      });
    });
  }

  void finish() {
    for (std::size_t i = 0; i < cameras_.size(); ++i) {
      const auto index = static_cast<CameraIndex>(i);
      const SimulatedCamera& camera = device_.cameras[i];
      const Camera& state = cameras_[i];
      const bool has_left = camera.until < device_.length;
      const auto end = [&](TimePoint captured, std::int64_t frames) {
        ClassFigures& figures = figures_of(index, captured);
        (has_left ? figures.failed : figures.in_flight) += frames;
      };
      end(state.sent_captured, static_cast<std::int64_t>(state.unsettled));
      if (dispatch_.waiting(index)) end(state.waiting_captured, 1);
      figures_.ends.push_back({.next_frame = state.next_nominal - kStart});
      if (state.answered_at) figures_.ends.back().answered_at = *state.answered_at - kStart;
    }
    figures_.slot_s = static_cast<double>(slots_) * to_seconds(device_.length);
  }

  const SimulatedDevice& device_;
  const std::vector<ServiceDraws>* lanes_ = &device_.lanes;  ///< as they are now
  Dispatch& dispatch_;
  Random random_;
  std::vector<Camera> cameras_;
  std::size_t slots_ = 1;
  TimePoint now_ = kStart;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
  TimePoint wake_at_ = TimePoint::max();
  TimePoint completion_at_ = TimePoint::max();
  std::size_t completing_ = 0;
  std::vector<Batch> in_flight_;
  std::vector<std::vector<BatchFrame>> spare_;
  double spell_ = 0;  ///< how slow the device is just now, a normal score
  TimePoint spell_at_ = kStart;
  TimePoint worked_until_ = kStart;
  double speed_ = 1;
  std::size_t changes_done_ = 0;
  std::size_t lanes_changes_done_ = 0;
  double rate_ = 1;
  std::size_t rates_done_ = 0;
  AuditPlan audits_;
  bool has_adaptive_ = false;
  TimePoint audit_period_ends_ = kStart + kAuditPeriod;
  std::vector<WaitingAudit> expired_;
  DispatchDecision decision_;
  std::vector<CameraIndex> done_cameras_;
  DeviceFigures figures_;
  ClassFigures uncounted_;  ///< frames before and after those that count
};

}  // namespace

LiveDispatchOptions dispatch_options(const SimulatedDevice& device) {
  LiveDispatchOptions options;
  options.inference.share = device.share;
  for (const SimulatedCamera& camera : device.cameras) {
    CHECK(camera.dispatch.period > Duration::zero() && camera.lane < device.lanes.size());
    options.cameras.push_back(camera.dispatch);
    options.inference.cameras.push_back({camera.dispatch.policy, camera.dispatch.priority});
  }
  options.batches_max = batches_max_of(device);
  for (const ServiceDraws& lane : device.lanes) {
    options.lane_knees.push_back(lane.knee_frames());
    options.lane_times.push_back(lane.learned_times());
  }
  return options;
}

DeviceFigures simulate_device(const SimulatedDevice& device, DispatchRecorder recorder) {
  CHECK(!device.cameras.empty() && !device.lanes.empty());
  const auto run = [&device](auto& dispatch) {
    for (std::size_t i = 0; i < device.lanes.size(); ++i) dispatch.add_lane(kBatchBuckets.back());
    return DeviceSimulation(device, dispatch).run();
  };
  if (device.baseline) {
    BaselineDispatch dispatch(*device.baseline, dispatch_options(device), kStart);
    return run(dispatch);
  }
  if (recorder) {
    TracedDispatch dispatch(dispatch_options(device), kStart, std::move(recorder));
    return run(dispatch);
  }
  LiveDispatch dispatch(dispatch_options(device), kStart);
  return run(dispatch);
}

namespace {

void add(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
  to.resize(std::max(to.size(), from.size()));
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

}  // namespace

void ClassFigures::merge(const ClassFigures& other) {
  cameras += other.cameras;
  sampled += other.sampled;
  inferred += other.inferred;
  propagated += other.propagated;
  reused += other.reused;
  superseded += other.superseded;
  late += other.late;
  failed += other.failed;
  in_flight += other.in_flight;
  not_on_time += other.not_on_time;
  inferred_on_time += other.inferred_on_time;
  fidelity_sum += other.fidelity_sum;
  inferred_latency.merge(other.inferred_latency);
  answer_latency.merge(other.answer_latency);
  gap_periods.merge(other.gap_periods);
  worst_gap = std::max(worst_gap, other.worst_gap);
  add(on_time_by_second, other.on_time_by_second);
  add(inferred_by_second, other.inferred_by_second);
}

void DeviceFigures::merge(const DeviceFigures& other) {
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i].merge(other.classes[i]);
  events += other.events;
  inferences += other.inferences;
  add(inferences_of_lane, other.inferences_of_lane);
  audits += other.audits;
  busy_s += other.busy_s;
  slot_s += other.slot_s;
}

}  // namespace framemill
