"""Small detectors as ONNX graphs, written node by node: what exporters write, without weights to load. For the tests."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Collects nodes and constants; each method returns the name of what it made."""

    def __init__(self, seed=0):
        self.nodes, self.constants, self.count = [], [], 0
        self.random = np.random.default_rng(seed)

    def constant(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        made = [f"t{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, name=f"{kind}_{self.count}", **attributes))
        return made[0] if outputs == 1 else made

    def conv(self, source, inside, outside, stride=1, kernel=3):
        weights = self.random.normal(0, 0.4 / np.sqrt(inside * kernel * kernel), (outside, inside, kernel, kernel)).astype(np.float32)
        pad = kernel // 2
        return self.node("Conv", source, self.constant(weights), self.constant(np.zeros(outside, np.float32)), strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[kernel] * 2)

    def block(self, source, inside, outside, stride=1):
        return self.node("Relu", self.conv(source, inside, outside, stride))

    def model(self, output, shape_in, shape_out, metadata=None):
        for node in self.nodes:
            if output in node.output:
                node.output[list(node.output).index(output)] = "output0"
        graph = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape_in)],
                                  [helper.make_tensor_value_info("output0", TensorProto.FLOAT, shape_out)], self.constants)
        return self._whole(graph, metadata)

    @staticmethod
    def _whole(graph, metadata=None):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model, full_check=True)
        return model

    def model_of(self, inputs, outputs):
        """A model with several of both. inputs: {name: (type, shape)}; outputs: {name: (what was made, type, shape)}."""
        named = [helper.make_node("Identity", [made], [name], name=f"to_{name}") for name, (made, _, _) in outputs.items()]
        values = [[helper.make_tensor_value_info(name, *each[-2:]) for name, each in side.items()] for side in (inputs, outputs)]
        return self._whole(helper.make_graph([*self.nodes, *named], "g", *values, self.constants))


STRIDES = (8, 16, 32)
CLASSES = 3


def backbone(graph):
    """Feature maps of strides 8, 16, 32 with 8 channels each."""
    x = graph.block(graph.block(graph.block("images", 3, 4, 2), 4, 8, 2), 8, 8, 2)
    maps = [x]
    for _ in range(2):
        maps.append(graph.block(maps[-1], 8, 8, 2))
    return maps


def anchors(size):
    """Anchor points [2, N] and strides [N] as an exporter folds them."""
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0:size[1] // stride, 0:size[0] // stride]
        points.append(np.stack([x.ravel() + 0.5, y.ravel() + 0.5]))
        strides.append(np.full(x.size, stride))
    return np.concatenate(points, 1).astype(np.float32), np.concatenate(strides).astype(np.float32)


