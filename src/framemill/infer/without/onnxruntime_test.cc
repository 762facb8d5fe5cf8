// The layer as it is built with -DFRAMEMILL_ONNXRUNTIME=OFF: its two files that ask which runtimes
// there are, compiled so, with this test.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/backend.h"
#include "framemill/infer/runtime_facts.h"

namespace framemill {
namespace {

using testing::Contains;
using testing::HasSubstr;

TEST(WithoutOnnxRuntime, ModelsThatNeedItAreRefusedWithWhatToDo) {
  const std::string path =
      std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/plain.onnx";
  const struct {
    RuntimeKind runtime;
    const char* device;
  } cases[] = {{RuntimeKind::kOnnxRuntime, "auto"}, {RuntimeKind::kAuto, "cuda:0"}};
  for (const auto& [runtime, device] : cases) {
    const auto backend = load_backend({.path = path, .runtime = runtime, .device = device});
    ASSERT_FALSE(backend) << device;
    EXPECT_EQ(backend.error().code(), ErrorCode::kUnsupported);
    EXPECT_THAT(backend.error().message(), HasSubstr("this build has no ONNX Runtime"));
    EXPECT_THAT(backend.error().message(), HasSubstr("-DFRAMEMILL_ONNXRUNTIME=ON"));
  }
}

TEST(WithoutOnnxRuntime, ItIsListedAsAbsent) {
  EXPECT_THAT(list_absent_runtimes(),
              Contains(AbsentRuntime{"ONNX Runtime", "-DFRAMEMILL_ONNXRUNTIME=ON"}));
  for (const RuntimeFacts& runtime : list_runtimes())
    EXPECT_THAT(runtime.name, testing::StartsWith("OpenVINO"));
}

}  // namespace
}  // namespace framemill
