#include "framemill/engine/model_ladder.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace framemill {

Result<void> check_same_classes(const Detector& top, const Detector& cheaper) {
  const std::vector<std::string>& wanted = top.labels();
  const std::vector<std::string>& found = cheaper.labels();
  if (wanted == found) return {};
  std::string difference = fmt::format("{} instead of {}", found.size(), wanted.size());
  if (wanted.size() == found.size()) {
    const auto [mine, theirs] = std::ranges::mismatch(wanted, found);
    difference =
        fmt::format("class {} is \"{}\" instead of \"{}\"", mine - wanted.begin(), *theirs, *mine);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{} has other classes than {} ({}); the rungs of a ladder have to name "
                          "the same things",
                          cheaper.facts().path, top.facts().path, difference));
}

std::vector<std::size_t> find_cheaper_rungs(std::span<const Duration> costs) {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const bool is_known = costs[i] > Duration::zero();
    if (kept.empty() || (is_known && costs[i] < costs[kept.back()])) kept.push_back(i);
  }
  return kept;
}

}  // namespace framemill
