#include "framemill/base/text_case.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(TextCase, OnlyTheLettersAToZHaveOne) {
  EXPECT_EQ(to_lower("NVIDIA Tesla T4 [Z@`{]"), "nvidia tesla t4 [z@`{]");
  EXPECT_EQ(to_lower("\xC3\x84"), "\xC3\x84");  // a letter of two bytes stays whole
  EXPECT_EQ(to_lower(""), "");
  EXPECT_EQ(to_upper("hetero:Gpu.0,cpu [z@`{]\xC3\xA4"), "HETERO:GPU.0,CPU [Z@`{]\xC3\xA4");
  EXPECT_TRUE(is_same_text("YOLO11n.onnx", "yolo11N.ONNX"));
  EXPECT_FALSE(is_same_text("yolo11n", "yolo11n.onnx"));
  EXPECT_FALSE(is_same_text("[", "{"));
  EXPECT_TRUE(is_same_text("", ""));
}

}  // namespace
}  // namespace framemill
