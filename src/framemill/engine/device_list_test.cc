#include "framemill/engine/device_list.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

fs::path model_file(const char* name) {
  return fs::path(FRAMEMILL_SOURCE_DIR) / "src/framemill/infer/testdata" / name;
}

// Promise: a model that is replaced while framemill runs is not mixed with the old one, also where
// its device comes back and is loaded anew.
TEST(DeviceList, AFileThatHoldsAnotherModelIsNotLoadedAnew) {
  const TempFolder folder;
  const fs::path file = folder / "model.onnx";
  fs::copy_file(model_file("plain.onnx"), file);
  DeviceList devices;
  DetectorOptions options;
  options.backend = {.path = file.string(), .device = "CPU", .cache_dir = ""};
  ModelSettings model;
  model.name = "objects";
  model.device = "CPU";
  const Result<void> loaded = devices.load_model(model, {}, options);
  ASSERT_TRUE(loaded) << loaded.error().message();
  const DevicePool::Load load = devices.loader();
  EXPECT_TRUE(load(0, 0));
  fs::copy_file(model_file("half.onnx"), file, fs::copy_options::overwrite_existing);
  const auto other = load(0, 0);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(other.error().message(), HasSubstr(file.string()));
  EXPECT_THAT(other.error().message(), HasSubstr("start again"));
  fs::copy_file(model_file("plain.onnx"), file, fs::copy_options::overwrite_existing);
  EXPECT_TRUE(load(0, 0)) << "put back as it was";
}

}  // namespace
}  // namespace framemill
