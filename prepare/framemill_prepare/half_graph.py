"""An ONNX graph in FP16 with inputs, outputs and head in FP32, for GPUs: half the memory and twice the arithmetic where the device has it.

The head stays float: beyond 512 pixels FP16 counts in halves of a pixel. Between both parts a tensor is cast once, however many nodes read it.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .float_head import head_nodes, name_nodes
from .graph_walk import Walk, drop_unused
from .rectangle import image_input

# These say in an attribute that their output is FP32, or take FP32 alone.
FLOAT_ONLY = {"Cast", "ConstantOfShape", "Range", "EyeLike", "RandomNormal", "RandomUniform", "NonMaxSuppression", "RoiAlign", "TopK"}
FLOAT_INPUTS = {"Resize": {1, 2}}  # region of interest and scales
HALF_MAX = 65504.0


def to_half(model, size):
    """Changes the model in place and returns it. size: (width, height) of the input."""
    name_nodes(model)
    _constants_to_initializers(model)
    walk = Walk(model, {image_input(model).name: (1, 3, size[1], size[0])})
    outputs = {value.name for value in model.graph.output}
    float_nodes = set(head_nodes(model, size)) | {node.name for node in model.graph.node if node.op_type in FLOAT_ONLY or outputs & set(node.output)}
    half_tensors = {name for node in model.graph.node if node.name not in float_nodes for name in node.output if walk.types.get(name) == TensorProto.FLOAT}
    _Caster(model, walk, half_tensors).cast(float_nodes)
    del model.graph.value_info[:]
    drop_unused(model)
    return model


def _constants_to_initializers(model):
    for node in [node for node in model.graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


class _Caster:
    def __init__(self, model, walk, half_tensors):
        self.model, self.walk, self.half_tensors = model, walk, half_tensors
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.made = {}

    def cast(self, float_nodes):
        nodes = list(self.model.graph.node)
        del self.model.graph.node[:]
        for node in nodes:
            is_half = node.name not in float_nodes
            for index, name in enumerate(node.input):
                if name and self.walk.types.get(name) == TensorProto.FLOAT:
                    node.input[index] = self._as(name, is_half and index not in FLOAT_INPUTS.get(node.op_type, ()))
            self.model.graph.node.append(node)

    def _as(self, name, is_half):
        """The tensor of that name in the precision that is wanted."""
        if name in self.constants:
            return self._constant(name) if is_half else name
        if (name in self.half_tensors) == is_half:
            return name
        key = (name, is_half)
        if key not in self.made:
            self.made[key] = f"{name}__{'half' if is_half else 'float'}"
            to = TensorProto.FLOAT16 if is_half else TensorProto.FLOAT
            self.model.graph.node.append(helper.make_node("Cast", [name], [self.made[key]], name=f"Cast_{len(self.made)}_{self.made[key]}", to=to))
        return self.made[key]

    def _constant(self, name):
        key = (name, True)
        if key not in self.made:
            self.made[key] = f"{name}__half"
            value = np.clip(numpy_helper.to_array(self.constants[name]), -HALF_MAX, HALF_MAX).astype(np.float16)
            self.model.graph.initializer.append(numpy_helper.from_array(value, self.made[key]))
        return self.made[key]
