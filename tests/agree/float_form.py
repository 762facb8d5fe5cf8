#!/usr/bin/env python3
"""Writes the float form of a dynamically quantised ONNX model: the same weights, exact arithmetic.

    float_form.py MODEL.onnx FLOAT.onnx

In the form that ONNX Runtime's quantize_dynamic writes, every convolution is
    y, y_scale, y_zero_point = DynamicQuantizeLinear(x)      # of this very picture, rounded to 8 bits
    ConvInteger(y, w, y_zero_point, w_zero_point) -> Cast -> Mul(y_scale * w_scale)
(MatMulInteger likewise). The float form drops the rounding of x and nothing else: y is x, y_scale is 1, and
ConvInteger becomes Conv with the weights w - w_zero_point, which are whole numbers and so exact in floats.
"""
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT_OPS = {"ConvInteger": "Conv", "MatMulInteger": "MatMul"}


def float_form(model):
    """A new ModelProto; ValueError if `model` has no such node, or holds weights in another way."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    plain = {}      # quantised activation -> the float one that it was made from
    float_weights = {}
    nodes = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            plain[node.output[0]] = node.input[0]
            float_weights[node.output[1]] = numpy_helper.from_array(np.float32(1), node.output[1])
        elif node.op_type in FLOAT_OPS:
            if node.input[0] not in plain or node.input[1] not in weights:
                raise ValueError(f"{node.name}: its inputs are no quantised activation and constant weights")
            name = node.input[1] + "_float"
            weight = numpy_helper.to_array(weights[node.input[1]]).astype(np.float32)
            if len(node.input) > 3 and node.input[3]:
                zero = numpy_helper.to_array(weights[node.input[3]]).astype(np.float32)
                if zero.size > 1:  # one for each output channel: Conv's first axis, MatMul's last
                    zero = zero.reshape([-1] + [1] * (weight.ndim - 1)) if node.op_type == "ConvInteger" else zero
                weight = weight - zero
            float_weights[name] = numpy_helper.from_array(weight, name)
            nodes.append(helper.make_node(FLOAT_OPS[node.op_type], [plain[node.input[0]], name], node.output,
                                          node.name))
            nodes[-1].attribute.extend(node.attribute)
        else:
            nodes.append(node)
    if not plain:
        raise ValueError("no DynamicQuantizeLinear: the model is not dynamically quantised")
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept + [tensor for tensor in float_weights.values() if tensor.name in used])
    onnx.checker.check_model(result)
    return result


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    onnx.save(float_form(onnx.load(sys.argv[1])), sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
