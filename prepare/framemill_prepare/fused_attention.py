"""Attention as one node, which ONNX Runtime computes on NVIDIA's GPUs in one kernel (FlashAttention in FP16) that never writes the table of weights to memory.

    Softmax(scale * Q Kt) V   with Q [B, heads, N, D], Kt [B, heads, D, N], V [B, heads, N, D]; or, as v11 and v12 are exported, Vt Softmax(...)t [B, heads, D, N]

becomes MultiHeadAttention of ONNX Runtime's own operators (com.microsoft), with the turns of its inputs and its output around it. OpenVINO and TensorRT do not know
that operator, and fuse attention by themselves: this is for the graphs that ONNX Runtime's CUDA provider runs.
"""
import numpy as np
from onnx import helper, numpy_helper

from .graph_walk import Walk, drop_unused
from .rectangle import image_input

DOMAIN = "com.microsoft"
TURNED = [0, 1, 3, 2]


def fuse(model, size):
    """Changes the model in place; how much attention was fused. size: (width, height) of the input. What has another form stays as it is."""
    links, shapes = _Links(model), Walk(model, {image_input(model).name: (1, 3, size[1], size[0])})
    found = [attention for node in model.graph.node if node.op_type == "Softmax" and (attention := _Attention.around(node, links, shapes))]
    for index, attention in enumerate(found):
        _replace(model, attention, f"attention_{index}")
    if found:
        if all(opset.domain != DOMAIN for opset in model.opset_import):
            model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        drop_unused(model)
    return len(found)


class _Links:
    """Who makes and who reads each tensor."""

    def __init__(self, model):
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.users = {}
        for node in model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self.kept = {value.name for value in model.graph.output}

    def maker(self, name, kind):
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind else None

    def only_user(self, name, kind):
        """The one node that reads a tensor, where it is of that kind."""
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and users[0].op_type == kind and name not in self.kept else None


class _Attention:
    """Tensors of one attention, each with the order of its dimensions that makes it [B, N, heads, D], and of the result what undoes it."""

    def __init__(self, query, key, value, output, heads, dims, scale):
        self.query, self.key, self.value, self.output, self.heads, self.dims, self.scale = query, key, value, output, heads, dims, scale

    @staticmethod
    def around(softmax, links, walk):
        """None where it is not of the forms above."""
        shape = walk.shapes.get(softmax.input[0]) or ()
        if len(shape) != 4 or _attribute(softmax, "axis", -1) not in (-1, 3):
            return None
        scale, scores = 1.0, softmax.input[0]
        if (scaled := links.maker(scores, "Mul")) is not None:
            factors = [walk.static_value(name) for name in scaled.input]
            constant = next((i for i, factor in enumerate(factors) if factor is not None and factor.size == 1), None)
            if constant is None or links.only_user(scores, "Softmax") is None:
                return None
            scale, scores = float(factors[constant].reshape(())), scaled.input[1 - constant]
        product = links.maker(scores, "MatMul")
        if product is None:
            return None
        key_shape = walk.shapes.get(product.input[1]) or ()
        ends = _Attention._ends(softmax.output[0], links)
        if len(key_shape) != 4 or None in key_shape[1:] or ends is None:
            return None
        value, output = ends
        value_shape = walk.shapes.get(value[0]) or ()
        heads, dims = key_shape[1], key_shape[2]
        # Of one width, as the fused kernels want it: v11's values are wider than its keys.
        if len(value_shape) != 4 or [value_shape[i] for i in value[1][1:]] != [key_shape[3], heads, dims]:
            return None
        query = (product.input[0], [0, 2, 1, 3])
        if (turn := links.maker(product.input[0], "Transpose")) is not None and _attribute(turn, "perm", None) == TURNED:
            query = (turn.input[0], [0, 3, 1, 2])
        return _Attention(query, (product.input[1], [0, 3, 1, 2]), value, output, heads, dims, scale)

    @staticmethod
    def _ends(weights, links):
        """((value, its order), (result, what makes it of [B, N, heads, D])) of P V or Vt Pt."""
        if (product := links.only_user(weights, "MatMul")) is not None and product.input[0] == weights:
            return (product.input[1], [0, 2, 1, 3]), (product.output[0], [0, 2, 1, 3])
        turn = links.only_user(weights, "Transpose")
        if turn is None or _attribute(turn, "perm", None) != TURNED:
            return None
        product = links.only_user(turn.output[0], "MatMul")
        if product is None or product.input[1] != turn.output[0]:
            return None
        return (product.input[0], [0, 3, 1, 2]), (product.output[0], [0, 2, 3, 1])


def _replace(model, attention, name):
    nodes = []

    def add(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"{name}_{output}"], name=f"{name}_{output}", **attributes))
        return f"{name}_{output}"

    def constant(values, output):
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"{name}_{output}"))
        return f"{name}_{output}"

    joined = constant([0, 0, -1], "joined")
    inputs = [add("Reshape", [add("Transpose", [tensor], f"{what}_rows", perm=order), joined], what)
              for what, (tensor, order) in (("query", attention.query), ("key", attention.key), ("value", attention.value))]
    fused = add("MultiHeadAttention", inputs, "fused", domain=DOMAIN, num_heads=attention.heads, scale=attention.scale)
    split = add("Reshape", [fused, constant([0, 0, attention.heads, attention.dims], "heads")], "split")
    result, order = attention.output
    nodes.append(helper.make_node("Transpose", [split], [result], name=f"{name}_result", perm=order))
    at = next(i for i, node in enumerate(model.graph.node) if result in node.output)
    old = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(old[:at] + nodes + old[at + 1:])


def _attribute(node, name, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
