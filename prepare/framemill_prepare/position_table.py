"""Tables that a head has for its positions (anchor points, strides, grids): recognised, and computed anew for another input size.

A position is a cell of the grids of strides 8, 16, 32, ..; a table holds for each a value that follows the cell's place: a + b*x + c*y within one stride. Anchor points
are x + .5, in pixels (x + .5) * 8; strides are constant within their level; YOLOX's grids are x. Whatever is exactly of that form on the old grids is computed on the new ones; all
else is not a table of positions, and None says so.
"""
import itertools

import numpy as np

STRIDE_SETS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32), (8,), (16,), (32,), (64,), (4,))
ANCHOR_COUNTS = (1, 3, 2, 4)


def fit_cells(block, height, width):
    """(a, b, c) with block[..., y, x] = a + b*x + c*y for each leading index, or None. block: [..., height, width]."""
    a = block[..., 0, 0]
    b = (block[..., 0, -1] - a) / max(width - 1, 1)
    c = (block[..., -1, 0] - a) / max(height - 1, 1)
    y, x = np.mgrid[0:height, 0:width]
    fitted = a[..., None, None] + b[..., None, None] * x + c[..., None, None] * y
    tolerance = 2e-3 * max(1e-6, float(np.abs(block).max()))
    return (a, b, c) if np.abs(fitted - block).max() <= tolerance else None


def fill_cells(fit, height, width):
    a, b, c = (part[..., None, None] for part in fit)
    y, x = np.mgrid[0:height, 0:width]
    return a + b * x + c * y


def _levels(size, strides, anchors):
    return [anchors * (size[1] // s) * (size[0] // s) for s in strides]


def resize_flat_table(table, axis, old, new, count_new):
    """The table for another size, or None where `axis` is none of positions. old, new: (width, height) of the input; count_new: the length that the axis has to get."""
    count_old = table.shape[axis]
    moved = np.moveaxis(table.astype(np.float64), axis, -1)
    for strides, anchors in itertools.product(STRIDE_SETS, ANCHOR_COUNTS):
        levels = _levels(old, strides, anchors)
        if sum(levels) != count_old or sum(_levels(new, strides, anchors)) != count_new:
            continue
        for is_anchor_last in ((False, True) if anchors > 1 else (False,)):
            resized = _resize_levels(moved, levels, strides, anchors, is_anchor_last, old, new)
            if resized is not None:
                return np.moveaxis(resized, -1, axis).astype(table.dtype)
    return None


def _resize_levels(moved, levels, strides, anchors, is_anchor_last, old, new):
    lead, parts, start = moved.shape[:-1], [], 0
    for stride, length in zip(strides, levels):
        (w0, h0), (w1, h1) = ((size[0] // stride, size[1] // stride) for size in (old, new))
        block = moved[..., start:start + length]
        start += length
        grid = np.moveaxis(block.reshape(*lead, h0, w0, anchors), -1, -3) if is_anchor_last else block.reshape(*lead, anchors, h0, w0)
        fit = fit_cells(grid, h0, w0)
        if fit is None:
            return None
        filled = fill_cells(fit, h1, w1)
        if is_anchor_last:
            filled = np.moveaxis(filled, -3, -1)
        parts.append(filled.reshape(*lead, anchors * h1 * w1))
    return np.concatenate(parts, axis=-1)


def resize_grid_table(table, axes, sides_new):
    """The same for a table that has a dimension for y and one for x (axes = (y, x)), or only one of them (axes = (axis,)). None where it is no such table."""
    values = table.astype(np.float64)
    if len(axes) == 1:
        grid = np.moveaxis(values, axes[0], -1)[..., None, :]
        fit = fit_cells(grid, 1, grid.shape[-1])
        filled = None if fit is None else fill_cells(fit, 1, sides_new[0])[..., 0, :]
        return None if filled is None else np.moveaxis(filled, -1, axes[0]).astype(table.dtype)
    grid = np.moveaxis(values, axes, (-2, -1))
    fit = fit_cells(grid, grid.shape[-2], grid.shape[-1])
    return None if fit is None else np.moveaxis(fill_cells(fit, *sides_new), (-2, -1), axes).astype(table.dtype)


def cumulative_positions(old, new):
    """{end of a level on the old grids: on the new ones}, for slices that cut the levels apart."""
    ends = {0: 0}
    for strides, anchors in itertools.product(STRIDE_SETS[:3], ANCHOR_COUNTS):
        for a, b in zip(np.cumsum(_levels(old, strides, anchors)), np.cumsum(_levels(new, strides, anchors))):
            ends.setdefault(int(a), int(b))
    return ends
