#pragma once

#include <cstdint>
#include <memory>

#include "framemill/core/picture.h"

namespace framemill {

/// A picture without colour whose every sample is `value`: to warm models up, to probe devices, and
/// for tests. `size` is not empty.
[[nodiscard]] std::shared_ptr<const Picture> make_grey_picture(Size size, std::uint8_t value);

}  // namespace framemill
