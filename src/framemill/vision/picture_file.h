#pragma once

#include <memory>
#include <string>

#include "framemill/base/result.h"
#include "framemill/core/picture.h"

namespace framemill {

/// Longest side of a picture that is read.
inline constexpr int kPictureSideMax = 16'384;

/// Reads a JPEG, PNG, BMP, WebP or TIFF, turned as its EXIF data says, 8 bits, transparency left
/// away. Any thread; about 3 ms for 640x480. Errors: kNotFound where the file cannot be read,
/// kInvalidArgument where it is no such picture or is cut off, each with path and reason;
/// kFailedPrecondition where OpenCV's codecs do not load.
[[nodiscard]] Result<std::shared_ptr<const Picture>> read_picture_file(const std::string& path);

}  // namespace framemill
