#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "framemill/sched/live_dispatch.h"

namespace framemill {

/// How others schedule, for comparison.
enum class Baseline {
  kEarliestDeadline,  ///< EDF: earliest deadline first, as soon as a slot is free; expired ones
                      ///< leave
  kFixedTimeout,  ///< the usual dynamic batcher: first come first served, at max batch or 1 / fps
  kRoundRobin,    ///< camera after camera, as soon as a slot is free
};

/// A scheduler of the usual kind in the place of LiveDispatch, for the simulator alone: it has the
/// members that the simulator calls. Each camera keeps its newest frame, as with ours, which is
/// kinder to the baselines than the unbounded queue that most have. No need, budget, audits or
/// ladder: every sampled frame is to be inferred, whatever the cameras' policies. One model a
/// batch; the lanes' measured knee is the batch.
class BaselineDispatch {
 public:
  BaselineDispatch(Baseline kind, LiveDispatchOptions options, TimePoint now);

  [[nodiscard]] std::size_t lane_count() const { return knees_.size(); }
  void add_lane(std::size_t batch_max);
  [[nodiscard]] std::optional<std::int64_t> arrive(const ArrivedFrame& frame, TimePoint now);
  [[nodiscard]] std::optional<std::int64_t> withdraw(CameraIndex camera);
  void end_camera(CameraIndex) {}
  void decide(TimePoint now, std::optional<InferenceCause> audit, DispatchDecision& decision);
  void send_audit(TimePoint, LaneIndex, InferenceCause) {}
  [[nodiscard]] bool claim(CameraIndex, std::int64_t) { return false; }
  void learn(CameraIndex, const ObjectDoubt&, const AgreementCounts&) {}
  void renew_doubt(CameraIndex, std::int64_t, const ObjectDoubt&) {}
  void complete(TimePoint now, LaneIndex lane, std::size_t frames,
                std::span<const CameraIndex> cameras, std::optional<Duration> service_time);
  [[nodiscard]] std::optional<std::int64_t> waiting(CameraIndex camera) const;
  [[nodiscard]] bool is_adaptive(CameraIndex) const { return false; }

 private:
  struct Waiting {
    std::int64_t seq = 0;
    TimePoint captured_at;
    TimePoint arrived_at;
    LaneIndex lane = 0;
  };
  struct Candidate {
    TimePoint deadline;
    TimePoint arrived_at;
    CameraIndex turn = 0;  ///< cameras until its turn
    CameraIndex camera = 0;
  };
  [[nodiscard]] bool is_before(const Candidate& a, const Candidate& b) const;

  const Baseline kind_;
  const LiveDispatchOptions options_;
  std::vector<std::optional<Waiting>> waiting_;  ///< by camera
  std::vector<bool> is_in_flight_;               ///< by camera
  std::vector<std::size_t> knees_;
  Duration timeout_{0};
  CameraIndex next_turn_ = 0;
  std::size_t batches_in_flight_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace framemill
