"""Trains the detector on cached pictures, on CPU, from a seed.

    python3 train.py --cache CACHE --steps 4000 --out CACHE/line.pt

Assignment: an object belongs to the strides that suit its size, and there to the positions near its
middle; where two objects want one position, the smaller gets it. A positive's target score is the
overlap its predicted box has at that moment, so the best placed answer ends up with the best score.
Losses: binary cross-entropy on scores (negatives weighted by their score squared, so that the easy
ones fade) and 1 - complete IoU on boxes. Adam with decoupled decay, averaged weights. The learning
rate is constant and falls to nothing over the last DECAY_STEPS; so the steps before do not depend on
the total, which may still be set while training runs, by writing it into the file OUT.steps.
"""

import argparse
import copy
import math
import queue
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from dataset import load_split
from letterbox import GRAY, INPUT_HEIGHT, INPUT_WIDTH, letterbox
from network import STRIDES, LineDetector, place_centres
from product import CLASS_NAMES, PRODUCT
from scene import VISIBLE_SHARE_MIN

# Side of a square as large as the object, in pixels: which stride answers for it. They overlap.
SIZE_RANGES = ((0, 48), (40, 140), (96, 1e9))
CENTRE_RADIUS_STRIDES = 1.5
WARM_STEPS, DECAY_STEPS = 200, 800
DEFECT_WEIGHT = 2.0  # a product has three times the positions of a defect and is far easier


