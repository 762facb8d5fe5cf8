#include "framemill/infer/openvino/fuse_quantization.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include <openvino/core/graph_util.hpp>
#include <openvino/core/rt_info.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/convert.hpp>
#include <openvino/op/fake_quantize.hpp>
#include <openvino/op/multiply.hpp>
#include <openvino/op/subtract.hpp>

namespace framemill {
namespace {

using ov::op::v0::Constant;
using ov::op::v0::Convert;
using ov::op::v0::FakeQuantize;

/// The constant that makes the value, also where it is converted on the way; null: it is none.
std::shared_ptr<Constant> constant_behind(const ov::Output<ov::Node>& value) {
  std::shared_ptr<ov::Node> node = value.get_node_shared_ptr();
  while (ov::is_type<Convert>(node)) node = node->get_input_node_shared_ptr(0);
  return ov::as_type_ptr<Constant>(node);
}

/// What DequantizeLinear does after FakeQuantize has rounded: (x - zero) * scale.
struct Dequantized {
  std::shared_ptr<FakeQuantize> quantized;
  std::shared_ptr<Constant> scale;
  std::shared_ptr<Constant> zero;  ///< null: 0
};

std::optional<Dequantized> find_pair(const std::shared_ptr<ov::Node>& multiply) {
  if (!ov::is_type<ov::op::v1::Multiply>(multiply)) return std::nullopt;
  Dequantized found;
  found.scale = constant_behind(multiply->input_value(1));
  if (!found.scale) return std::nullopt;
  std::shared_ptr<ov::Node> node = multiply->get_input_node_shared_ptr(0);
  if (ov::is_type<ov::op::v1::Subtract>(node)) {
    found.zero = constant_behind(node->input_value(1));
    if (!found.zero) return std::nullopt;
    node = node->get_input_node_shared_ptr(0);
  }
  std::size_t conversions = 0;
  for (; ov::is_type<Convert>(node); ++conversions) node = node->get_input_node_shared_ptr(0);
  found.quantized = ov::as_type_ptr<FakeQuantize>(node);
  if (!found.quantized || conversions == 0) return std::nullopt;
  return found;
}

/// (limit - zero) * scale in the shape of `scale`; null where the shapes are of no known kind.
std::shared_ptr<Constant> dequantize(const ov::Output<ov::Node>& limit, const Dequantized& pair) {
  const std::shared_ptr<Constant> bound = constant_behind(limit);
  if (!bound || ov::shape_size(bound->get_shape()) != 1) return nullptr;
  std::vector<float> values = pair.scale->cast_vector<float>();
  const std::vector<float> zeros =
      pair.zero ? pair.zero->cast_vector<float>() : std::vector<float>{0};
  if (zeros.size() != 1 && zeros.size() != values.size()) return nullptr;
  const float from = bound->cast_vector<float>().front();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] *= from - zeros[zeros.size() == 1 ? 0 : i];
  return Constant::create(ov::element::f32, pair.scale->get_shape(), values);
}

}  // namespace

std::size_t fuse_quantization(ov::Model& model) {
  std::size_t count = 0;
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
    ++count;
  }
  return count;
}

}  // namespace framemill
