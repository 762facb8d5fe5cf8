"""The outputs of RT-DETR, D-FINE and their kin as the one end-to-end output [batch, N, 6] that framemill reads.

Exporters write them in three ways: labels, boxes and scores with the picture's size as a second input (the original repositories); logits and boxes (Transformers); boxes
and scores in one tensor (Ultralytics). All hold one row for each of N queries. What is added here is small, works for any batch and size, and belongs to the head: it stays float.
"""
import copy

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import proof
from .errors import refused
from .graph_walk import Walk, drop_unused

QUERIES_MAX = 1000      # framemill's own limit for end-to-end heads
OUTPUT = "detections"
SHARE_MAX = 3.0         # boxes in shares of the picture: even a bad one ends near it
PIXELS_MIN = 8.0


def adapt(model):
    """(a copy with the one output, what was done) or None where these are no such outputs. Raises PrepareError where they nearly are."""
    pictures, sizes = _inputs(model)
    if pictures is None:
        return None
    walk = Walk(model, {pictures.name: (1, *_dims(pictures)[1:]), **{size.name: (1, 2) for size in sizes}})
    outputs = {output.name: walk.shapes.get(output.name) or () for output in model.graph.output}
    found = _find_parts(walk, outputs, tuple(_dims(pictures)[:1:-1]))
    if found is None:
        return None
    form, parts = found
    if form != "labels" and sizes:
        raise refused(f'the graph has a second input, "{sizes[0].name}", but no output of labels; export the model for pictures alone')
    result = copy.deepcopy(model)
    builder = _Builder(result, pictures.name)
    if sizes:
        builder.answer_size(sizes[0])
    if form == "labels":
        boxes, scores, classes = parts["boxes"], parts["scores"], builder.to_float(parts["labels"])
    else:
        if form == "joined":
            boxes, values = builder.split(outputs[parts["joined"]][2], parts["joined"])
        else:
            boxes, values = parts["boxes"], builder.node("Sigmoid", parts["logits"])
        boxes, scores, classes = builder.to_corners(boxes), builder.best(values), builder.best_class(values)
    builder.finish(boxes, scores, classes)
    _declare(result, _dims(pictures)[0], _count(outputs, parts, form))
    drop_unused(result)
    _prove(model, result, form, parts, sizes)
    names = ", ".join(f'"{name}"' for name in parts.values())
    dropped = f'; the input "{sizes[0].name}" is now the picture\'s own size' if sizes else ""
    return result, f"{'the outputs' if len(parts) > 1 else 'the output'} {names} became one of [batch, {_count(outputs, parts, form)}, 6], which framemill reads as end2end{dropped}"


