#include "framemill/infer/runtime_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/device_name.h"

namespace framemill {
namespace {

using testing::HasSubstr;

TEST(ChooseRuntime, FollowsTheTable) {
  constexpr auto kAuto = RuntimeKind::kAuto;
  constexpr auto kOpenVino = RuntimeKind::kOpenVino;
  constexpr auto kOnnx = RuntimeKind::kOnnxRuntime;
  const struct {
    RuntimeKind wanted;
    const char *path, *device;
    bool has_openvino, has_onnx;
    RuntimeKind want;
  } cases[] = {
      {kAuto, "m.onnx", "auto", true, true, kOpenVino},
      {kAuto, "m.onnx", "CPU", true, true, kOpenVino},
      {kAuto, "m.onnx", "GPU", true, true, kOpenVino},
      {kAuto, "m.onnx", "cuda:0", true, true, kOnnx},
      {kAuto, "m.onnx", "TensorRT", true, true, kOnnx},
      {kAuto, "m.onnx", "rtx:1", true, true, kOnnx},
      {kAuto, "m.onnx", "auto", false, true, kOnnx},
      {kAuto, "m.xml", "auto", true, true, kOpenVino},
      {kOnnx, "m.onnx", "CPU", true, true, kOnnx},
      {kOpenVino, "m.onnx", "CPU", true, false, kOpenVino},
      {kAuto, "m.onnx", "HETERO:GPU,CPU", true, true, kOpenVino},
  };
  for (const auto& c : cases) {
    const auto chosen = choose_runtime(c.wanted, c.path, c.device, c.has_openvino, c.has_onnx);
    ASSERT_TRUE(chosen) << c.device << ": " << chosen.error().message();
    EXPECT_EQ(*chosen, c.want) << c.path << " " << c.device;
  }
}

TEST(ChooseRuntime, SaysWhatIsMissingAndWhatToDo) {
  const struct {
    RuntimeKind wanted;
    const char *path, *device;
    bool has_openvino, has_onnx;
    const char* says;
  } cases[] = {
      {RuntimeKind::kAuto, "m.onnx", "auto", false, false, "no inference runtime"},
      {RuntimeKind::kAuto, "m.xml", "auto", false, true, "-DFRAMEMILL_OPENVINO=ON"},
      {RuntimeKind::kOpenVino, "m.onnx", "auto", false, true, "no OpenVINO"},
      {RuntimeKind::kOnnxRuntime, "m.onnx", "auto", true, false, "-DFRAMEMILL_ONNXRUNTIME=ON"},
      {RuntimeKind::kAuto, "m.onnx", "cuda:0", true, false, "which the device \"cuda:0\" needs"},
      {RuntimeKind::kOnnxRuntime, "m.xml", "auto", true, true, "runtime: openvino"},
      {RuntimeKind::kOpenVino, "m.onnx", "tensorrt:0", true, true, "runtime: auto"},
  };
  for (const auto& c : cases) {
    const auto chosen = choose_runtime(c.wanted, c.path, c.device, c.has_openvino, c.has_onnx);
    ASSERT_FALSE(chosen) << c.says;
    EXPECT_EQ(chosen.error().code(), ErrorCode::kUnsupported);
    EXPECT_THAT(chosen.error().message(), HasSubstr(c.says));
    EXPECT_THAT(chosen.error().message(), HasSubstr(c.path));
  }
}

TEST(ChooseRuntime, WordsOfTheSettings) {
  EXPECT_EQ(*parse_runtime("onnxruntime"), RuntimeKind::kOnnxRuntime);
  EXPECT_EQ(*parse_runtime("auto"), RuntimeKind::kAuto);
  EXPECT_FALSE(parse_runtime("ort"));
  EXPECT_EQ(*parse_precision("bf16"), Precision::kBf16);
  EXPECT_FALSE(parse_precision("int8"));
}

TEST(OnnxDevice, IsReadAndWritten) {
  const struct {
    const char* text;
    OnnxDevice want;
    const char* name;
  } cases[] = {{"auto", {OnnxProvider::kCpu, 0}, "CPU"},
               {"cpu", {OnnxProvider::kCpu, 0}, "CPU"},
               {"GPU", {OnnxProvider::kCuda, 0}, "cuda:0"},
               {"GPU.2", {OnnxProvider::kCuda, 2}, "cuda:2"},
               {"cuda", {OnnxProvider::kCuda, 0}, "cuda:0"},
               {"CUDA:3", {OnnxProvider::kCuda, 3}, "cuda:3"},
               {"tensorrt:1", {OnnxProvider::kTensorRt, 1}, "tensorrt:1"},
               {"rtx", {OnnxProvider::kTensorRtRtx, 0}, "rtx:0"}};
  for (const auto& [text, want, name] : cases) {
    const auto device = parse_onnx_device(text);
    ASSERT_TRUE(device) << text;
    EXPECT_EQ(*device, want) << text;
    EXPECT_EQ(to_string(*device), name);
  }
  for (const char* const text : {"NPU", "cuda:", "cuda:x", "cuda:-1", "cuda:64", "cuda:0:0",
                                 "cudas", "GPU:0", "rtx.0", "cuda:99999999999"})
    EXPECT_FALSE(parse_onnx_device(text)) << text;
}

TEST(OpenVinoDevice, IsFoundAmongThoseThatAreThere) {
  const std::vector<std::string> cpu{"CPU"}, gpu{"CPU", "GPU"}, gpus{"CPU", "GPU.0", "GPU.1"};
  const struct {
    const char* text;
    const std::vector<std::string>& available;
    OpenVinoDevice want;
  } cases[] = {{"auto", cpu, {"CPU", {"CPU"}}},
               {"", gpu, {"GPU", {"GPU"}}},
               {"auto", gpus, {"GPU.0", {"GPU.0"}}},
               {"cpu", gpus, {"CPU", {"CPU"}}},
               {"gpu", gpus, {"GPU", {"GPU"}}},
               {"gpu.0", gpu, {"GPU.0", {"GPU.0"}}},
               {"gpu.1", gpus, {"GPU.1", {"GPU.1"}}},
               // a virtual device of a single real one is that one
               {"auto:cpu", gpu, {"CPU", {"CPU"}}},
               {"MULTI:CPU", cpu, {"CPU", {"CPU"}}},
               {"HETERO:CPU", cpu, {"CPU", {"CPU"}}},
               {"HETERO:GPU.1,", gpus, {"GPU.1", {"GPU.1"}}},
               // the first that is there
               {"AUTO:GPU,CPU", cpu, {"CPU", {"CPU"}}},
               {"AUTO:NPU,GPU.1,CPU", gpus, {"GPU.1", {"GPU.1"}}},
               // one graph over all of them
               {"hetero:gpu,cpu", gpu, {"HETERO:GPU,CPU", {"GPU", "CPU"}}}};
  for (const auto& [text, available, want] : cases) {
    const auto device = find_openvino_device(text, available);
    ASSERT_TRUE(device) << text << ": " << device.error().message();
    EXPECT_EQ(device->name, want.name) << text;
    EXPECT_EQ(device->parts, want.parts) << text;
  }
}

TEST(OpenVinoDevice, SaysWhatToWriteWhereItTakesNone) {
  const std::pair<const char*, const char*> cases[] = {
      {"NPU", R"(device "NPU" is not there; OpenVINO finds CPU, GPU)"},
      {"GPU.1", R"("GPU.1" is not there)"},
      {"AUTO:NPU,GPU.7", R"("NPU, GPU.7" is not there)"},
      {"AUTO:-GPU", R"("-GPU" is not there)"},
      {"HETERO:NPU,CPU", R"("NPU" is not there)"},
      {"HETERO", R"(write HETERO:GPU,CPU)"},
      {"MULTI:", "names no device"},
      {"MULTI:GPU,CPU", R"("MULTI:GPU,CPU" shares frames out, which framemill does itself; write )"
                        "device: [GPU, CPU]"},
      {"BATCH:GPU", "framemill does itself; name the device"},
      {"GPU:1", R"("GPU:1" is none of OpenVINO's)"}};
  for (const auto& [text, says] : cases) {
    const auto device = find_openvino_device(text, {"CPU", "GPU"});
    ASSERT_FALSE(device) << text;
    EXPECT_EQ(device.error().code(), ErrorCode::kUnsupported) << text;
    EXPECT_THAT(device.error().message(), HasSubstr(says));
  }
}

TEST(ParseLetterboxOn, KnowsThreeWordsAndNamesThem) {
  EXPECT_EQ(*parse_letterbox_on(""), LetterboxOn::kAuto);
  EXPECT_EQ(*parse_letterbox_on("auto"), LetterboxOn::kAuto);
  EXPECT_EQ(*parse_letterbox_on("host"), LetterboxOn::kHost);
  EXPECT_EQ(*parse_letterbox_on("device"), LetterboxOn::kDevice);
  const auto wrong = parse_letterbox_on("gpu");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(wrong.error().message(), testing::HasSubstr("auto, host or device"));
}

}  // namespace
}  // namespace framemill
