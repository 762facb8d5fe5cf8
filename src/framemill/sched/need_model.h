#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"
#include "framemill/core/object_doubt.h"

namespace framemill {

/// Wrong detections to be expected in boxes carried so far, before any camera's own history: the
/// sum of what each cause is expected to bring, see NeedModel.
[[nodiscard]] double expected_wrong(const ObjectDoubt& doubt);

/// Says how much a camera's answers would gain from an inference now (ADR 6). Carried boxes are
/// wrong for three causes, of which the doubt tells:
///   time          .005 x (1 + objects) x age
///   drift         drift
///   unexplained   .03 x unexplained
///   need = age x sum over causes of (found wrong for it / expected of it) x expected of it now
/// The ratios are the camera's own over its last inferences, older ones counting less; as far as
/// those say little, what all cameras' inferences found. An inference tells how many detections
/// were wrong but not for which cause: it counts for each by its share in what was expected by the
/// ratios so far (the step of expectation maximisation for a sum of Poisson variables). So a camera
/// whose boxes drift without harm has time, and one with leaves in the wind is not looked at for
/// them, while its drift counts. The expected number is multiplied by the age because an inference
/// now spares the errors of all frames until the next one: with errors that grow evenly, cameras
/// are served best when error x age is alike for all.
/// Deterministic in the order of calls; not thread-safe; O(1) a call.
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
  static constexpr std::size_t kCauses = 3;
  using ByCause = std::array<double, kCauses>;
  /// Sums over past corrections, older ones counting less.
  struct Evidence {
    ByCause wrong{};
    ByCause expected{};
  };

  static void add(Evidence& evidence, double memory, const ByCause& wrong, const ByCause& expected);
  /// Of what is expected of a cause, what comes true.
  [[nodiscard]] double ratio(const Evidence& camera, std::size_t cause) const;

  std::vector<Evidence> cameras_;
  Evidence all_;
};

}  // namespace framemill
