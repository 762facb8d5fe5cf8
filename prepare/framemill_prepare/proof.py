"""Proof that a rewritten graph computes what the exported one computes."""
import numpy as np

from .errors import PrepareError

AWAY_PX = 12.0  # a border nearer by moves boxes of nothing by a few pixels; a wrong table by hundreds
SCORE_AWAY = 0.02


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


def check_rectangle(exported, resized, old, new, picture, head=""):
    """Raises PrepareError unless both say nearly the same of a picture that lies in the upper left corner of the exported size.

    picture: [1, 3, new height, new width] as the model takes it. Away from the border that only the small one has, boxes and scores have to agree. head: as framemill
    recognised it; "yolox" gives places within a cell, all others pixels or shares of the picture.
    """
    canvas = np.full((1, 3, old[1], old[0]), np.median(picture), np.float32)
    canvas[:, :, :new[1], :new[0]] = picture[:, :, :old[1], :old[0]]
    wide, small = run(session(exported), canvas), run(session(resized), picture)
    if not np.isfinite(small).all():
        raise PrepareError(f"made {new[0]}x{new[1]}, the model gives numbers that are not finite; leave the size out of --sizes")
    one, other = rows(wide, old), rows(small, new)
    if one is None or other is None:
        if wide.shape != small.shape:
            raise PrepareError(f"made {new[0]}x{new[1]}, the model's output is {small.shape}, which no known head has; leave the size out of --sizes")
        return
    orders = (False, True) if one[1][0] > 1 else (False,)
    away, score_away = min(distance(*common_rows(one[0], other[0], one[1], old, new, order), old, new, head == "yolox") for order in orders)
    if away > AWAY_PX or score_away > SCORE_AWAY:
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


def check_batch(model, picture):
    """Raises PrepareError unless two pictures at once give what each gives alone."""
    runner = session(model)
    pair = np.concatenate([picture, picture[:, :, ::-1, ::-1]])
    alone = np.concatenate([run(runner, pair[:1]), run(runner, pair[1:])])
    away = np.abs(run(runner, pair) - alone).max()
    if not away <= 1e-2 * max(1.0, float(np.abs(alone).max())):
        raise PrepareError(f"with an open batch, two pictures at once differ from each alone by {away:.3g}")
