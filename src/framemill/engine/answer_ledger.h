#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"
#include "framemill/metrics/latency_histogram.h"
#include "framemill/vision/tracker.h"

namespace framemill {

/// Why a model ran on a frame; the summary and metrics count by it.
enum class InferencePurpose : std::uint8_t { kPrimary, kAudit, kForced, kDiscarded };
inline constexpr std::array<std::string_view, 4> kInferencePurposeNames{"primary", "audit",
                                                                        "forced", "discarded"};

/// How one camera's answers are made from what the model found.
struct LedgerOptions {
  CameraIndex camera = 0;
  std::string_view model;  ///< configured name; outlives the ledger
  Duration slo{0};
  float score = 0.35F;                ///< published from here on
  std::vector<bool> is_class_wanted;  ///< by class id; empty: all
  std::vector<std::vector<std::array<float, 2>>>
      mask;                    ///< polygons in 0..1; centres inside are ignored
  bool has_latency = true;     ///< false at pace fast: nothing is late there
  Duration snapshot_every{0};  ///< hand a picture with an answer so often; 0: never
};

/// Everything counted about one camera; see design section 4.
struct CameraCounts {
  std::int64_t captured = 0;
  std::array<std::int64_t, kOutcomeCount> outcomes{};
  std::int64_t in_flight = 0;
  std::int64_t overdue = 0;  ///< answers published after their deadline
  std::array<std::int64_t, kInferencePurposeNames.size()> inferences{};
  std::array<LatencyHistogram, 3> latency;  ///< by Origin: inferred, propagated, reused
  Duration reorder_sum{0};                  ///< over the answers

  [[nodiscard]] std::int64_t sampled() const {
    return captured - outcomes[static_cast<std::size_t>(Outcome::kSampledOut)];
  }
  [[nodiscard]] std::int64_t answered() const { return outcomes[1] + outcomes[2] + outcomes[3]; }
  /// captured == sum of the outcomes + in flight.
  [[nodiscard]] bool is_conserved() const;
  void merge(const CameraCounts& other);
};

/// Keeps a camera's sampled frames in order until each has its one line, and the state that answers
/// are made from: tracks and the last boxes. Frames enter in order, are settled in any order, and
/// leave in order: a later frame's answer waits behind an earlier one that is still at the model.
/// Thread-safety: all members, any thread; enter() calls of a camera come from one thread.
class AnswerLedger {
 public:
  using Publish = std::function<void(Answer&&)>;

  /// `publish` is called in frame order, one call at a time, and must not call back into the
  /// ledger.
  AnswerLedger(LedgerOptions options, const Clock& clock, Publish publish);

  /// A delivered frame that is not sampled.
  void count_sampled_out();
  /// A sampled frame; it is in flight until settled. Its stamp.seq must be the number of those
  /// before it.
  void enter(const Frame& frame) EXCLUDES(mu_);

  /// The model ran on frame `seq`: `detections` down to kCandidateScoreMin, in source pixels.
  void settle_inferred(std::int64_t seq, std::vector<Detection> detections,
                       std::shared_ptr<const std::string> variant) EXCLUDES(mu_);
  /// Frame `seq` is answered by the last boxes; `late` where there are none since the (re)start.
  void settle_reused(std::int64_t seq) EXCLUDES(mu_);
  /// Frame `seq` gets no answer.
  void settle_none(std::int64_t seq, DropReason reason) EXCLUDES(mu_);

  [[nodiscard]] CameraCounts counts() const EXCLUDES(mu_);

 private:
  struct Entry {
    FrameStamp stamp;
    Size picture_size;
    bool is_stream_start = false;
    bool is_scene_start = false;
    std::shared_ptr<const Picture> picture;  ///< only where a snapshot is due
    bool is_settled = false;
    Origin origin = Origin::kNone;
    DropReason drop_reason = DropReason::kFailed;
    std::vector<Detection> detections;
    std::shared_ptr<const std::string> variant;
  };

  Entry& entry_of(std::int64_t seq) REQUIRES(mu_);
  void publish_settled() REQUIRES(mu_);
  void publish(Entry& entry) REQUIRES(mu_);
  void keep_wanted(std::vector<Detection>& detections, Size picture) const;

  const LedgerOptions options_;
  const Clock& clock_;
  const Publish publish_;

  mutable Mutex mu_;
  std::deque<Entry> entries_ GUARDED_BY(mu_);  ///< entries_[0] is frame first_seq_
  std::int64_t first_seq_ GUARDED_BY(mu_) = 0;
  CameraCounts counts_ GUARDED_BY(mu_);
  Tracker tracker_ GUARDED_BY(mu_);
  bool has_state_ GUARDED_BY(mu_) = false;
  std::vector<Detection> state_ GUARDED_BY(mu_);  ///< of the last inferred frame, tracked
  std::int64_t state_frame_index_ GUARDED_BY(mu_) = -1;
  std::shared_ptr<const std::string> state_variant_ GUARDED_BY(mu_);
  std::optional<TimePoint> last_snapshot_ GUARDED_BY(mu_);
};

}  // namespace framemill
