"""Chooses few pictures that show most: each next one is the one farthest from all that were chosen.

The first N frames of a clip show one scene N times; ranges measured on them are too narrow, and INT8 then clips what it has not seen. Farthest-point choice covers the
rare (night, headlights, a full hall) with few pictures, and needs no number of groups. Its one weakness, a fondness for outliers, is met by starting in the
middle of the crowd and by giving a share of the places to the common.
"""
import numpy as np

COMMON_SHARE = 0.25


def choose(rows, count):
    """Indices of `count` rows (of features.weighted()), in the order in which they were chosen. Deterministic."""
    rows = np.asarray(rows, np.float64)
    if len(rows) <= count:
        return list(range(len(rows)))
    squares = (rows ** 2).sum(axis=1)
    first = int(np.argmin(squares - 2 * rows @ rows.mean(axis=0)))
    chosen = [first]
    nearest = _distances(rows, squares, first)
    while len(chosen) < count - int(count * COMMON_SHARE):
        farthest = int(np.argmax(nearest))
        if nearest[farthest] <= 1e-12:
            break  # all the rest are copies
        chosen.append(farthest)
        nearest = np.minimum(nearest, _distances(rows, squares, farthest))
    left = np.setdiff1d(np.arange(len(rows)), chosen)
    places = np.linspace(0, len(left) - 1, count - len(chosen)).round().astype(int)
    return chosen + [int(i) for i in left[places]]


def _distances(rows, squares, index):
    return np.maximum(squares + squares[index] - 2 * rows @ rows[index], 0)


def coverage(rows, chosen):
    """How far the farthest row is from its nearest chosen one, as a share of the farthest from the middle: 0 covers all."""
    rows = np.asarray(rows, np.float64)
    nearest = ((rows[:, None] - rows[None, chosen]) ** 2).sum(axis=2).min(axis=1)
    middle = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1).max()
    return float(np.sqrt(nearest.max() / middle)) if middle > 0 else 0.0
