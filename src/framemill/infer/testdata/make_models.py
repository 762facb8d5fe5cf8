#!/usr/bin/env python3
"""Writes the tiny ONNX models beside it, which the tests of this folder load. Needs the onnx package.

Each averages the picture over the cells of the stride grids and says for every cell, from its mean
red, green and blue r, g, b (as the model sees them): a box with centre (64 r, 64 g) and sides 64 b, 64 r
pixels, and one class score sigmoid(4 b - 2). So a test can tell from one detection how the picture was
put into the tensor.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def make(name, batch="batch", height=64, width=64, kind=TensorProto.FLOAT, channels_last=False,
         variant="", metadata=None, strides=(8, 16, 32)):
    nodes, constants = [], []

    def op(kind_name, inputs, output, **attributes):
        nodes.append(helper.make_node(kind_name, inputs, [output], **attributes))
        return output

    def constant(label, array):
        constants.append(numpy_helper.from_array(array, label))
        return label

    dtype = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    picture = "images"
    if kind == TensorProto.UINT8:
        picture = op("Cast", [picture], "as_float", to=TensorProto.FLOAT)
    if channels_last:
        picture = op("Transpose", [picture], "planar", perm=[0, 3, 1, 2])
    if variant == "byte_range":
        picture = op("Mul", [picture, constant("unit", np.array([1 / 255], dtype))], "scaled")
    if variant == "two_inputs":
        picture = op("Add", [picture, "offset"], "shifted")
    if variant == "ignores_input":
        picture = op("Mul", [picture, constant("nothing", np.zeros(1, dtype))], "black")
        ramp = np.linspace(0, 1, height * width, dtype=dtype).reshape(1, 1, height, width)
        picture = op("Add", [picture, constant("ramp", ramp)], "ramped")
    cells = []
    for stride in strides:
        pooled = op("AveragePool", [picture], f"pool{stride}", kernel_shape=[stride, stride],
                    strides=[stride, stride])
        shape = constant(f"flat{stride}", np.array([0, 3, -1], np.int64))
        cells.append(op("Reshape", [pooled, shape], f"cells{stride}"))
    means = op("Concat", cells, "means", axis=2)

    def channel(i):
        return op("Gather", [means, constant(f"index{i}", np.array([i], np.int64))], f"channel{i}", axis=1)

    red, green, blue = channel(0), channel(1), channel(2)
    side = constant("side", np.array([64], dtype))
    box = [op("Mul", [c, side], f"box{i}") for i, c in enumerate((red, green, blue, red))]
    level = op("Sub", [op("Mul", [blue, constant("gain", np.array([4], dtype))], "steep"),
                       constant("threshold", np.array([2], dtype))], "level")
    if variant == "mixes_batch":
        level = op("ReduceMax", [level], "brightest", axes=[0], keepdims=1)
        level = op("Add", [level, op("Mul", [red, constant("zero", np.zeros(1, dtype))], "zeros")], "mixed")
    score = op("Sigmoid", [level], "score")
    if variant == "dead":
        score = op("Mul", [score, constant("none", np.zeros(1, dtype))], "dead_score")
    output = op("Concat", box + [score], "output0", axis=1)
    outputs = [helper.make_tensor_value_info(output, kind if kind != TensorProto.UINT8 else
                                             TensorProto.FLOAT, [batch, 5, None])]
    if variant == "two_outputs":
        outputs.append(helper.make_tensor_value_info(means, TensorProto.FLOAT, [batch, 3, None]))
    shape = [batch, height, width, 3] if channels_last else [batch, 3, height, width]
    inputs = [helper.make_tensor_value_info("images", kind, shape)]
    if variant == "two_inputs":
        inputs.append(helper.make_tensor_value_info("offset", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(HERE, name + ".onnx"))


def make_quantised(name):
    """INT8 in QDQ form as quantisers write it, with a block that splits, adds and joins (C2f). Random weights: only whether runtimes agree can be seen."""
    rng = np.random.default_rng(5)
    nodes, constants = [], []

    def op(kind_name, inputs, output, **attributes):
        nodes.append(helper.make_node(kind_name, inputs, [output], **attributes))
        return output

    def constant(label, array):
        constants.append(numpy_helper.from_array(np.asarray(array), label))
        return label

    def rounded(x, scale, label):
        """scale: one, or one for each channel."""
        scales = np.asarray(scale, np.float32)
        numbers = [constant(f"{label}_scale", scales), constant(f"{label}_zero", np.zeros(scales.shape, np.int8))]
        return op("DequantizeLinear", [op("QuantizeLinear", [x, *numbers], f"{label}_int8", axis=1), *numbers], label, axis=1)

    def block(x, channels, kernel, stride, label, gain=3):
        """Convolution with INT8 weights, then SiLU."""
        fan_in = channels[0] * kernel * kernel
        weights = op("DequantizeLinear", [
            constant(f"{label}_weights", rng.integers(-127, 128, (channels[1], channels[0], kernel, kernel)).astype(np.int8)),
            constant(f"{label}_scales", np.full(channels[1], gain / (127 * np.sqrt(fan_in)), np.float32)),
            constant(f"{label}_zeros", np.zeros(channels[1], np.int8))], f"{label}_kernel", axis=0)
        bias = constant(f"{label}_bias", rng.normal(0, .3, channels[1]).astype(np.float32))
        level = op("Conv", [x, weights, bias], f"{label}_level", kernel_shape=[kernel, kernel], strides=[stride, stride],
                   pads=[kernel // 2 if stride == 1 else 0] * 4)
        return op("Mul", [level, op("Sigmoid", [level], f"{label}_gate")], label)

    first = block(rounded("images", 1 / 127, "picture"), (3, 16), 8, 8, "stem", gain=6)
    wide = block(rounded(first, .03, "stem_rounded"), (16, 16), 1, 1, "wide")
    nodes.append(helper.make_node("Split", [wide, constant("halves", np.array([8, 8], np.int64))], ["left", "right"], axis=1))
    inner = block(rounded("right", .02, "right_rounded"), (8, 8), 3, 1, "inner")
    inner = block(rounded(inner, np.linspace(.01, .03, 8), "inner_rounded"), (8, 8), 3, 1, "innermost")
    joined = op("Concat", ["left", "right", op("Add", ["right", inner], "shortcut")], "joined", axis=1)
    last = block(rounded(joined, .025, "joined_rounded"), (24, 8), 1, 1, "last")
    head = op("Conv", [last, constant("head_weights", rng.normal(0, 1, (5, 8, 1, 1)).astype(np.float32)),
                       constant("head_bias", np.array([20, 20, 20, 20, 0], np.float32))], "head")
    cells = []
    for size in (1, 2, 4):
        pooled = head if size == 1 else op("AveragePool", [head], f"pool{size}", kernel_shape=[size, size], strides=[size, size])
        cells.append(op("Reshape", [pooled, constant(f"flat{size}", np.array([0, 5, -1], np.int64))], f"cells{size}"))
    nodes.append(helper.make_node("Split", [op("Concat", cells, "raw", axis=2), constant("parts", np.array([4, 1], np.int64))], ["box", "level"], axis=1))
    op("Concat", [op("Relu", ["box"], "sides"), op("Sigmoid", ["level"], "score")], "output0", axis=1)
    graph = helper.make_graph(nodes, "tiny", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 64, 64])],
                              [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 5, None])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(HERE, name + ".onnx"))


def main():
    make_quantised("quantised")
    make("plain", metadata={"names": "{0: 'mill'}"})
    make("single", batch=1)
    make("any_size", height="height", width="width", metadata={"stride": "32", "imgsz": "[320, 320]"})
    make("bgr_bytes", variant="byte_range", metadata={"names": '["mill"]', "framemill.color": "bgr",
                                "framemill.range": "0..255", "framemill.letterbox": "top_left",
                                "framemill.score": "0.5", "framemill.nms_iou": "0.45"})
    make("wrong_metadata", metadata={"framemill.color": "cmyk"})
    make("three_names", metadata={"names": "{0: 'a', 1: 'b', 2: 'c'}"})
    make("half", kind=TensorProto.FLOAT16)
    make("channels_last", channels_last=True)
    make("bytes", kind=TensorProto.UINT8)
    make("batch_of_4", batch=4)
    for variant in ("two_inputs", "two_outputs", "mixes_batch", "dead", "ignores_input"):
        make(variant, variant=variant)


if __name__ == "__main__":
    sys.exit(main())
