#pragma once

#include <vector>

#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"
#include "framemill/core/object_doubt.h"

namespace framemill {

/// Says how much a camera's answers would gain from an inference now (ADR 6):
///   expected = .005 x (1 + objects) x age + drift + .3 x unexplained
///   need     = (found wrong / expected before) x expected x age
/// where the ratio is over the last inferences of the camera, older ones counting less: cameras
/// whose carried boxes prove better than expected have time. The expected number of wrong
/// detections is multiplied by the age because an inference now spares the errors of all frames
/// until the next one: with errors that grow evenly, cameras are served best when error x age is
/// alike for all. Deterministic in the order of calls; not thread-safe; O(1) a call.
class NeedModel {
 public:
  explicit NeedModel(std::size_t cameras);
  /// One more; its index is the number of those before it.
  void add_camera() { cameras_.emplace_back(); }

  /// >= 0; grows with age, drift and unexplained motion.
  [[nodiscard]] double need(CameraIndex camera, const ObjectDoubt& doubt) const;

  /// The model ran on a frame of `camera`: `counts` compares what was carried there, of which
  /// `doubt` was said before, with what it found.
  void learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts);

 private:
  struct CameraError {
    double wrong = 0;  ///< sums over past corrections, older ones counting less
    double expected = 0;
  };

  std::vector<CameraError> cameras_;
};

}  // namespace framemill
