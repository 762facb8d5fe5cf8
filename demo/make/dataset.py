"""Draws the training and held-out pictures into a cache folder outside the repository.

    python3 dataset.py --cache CACHE --split training --scenes 600
    python3 dataset.py --cache CACHE --split held_out --scenes 60

Each split becomes `<split>_pictures.npy` (uint8, count x 360 x 640 x 3, RGB) and
`<split>_labels.json` (per picture: rows of class, x1, y1, x2, y2, is_sure). The same arguments give
the same bytes. Training seeds start at 1,000, tuning seeds (for choosing the score bar) at 500,000 and
held-out seeds at 900,000, so no seed is shared.
"""

import argparse
import json
import multiprocessing
from pathlib import Path

import cv2
import numpy as np

from scene import HELD_OUT, PICTURE_HEIGHT, PICTURE_WIDTH, TRAINING, Scene

FRAMES_PER_SCENE = 6
STYLES = {"training": (TRAINING, 1_000), "tuning": (TRAINING, 500_000), "held_out": (HELD_OUT, 900_000)}


def draw_scene_frames(job: tuple[str, int]):
    """Pictures and label rows of one scene, at moments drawn far enough apart to differ."""
    split, number = job
    cv2.setNumThreads(1)
    style, first_seed = STYLES[split]
    scene = Scene(first_seed + number, style)
    rng = np.random.default_rng([number, 3])
    pictures, rows = [], []
    for step in range(FRAMES_PER_SCENE):
        frame = scene.render(step * 2.3 + rng.uniform(0, 1.5))
        pictures.append(frame.picture)
        rows.append([[label.class_index, *(round(c, 2) for c in label.box), 1] for label in frame.labels]
                    + [[label.class_index, *(round(c, 2) for c in label.box), 0] for label in frame.unsure])
    return pictures, rows


def make_split(cache: Path, split: str, scenes: int, processes: int) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    pictures = np.lib.format.open_memmap(cache / f"{split}_pictures.npy", mode="w+", dtype=np.uint8,
                                         shape=(scenes * FRAMES_PER_SCENE, PICTURE_HEIGHT, PICTURE_WIDTH, 3))
    labels = []
    with multiprocessing.Pool(processes) as pool:
        for number, (frames, rows) in enumerate(pool.imap(draw_scene_frames, [(split, n) for n in range(scenes)])):
            pictures[number * FRAMES_PER_SCENE:(number + 1) * FRAMES_PER_SCENE] = frames
            labels.extend(rows)
    pictures.flush()
    (cache / f"{split}_labels.json").write_text(json.dumps(labels))


def load_split(cache: Path, split: str):
    """(pictures memory-mapped, list of float arrays n x 6)."""
    pictures = np.load(cache / f"{split}_pictures.npy", mmap_mode="r")
    rows = json.loads((cache / f"{split}_labels.json").read_text())
    return pictures, [np.array(r, np.float32).reshape(-1, 6) for r in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--split", choices=sorted(STYLES), required=True)
    parser.add_argument("--scenes", type=int, required=True)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    make_split(arguments.cache, arguments.split, arguments.scenes, arguments.processes)
