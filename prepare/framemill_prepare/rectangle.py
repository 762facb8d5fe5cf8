"""Another input size for a graph that was exported for one: rewrites what the exporter wrote down as numbers.

Both sizes are walked side by side (graph_walk). Where a node has a constant that was right for the old shapes, it gets one for the new: dimensions of Reshape, sizes
of Resize, ends of Slice, parts of Split, tables of positions (position_table), and the sides that boxes are divided by. What is computed from shapes in the graph needs nothing.
Whatever cannot be understood is refused with the node and the constant; what was rewritten is proven afterwards by check_rectangle().
"""
import copy

import numpy as np
import onnx

from .errors import refused
from .graph_walk import Walk, describe, drop_unused, replace_input
from .position_table import cumulative_positions, resize_flat_table, resize_grid_table
from .reshape_dims import reshaped

ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal", "Mod"}


def image_input(model):
    """The graph's one true input."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise refused(f"the graph has {len(inputs)} inputs ({names}), a detector has one picture; export it without pre- or post-processing of its own")
    return inputs[0]


def input_dims(model):
    """[batch, 3, height, width] as exported; None for each that is open."""
    dims = image_input(model).type.tensor_type.shape.dim
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]


def set_input_dims(model, batch=None, size=None):
    """Writes the batch (a number or a name) and the size (width, height) into the input's declared shape."""
    dims = image_input(model).type.tensor_type.shape.dim
    if isinstance(batch, str):
        dims[0].dim_param = batch
    elif batch:
        dims[0].dim_value = batch
    if size:
        dims[2].dim_value, dims[3].dim_value = size[1], size[0]


def with_size(model, old, new):
    """A copy of the model for inputs of `new` (width, height) in place of `old`. Raises PrepareError that names the node and constant which cannot follow."""
    model = copy.deepcopy(model)
    name = image_input(model).name
    before = Walk(model, {name: (1, 3, old[1], old[0])})
    rewriter = _Rewriter(model, before, old, new)
    after = Walk(model, {name: (1, 3, new[1], new[0])}, rewriter.visit)
    set_input_dims(model, size=new)
    del model.graph.value_info[:]
    for output in model.graph.output:
        set_output_dims(output, after.shapes.get(output.name))
    for prop in model.metadata_props:
        if prop.key == "imgsz":
            prop.value = f"[{new[1]}, {new[0]}]"
    drop_unused(model)
    return model


def set_output_dims(output, shape):
    """Declares what the walk found; the batch stays as it was declared."""
    dims = output.type.tensor_type.shape.dim
    if shape is None or len(dims) != len(shape):
        return
    for declared, found in list(zip(dims, shape))[1:]:
        if found is None:
            declared.Clear()
        else:
            declared.dim_value = found


