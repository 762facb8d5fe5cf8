#include "framemill/core/grey_picture.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "framemill/base/check.h"

namespace framemill {

std::shared_ptr<const Picture> make_grey_picture(Size size, std::uint8_t value) {
  CHECK(size.width > 0 && size.height > 0);
  auto samples = std::make_shared<std::vector<std::uint8_t>>(
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height), value);
  Picture picture;
  picture.format = PixelFormat::kGray;
  picture.size = size;
  picture.planes[0] = {samples->data(), size.width};
  picture.owner = std::move(samples);
  return std::make_shared<const Picture>(std::move(picture));
}

}  // namespace framemill
