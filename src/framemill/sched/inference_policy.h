#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framemill/core/camera.h"
#include "framemill/core/object_doubt.h"
#include "framemill/core/policy.h"
#include "framemill/sched/need_model.h"
#include "framemill/sched/token_bucket.h"

namespace framemill {

struct PolicyCamera {
  PolicyKind policy = PolicyKind::kFull;
  Priority priority = Priority::kNormal;
};

struct InferencePolicyOptions {
  std::vector<PolicyCamera> cameras;     ///< by CameraIndex
  double share = 1.0;                    ///< see budget_share(); 1: all capacity
  std::optional<double> adaptive_share;  ///< of adaptive cameras to begin with; else `share`
  double similarity_min = .95;           ///< policy similarity: alike from here on
};

/// A sampled frame, as far as the choice needs it.
struct SampledFrame {
  CameraIndex camera = 0;
  bool is_stream_start = false;
  bool is_scene_start = false;
  double similarity = 0;  ///< policy similarity: with the last inferred picture, 0..1
  double complexity = 0;  ///< policy similarity: variance of its luma / 255
  /// Policy adaptive: false where it cannot be chosen now, because an earlier frame of its camera
  /// is still at the model.
  bool is_choosable = true;
  ObjectDoubt doubt;  ///< policy adaptive: of the objects carried to it
  friend bool operator==(const SampledFrame&, const SampledFrame&) = default;
};

/// The one place that says which sampled frames are inferred and which are answered from the
/// camera's state, for all policies, at any pace, in the engine and in the simulator.
/// - full: all of them.
/// - hold: a fixed share of each camera's frames, evenly, and each scene start.
/// - similarity: those unlike the last inferred one; complex ones in batches of their own.
/// - adaptive: first frames, critical cameras and scene starts always; else those of the highest
///   need x priority, as far as the budget allows; a camera that has waited longer than 1.2 mean
///   intervals (1 / share frames) counts (wait / 1.2)^4 times as much. The budget is a token bucket
///   over all adaptive cameras (see TokenBucket).
/// Deterministic in the order of calls. Not thread-safe; O(1) a frame.
class InferencePolicy {
 public:
  enum class Verdict : std::uint8_t {
    kInfer,    ///< goes to a model
    kCarry,    ///< is answered from the state
    kCompete,  ///< may go to a model: of the highest need, and if has_budget()
  };

  static constexpr double kComplexAbove = .7;  ///< see is_alone()

  explicit InferencePolicy(InferencePolicyOptions options);

  /// Adaptive cameras: the share from now on, 0 < share <= 1; what was saved stays.
  void set_adaptive_share(double share);
  /// The share from the budget, of policy hold as well; 0 < share <= 1.
  void set_share(double share) { options_.share = share; }
  /// One more camera; its index is the number of those before it.
  void add_camera(const PolicyCamera& camera);
  /// How many cameras draw on the budget now, >= 1, and how many of them are critical: those that
  /// were removed keep their index.
  void set_camera_count(std::size_t cameras, std::size_t critical) {
    tokens_.set_cameras(cameras);
    tokens_.set_debt_max(critical);
  }

  /// Pace live: for the next sampled frame of a camera, in order. In any window of n sampled frames
  /// of a camera hold infers at most share * n + 1, plus one per scene start; the first frame of a
  /// camera starts a scene. Where the share changes in between, each frame counts with its own.
  [[nodiscard]] Verdict arrive(const SampledFrame& frame);
  /// Why `frame`, which competes, would be inferred: decides about precedence.
  [[nodiscard]] InferenceCause cause_of(const SampledFrame& frame) const {
    if (frame.is_stream_start) return InferenceCause::kStart;
    if (options_.cameras[frame.camera].priority == Priority::kCritical)
      return InferenceCause::kCritical;
    return frame.is_scene_start ? InferenceCause::kSceneCut : InferenceCause::kNeed;
  }
  /// Whether `frame`, which is inferred, shares its batch with no other: the usual recipe handles
  /// complex pictures alone. Its threshold, kept as it is, calls every real picture complex (their
  /// variance / 255 lies between 4 and 24), so that nothing is batched.
  [[nodiscard]] bool is_alone(const SampledFrame& frame) const {
    return options_.cameras[frame.camera].policy == PolicyKind::kSimilarity &&
           frame.complexity > kComplexAbove;
  }
  /// What `frame` of policy adaptive gains from an inference, >= 0; the choice multiplies it by the
  /// weight of the priority.
  [[nodiscard]] double need(const SampledFrame& frame) const;
  /// Whether the budget has what an inference costs; take() takes it.
  [[nodiscard]] bool has_budget(InferenceCause cause) const;
  void take(InferenceCause cause);
  /// Inferences that critical cameras have had beyond the budget; see TokenBucket::forgiven().
  [[nodiscard]] double over_budget() const { return tokens_.forgiven(); }
  /// So many adaptive frames can still come in before budget is lost; none: there is no budget.
  [[nodiscard]] std::optional<double> frames_to_full() const;

  /// Pace fast: all the frames of one step of media time, in order: which of them are inferred.
  /// `audits` wait, of which the first `due` must go before need; returns how many of them, from
  /// the first on, may go.
  std::size_t choose(std::span<const SampledFrame> frames, std::size_t audits, std::size_t due,
                     std::vector<bool>& is_inferred);

  /// What the model said of carried objects; see NeedModel.
  void learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts) {
    need_.learn(camera, doubt, counts);
  }

 private:
  /// For policies other than adaptive.
  [[nodiscard]] bool is_inferred(const SampledFrame& frame);

  /// How many inferences a camera of policy hold is due since its scene began, less those it had.
  /// Of a share that stays it is a product, so that no rounding adds up; of one that changes the
  /// phase goes on: a frame counts with the share of its time, whatever the share is later.
  struct HoldState {
    bool has_begun = false;   ///< a scene; else the next frame begins it
    double share = 0;         ///< of the frames below
    double phase = 0;         ///< before them, -1e-6..1
    std::int64_t frames = 0;  ///< since the scene or this share began
  };

  InferencePolicyOptions options_;  // cameras may be added
  double adaptive_share_;
  std::vector<HoldState> hold_;
  NeedModel need_;
  TokenBucket tokens_;
  std::vector<BudgetRequest> requests_;  // working memory of choose()
  std::vector<std::size_t> chosen_;
  std::vector<std::size_t> places_;
};

}  // namespace framemill
