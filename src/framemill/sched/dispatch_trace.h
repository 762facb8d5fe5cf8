#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"
#include "framemill/core/object_doubt.h"
#include "framemill/sched/live_dispatch.h"

namespace framemill {

// What a LiveDispatch was told and what it said, call by call: enough to do it all over again.
// Plain values. `engine` writes them to a file (trace_writer), `plan` reads them (trace_reader).

/// add_lane().
struct LaneAdded {
  std::size_t batch_max = 1;
  DeviceSet hosts = kAllDevices;
  friend bool operator==(const LaneAdded&, const LaneAdded&) = default;
};
/// arrive().
struct FrameArrived {
  TimePoint at;
  ArrivedFrame frame;
  double need = 0;  ///< as it was before the frame; adaptive cameras
  std::optional<std::int64_t> returned;
  friend bool operator==(const FrameArrived&, const FrameArrived&) = default;
};
/// withdraw() that found a frame.
struct FrameWithdrawn {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  friend bool operator==(const FrameWithdrawn&, const FrameWithdrawn&) = default;
};
/// end_camera().
struct CameraEnded {
  CameraIndex camera = 0;
  friend bool operator==(const CameraEnded&, const CameraEnded&) = default;
};
/// decide().
struct Decided {
  TimePoint at;
  std::optional<InferenceCause> audit;
  DispatchDecision decision;
  friend bool operator==(const Decided&, const Decided&) = default;
};
/// send_audit().
struct AuditSent {
  TimePoint at;
  LaneIndex lane = 0;
  InferenceCause cause = InferenceCause::kAudit;
  friend bool operator==(const AuditSent&, const AuditSent&) = default;
};
/// claim().
struct FrameClaimed {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  bool returned = false;
  friend bool operator==(const FrameClaimed&, const FrameClaimed&) = default;
};
/// give_back().
struct FrameReturned {
  TimePoint at;
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  bool returned = false;
  friend bool operator==(const FrameReturned&, const FrameReturned&) = default;
};
/// set_device().
struct DeviceChanged {
  TimePoint at;
  DeviceIndex device = 0;
  bool is_serving = true;
  std::size_t batch_max = 1;
  friend bool operator==(const DeviceChanged&, const DeviceChanged&) = default;
};
/// learn().
struct ErrorLearned {
  CameraIndex camera = 0;
  ObjectDoubt doubt;
  AgreementCounts counts;
  friend bool operator==(const ErrorLearned&, const ErrorLearned&) = default;
};
/// learn_rung().
struct RungLearned {
  CameraIndex camera = 0;
  std::uint32_t rung = 0;
  AgreementCounts counts;
  friend bool operator==(const RungLearned&, const RungLearned&) = default;
};
/// renew_doubt().
struct DoubtRenewed {
  CameraIndex camera = 0;
  std::int64_t seq = 0;
  ObjectDoubt doubt;
  friend bool operator==(const DoubtRenewed&, const DoubtRenewed&) = default;
};
/// complete().
struct BatchCompleted {
  TimePoint at;
  LaneIndex lane = 0;
  std::size_t frames = 0;
  std::vector<CameraIndex> cameras;
  std::optional<Duration> service_time;
  DeviceIndex device = 0;
  friend bool operator==(const BatchCompleted&, const BatchCompleted&) = default;
};
/// end_period().
struct PeriodEnded {
  TimePoint at;
  std::optional<double> returned;
  friend bool operator==(const PeriodEnded&, const PeriodEnded&) = default;
};
/// set_adaptive_share().
struct ShareSet {
  double share = 1;
  friend bool operator==(const ShareSet&, const ShareSet&) = default;
};
/// set_share().
struct BudgetShareSet {
  double share = 1;
  friend bool operator==(const BudgetShareSet&, const BudgetShareSet&) = default;
};
/// update_rungs().
struct RungsUpdated {
  TimePoint at;
  std::vector<std::vector<LaneIndex>> lanes;
  std::optional<double> share_wanted;
  std::vector<RungChange> returned;
  friend bool operator==(const RungsUpdated&, const RungsUpdated&) = default;
};
/// No call: so many records before the next one could not be kept.
struct RecordsLost {
  std::int64_t records = 0;
  friend bool operator==(const RecordsLost&, const RecordsLost&) = default;
};

using DispatchRecord =
    std::variant<LaneAdded, FrameArrived, FrameWithdrawn, CameraEnded, Decided, AuditSent,
                 FrameClaimed, ErrorLearned, RungLearned, DoubtRenewed, BatchCompleted, PeriodEnded,
                 ShareSet, RungsUpdated, RecordsLost, FrameReturned, DeviceChanged, BudgetShareSet>;

/// Where records go, in the order of the calls; called by whoever calls the dispatch.
using DispatchRecorder = std::function<void(DispatchRecord&&)>;

/// How a traced dispatch began.
struct DispatchTraceHeader {
  std::string framemill;  ///< version that wrote it
  std::string run;
  WallTime began_wall;
  TimePoint began_at;               ///< the dispatch's `now` at construction
  std::vector<CameraId> cameras;    ///< by CameraIndex
  std::vector<std::string> models;  ///< as configured, by DispatchCamera::model
  LiveDispatchOptions options;
};

/// A LiveDispatch that tells `recorder` of each call that can change something; without one it is
/// a LiveDispatch. The calls are inline, so who uses it links the policy's own functions.
class TracedDispatch : private LiveDispatch {
 public:
  TracedDispatch(LiveDispatchOptions options, TimePoint now, DispatchRecorder recorder)
      : LiveDispatch(std::move(options), now), recorder_(std::move(recorder)) {}

