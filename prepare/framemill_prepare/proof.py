"""Proof that a rewritten graph computes what the exported one computes."""
import copy

import numpy as np
import onnx

from .errors import PrepareError
from .graph_walk import Walk
from .rectangle import image_input

AWAY_PX = 12.0  # a border nearer by moves boxes of nothing by a few pixels; a wrong table by hundreds
SCORE_AWAY = 0.02
SORTED_ROWS = 30  # of an end-to-end output, the best, are looked at: the last ones change places for nothing
SORTED_SCORE_AWAY = 0.1  # attention sees the rest of the picture, too


def session(model):
    import onnxruntime  # takes half a second
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(runner, picture):
    return runner.run(None, {runner.get_inputs()[0].name: picture})[0]


def cells(size, stride):
    return size[0] // stride, size[1] // stride


def positions_of(output_count, size):
    """(anchors, strides) of an output with so many positions; None for heads that sort their answers."""
    from .position_table import ANCHOR_COUNTS, STRIDE_SETS
    for strides in STRIDE_SETS[:3]:
        for anchors in ANCHOR_COUNTS:
            if anchors * sum((size[0] // s) * (size[1] // s) for s in strides) == output_count:
                return anchors, strides
    return None


def rows(output, size):
    """The output as rows [position, column], with its layout; None where it has no positions."""
    for axis in (1, 2):
        if output.ndim == 3 and positions_of(output.shape[axis], size):
            return (output[0] if axis == 1 else output[0].T), positions_of(output.shape[axis], size)
    return None


def common_rows(of_old, of_new, layout, old, new, is_anchor_last):
    """The rows of the inner cells that both sizes have, each with its partner. is_anchor_last: anchors of a cell lie side by side."""
    anchors, strides = layout
    picked, start = ([], []), [0, 0]
    for stride in strides:
        grids = [cells(size, stride) for size in (old, new)]
        y, x = np.mgrid[0:max(1, grids[1][1] * 2 // 3), 0:max(1, grids[1][0] * 2 // 3)]
        for side, (w, h) in enumerate(grids):
            for anchor in range(anchors):
                place = (y * w + x) * anchors + anchor if is_anchor_last else anchor * w * h + y * w + x
                picked[side].append(start[side] + place.ravel())
            start[side] += anchors * w * h
    return of_old[np.concatenate(picked[0])], of_new[np.concatenate(picked[1])]


def check_rectangle(exported, resized, old, new, picture, head="", classes=0):
    """Raises PrepareError unless both say nearly the same of a picture that lies in the upper left corner of the exported size.

    picture: [1, 3, new height, new width] as the model takes it. Away from the border that only the small one has, boxes and scores have to agree. head: as framemill
    recognised it; "yolox" gives places within a cell, all others pixels or shares of the picture. classes: of an "end2end" head, to find what it sorts; 0 where they are
    not known.
    """
    canvas = np.full((1, 3, old[1], old[0]), np.median(picture), np.float32)
    canvas[:, :, :new[1], :new[0]] = picture[:, :, :old[1], :old[0]]
    wide, small = run(session(exported), canvas), run(session(resized), picture)
    if not np.isfinite(small).all():
        raise PrepareError(f"made {new[0]}x{new[1]}, the model gives numbers that are not finite; leave the size out of --sizes")
    if head == "end2end":
        names = [before_sorting(model, size, classes) for model, size in ((exported, old), (resized, new))]
        if None not in names:  # what is sorted has a place for each cell, so it tells more than the sorted rows
            wide, small = run(session(showing(exported, names[0])), canvas), run(session(showing(resized, names[1])), picture)
            layout = rows(wide, old)
            _expect_near(*distance(*common_rows(layout[0], rows(small, new)[0], layout[1], old, new, False), old, new, False), SCORE_AWAY, new)
            return
        away, score_away = sorted_distance(small[0], wide[0], [side * 2 / 3 for side in new])
        _expect_near(away, score_away, SORTED_SCORE_AWAY, new)
        return
    one, other = rows(wide, old), rows(small, new)
    if one is None or other is None:
        if wide.shape != small.shape:
            raise PrepareError(f"made {new[0]}x{new[1]}, the model's output is {small.shape}, which no known head has; leave the size out of --sizes")
        return
    orders = (False, True) if one[1][0] > 1 else (False,)
    away, score_away = min(distance(*common_rows(one[0], other[0], one[1], old, new, order), old, new, head == "yolox") for order in orders)
    _expect_near(away, score_away, SCORE_AWAY, new)


def _expect_near(away, score_away, score_limit, new):
    if not (away <= AWAY_PX and score_away <= score_limit):
        raise PrepareError(f"made {new[0]}x{new[1]}, the model's boxes lie {away:.1f} px (median) from where the exported one has them, its scores {score_away:.3f}: "
                           "something in the graph still belongs to the old size; leave the size out of --sizes")


def distance(rows_old, rows_new, old, new, is_raw):
    """(medians of how far boxes lie apart in pixels, and scores)."""
    boxes_old, boxes_new = rows_old[:, :4].astype(np.float64), rows_new[:, :4].astype(np.float64)
    if is_raw:
        boxes_old, boxes_new = boxes_old * 16, boxes_new * 16  # about a cell
    elif np.abs(boxes_old).max() <= 4:
        boxes_old, boxes_new = boxes_old * ([*old] * 2), boxes_new * ([*new] * 2)
    return float(np.median(np.abs(boxes_old - boxes_new).max(axis=1))), float(np.median(np.abs(rows_old[:, 4:] - rows_new[:, 4:]).max(axis=1)))


def before_sorting(model, size, classes):
    """The name of the last tensor [1, N, 4 + classes] or [1, 4 + classes, N] with a row for each cell; None where there is none, as in RT-DETR."""
    walk = Walk(model, {image_input(model).name: (1, 3, size[1], size[0])})
    found = None
    for node in model.graph.node:
        shape = walk.shapes.get(node.output[0]) or ()
        if classes and len(shape) == 3 and None not in shape and 4 + classes in shape[1:] and any(positions_of(side, size) for side in shape[1:] if side != 4 + classes):
            found = node.output[0]
    return found


def showing(model, name):
    """A copy whose one output is the tensor `name`."""
    shown = copy.deepcopy(model)
    del shown.graph.output[:], shown.graph.value_info[:]
    shown.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return shown


def sorted_distance(wanted, found, inside=None):
    """(medians of how far boxes lie apart in pixels, and scores) of the best rows [x1, y1, x2, y2, score, class] of `wanted`, each against the nearest row of its class
    in `found`; without one it is infinitely far. inside: (x, y), rows beyond are left out where there are others."""
    best = wanted[np.argsort(-wanted[:, 4], kind="stable")]
    if inside is not None:
        inner = best[(best[:, 2] <= inside[0]) & (best[:, 3] <= inside[1])]
        best = inner if len(inner) else best
    boxes, scores = [], []
    for row in best[:SORTED_ROWS]:
        same = found[found[:, 5] == row[5]]
        distances = np.abs(same[:, :4] - row[:4]).max(axis=1)
        boxes.append(distances.min() if len(same) else np.inf)
        scores.append(abs(same[distances.argmin(), 4] - row[4]) if len(same) else np.inf)
    return float(np.median(boxes)), float(np.median(scores))


def check_batch(model, picture, head=""):
    """Raises PrepareError unless two pictures at once give what each gives alone."""
    runner = session(model)
    pair = np.concatenate([picture, picture[:, :, ::-1, ::-1]])
    alone = np.concatenate([run(runner, pair[:1]), run(runner, pair[1:])])
    both = run(runner, pair)
    if head == "end2end":  # equal scores may change places
        for one, other in zip(alone, both):
            away, score_away = sorted_distance(one, other)
            if not (away <= 1 and score_away <= 1e-2):
                raise PrepareError(f"with an open batch, two pictures at once differ from each alone: boxes by {away:.3g} px (median), scores by {score_away:.3g}")
        return
    away = np.abs(both - alone).max()
    if not away <= 1e-2 * max(1.0, float(np.abs(alone).max())):
        raise PrepareError(f"with an open batch, two pictures at once differ from each alone by {away:.3g}")
