#pragma once

#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/answer.h"

namespace framemill {

/// A JPEG of `picture`, made smaller to at most `width_max` pixels' width (0: as it is), with
/// boxes, labels, scores and track ids drawn, and `caption` in a bar at the top. `labels`: by class
/// id; a missing one is shown as its number. Any thread; starts none; about 3 ms for 640x360.
/// Errors: kInternal where encoding fails.
[[nodiscard]] Result<std::vector<std::uint8_t>> draw_jpeg(const Picture& picture,
                                                          std::span<const Detection> detections,
                                                          std::span<const std::string> labels,
                                                          const std::string& caption,
                                                          int width_max = 0);

}  // namespace framemill