  // Changes of cameras are not recorded: the engine refuses them while a trace is written.
  using LiveDispatch::add_camera;
  using LiveDispatch::remove_camera;

  using LiveDispatch::batches_in_flight;
  using LiveDispatch::has_ladder;
  using LiveDispatch::is_adaptive;
  using LiveDispatch::is_drained;
  using LiveDispatch::is_idle;
  using LiveDispatch::is_ladder_due;
  using LiveDispatch::is_serving;
  using LiveDispatch::knee_max;
  using LiveDispatch::lane_count;
  using LiveDispatch::need;
  using LiveDispatch::occupancy;
  using LiveDispatch::over_budget;
  using LiveDispatch::rung_changes;
  using LiveDispatch::rung_of;
  using LiveDispatch::times;
  using LiveDispatch::waiting;

  void add_lane(std::size_t batch_max, DeviceSet hosts = kAllDevices) {
    LiveDispatch::add_lane(batch_max, hosts);
    if (recorder_) recorder_(LaneAdded{batch_max, hosts});
  }
  void set_device(TimePoint now, DeviceIndex device, bool is_serving, std::size_t batch_max) {
    LiveDispatch::set_device(now, device, is_serving, batch_max);
    if (recorder_) recorder_(DeviceChanged{now, device, is_serving, batch_max});
  }
  [[nodiscard]] std::optional<std::int64_t> arrive(const ArrivedFrame& frame, TimePoint now) {
    if (!recorder_) return LiveDispatch::arrive(frame, now);
    const double need = is_adaptive(frame.sampled.camera) ? LiveDispatch::need(frame.sampled) : 0;
    const std::optional<std::int64_t> seq = LiveDispatch::arrive(frame, now);
    recorder_(FrameArrived{now, frame, need, seq});
    return seq;
  }
  [[nodiscard]] std::optional<std::int64_t> withdraw(CameraIndex camera) {
    const std::optional<std::int64_t> seq = LiveDispatch::withdraw(camera);
    if (recorder_ && seq) recorder_(FrameWithdrawn{camera, *seq});
    return seq;
  }
  void end_camera(CameraIndex camera) {
    LiveDispatch::end_camera(camera);
    if (recorder_) recorder_(CameraEnded{camera});
  }
  void decide(TimePoint now, std::optional<InferenceCause> audit, DispatchDecision& decision) {
    LiveDispatch::decide(now, audit, decision);
    if (recorder_) recorder_(Decided{now, audit, decision});
  }
  DeviceIndex send_audit(TimePoint now, LaneIndex lane, InferenceCause cause) {
    const DeviceIndex device = LiveDispatch::send_audit(now, lane, cause);
    if (recorder_) recorder_(AuditSent{now, lane, cause});
    return device;
  }
  [[nodiscard]] bool claim(CameraIndex camera, std::int64_t seq) {
    const bool is_claimed = LiveDispatch::claim(camera, seq);
    if (recorder_) recorder_(FrameClaimed{camera, seq, is_claimed});
    return is_claimed;
  }
  [[nodiscard]] bool give_back(TimePoint now, CameraIndex camera, std::int64_t seq) {
    const bool is_waiting = LiveDispatch::give_back(now, camera, seq);
    if (recorder_) recorder_(FrameReturned{now, camera, seq, is_waiting});
    return is_waiting;
  }
  void learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts) {
    LiveDispatch::learn(camera, doubt, counts);
    if (recorder_) recorder_(ErrorLearned{camera, doubt, counts});
  }
  void learn_rung(CameraIndex camera, std::uint32_t rung, const AgreementCounts& counts) {
    LiveDispatch::learn_rung(camera, rung, counts);
    if (recorder_) recorder_(RungLearned{camera, rung, counts});
  }
  void renew_doubt(CameraIndex camera, std::int64_t seq, const ObjectDoubt& doubt) {
    LiveDispatch::renew_doubt(camera, seq, doubt);
    if (recorder_) recorder_(DoubtRenewed{camera, seq, doubt});
  }
  void complete(TimePoint now, LaneIndex lane, std::size_t frames,
                std::span<const CameraIndex> cameras, std::optional<Duration> service_time,
                DeviceIndex device = 0) {
    LiveDispatch::complete(now, lane, frames, cameras, service_time, device);
    if (recorder_)
      recorder_(BatchCompleted{
          now, lane, frames, {cameras.begin(), cameras.end()}, service_time, device});
  }
  [[nodiscard]] std::optional<double> end_period(TimePoint now) {
    const std::optional<double> share = LiveDispatch::end_period(now);
    if (recorder_) recorder_(PeriodEnded{now, share});
    return share;
  }
  void set_adaptive_share(double share) {
    LiveDispatch::set_adaptive_share(share);
    if (recorder_) recorder_(ShareSet{share});
  }
  void set_share(double share) {
    LiveDispatch::set_share(share);
    if (recorder_) recorder_(BudgetShareSet{share});
  }
  std::span<const RungChange> update_rungs(TimePoint now,
                                           std::span<const std::vector<LaneIndex>> lanes,
                                           std::optional<double> share_wanted) {
    const std::span<const RungChange> changes =
        LiveDispatch::update_rungs(now, lanes, share_wanted);
    if (recorder_)
      recorder_(RungsUpdated{
          now, {lanes.begin(), lanes.end()}, share_wanted, {changes.begin(), changes.end()}});
    return changes;
  }

 private:
  const DispatchRecorder recorder_;
};

}  // namespace framemill
