// Published models load and detect, or are refused with a reason: needs the shared test data.
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/detector.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PublishedModels : public testing::Test {
 protected:
  void SetUp() override {
    const char* const testdata = std::getenv("FRAMEMILL_TESTDATA");
    if (testdata == nullptr || !fs::is_directory(fs::path(testdata) / "models"))
      GTEST_SKIP() << "FRAMEMILL_TESTDATA names no folder with models";
    folder_ = fs::path(testdata) / "models";
  }
  Result<std::unique_ptr<Detector>> load(const std::string& name) const {
    return Detector::load({.backend = {.path = (folder_ / name).string(), .device = "CPU"}});
  }

  fs::path folder_;
};

struct Known {
  const char* path;
  HeadKind head;
  std::size_t class_count;
  const char* label;  ///< of class 1
  const char* precision;
  std::size_t batch_max;
  bool is_quick;  ///< one per family: part of the default suite
};

void PrintTo(const Known& known, std::ostream* out) { *out << known.path; }

/// Every published model that must load.
constexpr Known kKnown[] = {
    {"yolov8n_640_fp32.onnx", HeadKind::kV8, 80, "class 1", "fp32", 32, false},
    {"yolo11n_640_fp32.onnx", HeadKind::kV8, 80, "class 1", "fp32", 32, false},
    {"yolov12n_rmcar_640_fp32.onnx", HeadKind::kV8, 1, nullptr, "fp32", 32, false},
    {"yolov5n_640_fp32.onnx", HeadKind::kV5, 80, "class 1", "fp32", 32, true},
    {"yolov8n_640_int8_qdq_nncf_dynbatch.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, false},
    {"yolo11n_640_int8_qdq_nncf_dynbatch.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, false},
    {"yolov12n_640_int8_qdq_nncf_dynbatch_rmcar.onnx", HeadKind::kV8, 1, nullptr, "int8", 32,
     false},
    {"yolov8n_640_int8_qdq_entropy_aditya.onnx", HeadKind::kV8, 80, "bicycle", "int8", 1, false},
    {"yolov10n_640_int8_dynamic_s8_gaotong.onnx", HeadKind::kEnd2End, 80, "bicycle", "int8", 1,
     true},
    {"yolox_nano_416_fp32_kazuhito00.onnx", HeadKind::kYolox, 80, "class 1", "fp32", 1, true},
    {"steel_neu_yolov8n_640_int8_dynamic_alizay.onnx", HeadKind::kV8, 6, "inclusion", "int8", 1,
     true},
    {"openvino/yolov8n_640_int8_nghieu.xml", HeadKind::kV8, 80, "bicycle", "int8", 1, false},
    {"openvino/yolo11n_640_int8_yassim.xml", HeadKind::kV8, 80, "bicycle", "int8", 1, true},
    {"rect/yolo11n_640x384_int8.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, false},
    {"rect/yolo11n_512x288_int8.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, true},
    {"rect/yolo11n_320x192_int8.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, false},
    {"rect/yolov8n_640x384_int8.onnx", HeadKind::kV8, 80, "class 1", "int8", 32, false},
    {"rect/yolo11n_640x384_fp32.onnx", HeadKind::kV8, 80, "class 1", "fp32", 32, false},
};

class PublishedModel : public PublishedModels, public testing::WithParamInterface<Known> {};

TEST_P(PublishedModel, LoadsWithTheRightHeadAndLabels) {
  const Known& known = GetParam();
  if (!known.is_quick && std::getenv("FRAMEMILL_ALL_MODELS") == nullptr)
    GTEST_SKIP() << "takes seconds; set FRAMEMILL_ALL_MODELS=1 to load every model";
  const auto detector = load(known.path);
  ASSERT_TRUE(detector) << detector.error().message();
  EXPECT_EQ((*detector)->head_kind(), known.head);
  EXPECT_EQ((*detector)->labels().size(), known.class_count);
  if (known.label != nullptr) {
    EXPECT_EQ((*detector)->labels().at(1), known.label);
  }
  EXPECT_EQ((*detector)->facts().precision, known.precision);
  EXPECT_EQ((*detector)->facts().batch_max, known.batch_max);
  const bool is_yolox = known.head == HeadKind::kYolox;
  EXPECT_EQ((*detector)->style().channels, is_yolox ? ChannelOrder::kBgr : ChannelOrder::kRgb);
  EXPECT_EQ((*detector)->style().range, is_yolox ? ValueRange::kByte : ValueRange::kUnit);
}

std::string test_name(const testing::TestParamInfo<Known>& info) {
  std::string name = fs::path(info.param.path).stem().string();
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, PublishedModel, testing::ValuesIn(kKnown), test_name);

TEST_F(PublishedModels, ThatDetectNothingAreRefusedAndTheDeadPartIsNamed) {
  const auto detector = load("yolov8n_640_int8_qdq_BROKENHEAD_aditya.onnx");
  ASSERT_FALSE(detector);
  EXPECT_EQ(detector.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(detector.error().message(), HasSubstr("BROKENHEAD"));
  EXPECT_THAT(detector.error().message(), HasSubstr("output0"));
  EXPECT_THAT(detector.error().message(), HasSubstr("class scores"));
  EXPECT_THAT(detector.error().message(), HasSubstr("all 0"));
}

TEST_F(PublishedModels, AreAllCovered) {  // a model that is added belongs into the table
  std::set<std::string> covered{"yolov8n_640_int8_qdq_BROKENHEAD_aditya.onnx"};
  for (const Known& known : kKnown) covered.insert(known.path);
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".onnx" && extension != ".xml") continue;
    EXPECT_TRUE(covered.contains(fs::relative(entry.path(), folder_).string())) << entry.path();
  }
}

}  // namespace
}  // namespace framemill
