#include "framemill/infer/onnxruntime/ort_library.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/infer/onnxruntime/cuda_facts.h"
#include "framemill/infer/onnxruntime/ort_error.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(OnnxRuntimeFolders, TheUsersIsTheOnlyOneElseTheGpusComesFirst) {
  for (const std::string& folder : onnxruntime_folders("/own", "/bin", "/deps"))
    EXPECT_THAT(folder, testing::StartsWith("/own"));
  const auto folders = onnxruntime_folders("", "/opt/bin", "/deps");
  EXPECT_THAT(folders, testing::ElementsAre("/opt/bin/../lib/framemill/onnxruntime-gpu",
                                            "/opt/bin/../lib/framemill", "/deps/onnxruntime-gpu",
                                            "/deps/onnxruntime/lib"));
}

TEST(FindOnnxRuntime, TakesTheFirstFolderThatHasItAndItsNewestFile) {
  const TempFolder root;
  fs::create_directories(root / "empty");
  for (const char* const name : {"libonnxruntime.so.1", "libonnxruntime.so.1.31.1",
                                 "libonnxruntime_providers_cuda.so", "other.so"})
    root.write(fs::path("full") / name, "x");
  const std::vector<std::string> folders{(root / "gone").string(), (root / "empty").string(),
                                         (root / "full").string()};
  const auto found = find_onnxruntime(folders);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, (root / "full" / "libonnxruntime.so.1.31.1").string());
  const auto none = find_onnxruntime(std::span(folders).first(2));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message(), HasSubstr("scripts/setup.sh"));
  EXPECT_THAT(none.error().message(), HasSubstr((root / "gone").string()));
}

TEST(CudaFacts, SayWhyThereIsNoDevice) {
  const auto missing = read_cuda_facts("libno_such_driver.so.1");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(missing.error().message(), HasSubstr("no CUDA device"));
  EXPECT_THAT(missing.error().message(), HasSubstr("libno_such_driver"));
  const auto other = read_cuda_facts("libm.so.6");  // a library, but not this one
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message(), HasSubstr("is not NVIDIA's driver"));
}

TEST(OrtError, IsCodedByWhatACallerCanDo) {
  const struct {
    OrtErrorCode code;
    const char* message;
    ErrorCode want;
  } cases[] = {
      {ORT_NO_SUCHFILE, "x", ErrorCode::kNotFound},
      {ORT_INVALID_PROTOBUF, "x", ErrorCode::kInvalidArgument},
      {ORT_INVALID_GRAPH, "x", ErrorCode::kInvalidArgument},
      {ORT_NOT_IMPLEMENTED, "x", ErrorCode::kUnsupported},
      {ORT_FAIL, "CUDA failure 2: out of memory ; GPU=0", ErrorCode::kResourceExhausted},
      {ORT_RUNTIME_EXCEPTION, "Failed to allocate memory for requested buffer",
       ErrorCode::kResourceExhausted},
      {ORT_FAIL, "std::bad_alloc", ErrorCode::kResourceExhausted},
      {ORT_FAIL, "Exiting due to terminate flag being set to true.", ErrorCode::kCancelled},
      {ORT_FAIL, "CUDA failure 700: an illegal memory access", ErrorCode::kUnavailable},
      {ORT_FAIL, "CUDA failure 214: uncorrectable ECC error", ErrorCode::kUnavailable},
      {ORT_FAIL, "CUDA failure 716: misaligned address", ErrorCode::kUnavailable},
      {ORT_FAIL, "CUDA failure 100: no CUDA-capable device", ErrorCode::kUnavailable},
      {ORT_FAIL, "CUDA failure 1: invalid argument", ErrorCode::kInternal},
      {ORT_EP_FAIL, "x", ErrorCode::kUnavailable},
      {ORT_FAIL, "x", ErrorCode::kInternal},
  };
  for (const auto& [code, message, want] : cases)
    EXPECT_EQ(code_of_ort_error(code, message, ErrorCode::kInternal), want) << message;
}

}  // namespace
}  // namespace framemill
