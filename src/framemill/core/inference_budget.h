#pragma once

#include <span>

#include "framemill/core/policy.h"

namespace framemill {

/// The share of all sampled frames that `budget` allows when the cameras are sampled at
/// `sampled_per_second` in total; 1 without a budget or without a known rate. In 0..1.
[[nodiscard]] double budget_share(const InferenceBudget& budget, double sampled_per_second);

/// What a camera adds to the load.
struct BudgetedCamera {
  double rate_hz = 0;  ///< sampled frames a second, >= 0
  bool is_critical = false;
};

/// The least share of all sampled frames with which every frame of the critical cameras can be
/// inferred, rounded up to a thousandth; 0 without critical cameras. Pure, O(n).
[[nodiscard]] double least_budget_share(std::span<const BudgetedCamera> cameras);
/// The same as inferences a second, rounded up to a tenth.
[[nodiscard]] double least_budget_per_second(std::span<const BudgetedCamera> cameras);
/// Whether `share` is enough for the critical cameras alone.
[[nodiscard]] bool is_budget_enough(double share, std::span<const BudgetedCamera> cameras);

}  // namespace framemill
