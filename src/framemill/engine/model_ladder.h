#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/infer/detector.h"

namespace framemill {

/// Whether answers of `cheaper` mean the same as those of `top`: the same labels in the same order.
/// Errors: kInvalidArgument, naming both models.
[[nodiscard]] Result<void> check_same_classes(const Detector& top, const Detector& cheaper);

/// The rungs that are worth having: places in `costs` (time of an inference by rung, best first; 0:
/// unknown), ascending. The first always, another only where it is cheaper than the last one kept.
/// Pure.
[[nodiscard]] std::vector<std::size_t> find_cheaper_rungs(std::span<const Duration> costs);

}  // namespace framemill
