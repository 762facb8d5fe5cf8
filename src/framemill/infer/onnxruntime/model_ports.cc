#include "framemill/infer/onnxruntime/model_ports.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace framemill {
namespace {

std::string_view name_of(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "f32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "f16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
      return "bf16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "f64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "u8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
      return "i8";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "i32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "i64";
    default:
      return "of another type";
  }
}

/// A port's type and sides; -1: dynamic. Not a tensor (a sequence, a map): no value.
struct PortType {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<std::int64_t> dims;
  std::vector<std::string> symbols;
};

std::optional<PortType> port_type(const Ort::TypeInfo& info) {
  if (info.GetONNXType() != ONNX_TYPE_TENSOR) return std::nullopt;
  const auto tensor = info.GetTensorTypeAndShapeInfo();
  PortType port{.type = tensor.GetElementType(), .dims = tensor.GetShape(), .symbols = {}};
  for (std::int64_t& side : port.dims)
    if (side < 0) side = -1;
  for (const char* const symbol : tensor.GetSymbolicDimensions())
    port.symbols.emplace_back(symbol != nullptr ? symbol : "");
  return port;
}

bool is_float(ONNXTensorElementDataType type) {
  return type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ||
         type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
}

std::map<std::string, std::string> read_metadata(const Ort::Session& session) {
  std::map<std::string, std::string> metadata;
  const Ort::AllocatorWithDefaultOptions allocator;
  const Ort::ModelMetadata own = session.GetModelMetadata();
  for (const auto& key : own.GetCustomMetadataMapKeysAllocated(allocator)) {
    const auto value = own.LookupCustomMetadataMapAllocated(key.get(), allocator);
    if (value) metadata[key.get()] = value.get();
  }
  return metadata;
}

}  // namespace

std::vector<std::int64_t> ModelPorts::tensor_shape(std::size_t batch, Size size) const {
  const auto count = static_cast<std::int64_t>(batch);
  if (is_channels_last) return {count, size.height, size.width, 3};
  return {count, 3, size.height, size.width};
}

bool ModelPorts::is_output_shape_fixed() const {
  const std::vector<std::int64_t>& dims = outputs.front().dims;
  return !dims.empty() &&
         std::none_of(dims.begin() + 1, dims.end(), [](std::int64_t side) { return side < 1; });
}

Result<ModelPorts> read_model_ports(const Ort::Session& session) {
  const auto refuse = [](const std::string& why) {
    return fail(
        ErrorCode::kUnsupported,
        why + "; export the model for detection with one float input [batch,3,height,width]");
  };
  const Ort::AllocatorWithDefaultOptions allocator;
  const std::size_t input_count = session.GetInputCount();
  if (input_count != 1) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < input_count; ++i)
      names.emplace_back(session.GetInputNameAllocated(i, allocator).get());
    return refuse(
        fmt::format("has {} inputs ({}), a detector has one", input_count, fmt::join(names, ", ")));
  }
  ModelPorts ports;
  ports.input_name = session.GetInputNameAllocated(0, allocator).get();
  const std::optional<PortType> input = port_type(session.GetInputTypeInfo(0));
  if (!input) return refuse("its input is no tensor");
  const std::string description =
      fmt::format("its input is {} [{}]", name_of(input->type), fmt::join(input->dims, ","));
  if (!is_float(input->type)) return refuse(description);
  const std::vector<std::int64_t>& dims = input->dims;
  if (dims.size() != 4) return refuse(description + ", not a picture");
  ports.is_channels_last = dims[1] != 3 && dims[3] == 3;
  if (dims[1] != 3 && !ports.is_channels_last) return refuse(description + ", without 3 channels");
  const std::size_t height = ports.is_channels_last ? 1 : 2;
  ports.is_batch_dynamic = dims[0] < 0;
  if (!ports.is_batch_dynamic && dims[0] != 1)
    return refuse(fmt::format("{}, with a fixed batch of {}; a batch must be 1 or dynamic",
                              description, dims[0]));
  if (dims[height] > 0 && dims[height + 1] > 0)
    ports.input = Size{static_cast<int>(dims[height + 1]), static_cast<int>(dims[height])};
  ports.is_input_half = input->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
  ports.symbols = input->symbols;

  for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
    const std::optional<PortType> output = port_type(session.GetOutputTypeInfo(i));
    if (i == 0 && (!output || !is_float(output->type)))
      return fail(ErrorCode::kUnsupported,
                  "its first output holds no floats; export it for detection");
    OutputShape shape{.name = session.GetOutputNameAllocated(i, allocator).get(), .dims = {}};
    if (output) shape.dims = output->dims;
    if (i == 0) {
      ports.output_name = shape.name;
      ports.is_output_half = output->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    }
    ports.outputs.push_back(std::move(shape));
  }
  if (ports.outputs.empty())
    return fail(ErrorCode::kUnsupported, "it has no output; export it for detection");
  ports.metadata = read_metadata(session);
  return ports;
}

}  // namespace framemill
