#include "framemill/infer/onnxruntime/onnx_weights.h"

#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// A protobuf field of bytes, and one of a number, both below 128.
Bytes field(std::uint8_t number, const Bytes& content) {
  Bytes bytes{static_cast<std::uint8_t>(number << 3 | 2),
              static_cast<std::uint8_t>(content.size())};
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}
Bytes field(std::uint8_t number, std::uint8_t value) {
  return {static_cast<std::uint8_t>(number << 3), value};
}
Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Bytes tensor(std::uint8_t type, std::uint8_t side) {
  return field(1, side) + field(1, std::uint8_t{3}) + field(2, type);
}

TEST(OnnxWeights, CountsInitializersAndConstants) {
  const Bytes constant = field(1, field(5, field(5, tensor(10, 7))));  // node, attribute, tensor
  const Bytes graph = field(5, tensor(1, 2)) + constant + field(5, tensor(3, 20)) +
                      field(5, field(1, Bytes{4, 2}) + field(2, std::uint8_t{2})) +  // packed
                      field(5, tensor(7, 9));                                        // int64
  const OnnxWeightCounts counts = count_onnx_weights(field(1, std::uint8_t{8}) + field(7, graph));
  EXPECT_EQ(counts, (OnnxWeightCounts{.int8 = 68, .half = 21, .fp32 = 6}));
  EXPECT_EQ(precision_of(counts), "int8");
  EXPECT_EQ(precision_of({.int8 = 5, .half = 6, .fp32 = 1}), "fp16");
  EXPECT_EQ(precision_of({}), "fp32");
}

TEST(OnnxWeights, AnyBytesAreReadWithoutHarm) {
  std::ifstream file(std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/plain.onnx",
                     std::ios::binary);
  const Bytes whole((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(whole.empty());
  EXPECT_GT(count_onnx_weights(whole).fp32, 0U);
  for (std::size_t size = 0; size <= whole.size(); ++size)
    static_cast<void>(count_onnx_weights(std::span(whole).first(size)));
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes damaged = whole;
    for (int i = 0; i < 4; ++i)
      damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    static_cast<void>(count_onnx_weights(damaged));  // sanitizers see any read beside it
  }
}

}  // namespace
}  // namespace framemill
