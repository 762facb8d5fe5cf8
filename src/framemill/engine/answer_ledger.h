#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/core/answer.h"
#include "framemill/core/policy.h"
#include "framemill/engine/inference_purpose.h"
#include "framemill/metrics/latency_histogram.h"
#include "framemill/vision/object_state.h"

namespace framemill {

/// How one camera's answers are made from what the model found.
struct LedgerOptions {
  CameraIndex camera = 0;
  std::int64_t first_seq = 0;  ///< of its first frame; a camera that was changed goes on counting
  std::string_view model;      ///< configured name; outlives the ledger
  PolicyKind policy = PolicyKind::kFull;
  MotionMethod motion = MotionMethod::kAuto;  ///< policy adaptive only
  std::size_t ring_frames = 8;                ///< see ObjectStateOptions; policy adaptive only
  Duration slo{0};
  float score = 0.35F;                ///< published from here on
  std::vector<bool> is_class_wanted;  ///< by class id; empty: all
  std::vector<std::vector<std::array<float, 2>>>
      mask;                    ///< polygons in 0..1; centres inside are ignored
  bool has_latency = true;     ///< false at pace fast: nothing is late there
  Duration snapshot_every{0};  ///< of capture time, at pace fast of media time; 0: never
  bool has_pictures = false;   ///< each answer brings its picture, for alarms
};

/// Everything counted about one camera; see design section 4.
struct CameraCounts {
  std::int64_t captured = 0;
  std::array<std::int64_t, kOutcomeCount> outcomes{};
  std::int64_t in_flight = 0;
  std::int64_t overdue = 0;  ///< answers published after their deadline
  InferenceCounts inferences{};
  std::array<LatencyHistogram, 3> latency;  ///< by Origin: inferred, propagated, reused
  Duration reorder_sum{0};                  ///< over the answers
  Duration motion_cpu{0};  ///< vectors (but for the decoder's part), thumbnails, carrying boxes

  [[nodiscard]] std::int64_t sampled() const {
    return captured - outcomes[static_cast<std::size_t>(Outcome::kSampledOut)];
  }
  [[nodiscard]] std::int64_t answered() const { return outcomes[1] + outcomes[2] + outcomes[3]; }
  /// captured == sum of the outcomes + in flight.
  [[nodiscard]] bool is_conserved() const;
  void merge(const CameraCounts& other);
};

/// What the policy has to know of a sampled frame before it chooses.
struct FrameOutlook {
  bool has_key = false;  ///< something is known that could be carried to it
  ObjectDoubt doubt;     ///< of the objects carried to it
};

/// Keeps a camera's sampled frames in order until each has its one line, and the state that answers
/// are made from. Frames enter in order, are settled in any order, and leave in order: a later
/// frame's answer waits behind an earlier one that is still at the model.
/// Thread-safety: all members, any thread; enter() calls of a camera come from one thread.
class AnswerLedger {
 public:
  using Publish = std::function<void(Answer&&)>;

  /// `publish` is called in frame order, one call at a time, and must not call back into the
  /// ledger.
  AnswerLedger(LedgerOptions options, const Clock& clock, Publish publish);

  /// What LedgerOptions::ring_frames is from here on; before the first frame.
  void set_ring_frames(std::size_t frames) EXCLUDES(mu_);

  /// A delivered frame that is not sampled.
  void count_sampled_out();
  /// A sampled frame; it is in flight until settled. Its stamp.seq must be the number of those
  /// before it. `motion` is null where the policy needs none, or the frame failed; it took
  /// `motion_cpu` to make.
  void enter(const Frame& frame, std::shared_ptr<const MotionFrame> motion = nullptr,
             Duration motion_cpu = {}) EXCLUDES(mu_);

  /// How frame `seq` would be answered without inference. Empty while an earlier frame is not
  /// settled yet, or after `seq` is: the frame cannot be chosen now.
  [[nodiscard]] std::optional<FrameOutlook> look(std::int64_t seq) EXCLUDES(mu_);
  /// 1 - mean absolute difference of luma / 255 between frame `seq`, not settled yet, and the last
  /// one given to note_sent(); 0 where there is none.
  [[nodiscard]] double similarity(std::int64_t seq) const EXCLUDES(mu_);
  /// Variance of luma / 255 of frame `seq`, not settled yet, at the size of its thumbnail; 0
  /// without one.
  [[nodiscard]] double complexity(std::int64_t seq) const EXCLUDES(mu_);
  /// Frame `seq`, not settled yet, goes to a model.
  void note_sent(std::int64_t seq) EXCLUDES(mu_);

