#include "framemill/sched/need_model.h"

#include <algorithm>
#include <numeric>

#include "framemill/base/check.h"

namespace framemill {
namespace {
/// Wrong detections per object and frame that neither drift nor unexplained motion tells of.
constexpr double kBaseError = .005;
/// Wrong detections per object's worth of motion outside all boxes. Where nothing else is known of
/// a camera it makes what enters an empty scene count; what moves there without harm is soon
/// learned.
constexpr double kUnexplainedError = .03;
/// So many wrong detections, expected and found, of all cameras are believed of a camera, and so
/// many that come as expected of all of them from the start.
constexpr double kPrior = 1;
/// Of a wrong detection is what the model does not confirm of all that was given, be it sure or
/// not.
constexpr double kUnconfirmed = .2;
/// What a correction's weight is multiplied with at each later one of its camera.
constexpr double kMemory = .9;

/// By cause, before any history.
std::array<double, 3> expect(const ObjectDoubt& doubt) {
  const auto age = static_cast<double>(std::max<std::int64_t>(doubt.age, 0));
  return {kBaseError * (1 + doubt.objects) * age, doubt.drift,
          kUnexplainedError * doubt.unexplained};
}

}  // namespace

double expected_wrong(const ObjectDoubt& doubt) {
  const auto expected = expect(doubt);
  return std::accumulate(expected.begin(), expected.end(), 0.0);
}

NeedModel::NeedModel(std::size_t cameras) : cameras_(cameras) {}

double NeedModel::ratio(const Evidence& camera, std::size_t cause) const {
  const double of_all = (all_.wrong[cause] + kPrior) / (all_.expected[cause] + kPrior);
  return (camera.wrong[cause] + kPrior * of_all) / (camera.expected[cause] + kPrior);
}

double NeedModel::need(CameraIndex camera, const ObjectDoubt& doubt) const {
  CHECK(camera < cameras_.size());
  const ByCause expected = expect(doubt);
  double wrong = 0;
  for (std::size_t i = 0; i < kCauses; ++i) wrong += ratio(cameras_[camera], i) * expected[i];
  return wrong * static_cast<double>(std::max<std::int64_t>(doubt.age, 1));
}

void NeedModel::add(Evidence& evidence, double memory, const ByCause& wrong,
                    const ByCause& expected) {
  for (std::size_t i = 0; i < kCauses; ++i) {
    evidence.wrong[i] = memory * evidence.wrong[i] + wrong[i];
    evidence.expected[i] = memory * evidence.expected[i] + expected[i];
  }
}

void NeedModel::learn(CameraIndex camera, const ObjectDoubt& doubt, const AgreementCounts& counts) {
  CHECK(camera < cameras_.size());
  if (doubt.age <= 0) return;
  const auto grave =
      static_cast<double>((counts.wanted - counts.found) + (counts.sure_given - counts.sure_right));
  const double found = grave + kUnconfirmed * static_cast<double>(counts.given - counts.right);
  const ByCause expected = expect(doubt);
  ByCause wrong;
  for (std::size_t i = 0; i < kCauses; ++i) wrong[i] = ratio(cameras_[camera], i) * expected[i];
  // Not 0: time has passed, and a ratio never comes to 0.
  const double sum = std::accumulate(wrong.begin(), wrong.end(), 0.0);
  for (double& part : wrong) part *= found / sum;
  add(cameras_[camera], kMemory, wrong, expected);
  // All cameras together are remembered for as many corrections of each.
  add(all_, 1 - (1 - kMemory) / static_cast<double>(cameras_.size()), wrong, expected);
}

}  // namespace framemill
