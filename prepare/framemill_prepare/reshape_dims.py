"""What a Reshape with fixed dimensions has to become when its data get another shape."""
from math import prod


def align(data, target):
    """Groups of neighbouring dimensions with equal products: [(indices in data, indices in target)]. None where there are none."""
    groups, i, j = [], 0, 0
    while i < len(data) or j < len(target):
        left, right = [], []
        a = b = 1
        while not left or not right or a != b:
            is_left_next = not left or (right and a < b)
            if (is_left_next and i < len(data)) or j >= len(target):
                if i >= len(data):
                    break
                left.append(i)
                a *= data[i]
                i += 1
            else:
                right.append(j)
                b *= target[j]
                j += 1
        if a != b:
            return None
        groups.append((left, right))
    return groups


def reshaped(data_old, data_new, target_old, grids=None):
    """The dimensions that target_old becomes, or None where that is not clear.

    grids: {(height, width) of a feature map with the old input: with the new one}. None: it is the batch that changed, the outermost of what it is merged with.
    """
    groups = align(data_old, target_old)
    if groups is None:
        return None
    target = list(target_old)
    for left, right in groups:
        old, new = [data_old[i] for i in left], [data_new[i] for i in left]
        if old == new:
            continue
        if len(right) == 1:
            target[right[0]] = prod(new)
            continue
        if not right:
            return None
        if not _split(target, right, prod(old), prod(new), grids):
            return None
    return target


def _split(target, right, count_old, count_new, grids):
    """Changes those of target[right] that follow the grid."""
    parts = [target[j] for j in right]
    if grids is None:
        target[right[0]] = parts[0] * count_new // count_old
        return True
    for k in range(len(parts) - 1):
        pair = grids.get((parts[k], parts[k + 1]))
        if pair and prod(parts[:k]) * pair[0] * pair[1] * prod(parts[k + 2:]) == count_new:
            target[right[k]], target[right[k + 1]] = pair
            return True
    # One of them follows the grid, the others count heads or areas: the largest that comes out whole.
    fitting = [k for k, part in enumerate(parts) if part > 1 and part * count_new % count_old == 0]
    if not fitting:
        return False
    best = max(fitting, key=lambda k: parts[k])
    target[right[best]] = parts[best] * count_new // count_old
    return True