  /// The model ran on frame `seq`: `detections` down to kCandidateScoreMin, in source pixels. Where
  /// the frame has been answered meanwhile they only correct the state; too late for that, they
  /// count as discarded. Returns what they say of the carried objects (policy adaptive).
  /// `keep_for_audit`: settle_audit() will follow, since a cheaper rung ran.
  std::optional<Correction> settle_inferred(std::int64_t seq, std::vector<Detection> detections,
                                            std::shared_ptr<const std::string> variant,
                                            InferencePurpose purpose = InferencePurpose::kPrimary,
                                            std::uint32_t rung = 0, bool keep_for_audit = false)
      EXCLUDES(mu_);
  /// Frame `seq` is answered from the state, carried by motion under policy adaptive and else
  /// unchanged; `late` where there is none since the (re)start. Without effect on one that is
  /// settled. `keep_for_audit`: settle_audit() will follow.
  void settle_carried(std::int64_t seq, bool keep_for_audit = false) EXCLUDES(mu_);
  /// The best rung ran on frame `seq`, whose answer was kept: how well it was, or empty where the
  /// answer had been `late`.
  std::optional<AgreementCounts> settle_audit(std::int64_t seq, std::vector<Detection> detections,
                                              std::shared_ptr<const std::string> variant = nullptr)
      EXCLUDES(mu_);
  /// The audit of `seq` did not take place.
  void drop_audit(std::int64_t seq) EXCLUDES(mu_);
  /// Frame `seq` gets no answer.
  void settle_none(std::int64_t seq, DropReason reason) EXCLUDES(mu_);
  /// At the end of a run, where batches have not come back from a device: what is still open ends
  /// as late. Whatever comes later is without effect.
  void close() EXCLUDES(mu_);

  [[nodiscard]] CameraCounts counts() const EXCLUDES(mu_);
  /// The answer to the next sampled frame carries its picture. For who shows it; without effect on
  /// sinks.
  void want_picture() { is_picture_wanted_ = true; }
  /// The camera is gone for good: gives away its counts and frees what was known of it; from then
  /// on counts() is empty, and results that still come are dropped. Empty while frames are in
  /// flight.
  [[nodiscard]] std::unique_ptr<CameraCounts> retire() EXCLUDES(mu_);

 private:
  struct Entry {
    FrameStamp stamp;
    Size picture_size;
    bool is_stream_start = false;
    bool is_scene_start = false;
    std::shared_ptr<const Picture> picture;  ///< only where somebody may draw it
    bool is_snapshot_due = false;
    std::shared_ptr<const MotionFrame> motion;
    bool is_reached = false;  ///< the state has been carried to it
    bool is_settled = false;
    bool is_audited = false;
    Origin origin = Origin::kNone;
    DropReason drop_reason = DropReason::kFailed;
    std::vector<Detection> detections;
    std::shared_ptr<const std::string> variant;
    std::uint32_t rung = 0;
  };

  /// What a camera needs while it lives; a deque holds half a kilobyte even where it is empty.
  struct Frames {
    explicit Frames(const ObjectStateOptions& options) : state(options) {}
    std::deque<Entry> entries;  ///< entries[0] is frame first_seq_
    /// seq and frame_index of recent frames, for results that come late; as many as the ring holds.
    std::deque<std::pair<std::int64_t, std::int64_t>> recent;
    ObjectState state;
  };

  /// Of frames of one camera: on the monotonic clock, at pace fast in the stream.
  [[nodiscard]] Duration capture_time(const FrameStamp& stamp) const;
  [[nodiscard]] bool is_open(std::int64_t seq) const REQUIRES(mu_);
  Entry& entry_of(std::int64_t seq) REQUIRES(mu_);
  Entry& settle(std::int64_t seq) REQUIRES(mu_);
  void reach(Entry& entry) REQUIRES(mu_);
  std::optional<Correction> correct(std::int64_t seq, std::vector<Detection>& detections)
      REQUIRES(mu_);
  std::optional<Correction> publish_settled() REQUIRES(mu_);
  std::optional<Correction> publish(Entry& entry) REQUIRES(mu_);
  void keep_wanted(std::vector<Detection>& detections, Size picture) const;

  const LedgerOptions options_;  // but for ring_frames
  const Clock& clock_;
  const Publish publish_;
  std::atomic<bool> is_picture_wanted_{false};

  mutable Mutex mu_;
  std::size_t ring_frames_ GUARDED_BY(mu_);
  std::int64_t first_seq_ GUARDED_BY(mu_);
  std::unique_ptr<CameraCounts> counts_ GUARDED_BY(mu_);  ///< null: retired
  std::unique_ptr<Frames> frames_ GUARDED_BY(mu_);        ///< likewise
  std::int64_t reached_seq_ GUARDED_BY(mu_);              ///< where the state stands
  std::int64_t scene_seq_ GUARDED_BY(mu_);                ///< first frame of the scene reached
  Size scene_size_ GUARDED_BY(mu_);
  bool has_answer_ GUARDED_BY(mu_) = false;  ///< an inference has completed since the (re)start
  std::int64_t key_frame_index_ GUARDED_BY(mu_) = -1;
  std::shared_ptr<const std::string> key_variant_ GUARDED_BY(mu_);
  std::uint32_t key_rung_ GUARDED_BY(mu_) = 0;
  std::map<std::int64_t, std::vector<Detection>> audited_ GUARDED_BY(mu_);  ///< by seq
  std::shared_ptr<const MotionFrame> last_sent_ GUARDED_BY(mu_);
  std::optional<Duration> last_snapshot_ GUARDED_BY(mu_);  ///< its capture_time()
  bool is_closed_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill
