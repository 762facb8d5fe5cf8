"""From the model's output to detections, and how good they are. numpy only."""

import numpy as np

MAP_IOUS = np.arange(0.5, 0.96, 0.05)
RECALL_POINTS = np.linspace(0, 1, 101)


def iou_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """IoU of every box x1, y1, x2, y2 of `first` with every one of `second`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    area_1 = (first[:, 2:] - first[:, :2]).prod(-1)
    area_2 = (second[:, 2:] - second[:, :2]).prod(-1)
    return common / (area_1[:, None] + area_2[None] - common + 1e-9)


def read_output(output: np.ndarray, score_min: float, nms_iou: float, detections_max: int = 300) -> np.ndarray:
    """`[4 + classes, positions]` to rows class, score, x1, y1, x2, y2 in input pixels, best first.

    Each position may answer for several classes. Suppression compares boxes of one class only.
    """
    scores = output[4:]
    classes, places = np.nonzero(scores >= score_min)
    centre, half = output[:2, places].T, output[2:4, places].T / 2
    rows = np.column_stack([classes, scores[classes, places], centre - half, centre + half])
    rows = rows[np.argsort(-rows[:, 1], kind="stable")][:2000]
    kept = []
    for class_index in np.unique(rows[:, 0]):
        rest = rows[rows[:, 0] == class_index]
        while len(rest):
            kept.append(rest[0])
            rest = rest[1:][iou_matrix(rest[:1, 2:], rest[1:, 2:])[0] <= nms_iou]
    kept = np.array(kept).reshape(-1, 6)
    return kept[np.argsort(-kept[:, 1], kind="stable")][:detections_max]


def average_precision(answers: list[np.ndarray], truths: list[np.ndarray], class_index: int, iou_min: float) -> float:
    """101-point AP of one class. `answers` as from read_output; `truths` rows class, box, is_sure.

    As in COCO's rule for regions to ignore: an answer that hits no labelled object but one that is
    unsure (is_sure 0, seen less than half) counts neither for nor against.
    """
    scores, hits, total = [], [], 0
    for answer, truth in zip(answers, truths):
        found = answer[answer[:, 0] == class_index]
        real = truth[(truth[:, 0] == class_index) & (truth[:, 5] > 0.5), 1:5]
        unsure = truth[(truth[:, 0] == class_index) & (truth[:, 5] < 0.5), 1:5]
        total += len(real)
        overlap = iou_matrix(found[:, 2:], real) if len(real) else np.zeros((len(found), 0))
        is_taken = np.zeros(len(real), bool)
        for k in range(len(found)):
            free = np.where(is_taken, -1, overlap[k])
            if len(real) and free.max() >= iou_min:
                is_taken[free.argmax()] = True
                hits.append(True)
            elif len(unsure) and iou_matrix(found[k:k + 1, 2:], unsure).max() >= iou_min:
                continue
            else:
                hits.append(False)
            scores.append(found[k, 1])
    if total == 0:
        return float("nan")
    order = np.argsort(-np.array(scores), kind="stable")
    hit = np.array(hits)[order]
    right = np.cumsum(hit)
    recall, precision = right / total, right / np.arange(1, len(hit) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALL_POINTS, side="left")
    return float(np.mean([precision[k] if k < len(precision) else 0.0 for k in at]))


def counts_at(answers, truths, score_min: float, iou_min: float = 0.5) -> tuple[int, int, int]:
    """(objects, right, claimed) over all classes at a score; unsure objects as in average_precision."""
    objects = right = claimed = 0
    for answer, truth in zip(answers, truths):
        objects += int((truth[:, 5] > 0.5).sum())
        is_taken = np.zeros(len(truth), bool)
        for row in answer[answer[:, 1] >= score_min]:
            same = (truth[:, 0] == row[0]) & ~is_taken
            overlap = np.where(same, iou_matrix(row[None, 2:], truth[:, 1:5])[0], -1) if len(truth) else np.zeros(0)
            sure = np.where(truth[:, 5] > 0.5, overlap, -1)
            if len(sure) and sure.max() >= iou_min:
                is_taken[sure.argmax()] = True
                right += 1
                claimed += 1
            elif not (len(overlap) and overlap.max() >= iou_min):
                claimed += 1
    return objects, right, claimed
