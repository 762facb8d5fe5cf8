#pragma once

#include <cstdint>
#include <vector>

#include <opencv2/core.hpp>

#include "framemill/base/result.h"

namespace framemill {

/// OpenCV's codecs, which are loaded with the first picture (50 ms or more; see
/// FramemillLazyLibrary). Any thread. Both throw cv::Exception. Errors: kFailedPrecondition where
/// they do not load.

/// As JPEG; `quality` 1..100. Requires CV_8UC3, blue first, not empty.
[[nodiscard]] Result<std::vector<std::uint8_t>> encode_jpeg(const cv::Mat& image, int quality);

/// CV_8UC3, blue first, turned as EXIF says; empty where `bytes` are no picture that OpenCV knows.
[[nodiscard]] Result<cv::Mat> decode_picture(const std::vector<std::uint8_t>& bytes);

}  // namespace framemill
