"""Opens the batch of a graph that was exported for single pictures, so that several cameras share one call."""
import copy

import numpy as np
from onnx import helper, numpy_helper

from .errors import PrepareError, refused
from .graph_walk import Walk, describe, drop_unused, replace_input
from .rectangle import image_input, input_dims, set_input_dims
from .reshape_dims import reshaped

BATCH = "batch"


def with_open_batch(model, size):
    """(a copy of the model that takes any batch, why not). Where the graph does not allow it: the copy for single pictures, and the node that is in the way.

    size: (width, height) of the input.
    """
    opened = copy.deepcopy(model)
    name = image_input(opened).name
    try:
        single = Walk(opened, {name: (1, 3, size[1], size[0])})
        rewriter = _BatchRewriter(opened, single)
        double = Walk(opened, {name: (2, 3, size[1], size[0])}, rewriter.visit)
        _expect_open_outputs(opened, single, double)
    except PrepareError as problem:
        return for_single_pictures(model, size), str(problem)
    set_input_dims(opened, batch=BATCH, size=size)
    for output in opened.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = BATCH
    del opened.graph.value_info[:]
    drop_unused(opened)
    return opened, ""


def for_single_pictures(model, size):
    """A copy that takes one picture at a time."""
    fixed = copy.deepcopy(model)
    set_input_dims(fixed, batch=1, size=size)
    return fixed


def is_open(model):
    return input_dims(model)[0] is None


def _expect_open_outputs(model, single, double):
    for output in model.graph.output:
        one, two = single.shapes.get(output.name), double.shapes.get(output.name)
        if not one or not two or one[0] != 1 or two[0] != 2 or one[1:] != two[1:]:
            raise refused(f'output "{output.name}" does not follow the batch: {one} for one picture, {two} for two')


class _BatchRewriter:
    def __init__(self, model, single):
        self.model, self.single = model, single

    def visit(self, walk, node):
        if node.op_type == "Reshape":
            self._reshape(walk, node)
        elif node.op_type == "Resize":
            self._resize(walk, node)
        elif node.op_type == "Expand":
            self._expand(walk, node)
        elif node.op_type == "Gather":
            self._gather(walk, node)

    def _gather(self, walk, node):
        """Picking rows from a table that the batch was merged into, as exporters write x[arange(batch), index] for one picture: every picture would be given rows of
        the first. It becomes a pick within each picture."""
        merged, index = self._change(walk, node.input[0]), self._change(walk, node.input[1])
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        maker = next((other for other in self.model.graph.node if node.input[0] in other.output), None)
        if merged is None or index is None or axis != 0 or maker is None or maker.op_type not in ("Flatten", "Reshape", "Squeeze"):
            return
        rows = self.single.shapes.get(maker.input[0])
        one, two = merged
        if not rows or len(rows) < 2 or rows[0] != 1 or rows[2:] != one[1:] or rows[1] != one[0] or two[0] != 2 * one[0] or index[0][0] != 1:
            raise refused(f"{describe(node)} picks from {one} and mixes the pictures of a batch")
        picks = f"{node.output[0]}__picks"
        last = numpy_helper.from_array(np.array([-1], np.int64), f"{picks}_axis")
        self.model.graph.initializer.append(last)
        walk.add_constant(last)
        place = list(self.model.graph.node).index(node)
        unsqueeze = helper.make_node("Unsqueeze", [node.input[1], last.name], [picks], name=f"{node.name}__unsqueeze")
        self.model.graph.node.insert(place, unsqueeze)
        walk.infer(unsqueeze)
        node.op_type = "GatherND"
        del node.input[:], node.attribute[:]
        node.input.extend([maker.input[0], picks])
        node.attribute.append(helper.make_attribute("batch_dims", 1))

    def _change(self, walk, name):
        old, new = self.single.shapes.get(name), walk.shapes.get(name)
        return (old, new) if old and new and old != new and len(old) == len(new) and None not in old + new else None

    def _reshape(self, walk, node):
        target, change = walk.static_value(node.input[1]), self._change(walk, node.input[0])
        if target is None or change is None:
            return
        dims_old = self.single.shapes[node.output[0]]
        dims = reshaped(*change, dims_old)
        if dims is None:
            raise refused(f"{describe(node)} mixes the batch into {target.tolist()}")
        opened = open_dims(target.tolist(), change[1], dims_old, dims)
        if opened is None:
            raise refused(f"{describe(node)} has two dimensions that follow the batch: {target.tolist()}")
        if opened != target.tolist():
            replace_input(self.model, walk, node, 1, np.array(opened, np.int64))

    def _resize(self, walk, node):
        if len(node.input) < 4 or not node.input[3]:
            return
        sizes, change = walk.static_value(node.input[3]), self._change(walk, node.input[0])
        if sizes is None or sizes.size != 4 or change is None:
            return
        scales = np.array([s / d for s, d in zip(sizes.tolist(), change[0])], np.float32)
        replace_input_by_scales(self.model, walk, node, scales)

    def _expand(self, walk, node):
        target, change = walk.static_value(node.input[1]), self._change(walk, node.input[0])
        if target is None or change is None or len(target) != len(change[0]):
            return
        if int(target[0]) == change[0][0]:
            moved = target.copy()
            moved[0] = 1  # broadcast: as large as the data
            replace_input(self.model, walk, node, 1, moved)


def replace_input_by_scales(model, walk, node, scales):
    """Sizes include the batch, scales do not."""
    replace_input(model, walk, node, 3, scales)
    node.input[2] = node.input[3]
    del node.input[3]


def open_dims(target, data, dims_single, dims_double):
    """The constant of a Reshape for any batch; None where more than one dimension follows it.

    target: the constant as it is; data: shape of the data for two pictures; dims_*: what it gives for one picture and has to give for two.
    """
    following = [i for i, (one, two) in enumerate(zip(dims_single, dims_double)) if one != two]
    if len(following) > 1:
        return None
    if not following or target[following[0]] in (-1,):
        return target
    place = following[0]
    fixed = [d if t == -1 else t for t, d in zip(target, dims_single)]
    if target[place] == 0 and place < len(data) and data[place] == dims_double[place]:
        return target
    if place < len(data) and data[place] == dims_double[place]:
        return [0 if i == place else t for i, t in enumerate(target)]
    return [-1 if i == place else t for i, t in enumerate(fixed)]
