#include "framemill/core/inference_budget.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace framemill {
namespace {

double critical_hz(std::span<const BudgetedCamera> cameras) {
  return std::accumulate(cameras.begin(), cameras.end(), 0.0,
                         [](double sum, const BudgetedCamera& camera) {
                           return sum + (camera.is_critical ? camera.rate_hz : 0);
                         });
}

double total_hz(std::span<const BudgetedCamera> cameras) {
  return std::accumulate(
      cameras.begin(), cameras.end(), 0.0,
      [](double sum, const BudgetedCamera& camera) { return sum + camera.rate_hz; });
}

/// Rounding errors do not count as a step.
double rounded_up(double value, double steps_per_unit) {
  return std::ceil(value * steps_per_unit - 1e-6) / steps_per_unit;
}

}  // namespace

double budget_share(const InferenceBudget& budget, double sampled_per_second) {
  double share = 1;
  if (budget.share) share = *budget.share;
  if (budget.per_second && sampled_per_second > 0) share = *budget.per_second / sampled_per_second;
  return std::clamp(share, 0.0, 1.0);
}

double least_budget_share(std::span<const BudgetedCamera> cameras) {
  const double critical = critical_hz(cameras);
  return critical > 0 ? std::min(1.0, rounded_up(critical / total_hz(cameras), 1000)) : 0;
}

double least_budget_per_second(std::span<const BudgetedCamera> cameras) {
  return rounded_up(critical_hz(cameras), 10);
}

bool is_budget_enough(double share, std::span<const BudgetedCamera> cameras) {
  return critical_hz(cameras) <= share * total_hz(cameras) * (1 + 1e-9);
}

}  // namespace framemill
