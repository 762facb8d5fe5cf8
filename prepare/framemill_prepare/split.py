"""Which candidates may calibrate, and which ones the variants are judged by: stretches of each recording in turns, apart in time.

Frames side by side are near copies of each other; judged by neighbours of what it was calibrated on, INT8 looks better than it is. So a recording is divided into stretches: the
first and the last one calibrate, as does every other between, and those that judge lose their ends, so that seconds lie between the two.
"""
from itertools import groupby

STRETCHES_MAX = 9
STRETCH_S = 8.0     # as long as that at least, where the recording is long enough for three
STRETCH_LEAST = 4   # candidates
GAP_S = 2.0         # or a quarter of a stretch, whichever is less
LEAST = 4           # fewer candidates in all are not split


def split(candidates, is_split_wanted):
    """(indices that may calibrate, indices to judge by). Frames are split; pictures of folders where is_split_wanted, by their order."""
    if len(candidates) < LEAST:
        return list(range(len(candidates))), []
    pool, judged = [], []
    for _, group in groupby(range(len(candidates)), key=lambda i: candidates[i].source):
        indices = list(group)
        is_video = bool(candidates[indices[0]].source)
        if not is_video and not is_split_wanted:
            pool += indices
            continue
        times = [candidates[i].at_s for i in indices] if is_video else None
        may, judge = split_one(len(indices), times)
        pool += [indices[i] for i in may]
        judged += [indices[i] for i in judge]
    return pool, judged


def split_one(count, times=None):
    """The same for `count` candidates of one recording; times: of each in seconds, None for pictures that are no sequence."""
    stretches = count_stretches(count, times[-1] - times[0] if times and count else None)
    ends = [count * k // stretches for k in range(stretches + 1)]
    pool, judged = [], []
    for k, (begin, end) in enumerate(zip(ends, ends[1:])):
        if k % 2 == 0:
            pool += range(begin, end)
        elif times is None:
            judged += range(begin, end)
        else:
            first, last = times[begin], times[end - 1]
            gap = min(GAP_S, (last - first) / 4)
            judged += [i for i in range(begin, end) if first + gap <= times[i] <= last - gap]
    return pool, judged


def count_stretches(count, duration_s=None):
    """An odd number, so that calibration sees both ends."""
    most = min(STRETCHES_MAX, count // STRETCH_LEAST)
    if duration_s is not None:
        most = min(most, int(duration_s / STRETCH_S))
    return max(3, most - (most + 1) % 2) if count >= 3 else 1
