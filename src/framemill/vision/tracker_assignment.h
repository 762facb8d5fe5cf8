#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace framemill {

/// A row and a column that may be matched, and what that is worth.
struct PossibleMatch {
  std::uint32_t row = 0;
  std::uint32_t column = 0;
  double gain = 0;  ///< finite; <= 0 is never matched
  friend bool operator==(const PossibleMatch&, const PossibleMatch&) = default;
};

/// Of `possible` those with the greatest total gain in which each row and each column appears once
/// at most, by row. Each pair appears once in `possible`; rows and columns count from 0.
/// Deterministic. Pure, any thread; O(n^3) in the largest group that pairs tie together (a few), 50
/// ms for 300 which all overlap.
[[nodiscard]] std::vector<PossibleMatch> assign_best(std::span<const PossibleMatch> possible);

}  // namespace framemill
