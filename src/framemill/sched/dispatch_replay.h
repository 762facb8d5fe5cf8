#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/sched/dispatch_trace.h"

namespace framemill {

/// Does a recorded run all over again: a LiveDispatch made as the recorded one was is told the same
/// in the same order, and each of its decisions is compared with the recorded one. Batches, frames
/// given back, timers, claims, shares and rungs have to be equal; needs, which are sums, to nine
/// digits. Not thread-safe.
class DispatchReplay {
 public:
  /// Errors: kInvalidArgument for options that no dispatch can have been made with.
  static Result<std::unique_ptr<DispatchReplay>> create(const LiveDispatchOptions& options,
                                                        TimePoint began_at);

  /// Errors: kFailedPrecondition where the decision differs, with both; kInvalidArgument for what
  /// cannot have happened, such as the completion of a batch that was not sent; kUnavailable for
  /// RecordsLost. After an error nothing more can be compared: further calls repeat it.
  Result<void> feed(const DispatchRecord& record);

  /// Records that agreed so far.
  [[nodiscard]] std::int64_t records() const { return records_; }

 private:
  DispatchReplay(const LiveDispatchOptions& options, TimePoint began_at);

  Result<void> replay(const LaneAdded& record);
  Result<void> replay(const FrameArrived& record);
  Result<void> replay(const FrameWithdrawn& record);
  Result<void> replay(const CameraEnded& record);
  Result<void> replay(const Decided& record);
  Result<void> replay(const AuditSent& record);
  Result<void> replay(const FrameClaimed& record);
  Result<void> replay(const ErrorLearned& record);
  Result<void> replay(const RungLearned& record);
  Result<void> replay(const DoubtRenewed& record);
  Result<void> replay(const BatchCompleted& record);
  Result<void> replay(const PeriodEnded& record);
  Result<void> replay(const ShareSet& record);
  Result<void> replay(const BudgetShareSet& record);
  Result<void> replay(const RungsUpdated& record);
  Result<void> replay(const RecordsLost& record);
  Result<void> replay(const FrameReturned& record);
  Result<void> replay(const DeviceChanged& record);

  [[nodiscard]] Result<void> check_camera(CameraIndex camera) const;
  [[nodiscard]] Result<void> check_lane(LaneIndex lane) const;
  [[nodiscard]] Result<void> check_device(DeviceIndex device) const;

  const std::vector<std::size_t> rungs_of_model_;
  const std::vector<DispatchCamera> cameras_;
  LiveDispatch dispatch_;
  std::vector<std::size_t> in_flight_;          ///< by camera
  std::vector<std::size_t> batches_of_device_;  ///< in flight
  /// The last look asked for an audit of this cause and sent none yet.
  std::optional<InferenceCause> audit_wanted_;
  DispatchDecision decision_;  ///< reused from look to look
  std::int64_t records_ = 0;
  std::optional<Error> ended_;
};

}  // namespace framemill
