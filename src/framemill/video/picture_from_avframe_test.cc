#include "framemill/video/picture_from_avframe.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace framemill {
namespace {

/// An NV12 frame whose sample at x, y is 16 y + x, in both planes.
AvFramePtr nv12(int width, int height) {
  AvFramePtr frame(av_frame_alloc());
  frame->format = AV_PIX_FMT_NV12;
  frame->width = width;
  frame->height = height;
  EXPECT_EQ(0, av_frame_get_buffer(frame.get(), 0));
  for (int plane = 0; plane < 2; ++plane)
    for (int y = 0; y < height / (plane + 1); ++y)
      for (int x = 0; x < width; ++x)
        frame->data[plane][y * frame->linesize[plane] + x] = static_cast<std::uint8_t>(16 * y + x);
  return frame;
}

// Promise: a surface of a device, of which FFmpeg has cut the right and the bottom alone, shows
// what the processor's decoder would.
TEST(PictureFromAvFrame, WhatTheDecoderLeftToCropIsCutOff) {
  AvFramePtr frame = nv12(16, 12);
  frame->crop_left = 4;
  frame->crop_top = 2;
  frame->crop_right = 2;
  const auto picture = PictureMaker().make(std::move(frame));
  ASSERT_NE(picture, nullptr);
  EXPECT_EQ(picture->size, (Size{10, 10}));
  EXPECT_EQ(*picture->planes[0].data, 16 * 2 + 4);
  EXPECT_EQ(*picture->planes[1].data, 16 * 1 + 4);
  AvFramePtr broken = nv12(16, 12);
  broken->crop_left = 16;
  EXPECT_EQ(PictureMaker().make(std::move(broken)), nullptr);
}

}  // namespace
}  // namespace framemill
