// A profile of another machine is not played here in silence, and a model is played as it was
// profiled.

#include "framemill/cli/verify_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/infer/model_files.h"

namespace framemill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DeviceProfile make_profile() {
  DeviceProfile profile{.device = "CPU", .device_name = "a CPU", .model = "m.onnx"};
  profile.environment = {{"cpu", "a CPU"},
                         {"cores", "2"},
                         {"kernel", "Linux 6.1"},
                         {"runtime", "OpenVINO 2026.4.1"},
                         {"bench", "quick"}};
  return profile;
}

DeviceHere make_here() {
  return {.device_name = "a CPU",
          .environment = {{"cpu", "a CPU"},
                          {"cores", "2"},
                          {"kernel", "Linux 6.1"},
                          {"runtime", "OpenVINO 2026.4.1"}}};
}

TEST(SetAsProfiled, RuntimeDeviceAndArithmeticAreThoseOfTheProfile) {
  DeviceProfile profile = make_profile();
  ModelSettings model;
  set_as_profiled(profile, model);
  EXPECT_EQ(model.runtime, "openvino");
  EXPECT_EQ(model.device, "CPU");
  EXPECT_EQ(model.precision, "auto");
  profile.device = "cuda:0";
  profile.environment["runtime"] = "ONNX Runtime 1.31.1";
  profile.environment["arithmetic"] = "fp16";
  set_as_profiled(profile, model);
  EXPECT_EQ(model.runtime, "onnxruntime");
  EXPECT_EQ(model.device, "cuda:0");
  EXPECT_EQ(model.precision, "fp16");
  profile.environment["backend"] = "openvino";  // as the settings call it, where a profile has it
  set_as_profiled(profile, model);
  EXPECT_EQ(model.runtime, "openvino");
}

TEST(SetAsProfiled, WhatIsNotKnownStaysAuto) {
  DeviceProfile profile = make_profile();
  profile.environment.clear();
  ModelSettings model;
  set_as_profiled(profile, model);
  EXPECT_EQ(model, ModelSettings{});
}

/// A protobuf field of bytes, fewer than 128.
std::string field(int number, const std::string& content) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(content.size())} +
         content;
}

// Promise: what was profiled is a model in all its files, as `bench` and the caches know it.
TEST(CheckModel, OtherWeightsBesideTheFileAreAnotherModel) {
  const TempFolder folder;
  const std::string tensor = field(13, field(1, "location") + field(2, "m.data"));
  folder.write("m.onnx", field(7, field(5, tensor)));
  folder.write("x.xml", "graph");
  for (const auto& [file, weights] : {std::pair("m.onnx", "m.data"), std::pair("x.xml", "x.bin")}) {
    folder.write(weights, "weights");
    const ModelSettings model{.path = (folder / file).string()};
    DeviceProfile profile = make_profile();
    profile.model_sha256 = *hash_model(model.path);
    EXPECT_TRUE(check_model(model, profile)) << file;
    folder.write(weights, "Weights");
    const Result<void> changed = check_model(model, profile);
    ASSERT_FALSE(changed) << file;
    EXPECT_THAT(changed.error().message(), HasSubstr("is not the file that the profile of"));
    EXPECT_THAT(changed.error().message(), HasSubstr((folder / weights).string()));
    EXPECT_THAT(changed.error().message(), HasSubstr("framemill bench " + model.path));
  }
}

TEST(CompareMachine, TheSameIsTheSame) {
  const auto differences = compare_machine(make_profile(), make_here());
  ASSERT_TRUE(differences);
  EXPECT_THAT(*differences, IsEmpty());
}

TEST(CompareMachine, AnotherDeviceIsRefused) {
  DeviceHere here = make_here();
  here.device_name = "another CPU";
  const auto differences = compare_machine(make_profile(), here);
  ASSERT_FALSE(differences);
  EXPECT_THAT(differences.error().message(), HasSubstr("on a CPU, and this is another CPU"));
  EXPECT_THAT(differences.error().message(), HasSubstr("framemill bench"));
}

TEST(CompareMachine, OfAProcessorTheCoresCount) {
  DeviceHere here = make_here();
  here.environment["cores"] = "16";
  const auto of_cpu = compare_machine(make_profile(), here);
  ASSERT_FALSE(of_cpu);
  EXPECT_THAT(of_cpu.error().message(), HasSubstr("2 cores"));
  DeviceProfile gpu = make_profile();
  gpu.device = "cuda:0";
  const auto of_gpu = compare_machine(gpu, here);
  ASSERT_TRUE(of_gpu);
  EXPECT_THAT(*of_gpu, ElementsAre("cores 2 (here: 16)"));
}

TEST(CompareMachine, WhatMayMatterIsNamed) {
  DeviceHere here = make_here();
  here.environment["kernel"] = "Linux 6.2";
  here.environment["runtime"] = "OpenVINO 2026.5";
  here.environment["driver"] = "580";  // the profile does not say
  const auto differences = compare_machine(make_profile(), here);
  ASSERT_TRUE(differences);
  EXPECT_THAT(*differences, ElementsAre("kernel Linux 6.1 (here: Linux 6.2)",
                                        "runtime OpenVINO 2026.4.1 (here: OpenVINO 2026.5)"));
}

}  // namespace
}  // namespace framemill
