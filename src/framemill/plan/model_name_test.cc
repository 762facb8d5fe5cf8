#include "framemill/plan/model_name.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(ModelName, ExtensionAndCaseMayDiffer) {
  for (const char* wanted : {"", "yolo11n.onnx", "yolo11n", "YOLO11n", "Yolo11N.ONNX"})
    EXPECT_TRUE(is_model_named(wanted, "yolo11n.onnx")) << wanted;
  for (const char* wanted : {"yolo11", "yolo11n.xml", "yolo11n.onnx.bak", "onnx"})
    EXPECT_FALSE(is_model_named(wanted, "yolo11n.onnx")) << wanted;
  EXPECT_TRUE(is_model_named("yolo11n_v1.2", "yolo11n_v1.2.onnx"));
  EXPECT_TRUE(is_model_named("model", "model"));
}

}  // namespace
}  // namespace framemill
