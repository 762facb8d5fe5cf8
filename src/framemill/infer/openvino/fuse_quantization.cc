#include "framemill/infer/openvino/fuse_quantization.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <openvino/core/graph_util.hpp>
#include <openvino/core/rt_info.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/convert.hpp>
#include <openvino/op/fake_quantize.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/reshape.hpp>
#include <openvino/op/subtract.hpp>

namespace framemill {
namespace {

using ov::op::v0::Constant;
using ov::op::v0::Convert;
using ov::op::v0::FakeQuantize;

/// Numbers that do not depend on the input, in the shape in which they are used.
struct Numbers {
  std::vector<float> values;
  ov::Shape shape;
};

/// Those that lie behind a value, also where they are converted or given another shape on the way;
/// none: it is computed.
std::optional<Numbers> numbers_behind(const ov::Output<ov::Node>& value) {
  if (value.get_partial_shape().is_dynamic()) return std::nullopt;
  std::shared_ptr<ov::Node> node = value.get_node_shared_ptr();
  while (ov::is_type<Convert>(node) || ov::is_type<ov::op::v1::Reshape>(node))
    node = node->get_input_node_shared_ptr(0);
  const auto constant = ov::as_type_ptr<Constant>(node);
  if (!constant) return std::nullopt;
  return Numbers{constant->cast_vector<float>(), value.get_shape()};
}

/// What DequantizeLinear does after FakeQuantize has rounded: (x - zero) * scale.
struct Dequantized {
  std::shared_ptr<FakeQuantize> quantized;
  Numbers scale;
  std::vector<float> zeros;  ///< one, or one for each scale
};

std::optional<Dequantized> find_pair(const std::shared_ptr<ov::Node>& multiply) {
  if (!ov::is_type<ov::op::v1::Multiply>(multiply)) return std::nullopt;
  std::shared_ptr<ov::Node> node = multiply->get_input_node_shared_ptr(0);
  std::vector<float> zeros{0};
  if (ov::is_type<ov::op::v1::Subtract>(node)) {
    std::optional<Numbers> zero = numbers_behind(node->input_value(1));
    if (!zero) return std::nullopt;
    zeros = std::move(zero->values);
    node = node->get_input_node_shared_ptr(0);
  }
  if (!ov::is_type<Convert>(node)) return std::nullopt;
  while (ov::is_type<Convert>(node)) node = node->get_input_node_shared_ptr(0);
  auto quantized = ov::as_type_ptr<FakeQuantize>(node);
  if (!quantized) return std::nullopt;
  std::optional<Numbers> scale = numbers_behind(multiply->input_value(1));
  if (!scale || (zeros.size() != 1 && zeros.size() != scale->values.size())) return std::nullopt;
  return Dequantized{std::move(quantized), *std::move(scale), std::move(zeros)};
}

/// (limit - zero) * scale in the shape of `scale`; null where the limit is not one number.
std::shared_ptr<Constant> dequantize(const ov::Output<ov::Node>& limit, const Dequantized& pair) {
  const std::optional<Numbers> bound = numbers_behind(limit);
  if (!bound || bound->values.size() != 1) return nullptr;
  std::vector<float> values = pair.scale.values;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] *= bound->values.front() - pair.zeros[pair.zeros.size() == 1 ? 0 : i];
  return Constant::create(ov::element::f32, pair.scale.shape, values);
}

}  // namespace

void fuse_quantization(ov::Model& model) {
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    const std::optional<Dequantized> pair = find_pair(node);
    if (!pair || node->get_output_element_type(0) != ov::element::f32) continue;
    const FakeQuantize& old = *pair->quantized;
    const auto low = dequantize(old.input_value(3), *pair);
    const auto high = dequantize(old.input_value(4), *pair);
    if (!low || !high) continue;
    const auto fused =
        std::make_shared<FakeQuantize>(old.input_value(0), old.input_value(1), old.input_value(2),
                                       low, high, old.get_levels(), old.get_auto_broadcast());
    fused->set_friendly_name(node->get_friendly_name());
    ov::copy_runtime_info(node, fused);
    ov::replace_node(node, fused);
  }
}

}  // namespace framemill