def _inputs(model):
    """(the picture, [further inputs that are a size of it]); None for the picture where there is another input still."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    pictures = [value for value in inputs if len(_dims(value)) == 4]
    sizes = [value for value in inputs if len(_dims(value)) == 2 and _dims(value)[1] == 2]
    if len(pictures) != 1 or len(pictures) + len(sizes) != len(inputs) or len(sizes) > 1:
        return None, []
    if any(side is None for side in _dims(pictures[0])[2:]):
        raise refused(f'the input "{pictures[0].name}" has an open size; export the model with a fixed one, such as 640x640')
    return pictures[0], sizes


def _dims(value):
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim]


def _find_parts(walk, outputs, size):
    """(form, {part: output}), or None. size: (width, height) of the input."""
    flat = [name for name, dims in outputs.items() if len(dims) == 2]
    tables = [name for name, dims in outputs.items() if len(dims) == 3 and dims[1] and dims[1] <= QUERIES_MAX]
    boxes = [name for name in tables if outputs[name][2] == 4]
    if len(outputs) == 3 and len(flat) == 2 and len(boxes) == 1:
        labels = [name for name in flat if "label" in name.lower() or walk.types.get(name) in (TensorProto.INT64, TensorProto.INT32)]
        scores = [name for name in flat if name not in labels and walk.types.get(name) == TensorProto.FLOAT]
        if len(labels) == 1 and len(scores) == 1:
            return "labels", {"labels": labels[0], "boxes": boxes[0], "scores": scores[0]}
    if len(outputs) > 2 and {"logits", "pred_boxes"} <= set(tables):  # Transformers: intermediate states follow
        tables = ["logits", "pred_boxes"]
        boxes = ["pred_boxes"]
    if (len(outputs) == 2 or boxes == ["pred_boxes"]) and len(tables) == 2:
        # Four classes are as wide as a box: then the name has to tell.
        boxes = [name for name in boxes if "box" in name.lower()] if len(boxes) == 2 else boxes
        logits = [name for name in tables if name not in boxes and outputs[name][2]]
        if len(boxes) == 1 and len(logits) == 1 and outputs[boxes[0]][1] == outputs[logits[0]][1]:
            return "logits", {"logits": logits[0], "boxes": boxes[0]}
    if len(outputs) == 1 and len(tables) == 1 and (outputs[tables[0]][2] or 0) > 4 and not any(proof.positions_of(side, size) for side in outputs[tables[0]][1:]):
        return "joined", {"joined": tables[0]}
    return None


def _count(outputs, parts, form):
    return outputs[parts["joined" if form == "joined" else "boxes"]][1]


class _Builder:
    """Appends nodes to the graph; each method returns the name of what it made."""

    def __init__(self, model, pictures):
        self.model, self.taken = model, {name for node in model.graph.node for name in [*node.input, *node.output]}
        self.opset = next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
        if self.opset < 13:
            raise refused(f"the graph is written for opset {self.opset}; export it with opset 13 or later (opset=17)")
        self.made = []
        shape = self.node("Shape", pictures)
        self.sides = self.node("Gather", shape, self.constant(np.array([3, 2], np.int64)))  # width, height

    def constant(self, value):
        name = self._name("constant")
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _name(self, kind):
        name = f"framemill/{kind}_{len(self.taken)}"
        self.taken.add(name)
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        names = [self._name(kind) for _ in range(outputs)]
        self.made.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def to_float(self, name):
        return self.node("Cast", name, to=TensorProto.FLOAT)

    def answer_size(self, value):
        """The input that asks for the picture's size gets that of the model's input: boxes then come in its pixels."""
        whole = self.node("Unsqueeze", self.sides, self.constant(np.array([0], np.int64)))
        name = self.node("Cast", whole, to=value.type.tensor_type.elem_type)
        for node in self.model.graph.node:
            for i, source in enumerate(node.input):
                if source == value.name:
                    node.input[i] = name
        self.model.graph.input.remove(value)
        # The nodes that read it come first: what it is made of has to stand before them.
        nodes = [*self.made, *self.model.graph.node]
        self.made = []
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)

    def split(self, columns, name):
        return self.node("Split", name, self.constant(np.array([4, columns - 4], np.int64)), outputs=2, axis=2)

    def to_corners(self, boxes):
        """Middle and size in shares of the picture -> corners in pixels."""
        middle, extent = self.node("Split", boxes, self.constant(np.array([2, 2], np.int64)), outputs=2, axis=2)
        half = self.node("Mul", extent, self.constant(np.float32(0.5)))
        sides = self.to_float(self.sides)
        corners = [self.node("Mul", self.node(kind, middle, half), sides) for kind in ("Sub", "Add")]
        return self.node("Concat", *corners, axis=2)

    def best(self, values):
        """The largest of each row. TopK, since ReduceMax changed its form between opsets."""
        return self.node("Squeeze", self._top(values)[0], self.constant(np.array([2], np.int64)))

    def best_class(self, values):
        return self.to_float(self.node("Squeeze", self._top(values)[1], self.constant(np.array([2], np.int64))))

    def _top(self, values):
        if not hasattr(self, "top"):
            self.top = self.node("TopK", values, self.constant(np.array([1], np.int64)), outputs=2, axis=2)
        return self.top

    def finish(self, boxes, scores, classes):
        last = self.constant(np.array([2], np.int64))
        columns = [boxes, self.node("Unsqueeze", scores, last), self.node("Unsqueeze", classes, last)]
        self.made.append(helper.make_node("Concat", columns, [OUTPUT], name="framemill/detections", axis=2))
        self.model.graph.node.extend(self.made)


def _declare(model, batch, count):
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch or "batch", count, 6]))
    del model.graph.value_info[:]


def _prove(model, adapted, form, parts, sizes):
    """Runs both: the rows have to be those of the outputs, and boxes and scores what the form takes them for."""
    height, width = _dims(_inputs(model)[0])[2:]
    picture = np.random.default_rng(3).uniform(0, 1, (1, 3, height, width)).astype(np.float32)
    feed = {_inputs(model)[0].name: picture}
    if sizes:
        kind = helper.tensor_dtype_to_np_dtype(sizes[0].type.tensor_type.elem_type)
        feed[sizes[0].name] = np.array([[width, height]], kind)
    given = dict(zip(parts, proof.session(model).run(list(parts.values()), feed)))
    rows = proof.run(proof.session(adapted), picture)[0]
    if form == "joined":
        given = {"boxes": given["joined"][..., :4], "values": given["joined"][..., 4:]}
    boxes = given["boxes"][0]
    if form == "labels":
        if sizes and np.abs(boxes).max() < PIXELS_MIN:
            raise refused(f'output "{parts["boxes"]}" does not follow the input "{sizes[0].name}": its boxes end at {np.abs(boxes).max():.2f}')
        wanted = np.column_stack([boxes, given["scores"][0], given["labels"][0]])
    else:
        if np.abs(boxes).max() > SHARE_MAX or boxes.min() < -SHARE_MAX:
            raise refused(f'output "{parts.get("boxes", parts.get("joined"))}" is taken for boxes in shares of the picture, but its values reach {np.abs(boxes).max():.1f}')
        values = given["values"][0] if form == "joined" else 1 / (1 + np.exp(-given["logits"][0].astype(np.float64)))
        if values.min() < 0 or values.max() > 1:
            raise refused(f'output "{parts["joined"]}" is taken for boxes and scores, but its scores go from {values.min():.2f} to {values.max():.2f}')
        middle, extent = boxes[:, :2], boxes[:, 2:]
        wanted = np.column_stack([(middle - extent / 2) * [width, height], (middle + extent / 2) * [width, height], values.max(1), values.argmax(1)])
    away = np.abs(rows - wanted)[:, :5].max()
    if not away <= 0.05:
        raise refused(f"the outputs could not be joined: rows lie {away:.3g} apart")


def adapt_file(source, target):
    """Writes the adapted model beside its origin's words in the metadata. False where the graph has no such outputs."""
    try:
        model = onnx.load(source)
    except OSError:
        raise
    except Exception:  # framemill's own message says more
        return False
    found = adapt(model)
    if found is None:
        return False
    adapted, note = found
    props = {prop.key: prop.value for prop in adapted.metadata_props}
    props["framemill.adapted"] = note
    del adapted.metadata_props[:]
    helper.set_model_props(adapted, props)
    from .pipeline import save_onnx
    target.parent.mkdir(parents=True, exist_ok=True)
    save_onnx(adapted, target)
    return True
