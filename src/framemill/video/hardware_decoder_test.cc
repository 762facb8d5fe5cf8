#include "framemill/video/hardware_decoder.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

// Promise: where NVIDIA's decoder is missing, that is an error that names the remedy, and no crash.
TEST(HardwareDecoder, IsRefusedWithTheReasonWhereThereIsNone) {
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "there is one";
  for (int i = 0; i < 2; ++i) {
    const auto opened = HardwareDecoder::open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(ErrorCode::kUnsupported, opened.error().code());
    EXPECT_THAT(opened.error().message(), testing::HasSubstr("nvidia-smi"));
  }
}

}  // namespace
}  // namespace framemill
