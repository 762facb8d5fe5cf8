"""How far two sides' detections on the same pictures agree: what run_agreement.py and run_runtimes.py share.

Plain Python, so that the default suite can use it.
"""
import json

SCORE = 0.3
IOU_LEAST = 0.95
SCORE_DIFFERENCE_MOST = 0.02
SHARE_LEAST = 0.99  # of the detections agree; the rest are edge cases


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def nearest(one, others):
    """The one of `others` of the same class with the largest IoU (or None), and that IoU."""
    same = [o for o in others if o["class"] == one["class"]]
    best = max(same, key=lambda o: iou(one["box"], o["box"]), default=None)
    return best, iou(one["box"], best["box"]) if best else 0.0


def compare(wanted, found):
    """Counts of (agreed, edge, missed) of `wanted`'s sure detections among `found`, and the worst values."""
    agreed, edge, missed = 0, 0, []
    worst_iou, worst_score = 1.0, 0.0
    for one in wanted:
        if one["score"] < SCORE:
            continue
        best, overlap = nearest(one, found)
        difference = abs(one["score"] - best["score"]) if best else 1.0
        if overlap >= IOU_LEAST and difference <= SCORE_DIFFERENCE_MOST:
            agreed += 1
            worst_iou, worst_score = min(worst_iou, overlap), max(worst_score, difference)
            continue
        # Two boxes for one object with nearly the same score, or an overlap at NMS's limit: which of
        # them stays is a matter of the last digit.
        rivals = [o for o in wanted + found if o is not one and o is not best and o["class"] == one["class"]
                  and iou(one["box"], o["box"]) > 0.4]
        if rivals:
            edge += 1
        else:
            missed.append({"wanted": one, "nearest": best, "iou": round(overlap, 3)})
    return agreed, edge, missed, worst_iou, worst_score


def is_alike(model, ours, theirs, names=("framemill", "reference"), is_none_allowed=False):
    """Prints how `ours` and `theirs` (picture: detections) agree; whether they keep the bars.

    `is_none_allowed`: a model that finds nothing on these pictures, on both sides, is alike, too.
    """
    agreed = edge = 0
    missed, worst_iou, worst_score = [], 1.0, 0.0
    for name in theirs:
        for wanted, found, side in ((theirs[name], ours[name], names[1]), (ours[name], theirs[name], names[0])):
            a, e, m, box, score = compare(wanted, found)
            agreed, edge = agreed + a, edge + e
            missed += [{"picture": name, "only": side, **entry} for entry in m]
            worst_iou, worst_score = min(worst_iou, box), max(worst_score, score)
    total = agreed + edge + len(missed)
    is_good = (total > 0 or is_none_allowed) and not missed and agreed >= SHARE_LEAST * total
    print(f"{model}: {'ok' if is_good else 'MISSED'}: {agreed} of {total} detections agree, {edge} edge, "
          f"{len(missed)} missed; least IoU {worst_iou:.3f}, largest score difference {worst_score:.4f}")
    for entry in missed[:10]:
        print("   ", json.dumps(entry))
    return is_good


def mean_differences(pairs):
    """Of two answers each: means of |score difference| and 1 - IoU over the sure detections of both.

    One without a counterpart that overlaps by half counts with its whole score and 1.
    """
    scores, overlaps = [], []
    for left, right in pairs:
        for wanted, found in ((left, right), (right, left)):
            for one in wanted:
                if one["score"] < SCORE:
                    continue
                best, overlap = nearest(one, found)
                scores.append(abs(one["score"] - best["score"]) if overlap >= 0.5 else one["score"])
                overlaps.append(1 - overlap if overlap >= 0.5 else 1)
    return (sum(scores) / len(scores), sum(overlaps) / len(scores), len(scores)) if scores else (1.0, 1.0, 0)
