#include "framemill/infer/onnxruntime/onnx_weights.h"

#include <fstream>
#include <limits>
#include <optional>
#include <vector>

#include "framemill/infer/protobuf_fields.h"

// The fields of onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto) that
// lead to the weights' shapes and types; their data is skipped.
namespace framemill {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint32_t kModelGraph = 7;
constexpr std::uint32_t kGraphNode = 1, kGraphInitializer = 5;
constexpr std::uint32_t kNodeAttribute = 5;
constexpr std::uint32_t kAttributeTensor = 5;
constexpr std::uint32_t kTensorDims = 1, kTensorType = 2;
constexpr std::uint64_t kFloat = 1, kUint8 = 2, kInt8 = 3, kFloat16 = 10, kBfloat16 = 16;

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max() / 4;
  return b != 0 && a > kMost / b ? kMost : a * b;  // a broken file may claim anything
}

void count_tensor(Bytes tensor, OnnxWeightCounts& counts) {
  std::uint64_t type = 0, count = 1;
  for_each_protobuf_field(tensor, [&](const ProtobufField& field) {
    if (field.number == kTensorType) type = field.value;
    if (field.number != kTensorDims) return;
    if (field.bytes.empty()) {
      count = times(count, field.value);
      return;
    }
    Bytes packed = field.bytes;
    while (const std::optional<std::uint64_t> side = take_protobuf_varint(packed))
      count = times(count, *side);
  });
  if (type == kFloat) counts.fp32 += count;
  if (type == kFloat16 || type == kBfloat16) counts.half += count;
  if (type == kInt8 || type == kUint8) counts.int8 += count;
}

void count_node(Bytes node, OnnxWeightCounts& counts) {
  for_each_protobuf_field(node, [&](const ProtobufField& attribute) {
    if (attribute.number != kNodeAttribute) return;
    for_each_protobuf_field(attribute.bytes, [&](const ProtobufField& field) {
      if (field.number == kAttributeTensor) count_tensor(field.bytes, counts);
    });
  });
}

}  // namespace

OnnxWeightCounts count_onnx_weights(Bytes file) {
  OnnxWeightCounts counts;
  for_each_protobuf_field(file, [&](const ProtobufField& part) {
    if (part.number != kModelGraph) return;
    for_each_protobuf_field(part.bytes, [&](const ProtobufField& field) {
      if (field.number == kGraphInitializer) count_tensor(field.bytes, counts);
      if (field.number == kGraphNode) count_node(field.bytes, counts);
    });
  });
  return counts;
}

std::string precision_of(const OnnxWeightCounts& counts) {
  if (counts.int8 > counts.half && counts.int8 > counts.fp32) return "int8";
  return counts.half > counts.fp32 ? "fp16" : "fp32";
}

std::string onnx_file_precision(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> content((std::istreambuf_iterator<char>(file)), {});
  return precision_of(
      count_onnx_weights({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()}));
}

}  // namespace framemill
