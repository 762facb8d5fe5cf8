#include "framemill/sched/need_model.h"

#include <algorithm>

#include "framemill/base/check.h"

namespace framemill {
namespace {
/// Wrong detections per object and frame that neither drift nor unexplained motion tells of.
constexpr double kBaseError = .005;
constexpr double kUnexplainedWeight = .3;
/// So many wrong detections, expected and found, are believed of a camera from the start.
constexpr double kPrior = .3;
/// What a correction's weight is multiplied with at each later one.
constexpr double kMemory = .9;

}  // namespace

double expected_wrong(const ObjectDoubt& doubt) {
  const auto age = static_cast<double>(std::max<std::int64_t>(doubt.age, 0));
  return kBaseError * (1 + doubt.objects) * age + doubt.drift +
         kUnexplainedWeight * doubt.unexplained;
}

NeedModel::NeedModel(std::size_t cameras) : cameras_(cameras) {}

double NeedModel::need(CameraIndex camera, const ObjectDoubt& doubt) const {
  CHECK(camera < cameras_.size());
  const CameraError& error = cameras_[camera];
  const double ratio = (error.wrong + kPrior) / (error.expected + kPrior);
  return ratio * expected_wrong(doubt) * static_cast<double>(std::max<std::int64_t>(doubt.age, 1));
}

void NeedModel::learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts) {
  CHECK(camera < cameras_.size());
  if (doubt.age <= 0) return;
  const auto wrong =
      static_cast<double>((counts.wanted - counts.found) + (counts.sure_given - counts.sure_right));
  CameraError& error = cameras_[camera];
  error.wrong = kMemory * error.wrong + wrong;
  error.expected = kMemory * error.expected + expected_wrong(doubt);
}

}  // namespace framemill
