#include "framemill/infer/openvino/openvino_model.h"

#include <cstddef>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openvino/op/constant.hpp>

#include "framemill/infer/openvino/fuse_quantization.h"
#include "framemill/infer/openvino/openvino_error.h"
#include "framemill/infer/openvino/openvino_facts.h"

namespace framemill {
namespace {

/// Picks what of the model says how it was made: all of an ONNX file's metadata_props, and of an IR
/// the keys that exporters write into rt_info/model_info.
std::map<std::string, std::string> read_metadata(const ov::Model& model) {
  std::map<std::string, std::string> metadata;
  const ov::RTMap& info = model.get_rt_info();
  const auto framework = info.find("framework");
  if (framework != info.end() && framework->second.is<ov::AnyMap>())
    for (const auto& [key, value] : framework->second.as<ov::AnyMap>())
      if (value.is<std::string>()) metadata[key] = value.as<std::string>();
  for (const char* const key :
       {"names", "labels", "model_type", "task", "stride", "imgsz", "framemill.color",
        "framemill.range", "framemill.letterbox", "framemill.score", "framemill.nms_iou"})
    if (model.has_rt_info("model_info", key))
      metadata[key] = model.get_rt_info<std::string>("model_info", key);
  return metadata;
}

/// "int8" where the weights or activations are quantised, else the type most weights have.
std::string guess_precision(const ov::Model& model) {
  std::size_t int8_count = 0, f16_count = 0, f32_count = 0;
  for (const auto& op : model.get_ops()) {
    if (!ov::is_type<ov::op::v0::Constant>(op)) continue;
    const std::size_t count = ov::shape_size(op->get_output_shape(0));
    const ov::element::Type type = op->get_output_element_type(0);
    if (type == ov::element::i8 || type == ov::element::u8)
      int8_count += count;
    else if (type == ov::element::f16 || type == ov::element::bf16)
      f16_count += count;
    else if (type == ov::element::f32)
      f32_count += count;
  }
  if (int8_count > f16_count + f32_count) return "int8";
  return f16_count > f32_count ? "fp16" : "fp32";
}

template <typename Node>  // const or not
std::string name_of(const ov::Output<Node>& port) {
  // An output of an IR may have no tensor name; then the operation that makes it says which it is.
  if (!port.get_names().empty()) return port.get_any_name();
  const auto node = port.get_node_shared_ptr();
  return node->get_input_size() > 0 ? node->get_input_node_ptr(0)->get_friendly_name()
                                    : node->get_friendly_name();
}

/// What the input has to be; else why it cannot be served.
Result<InputLayout> read_input(const ov::Model& model) {
  const auto refuse = [](const std::string& why) {
    return fail(
        ErrorCode::kUnsupported,
        why + "; export the model for detection with one float input [batch,3,height,width]");
  };
  if (model.inputs().size() != 1) {
    std::vector<std::string> names;
    for (const auto& input : model.inputs()) names.push_back(name_of(input));
    return refuse(fmt::format("has {} inputs ({}), a detector has one", names.size(),
                              fmt::join(names, ", ")));
  }
  const ov::Output<const ov::Node> input = model.input();
  const ov::PartialShape& shape = input.get_partial_shape();
  const ov::element::Type type = input.get_element_type();
  const std::string description =
      fmt::format("its input is {} {}", type.to_string(), shape.to_string());
  if (type != ov::element::f32 && type != ov::element::f16 && type != ov::element::bf16)
    return refuse(description);
  if (shape.rank() != 4) return refuse(description + ", not a picture");
  const auto is_three = [&shape](std::size_t i) {
    return shape[i].is_static() && shape[i].get_length() == 3;
  };
  InputLayout layout;
  layout.is_channels_last = !is_three(1) && is_three(3);
  if (!is_three(1) && !layout.is_channels_last) return refuse(description + ", without 3 channels");
  const std::size_t height = layout.is_channels_last ? 1 : 2;
  layout.is_batch_dynamic = shape[0].is_dynamic();
  layout.is_size_dynamic = shape[height].is_dynamic() || shape[height + 1].is_dynamic();
  if (!layout.is_batch_dynamic && shape[0].get_length() != 1)
    return refuse(fmt::format("{}, with a fixed batch of {}; a batch must be 1 or dynamic",
                              description, shape[0].get_length()));
  return layout;
}

}  // namespace

Result<OpenVinoModel> read_openvino_model(ov::Core& core, const std::string& path) {
  OpenVinoModel read;
  std::shared_ptr<ov::Model>& model = read.graph;
  try {
    model = core.read_model(path);
    fuse_quantization(*model);
  } catch (...) {
    return fail_from_openvino_exception(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: OpenVINO cannot read it as a model; is the file complete, and exported "
                    "with an opset that OpenVINO {} knows?",
                    path, openvino_version()));
  }
  const Result<InputLayout> layout = read_input(*model);
  if (!layout) return fail(layout.error().at(path));
  OpenVinoModelFacts& facts = read.facts;
  facts.layout = *layout;
  ov::preprocess::PrePostProcessor adapter(model);
  adapter.input().tensor().set_element_type(ov::element::f32).set_layout("NCHW");
  adapter.input().model().set_layout(layout->is_channels_last ? "NHWC" : "NCHW");
  for (std::size_t i = 0; i < model->outputs().size(); ++i)
    if (model->output(i).get_element_type().is_real())
      adapter.output(i).tensor().set_element_type(ov::element::f32);
  facts.metadata = read_metadata(*model);
  facts.precision = guess_precision(*model);
  for (const auto& output : model->outputs()) {
    OutputShape shape{.name = name_of(output), .dims = {}};
    if (output.get_partial_shape().rank().is_static())
      for (const ov::Dimension& side : output.get_partial_shape())
        shape.dims.push_back(side.is_static() ? side.get_length() : -1);
    facts.outputs.push_back(std::move(shape));
  }
  if (facts.outputs.empty() || !model->output(0).get_element_type().is_real())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: its first output holds no floats; export it for detection", path));
  model = adapter.build();
  if (!layout->is_size_dynamic) {
    const ov::PartialShape shape = model->input().get_partial_shape();
    facts.input =
        Size{static_cast<int>(shape[3].get_length()), static_cast<int>(shape[2].get_length())};
  }
  return read;
}

}  // namespace framemill
