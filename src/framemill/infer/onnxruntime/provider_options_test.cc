#include "framemill/infer/onnxruntime/provider_options.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::HasSubstr;

ProviderRequest request_for(OnnxProvider provider) {
  return {
      .device = {provider, 1},
      .model_hash = "0123456789abcdef0123456789abcdef",
      .input_name = "images",
      .batch = 4,
      .input = {640, 384},
      .cache_dir = "/cache",
      .runtime = "ONNX Runtime 1.31.1",
      .cuda = {.driver_version = 13000, .devices = {{"NVIDIA A", 80, 1}, {"NVIDIA H200", 90, 1}}}};
}

TEST(ProviderOptions, CudaComputesAsTheWeightsAre) {
  ProviderRequest request = request_for(OnnxProvider::kCuda);
  const auto options = provider_options(request);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->value("device_id"), "1");
  EXPECT_EQ(options->value("use_tf32"), "1");
  EXPECT_EQ(options->value("enable_cuda_graph"), "0");
  EXPECT_EQ(options->value("prefer_nhwc"), "1");
  EXPECT_EQ(options->value("fuse_conv_bias"), "1");
  EXPECT_FALSE(options->has_cuda_graphs);
  EXPECT_TRUE(options->cache_folder.empty());
  request.precision = Precision::kFp32;
  EXPECT_EQ(provider_options(request)->value("use_tf32"), "0");
  request.may_capture_graphs = true;
  EXPECT_EQ(provider_options(request)->value("enable_cuda_graph"), "1");
  EXPECT_TRUE(provider_options(request)->has_cuda_graphs);
  // Of TensorRT's, one request would get another one's answer: nothing tells them apart.
  ProviderRequest tensorrt = request_for(OnnxProvider::kTensorRt);
  tensorrt.may_capture_graphs = true;
  EXPECT_EQ(provider_options(tensorrt)->value("trt_cuda_graph_enable"), "0");
  EXPECT_FALSE(provider_options(tensorrt)->has_cuda_graphs);
  request.precision = Precision::kFp16;
  const auto half = provider_options(request);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(half.error().message(), HasSubstr("cuda:1 cannot compute in fp16"));
}

TEST(ProviderOptions, TensorRtBuildsOneEngineAShapeAndKeepsIt) {
  ProviderRequest request = request_for(OnnxProvider::kTensorRt);
  request.precision = Precision::kFp16;
  const auto options = provider_options(request);
  ASSERT_TRUE(options);
  for (const char* const which : {"min", "opt", "max"})
    EXPECT_EQ(options->value("trt_profile_" + std::string(which) + "_shapes"),
              "images:4x3x384x640");
  EXPECT_EQ(options->value("trt_fp16_enable"), "1");
  EXPECT_EQ(options->value("trt_int8_enable"), "0");
  EXPECT_EQ(options->value("trt_engine_cache_enable"), "1");
  EXPECT_EQ(options->value("trt_engine_cache_path"), options->cache_folder);
  EXPECT_EQ(options->value("trt_timing_cache_path"), options->cache_folder);
  EXPECT_THAT(options->value("trt_engine_cache_prefix"), HasSubstr("b4_640x384"));
  EXPECT_THAT(options->cache_folder, testing::StartsWith("/cache/tensorrt/0123456789abcdef_"));
}

// TensorRT builds no engine from a graph of halves where it may not compute in them.
TEST(ProviderOptions, TensorRtMayComputeInHalvesWhereTheWeightsAreHalves) {
  ProviderRequest request = request_for(OnnxProvider::kTensorRt);
  EXPECT_EQ(provider_options(request)->value("trt_fp16_enable"), "0");
  request.is_half = true;
  EXPECT_EQ(provider_options(request)->value("trt_fp16_enable"), "1");
  EXPECT_EQ(provider_options(request)->value("trt_bf16_enable"), "0");
  request.precision = Precision::kFp32;
  EXPECT_EQ(provider_options(request)->value("trt_fp16_enable"), "0");
}

TEST(ProviderOptions, TensorRtOfAFixedModelNeedsNoProfileAndWithoutAFolderNoCache) {
  ProviderRequest request = request_for(OnnxProvider::kTensorRt);
  request.is_shape_fixed = true;
  request.is_int8 = true;
  request.cache_dir.clear();
  const auto options = provider_options(request);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->value("trt_profile_min_shapes"), "");
  EXPECT_EQ(options->value("trt_engine_cache_enable"), "");
  EXPECT_EQ(options->value("trt_int8_enable"), "1");
  EXPECT_TRUE(options->cache_folder.empty());
}

