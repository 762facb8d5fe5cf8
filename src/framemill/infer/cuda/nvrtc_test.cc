// Promise: the kernel compiles for every device that it may meet, by NVIDIA's own compiler, which
// needs no GPU. Skipped where scripts/setup.sh has not brought the compiler.

#include "framemill/infer/cuda/nvrtc.h"

#include <cstring>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/cuda/letterbox_kernel_text.h"

namespace framemill {
namespace {

using testing::HasSubstr;

std::vector<std::string> libraries() {
  return nvrtc_libraries({std::string(FRAMEMILL_DEPS_DIR) + "/onnxruntime-gpu",
                          std::string(FRAMEMILL_DEPS_DIR) + "/nvrtc"});
}

bool is_compiler_there() {
  for (const std::string& library : libraries())
    if (dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) return true;
  return false;
}

CudaSource kernel() {
  return {.name = "letterbox_kernel.cu",
          .text = kLetterboxKernelText,
          .headers = {{.name = "framemill/vision/letterbox_pixel.h", .text = kLetterboxPixelText}}};
}

TEST(CompileCudaTest, TheKernelCompilesForEveryDevice) {
  if (!is_compiler_there()) GTEST_SKIP() << "no libnvrtc: scripts/setup.sh brings it";
  // Turing (T4), Ampere (A100, A10), Ada (L4, L40S), Hopper (H100, H200), Blackwell.
  for (const int capability : {75, 80, 86, 89, 90, 100, 120}) {
    const Result<std::vector<char>> code = compile_cuda(kernel(), capability, libraries());
    ASSERT_TRUE(code) << code.error().message();
    ASSERT_GT(code->size(), 1000U) << capability;
    EXPECT_EQ(0, std::memcmp(code->data(), "\177ELF", 4)) << capability;
    const std::string_view text(code->data(), code->size());
    EXPECT_NE(std::string_view::npos, text.find("framemill_letterbox")) << capability;
  }
}

TEST(CompileCudaTest, MistakesComeWithTheCompilersLog) {
  if (!is_compiler_there()) GTEST_SKIP() << "no libnvrtc: scripts/setup.sh brings it";
  CudaSource broken = kernel();
  broken.headers.clear();
  const auto without_header = compile_cuda(broken, 90, libraries());
  ASSERT_FALSE(without_header);
  EXPECT_EQ(ErrorCode::kInternal, without_header.error().code());
  EXPECT_THAT(without_header.error().message(), HasSubstr("letterbox_pixel.h"));
  const auto unknown = compile_cuda(kernel(), 999, libraries());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(ErrorCode::kUnsupported, unknown.error().code());
  EXPECT_THAT(unknown.error().message(), HasSubstr("does not know devices of sm_999"));
}

TEST(CompileCudaTest, ALibraryThatIsMissingIsNamed) {
  const auto none = compile_cuda(kernel(), 90, {"/nowhere/libnvrtc.so.13"});
  ASSERT_FALSE(none);
  EXPECT_EQ(ErrorCode::kUnsupported, none.error().code());
  EXPECT_THAT(none.error().message(), HasSubstr("scripts/setup.sh gpu"));
}

}  // namespace
}  // namespace framemill