def v8(size=(640, 640), batch=None, table=None, attention=None):
    """[B, 4 + classes, N]. batch: fixed there in every Reshape, None: open. table: what is used for the anchor points; attention: "plain" or "area"."""
    graph = Graph()
    maps = backbone(graph)
    if attention:
        maps[1] = attend(graph, maps[1], size, batch, attention)
    flat, lead = [], -1 if batch is None else batch
    for stride, feature in zip(STRIDES, maps):
        raw = graph.conv(feature, 8, 4 + CLASSES, kernel=1)
        count = (size[0] // stride) * (size[1] // stride)
        flat.append(graph.node("Reshape", raw, graph.constant(np.array([lead, 4 + CLASSES, count], np.int64))))
    joined = graph.node("Concat", *flat, axis=2)
    boxes, scores = graph.node("Split", joined, graph.constant(np.array([4, CLASSES], np.int64)), axis=1, outputs=2)
    near, far = graph.node("Split", graph.node("Relu", boxes), graph.constant(np.array([2, 2], np.int64)), axis=1, outputs=2)
    points, strides = anchors(size)
    points = graph.constant((points if table is None else table)[None], "anchor_points")
    low, high = graph.node("Sub", points, near), graph.node("Add", points, far)
    middle = graph.node("Div", graph.node("Add", low, high), graph.constant(np.float32(2)))
    decoded = graph.node("Mul", graph.node("Concat", middle, graph.node("Sub", high, low), axis=1), graph.constant(strides[None, None], "strides"))
    output = graph.node("Concat", decoded, graph.node("Sigmoid", scores), axis=1)
    return graph.model(output, ["batch" if batch is None else batch, 3, size[1], size[0]], ["batch" if batch is None else batch, 4 + CLASSES, points_of(size)],
                       {"names": '{"0": "a", "1": "b", "2": "c"}'})


def points_of(size, each=1):
    return each * sum((size[0] // s) * (size[1] // s) for s in STRIDES)


def attend(graph, feature, size, batch, kind):
    """Attention over the cells of stride 16, as v11 (plain) and v12 (in 4 areas) are exported; "heads" and "heads turned": in two heads, by both ways to write it."""
    if kind.startswith("heads"):
        return attend_in_heads(graph, feature, size, batch, kind == "heads turned")
    h, w, lead = size[1] // 16, size[0] // 16, -1 if batch is None else batch
    flat = graph.node("Reshape", feature, graph.constant(np.array([lead, 8, h * w], np.int64)))
    rows = graph.node("Transpose", flat, perm=[0, 2, 1])
    if kind == "area":
        rows = graph.node("Reshape", rows, graph.constant(np.array([-1 if batch is None else 4 * batch, h * w // 4, 8], np.int64)))
    scores = graph.node("Softmax", graph.node("MatMul", rows, graph.node("Transpose", rows, perm=[0, 2, 1])), axis=-1)
    mixed = graph.node("MatMul", scores, rows)
    grid = graph.node("Reshape", mixed, graph.constant(np.array([lead, h, w, 8], np.int64)))
    return graph.node("Add", feature, graph.node("Transpose", grid, perm=[0, 3, 1, 2]))


def attend_in_heads(graph, feature, size, batch, is_turned):
    h, w, lead = size[1] // 16, size[0] // 16, -1 if batch is None else batch
    q, k, v = (graph.node("Reshape", graph.conv(feature, 8, 8, kernel=1), graph.constant(np.array([lead, 2, 4, h * w], np.int64))) for _ in range(3))
    scores = graph.node("Mul", graph.node("MatMul", graph.node("Transpose", q, perm=[0, 1, 3, 2]), k), graph.constant(np.float32(.5)))
    weights = graph.node("Softmax", scores, axis=-1)
    if is_turned:
        mixed = graph.node("MatMul", v, graph.node("Transpose", weights, perm=[0, 1, 3, 2]))
    else:
        mixed = graph.node("Transpose", graph.node("MatMul", weights, graph.node("Transpose", v, perm=[0, 1, 3, 2])), perm=[0, 1, 3, 2])
    return graph.node("Add", feature, graph.node("Reshape", mixed, graph.constant(np.array([lead, 8, h, w], np.int64))))


def v5(size=(640, 640)):
    """[B, N, 5 + classes] with three anchors a cell, boxes as shares of the picture: grids, anchor sizes and sides are all constants."""
    graph = Graph()
    parts, columns = [], 5 + CLASSES
    for stride, feature in zip(STRIDES, backbone(graph)):
        h, w = size[1] // stride, size[0] // stride
        raw = graph.node("Sigmoid", graph.conv(feature, 8, 3 * columns, kernel=1))
        cells = graph.node("Reshape", raw, graph.constant(np.array([-1, 3, columns, h, w], np.int64)))
        cells = graph.node("Transpose", cells, perm=[0, 1, 3, 4, 2])
        xy, wh, rest = graph.node("Split", cells, graph.constant(np.array([2, 2, columns - 4], np.int64)), axis=4, outputs=3)
        y, x = np.mgrid[0:h, 0:w]
        grid = np.broadcast_to(np.stack([x, y], -1) - 0.5, (1, 3, h, w, 2)).astype(np.float32)
        sizes = np.broadcast_to(np.array([[1.5, 2], [2, 3], [4, 3]]).reshape(1, 3, 1, 1, 2) * stride, (1, 3, h, w, 2)).astype(np.float32)
        sides = graph.constant(np.array([1 / size[0], 1 / size[1]], np.float32))
        xy = graph.node("Mul", graph.node("Add", graph.node("Mul", xy, graph.constant(np.float32(2))), graph.constant(grid)), graph.constant(np.float32(stride)))
        wh = graph.node("Mul", wh, graph.constant(sizes))
        whole = graph.node("Concat", graph.node("Mul", xy, sides), graph.node("Mul", wh, sides), rest, axis=4)
        parts.append(graph.node("Reshape", whole, graph.constant(np.array([-1, 3 * h * w, columns], np.int64))))
    return graph.model(graph.node("Concat", *parts, axis=1), ["batch", 3, size[1], size[0]], ["batch", points_of(size, 3), columns])


def yolox_decoded(size=(416, 416), batch=1):
    """[B, N, 5 + classes], decoded in the graph with grids and strides as tables [1, N, 2] and [1, N, 1]; the batch is fixed, the count is -1."""
    graph = Graph()
    columns, flat = 5 + CLASSES, []
    for feature in backbone(graph):
        flat.append(graph.node("Reshape", graph.conv(feature, 8, columns, kernel=1), graph.constant(np.array([batch, columns, -1], np.int64))))
    rows = graph.node("Transpose", graph.node("Concat", *flat, axis=2), perm=[0, 2, 1])

    def part(start, end):
        return graph.node("Slice", rows, *(graph.constant(np.array([value], np.int64)) for value in (start, end, 2)))
    points, strides = anchors(size)
    strides = graph.constant(strides[None, :, None])
    xy = graph.node("Mul", graph.node("Add", part(0, 2), graph.constant((points - 0.5).T[None])), strides)
    wh = graph.node("Mul", graph.node("Exp", part(2, 4)), strides)
    output = graph.node("Concat", xy, wh, graph.node("Sigmoid", part(4, columns)), axis=2)
    return graph.model(output, [batch, 3, size[1], size[0]], [batch, points_of(size), columns])


def with_dense_layer(size=(640, 640)):
    """A head that weighs each position by itself: it cannot have another size."""
    graph = Graph()
    feature = backbone(graph)[2]
    count = (size[0] // 32) * (size[1] // 32)
    flat = graph.node("Reshape", feature, graph.constant(np.array([-1, 8, count], np.int64)))
    weights = graph.constant(graph.random.normal(0, 0.1, (count, 6)).astype(np.float32), "dense_weights")
    return graph.model(graph.node("MatMul", flat, weights), ["batch", 3, size[1], size[0]], ["batch", 8, 6])


def numbers(*values):
    return np.array(values, np.int64)


def v10(size=(640, 640), count=40):
    """[1, count, 6], sorted, as Ultralytics writes YOLOv10 down for one picture: places in the table are picked from the merged batch."""
    graph = Graph()
    flat = [graph.node("Reshape", graph.conv(feature, 8, 4 + CLASSES, kernel=1), graph.constant(numbers(1, 4 + CLASSES, -1))) for feature in backbone(graph)]
    near, far, scores = graph.node("Split", graph.node("Concat", *flat, axis=2), graph.constant(numbers(2, 2, CLASSES)), axis=1, outputs=3)
    points, strides = anchors(size)
    points = graph.constant(points[None])
    corners = [graph.node(kind, points, graph.node("Relu", part)) for kind, part in (("Sub", near), ("Add", far))]
    boxes = graph.node("Mul", graph.node("Concat", *corners, axis=1), graph.constant(strides[None, None]))
    rows = graph.node("Transpose", graph.node("Concat", boxes, graph.node("Sigmoid", scores), axis=1), perm=[0, 2, 1])
    boxes, scores = graph.node("Split", rows, graph.constant(numbers(4, CLASSES)), axis=2, outputs=2)
    top = graph.node("TopK", graph.node("ReduceMax", scores, axes=[-1], keepdims=0), graph.constant(numbers(count)), outputs=2)[1]
    place = graph.node("Unsqueeze", top, graph.constant(numbers(-1)))
    scores = graph.node("GatherElements", scores, graph.node("Tile", place, graph.constant(numbers(1, 1, CLASSES))), axis=1)
    best, index = graph.node("TopK", graph.node("Flatten", scores), graph.constant(numbers(count)), outputs=2)
    classes = graph.constant(np.array(CLASSES, np.int64))
    picked = graph.node("Gather", graph.node("Flatten", place, axis=2), graph.node("Div", index, classes), axis=0)
    boxes = graph.node("GatherElements", boxes, graph.node("Tile", picked, graph.constant(numbers(1, 1, 4))), axis=1)
    last = graph.constant(numbers(-1))
    label = graph.node("Cast", graph.node("Unsqueeze", graph.node("Mod", index, classes), last), to=TensorProto.FLOAT)
    output = graph.node("Concat", boxes, graph.node("Unsqueeze", best, last), label, axis=-1)
    return graph.model(output, [1, 3, size[1], size[0]], [1, count, 6], {"names": '{"0": "a", "1": "b", "2": "c"}'})


def queries(form, size=(320, 192), count=20, classes=CLASSES, has_anchors=False):
    """A small RT-DETR: the cells of stride 32 that look best become queries, which look at all cells. form: "labels" (labels, boxes, scores; the picture's size is an
    input), "logits" (logits, pred_boxes) or "joined" ([B, count, 4 + classes]). has_anchors: boxes begin at a table of the cells, as D-FINE's do."""
    graph = Graph()
    feature = backbone(graph)[2]
    cells = graph.node("Transpose", graph.node("Reshape", feature, graph.constant(numbers(0, 8, -1))), perm=[0, 2, 1])

    def linear(rows, outside):
        return graph.node("MatMul", rows, graph.constant(graph.random.normal(0, 0.7, (8, outside)).astype(np.float32)))
    place = graph.node("TopK", graph.node("ReduceMax", linear(cells, classes), axes=[-1], keepdims=0), graph.constant(numbers(count)), outputs=2)[1]
    place = graph.node("Unsqueeze", place, graph.constant(numbers(-1)))

    def picked(rows, columns):
        return graph.node("GatherElements", rows, graph.node("Tile", place, graph.constant(numbers(1, 1, columns))), axis=1)
    start = picked(cells, 8)
    weights = graph.node("Softmax", graph.node("MatMul", start, graph.node("Transpose", cells, perm=[0, 2, 1])), axis=-1)
    rows = graph.node("Add", start, graph.node("MatMul", weights, cells))
    logits, raw = linear(rows, classes), linear(rows, 4)
    if has_anchors:
        y, x = (np.mgrid[0:size[1] // 32, 0:size[0] // 32] + 0.5).reshape(2, -1)
        shares = np.stack([x * 32 / size[0], y * 32 / size[1], np.full(x.shape, 0.2), np.full(x.shape, 0.3)], -1)
        table = graph.constant(np.log(shares / (1 - shares)).astype(np.float32)[None], "query_anchors")
        whole = graph.node("Add", linear(cells, 4), table)
        raw = graph.node("Add", raw, picked(whole, 4))
    boxes = graph.node("Sigmoid", raw)
    images, batch = {"images": (TensorProto.FLOAT, ["batch", 3, size[1], size[0]])}, ["batch", count]
    if form == "logits":
        return graph.model_of(images, {"logits": (logits, TensorProto.FLOAT, [*batch, classes]), "pred_boxes": (boxes, TensorProto.FLOAT, [*batch, 4])})
    scores = graph.node("Sigmoid", logits)
    if form == "joined":
        return graph.model_of(images, {"output0": (graph.node("Concat", boxes, scores, axis=2), TensorProto.FLOAT, [*batch, 4 + classes])})
    middle, extent = graph.node("Split", boxes, graph.constant(numbers(2, 2)), axis=2, outputs=2)
    half = graph.node("Mul", extent, graph.constant(np.float32(0.5)))
    corners = graph.node("Concat", graph.node("Sub", middle, half), graph.node("Add", middle, half), axis=2)
    sides = graph.node("Cast", graph.node("Unsqueeze", graph.node("Tile", "orig_target_sizes", graph.constant(numbers(1, 2))), graph.constant(numbers(1))), to=TensorProto.FLOAT)
    best, label = graph.node("TopK", scores, graph.constant(numbers(1)), outputs=2, axis=2)
    last = graph.constant(numbers(2))
    return graph.model_of({**images, "orig_target_sizes": (TensorProto.INT64, ["batch", 2])},
                          {"labels": (graph.node("Squeeze", label, last), TensorProto.INT64, batch),
                           "boxes": (graph.node("Mul", corners, sides), TensorProto.FLOAT, [*batch, 4]), "scores": (graph.node("Squeeze", best, last), TensorProto.FLOAT, batch)})
