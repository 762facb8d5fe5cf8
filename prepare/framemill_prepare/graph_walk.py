"""Shapes of every tensor of an ONNX graph for one shape of its input, and the values of those that follow from constants and shapes alone.

onnx infers shapes for a whole graph at once, from dimensions that may be unknown. Here the graph is walked node by node with concrete dimensions, so that two walks
(the size that was exported and another one) can be laid beside each other, and a node can be changed before its outputs are inferred.
"""
import numpy as np
import onnx
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from .errors import refused

VALUES_MAX = 2_000_000  # of a tensor that is computed here; weights are larger and never needed


class Walk:
    """One walk. `shapes` and `values` by tensor; `is_static`: names of values that hold whatever the shape of the input is."""

    def __init__(self, model, input_shapes, before_node=None):
        """input_shapes: {input: dimensions}. before_node(walk, node) may change the node's inputs. Raises PrepareError where a node cannot be inferred."""
        self.model = model
        self.shapes, self.types, self.values, self.is_static = {}, {}, {}, set()
        self._opsets = {opset.domain: opset.version for opset in model.opset_import}
        self._producers = {name: node for node in model.graph.node for name in node.output}
        for tensor in model.graph.initializer:
            self.add_constant(tensor)
        for value in model.graph.input:
            if value.name in input_shapes:
                self.shapes[value.name] = tuple(input_shapes[value.name])
                self.types[value.name] = value.type.tensor_type.elem_type
        for node in list(model.graph.node):
            if before_node:
                before_node(self, node)
            self.infer(node)

    def add_constant(self, tensor):
        self.shapes[tensor.name] = tuple(tensor.dims)
        self.types[tensor.name] = tensor.data_type
        self.is_static.add(tensor.name)
        if int(np.prod(tensor.dims, dtype=np.int64)) <= VALUES_MAX:
            self.values[tensor.name] = numpy_helper.to_array(tensor)

    def static_value(self, name):
        """The value of a constant, or of what is computed of constants alone; None of all else."""
        return self.values.get(name) if name in self.is_static else None

    def infer(self, node):
        """Shapes and values of what the node gives; its inputs are known."""
        if node.op_type == "Constant":
            value = onnx.reference.ReferenceEvaluator(node).run(None, {})[0]
            self._set_value(node.output[0], np.asarray(value), True)
            return
        inputs = [name for name in node.input if name]
        if node.op_type == "Shape" and inputs[0] in self.shapes:
            dims = self.shapes[inputs[0]]
            attributes = {a.name: a.i for a in node.attribute}
            self._set_value(node.output[0], np.array(dims[attributes.get("start", 0):attributes.get("end", len(dims))], np.int64), False)
            return
        are_known = all(name in self.values for name in inputs)
        if are_known and inputs and sum(self.values[name].size for name in inputs) <= VALUES_MAX and self._evaluate(node, inputs):
            return
        self._infer_shapes(node, inputs)

    def _evaluate(self, node, inputs):
        try:
            results = ReferenceEvaluator(node, opsets=self._opsets).run(None, {name: self.values[name] for name in inputs})
        except Exception:  # an operator that the evaluator lacks: shapes will do
            return False
        if any(np.asarray(result).size > VALUES_MAX for result in results):
            return False
        is_static = all(name in self.is_static for name in inputs)
        for name, result in zip(node.output, results):
            if name:
                self._set_value(name, np.asarray(result), is_static)
        return True

    def _set_value(self, name, value, is_static):
        self.values[name] = value
        self.shapes[name] = tuple(value.shape)
        self.types[name] = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        if is_static:
            self.is_static.add(name)

    def _infer_shapes(self, node, inputs):
        types, data = {}, {}
        for name in inputs:
            if name not in self.types:
                raise refused(f'{describe(node)}: its input "{name}" comes from nowhere; is the file whole?')
            types[name] = onnx.helper.make_tensor_type_proto(self.types[name], self.shapes.get(name))
            if name in self.values and self.values[name].size <= 4096:
                data[name] = numpy_helper.from_array(np.ascontiguousarray(self.values[name]), name)
        try:
            schema = onnx.defs.get_schema(node.op_type, self._opsets.get(node.domain, self._opsets.get("", 17)), node.domain)
            inferred = shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=list(self.model.opset_import), ir_version=self.model.ir_version)
        except Exception as problem:
            first = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            raise refused(f"{describe(node)} does not fit inputs of {self._shapes_of(inputs)}: {first}") from problem
        for name in node.output:
            if name not in inferred:
                continue
            tensor = inferred[name].tensor_type
            self.types[name] = tensor.elem_type
            if tensor.HasField("shape"):
                dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
                self.shapes[name] = tuple(dims)

    def _shapes_of(self, inputs):
        return ", ".join("x".join(map(str, self.shapes.get(name) or ["?"])) for name in inputs) or "nothing"


def describe(node):
    """A node as messages name it."""
    return f'node "{node.name or node.output[0]}" ({node.op_type})'


def replace_input(model, walk, node, index, value):
    """Gives `node` a constant of its own as input `index`; others that use the old one keep it."""
    name = f"{node.input[index]}__{node.output[0]}"
    while name in walk.shapes:
        name += "_"
    tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
    model.graph.initializer.append(tensor)
    node.input[index] = name
    walk.add_constant(tensor)


def drop_unused(model):
    """Takes out nodes and initializers that nothing reads any more."""
    graph = model.graph
    outputs = {value.name for value in graph.output}
    while True:
        used = {name for node in graph.node for name in node.input} | outputs
        idle = [node for node in graph.node if not any(name in used for name in node.output)]
        for node in idle:
            graph.node.remove(node)
        if not idle:
            break
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)
