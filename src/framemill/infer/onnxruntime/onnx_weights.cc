#include "framemill/infer/onnxruntime/onnx_weights.h"

#include <fstream>
#include <limits>
#include <optional>
#include <vector>

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

/// A field of a protobuf message: a number, or bytes.
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  ///< of varints
  Bytes bytes;              ///< of length-delimited ones
};

std::optional<std::uint64_t> take_varint(Bytes& rest) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const std::uint8_t byte = rest.front();
    rest = rest.subspan(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

/// The next field; none at the end of the message or where it is broken.
std::optional<Field> take_field(Bytes& rest) {
  const std::optional<std::uint64_t> tag = take_varint(rest);
  if (!tag) return std::nullopt;
  Field field{.number = static_cast<std::uint32_t>(*tag >> 3), .value = 0, .bytes = {}};
  std::uint64_t length = 0;
  switch (*tag & 7) {
    case 0: {
      const std::optional<std::uint64_t> value = take_varint(rest);
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case 1:
      length = 8;
      break;
    case 5:
      length = 4;
      break;
    case 2: {
      const std::optional<std::uint64_t> size = take_varint(rest);
      if (!size) return std::nullopt;
      length = *size;
      break;
    }
    default:
      return std::nullopt;
  }
  if (length > rest.size()) return std::nullopt;
  field.bytes = rest.first(static_cast<std::size_t>(length));
  rest = rest.subspan(static_cast<std::size_t>(length));
  return field;
}

template <typename Use>
void for_each_field(Bytes message, Use use) {
  while (const std::optional<Field> field = take_field(message)) use(*field);
}

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max() / 4;
  return b != 0 && a > kMost / b ? kMost : a * b;  // a broken file may claim anything
}

void count_tensor(Bytes tensor, OnnxWeightCounts& counts) {
  std::uint64_t type = 0, count = 1;
  for_each_field(tensor, [&](const Field& field) {
    if (field.number == kTensorType) type = field.value;
    if (field.number != kTensorDims) return;
    if (field.bytes.empty()) {
      count = times(count, field.value);
      return;
    }
    Bytes packed = field.bytes;
    while (const std::optional<std::uint64_t> side = take_varint(packed))
      count = times(count, *side);
  });
  if (type == kFloat) counts.fp32 += count;
  if (type == kFloat16 || type == kBfloat16) counts.half += count;
  if (type == kInt8 || type == kUint8) counts.int8 += count;
}

void count_node(Bytes node, OnnxWeightCounts& counts) {
  for_each_field(node, [&](const Field& attribute) {
    if (attribute.number != kNodeAttribute) return;
    for_each_field(attribute.bytes, [&](const Field& field) {
      if (field.number == kAttributeTensor) count_tensor(field.bytes, counts);
    });
  });
}

}  // namespace

OnnxWeightCounts count_onnx_weights(Bytes file) {
  OnnxWeightCounts counts;
  for_each_field(file, [&](const Field& part) {
    if (part.number != kModelGraph) return;
    for_each_field(part.bytes, [&](const Field& field) {
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
