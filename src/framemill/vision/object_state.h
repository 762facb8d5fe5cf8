#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/agreement.h"
#include "framemill/core/answer.h"
#include "framemill/core/object_doubt.h"
#include "framemill/vision/box_propagator.h"
#include "framemill/vision/tracker.h"

namespace framemill {

/// A camera's ring has so many frames at most: each keeps thumbnails, 80 KB or so.
inline constexpr std::size_t kRingFramesMax = 16;
/// Frames to keep of a camera sampled at `rate_hz`, whose results come up to `latest` after their
/// frame; never fewer than 8, since audits may wait. See ObjectStateOptions.
[[nodiscard]] std::size_t ring_frames_for(Duration latest, double rate_hz);

struct ObjectStateOptions {
  MotionMethod motion = MotionMethod::kAuto;
  /// Frames kept so that a result which comes late can be carried on to the newest one;
  /// 1..kRingFramesMax.
  std::size_t ring_frames = 8;
  /// An object's old score counts in the score it is carried with after a correction: keeps one
  /// wavering look from making it blink, without making sure (above .5) what the model is not sure
  /// of now. What is new and sure is carried with less than its score. False: all with the model's
  /// last score as it is.
  bool are_scores_remembered = true;
};

/// What the model said of carried objects.
struct Correction {
  ObjectDoubt doubt;       ///< of what was carried, just before
  AgreementCounts counts;  ///< of the carried objects, with what the model found as reference
  bool is_state_changed = false;  ///< false: a newer key frame is known
};

/// The objects of one camera as they stand at its newest sampled frame: found by the model on some
/// frame (the key frame), carried from there by motion. Candidates below the published score are
/// carried too. Deterministic, not thread-safe.
class ObjectState {
 public:
  explicit ObjectState(ObjectStateOptions options);

  /// Another scene: tracks end, and nothing is known until the model has run.
  void begin_scene();

  /// The next sampled frame: objects move there. `frame` null: it could not be decoded, and the
  /// objects stay where they are.
  void advance(double time_s, std::shared_ptr<const MotionFrame> frame);

  /// `found` is what the model found `frames_ago` sampled frames before the newest one (0: on it),
  /// down to the score of candidates. The objects become those, carried to the newest frame, unless
  /// a newer key frame is known. Detections of `found` get the ids of the objects they continue,
  /// and its scores stay as they are. Empty where the frame is no longer in the ring, or lies
  /// before the scene.
  std::optional<Correction> correct(std::size_t frames_ago, std::vector<Detection>& found);

  /// False until the model has run on a frame of this scene.
  [[nodiscard]] bool has_key() const { return has_key_; }
  /// As they stand at the newest frame; best score first, after a correction.
  [[nodiscard]] const std::vector<Detection>& objects() const { return objects_; }
  [[nodiscard]] const ObjectDoubt& doubt() const { return doubt_; }

 private:
  struct Moment {
    double time_s = 0;
    std::shared_ptr<const MotionFrame> frame;
    std::vector<Detection> objects;
    ObjectDoubt doubt;
    bool has_key = false;
  };

  void carry(const Moment& from, const Moment& to, std::vector<Detection>& objects,
             std::vector<float>& drifts, ObjectDoubt& doubt);

  const ObjectStateOptions options_;
  BoxPropagator propagator_;
  Tracker tracker_;
  bool has_key_ = false;
  std::vector<Detection> objects_;
  std::vector<float> drifts_;  // by object, summed since the key frame
  ObjectDoubt doubt_;
  std::deque<Moment> ring_;  // the newest last
  PropagationStep step_;
};

}  // namespace framemill