TEST(ProviderOptions, RtxTakesThePrecisionOfTheWeights) {
  ProviderRequest request = request_for(OnnxProvider::kTensorRtRtx);
  const auto options = provider_options(request);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->value("nv_profile_opt_shapes"), "images:4x3x384x640");
  EXPECT_EQ(options->value("nv_runtime_cache_path"), options->cache_folder);
  EXPECT_FALSE(options->has_cuda_graphs);
  request.precision = Precision::kFp16;
  EXPECT_FALSE(provider_options(request));
}

TEST(ProviderOptions, AnEngineIsKeptForExactlyWhatItFits) {
  const ProviderRequest base = request_for(OnnxProvider::kTensorRt);
  std::vector<ProviderRequest> others(10, base);
  others[0].model_hash = "f123456789abcdef";
  others[1].device.index = 0;  // another name
  others[2].cuda.devices[1].compute_capability = 89;
  others[3].cuda.driver_version = 12080;
  others[4].runtime = "ONNX Runtime 1.30.0";
  others[5].precision = Precision::kFp16;
  others[6].device.index = 7;                   // one that is not there: no crash, a key of its own
  others[7].cuda.driver_release = "580.95.05";  // both of CUDA 13.0
  others[8].cuda.driver_release = "580.159.04";
  others[9].compiler = "libnvinfer.so.10 101401";
  std::set<std::string> keys{engine_cache_key(base)};
  for (const ProviderRequest& other : others) keys.insert(engine_cache_key(other));
  EXPECT_EQ(keys.size(), others.size() + 1);
  for (const std::string& key : keys)
    EXPECT_EQ(key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-"), std::string::npos)
        << key;
  ProviderRequest same = base;  // shapes share a folder: timings serve all of them
  same.batch = 1;
  EXPECT_EQ(engine_cache_key(same), engine_cache_key(base));
}

// Promise: an engine that was damaged on disk is made anew, as what OpenVINO keeps is.
TEST(ProviderOptions, ADamagedEngineIsKnownByWhatTensorRtSays) {
  const std::string said =
      "[ONNXRuntimeError] : 11 : EP_FAIL : TensorRT EP could not deserialize engine from cache: ";
  const std::string engine = "/cache/tensorrt/0123_h200/b4_640x384_1_sm90.engine";
  EXPECT_EQ(damaged_engine(said + engine, "/cache"), engine);
  EXPECT_EQ(damaged_engine(said + engine + "\nStacktrace: ...", "/cache"), engine);
  EXPECT_EQ(damaged_engine("CUDA failure 2: out of memory", "/cache"), std::nullopt);
  EXPECT_EQ(damaged_engine(said + "/home/somebody/my.engine", "/cache"), std::nullopt);
  EXPECT_EQ(damaged_engine(said + "/cache/tensorrt/../../etc/passwd", "/cache"), std::nullopt);
  EXPECT_EQ(damaged_engine(said + engine, ""), std::nullopt);
}

// Promise: rtx:1 is the card that is cuda:1, also where the plug-in does not offer cuda:0.
TEST(ProviderOptions, TheNumberOfAnRtxDeviceCountsCudasDevices) {
  const CudaFacts mixed{
      .devices = {
          {"NVIDIA H100", 90, 1}, {"RTX 4090", 89, 1}, {"A100", 80, 1}, {"RTX PRO 6000", 120, 1}}};
  EXPECT_EQ(rtx_place(mixed, 0, 2), std::nullopt);
  EXPECT_EQ(rtx_place(mixed, 1, 2), 0U);
  EXPECT_EQ(rtx_place(mixed, 2, 2), std::nullopt);
  EXPECT_EQ(rtx_place(mixed, 3, 2), 1U);
  EXPECT_EQ(rtx_place(mixed, 3, 1), std::nullopt) << "it is not offered";
  EXPECT_EQ(rtx_place(mixed, 2, 4), 2U) << "all are offered";
  EXPECT_EQ(rtx_place(mixed, 4, 4), std::nullopt);
}

}  // namespace
}  // namespace framemill
