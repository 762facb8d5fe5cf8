#include "framemill/sched/budget_pace.h"

#include <algorithm>

#include "framemill/base/check.h"
#include "framemill/core/inference_budget.h"

namespace framemill {
namespace {

constexpr std::int64_t kIntervals = 16;  // that the mean is about
constexpr double kGapFactor = 3;         // times the mean: no interval of the camera
/// So many gaps in a row are its new rate.
constexpr int kGapsBelieved = 4;
constexpr double kDeadBand = .01;

}  // namespace

BudgetPace::BudgetPace(double per_second) : per_second_(per_second) { CHECK(per_second > 0); }

void BudgetPace::add_camera(double rate_hz, bool is_measured) {
  CHECK(rate_hz > 0);
  cameras_.push_back({.rate_hz = rate_hz, .is_measured = is_measured});
  total_hz_ += rate_hz;
  share_told_ = share();
}

void BudgetPace::remove_camera(CameraIndex camera) {
  total_hz_ -= cameras_[camera].rate_hz;
  cameras_[camera] = {};
  share_told_ = share();
}

std::optional<double> BudgetPace::count_frame(CameraIndex index, TimePoint at) {
  Camera& camera = cameras_[index];
  if (!camera.is_measured) return std::nullopt;
  const double before = camera.rate_hz;
  if (camera.last_at) learn(camera, to_seconds(at - *camera.last_at));
  camera.last_at = at;
  total_hz_ += camera.rate_hz - before;
  const double now = share();
  if (now >= share_told_ && now <= share_told_ * (1 + kDeadBand)) return std::nullopt;
  share_told_ = now;
  return now;
}

void BudgetPace::learn(Camera& camera, double interval_s) {
  if (interval_s <= 0) return;  // timestamps that went back say nothing
  if (camera.intervals > 0 && interval_s > kGapFactor * camera.mean_s) {
    if (++camera.gaps < kGapsBelieved) return;
    camera.intervals = 0;
  }
  camera.gaps = 0;
  camera.intervals = std::min(camera.intervals + 1, kIntervals);
  camera.mean_s += (interval_s - camera.mean_s) / static_cast<double>(camera.intervals);
  camera.rate_hz = 1 / camera.mean_s;
}

double BudgetPace::share() const {
  return budget_share({.per_second = per_second_}, std::max(total_hz_, 0.0));
}

}  // namespace framemill
