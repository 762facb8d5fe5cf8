#pragma once

#include <memory>

#include <opencv2/core.hpp>

#include "framemill/core/picture.h"

namespace framemill {

/// The picture as OpenCV wants it (CV_8UC3, blue first), scaled to `size`: the colours that a model
/// sees, so range and matrix are respected. Any thread; starts none. Throws cv::Exception.
[[nodiscard]] cv::Mat to_bgr(const Picture& picture, Size size);

/// The other way: full range, chroma of every pixel (kI444, BT.601). Requires CV_8UC3, not empty.
[[nodiscard]] std::shared_ptr<const Picture> from_bgr(const cv::Mat& image);

}  // namespace framemill