def vary(picture: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One picture and its label rows (class, box, is_sure), changed by chance: mirror, hue, zoom, noise."""
    rows = rows.copy()
    height, width = picture.shape[:2]
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        rows[:, [1, 3]] = width - rows[:, [3, 1]]
    if rng.random() < 0.5:
        picture = picture[..., rng.permutation(3)]
    if rng.random() < 0.6:
        table = np.clip(255 * (np.arange(256) / 255) ** rng.uniform(0.75, 1.35) * rng.uniform(0.75, 1.25), 0, 255)
        picture = table.astype(np.uint8)[picture]
    picture = np.ascontiguousarray(picture)
    if rng.random() < 0.4:
        zoom = rng.uniform(0.75, 1.25)
        shift_x = (1 - zoom) * width * rng.uniform(0.2, 0.8)
        shift_y = (1 - zoom) * height * rng.uniform(0.2, 0.8)
        picture = cv2.warpAffine(picture, np.float32([[zoom, 0, shift_x], [0, zoom, shift_y]]), (width, height),
                                 borderMode=cv2.BORDER_CONSTANT, borderValue=(GRAY,) * 3)
        moved = rows[:, 1:5] * zoom + np.float32([shift_x, shift_y, shift_x, shift_y])
        inside = np.clip(moved, 0, np.float32([width, height, width, height]))
        share = np.prod(inside[:, 2:] - inside[:, :2], 1) / np.maximum(np.prod(moved[:, 2:] - moved[:, :2], 1), 1e-6)
        rows[:, 1:5] = inside
        rows[:, 5] *= share >= VISIBLE_SHARE_MIN + 0.2  # cut by an unknown share: not sure any more
        rows = rows[share > 0.1]
    if rng.random() < 0.25:
        grain = rng.normal(0, rng.uniform(2, 9), picture.shape[:2] + (1,))
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2))
    return picture, rows


def crop_rows(canvas: np.ndarray, rows: np.ndarray, height: int, rng: np.random.Generator):
    """A band of the input, as wide but only `height` tall: two thirds of the work, the same products.

    Mostly the band holds all products whole; else it lies anywhere, so that walls, floors and the gray
    border are seen too, and objects it cuts are no longer sure.
    """
    spare = canvas.shape[0] - height
    products = rows[rows[:, 0] == PRODUCT]
    low, high = 0.0, float(spare)
    if len(products) and rng.random() < 0.75:
        low, high = max(low, products[:, 4].max() + 3 - height), min(high, products[:, 2].min() - 3)
    top = int(rng.uniform(low, high)) if high > low else int(np.clip((low + high) / 2, 0, spare))
    rows = rows.copy()
    area = np.maximum(np.prod(rows[:, 3:5] - rows[:, 1:3], 1), 1e-6)
    rows[:, [2, 4]] = np.clip(rows[:, [2, 4]] - top, 0, height)
    share = np.prod(rows[:, 3:5] - rows[:, 1:3], 1) / area
    rows[:, 5] *= share >= 0.99
    return canvas[top:top + height], rows[share > 0.1]


class BatchMaker:
    """Prepares batches on a thread of its own, a few ahead. The order depends on the seed alone."""

    def __init__(self, pictures, labels, batch: int, height: int, seed: int):
        self._pictures, self._labels, self._batch, self._height = pictures, labels, batch, height
        self._rng = np.random.default_rng(seed)
        self._ready: queue.Queue = queue.Queue(maxsize=3)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        order: list[int] = []
        while True:
            while len(order) < self._batch:
                order.extend(self._rng.permutation(len(self._labels)).tolist())
            chosen, order = order[:self._batch], order[self._batch:]
            canvases, all_rows = [], []
            for index in chosen:
                picture, rows = vary(np.asarray(self._pictures[index]), self._labels[index], self._rng)
                canvas, scale, left, top = letterbox(picture)
                rows[:, 1:5] = rows[:, 1:5] * scale + np.float32([left, top, left, top])
                if self._height < INPUT_HEIGHT:
                    canvas, rows = crop_rows(canvas, rows, self._height, self._rng)
                canvases.append(canvas)
                all_rows.append(rows)
            longest = max(1, max(len(r) for r in all_rows))
            padded = np.full((self._batch, longest, 6), -1, np.float32)
            for k, rows in enumerate(all_rows):
                padded[k, :len(rows)] = rows
            self._ready.put((torch.from_numpy(np.stack(canvases)), torch.from_numpy(padded)))

    def next(self):
        return self._ready.get()


def place_table(height: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle and stride of each position of an input of that height."""
    places, strides = [], []
    for stride in STRIDES:
        part = place_centres(height // stride, INPUT_WIDTH // stride, stride)
        places.append(part)
        strides.append(torch.full((len(part),), float(stride)))
    return torch.cat(places), torch.cat(strides)


def assign(rows: torch.Tensor, places: torch.Tensor, strides: torch.Tensor, classes: int):
    """Per position: index of its object or -1 `[batch, positions]`, and a mask of what may be judged."""
    sure = rows[..., 5] > 0.5
    box = rows[..., 1:5]
    size = (box[..., 2:] - box[..., :2]).clamp(min=1e-3)
    centre = (box[..., :2] + box[..., 2:]) / 2
    side = size.prod(-1).sqrt()
    low = torch.empty_like(strides)
    high = torch.empty_like(strides)
    for stride, (range_low, range_high) in zip(STRIDES, SIZE_RANGES):
        low[strides == stride], high[strides == stride] = range_low, range_high
    away = (places[None, None] - centre[:, :, None]).abs()  # batch, objects, positions, 2
    radius = torch.minimum(size[:, :, None] / 2, CENTRE_RADIUS_STRIDES * strides[None, None, :, None])
    radius = torch.maximum(radius, 0.51 * strides[None, None, :, None])
    wants = (away < radius).all(-1) & sure[..., None]
    wants &= (side[..., None] >= low) & (side[..., None] < high)
    cost = torch.where(wants, side[..., None].expand_as(wants), torch.full_like(wants, 1e9, dtype=torch.float32))
    best, index = cost.min(1)
    index = torch.where(best < 1e8, index, torch.full_like(index, -1))

    is_judged = torch.ones(*index.shape, classes, dtype=torch.bool)
    unsure = (rows[..., 0] >= 0) & ~sure
    for batch_index, object_index in unsure.nonzero().tolist():
        x1, y1, x2, y2 = box[batch_index, object_index].tolist()
        inside = (places[:, 0] > x1) & (places[:, 0] < x2) & (places[:, 1] > y1) & (places[:, 1] < y2)
        is_judged[batch_index, inside, int(rows[batch_index, object_index, 0])] = False
    is_judged[index >= 0] = True
    return index, is_judged


def overlaps(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and complete IoU (Zheng et al. 2020, arXiv 1911.08287) of paired boxes x1, y1, x2, y2."""
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, 2:], second[:, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    size_1 = (first[:, 2:] - first[:, :2]).clamp(min=1e-3)
    size_2 = (second[:, 2:] - second[:, :2]).clamp(min=1e-3)
    iou = common / (size_1.prod(-1) + size_2.prod(-1) - common + 1e-7)
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    distance = ((first[:, :2] + first[:, 2:] - second[:, :2] - second[:, 2:]) ** 2).sum(-1) / 4
    aspect = 4 / math.pi ** 2 * (torch.atan(size_1[:, 0] / size_1[:, 1]) - torch.atan(size_2[:, 0] / size_2[:, 1])) ** 2
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect + 1e-7)
    return iou, iou - distance / ((hull ** 2).sum(-1) + 1e-7) - weight * aspect


def losses(boxes, logits, rows, places, strides):
    index, is_judged = assign(rows, places, strides, logits.shape[-1])
    positive = index >= 0
    target = torch.zeros_like(logits)
    batch_index, place_index = positive.nonzero(as_tuple=True)
    chosen = rows[batch_index, index[batch_index, place_index]]
    importance = torch.where(chosen[:, 0] == PRODUCT, 1.0, DEFECT_WEIGHT)
    total = importance.sum().clamp(min=1)
    iou, complete = overlaps(boxes[batch_index, place_index], chosen[:, 1:5])
    target[batch_index, place_index, chosen[:, 0].long()] = iou.detach().clamp(0.05, 1)
    with torch.no_grad():
        weight = 0.75 * logits.sigmoid() ** 2 * is_judged
        weight[batch_index, place_index, chosen[:, 0].long()] = importance
    score_loss = (functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).sum() / total
    return score_loss, ((1 - complete) * importance).sum() / total


def train(cache: Path, steps: int, batch: int, height: int, rate: float, seed: int, begin: Path | None,
          out: Path) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    cv2.setNumThreads(1)
    pictures, labels = load_split(cache, "training")
    maker = BatchMaker(pictures, labels, batch, height, seed)
    model = LineDetector(len(CLASS_NAMES)).to(memory_format=torch.channels_last).train()
    if begin is not None:
        model.load_state_dict(torch.load(begin))
    average = copy.deepcopy(model).eval()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02},
                                   {"params": plain, "weight_decay": 0.0}], lr=rate)
    places, strides = place_table(height)
    began = time.monotonic()
    step = 0
    while step < steps:
        warm, fall = min(1.0, (step + 1) / WARM_STEPS), min(1.0, (steps - step) / DECAY_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * fall
        canvases, rows = maker.next()
        x = canvases.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
        boxes, logits = model.flat(x)
        score_loss, box_loss = losses(boxes, logits, rows, places, strides)
        optimizer.zero_grad(set_to_none=True)
        (score_loss + 2.0 * box_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        keep = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for kept, fresh in zip(average.state_dict().values(), model.state_dict().values()):
                if kept.dtype.is_floating_point:
                    kept.lerp_(fresh, 1 - keep)
                else:
                    kept.copy_(fresh)
        if step % 100 == 0:
            print(f"step {step} score_loss {score_loss.item():.3f} box_loss {box_loss.item():.3f} "
                  f"seconds {time.monotonic() - began:.0f}", flush=True)
        step += 1
        if step % 100 == 0 or step == steps:
            torch.save(average.state_dict(), out)
            if (told := out.with_suffix(out.suffix + ".steps")).exists():
                steps = int(told.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--height", type=int, default=256, help="rows of the input to train on; 384 is all")
    parser.add_argument("--begin", type=Path, help="weights to begin with")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    train(arguments.cache, arguments.steps, arguments.batch, arguments.height, arguments.rate, arguments.seed,
          arguments.begin, arguments.out)