class _Rewriter:
    def __init__(self, model, before, old, new):
        self.model, self.before, self.old, self.new = model, before, old, new
        self.grids, self.positions = {}, cumulative_positions(old, new)
        for stride in (1, 2, 4, 8, 16, 32, 64):
            self.grids[(old[1] // stride, old[0] // stride)] = (new[1] // stride, new[0] // stride)

    def visit(self, walk, node):
        handlers = {"Reshape": self._reshape, "Resize": self._resize, "Slice": self._slice, "Split": self._split, "Expand": self._expand, "Concat": self._concat,
                    "MatMul": self._contraction, "Gemm": self._contraction, **dict.fromkeys(ARITHMETIC, self._arithmetic)}
        if node.op_type in handlers:
            handlers[node.op_type](walk, node)

    def _refuse(self, walk, node, index, why):
        name = node.input[index]
        shape = "x".join(map(str, walk.shapes.get(name, ()))) or "one number"
        raise refused(f'{describe(node)}: its constant "{name}" ({shape}) {why}, so the model cannot be made {self.new[0]}x{self.new[1]}; '
                      f"export it at that size (imgsz={self.new[1]},{self.new[0]}), or leave the size out of --sizes")

    def _constant(self, walk, node, index):
        return walk.static_value(node.input[index]) if index < len(node.input) and node.input[index] else None

    def _changed(self, walk, name):
        """(old shape, new shape) of a tensor where they differ, else None."""
        old, new = self.before.shapes.get(name), walk.shapes.get(name)
        return (old, new) if old and new and len(old) == len(new) and old != new and None not in old + new else None

    def _reshape(self, walk, node):
        target, change = self._constant(walk, node, 1), self._changed(walk, node.input[0])
        if target is None or change is None:
            return
        dims = reshaped(*change, self.before.shapes[node.output[0]], self.grids)
        if dims is None:
            self._refuse(walk, node, 1, f"fits pictures of {self.old[0]}x{self.old[1]} only: {target.tolist()}")
        kept = [int(t) if t == -1 or (t == 0 and i < len(change[1])) else d for i, (t, d) in enumerate(zip(target.tolist(), dims))]
        if kept != target.tolist():
            replace_input(self.model, walk, node, 1, np.array(kept, np.int64))

    def _resize(self, walk, node):
        sizes, change = self._constant(walk, node, 3), self._changed(walk, node.input[0])
        if sizes is None or sizes.size == 0 or change is None:
            return
        scaled = [s * new / old for s, old, new in zip(sizes.tolist(), *change)]
        if any(abs(s - round(s)) > 1e-6 for s in scaled):
            self._refuse(walk, node, 3, f"asks for {sizes.tolist()}, which is no whole multiple of the smaller map")
        replace_input(self.model, walk, node, 3, np.array([round(s) for s in scaled], np.int64))

    def _slice(self, walk, node):
        starts, ends, change = self._constant(walk, node, 1), self._constant(walk, node, 2), self._changed(walk, node.input[0])
        if change is None or starts is None or ends is None:
            return
        axes = self._constant(walk, node, 3)
        axes = list(range(len(starts))) if axes is None else axes.tolist()
        for index, bounds in ((1, starts), (2, ends)):
            moved = bounds.copy()
            for i, axis in enumerate(axes):
                old, new, bound = change[0][axis], change[1][axis], int(bounds[i])
                if old == new or bound <= 0 or bound > old or (index == 1 and bound < 8) or bound == 1:
                    continue  # counted from the end, beyond it, or a start near it (space to depth)
                place = new if bound == old else self.positions.get(bound)
                if place is None and (bound * new) % old == 0:
                    place = bound * new // old
                if place is None or place > new:
                    self._refuse(walk, node, index, f"cuts at {bound} of {old}")
                moved[i] = place
            if not np.array_equal(moved, bounds):
                replace_input(self.model, walk, node, index, moved)

    def _split(self, walk, node):
        parts, change = self._constant(walk, node, 1), self._changed(walk, node.input[0])
        if parts is None or change is None:
            return
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        old, new = change[0][axis], change[1][axis]
        if old == new:
            return
        ends = [self.positions.get(int(end)) for end in np.cumsum(parts)]
        moved = None if None in ends else np.diff([0, *ends])
        if moved is None or moved.sum() != new:
            scaled = parts * new / old
            if np.abs(scaled - scaled.round()).max() > 1e-6:
                self._refuse(walk, node, 1, f"splits {old} into {parts.tolist()}")
            moved = scaled.round()
        replace_input(self.model, walk, node, 1, moved.astype(np.int64))

    def _expand(self, walk, node):
        target, change = self._constant(walk, node, 1), self._changed(walk, node.input[0])
        if target is None:
            return
        if change is None:
            if walk.static_value(node.input[0]) is None and any(int(t) > 1 and int(t) in (h * w for h, w in self.grids) for t in target.tolist()[2:]):
                self._refuse(walk, node, 1, f"spreads to {target.tolist()}")
            return
        lead = len(target) - len(change[0])
        moved = target.copy()
        for i, (old, new) in enumerate(zip(*change)):
            if old != new and int(target[lead + i]) == old:
                moved[lead + i] = new
        replace_input(self.model, walk, node, 1, moved)

    def _concat(self, walk, node):
        """Parts that are constants have to have the other parts' new sides."""
        axis = next(a.i for a in node.attribute if a.name == "axis")
        change = next((c for c in (self._changed(walk, name) for name in node.input) if c), None)
        if change is None:
            return
        axis %= len(change[0])
        for index, name in enumerate(node.input):
            table = walk.static_value(name)
            if table is None or table.ndim != len(change[0]):
                continue
            axes = [i for i in range(table.ndim) if i != axis and change[0][i] != change[1][i] and table.shape[i] == change[0][i]]
            if axes:
                self._resize_table(walk, node, index, table, axes, [change[1][i] for i in axes])

    def _contraction(self, walk, node):
        for index in (0, 1):
            change, weights = self._changed(walk, node.input[index]), self._constant(walk, node, 1 - index)
            if change is None or weights is None:
                continue
            old, new = (shape[-1 if index == 0 else -2] for shape in change)
            if old != new:
                self._refuse(walk, node, 1 - index, f"weighs each of {old} positions by itself")

    def _arithmetic(self, walk, node):
        for index in range(len(node.input)):
            table = self._constant(walk, node, index)
            if table is None:
                continue
            others = [self._changed(walk, name) for i, name in enumerate(node.input) if i != index]
            change = next((c for c in others if c), None)
            if change is None:
                continue
            lead = len(change[0]) - table.ndim
            axes = [i for i in range(table.ndim) if lead + i >= 0 and change[0][lead + i] != change[1][lead + i] and table.shape[i] == change[0][lead + i]]
            if axes:
                self._resize_table(walk, node, index, table, axes, [change[1][lead + i] for i in axes])
            elif node.op_type in ("Mul", "Div"):
                self._sides(walk, node, index, table)

    def _resize_table(self, walk, node, index, table, axes, sides):
        resized = None
        if len(axes) == 1:
            resized = resize_flat_table(table, axes[0], self.old, self.new, sides[0])
        if resized is None and len(axes) <= 2 and (len(axes) == 1 or axes[1] == axes[0] + 1):
            resized = resize_grid_table(table, axes, sides)
        if resized is None:
            self._refuse(walk, node, index, f"belongs to the positions of {self.old[0]}x{self.old[1]} in a way that is not known")
        replace_input(self.model, walk, node, index, resized)

    def _sides(self, walk, node, index, table):
        """Boxes in shares of the picture: constants that are the sides, or 1 / side, for x and y (and width and height)."""
        if table.dtype.kind != "f" or table.size not in (2, 4) or max(table.shape, default=0) != table.size:
            return
        flat = table.astype(np.float64).ravel()
        old = np.array([self.old[0], self.old[1]] * (table.size // 2), np.float64)
        new = np.array([self.new[0], self.new[1]] * (table.size // 2), np.float64)
        if np.allclose(flat * old, 1, atol=1e-3):
            flat = flat * old / new
        elif np.allclose(flat, old, rtol=1e-3):
            flat = flat * new / old
        else:
            return
        if not np.array_equal(old, new):
            replace_input(self.model, walk, node, index, flat.reshape(table.shape).astype(table.dtype))


def load(path):
    """The model with its external data. Raises PrepareError where it is none."""
    try:
        model = onnx.load(path)
    except OSError:
        raise
    except Exception as problem:
        raise refused(f"{path}: is no ONNX model that can be read: {str(problem).strip().splitlines()[0]}") from problem
    kinds = {node.op_type for node in model.graph.node}
    if "QuantizeLinear" in kinds or "DequantizeLinear" in kinds or any(kind.startswith("QLinear") for kind in kinds):
        raise refused(f"{path}: is quantised already (it has {', '.join(sorted(k for k in kinds if 'Quantize' in k or k.startswith('QLinear')))}); "
                      "give prepare the FP32 export that it was made from")
    dims = input_dims(model)
    if len(dims) != 4 or dims[1] not in (3, None):
        raise refused(f"{path}: its input is {dims}, but a detector takes [batch, 3, height, width]")
    return model
