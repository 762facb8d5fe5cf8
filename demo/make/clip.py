"""Renders the demo clip and its truth from one held-out scene.

    python3 clip.py --out ../clips [--seconds 20]

Writes `line.mp4` (640x360, 25 frames a second, H.264 with B frames, a key frame every 2 s) by way of
the `ffmpeg` command, and `line_truth.jsonl`, one line a frame, boxes in pixels of the frame.
"""

import argparse
import json
import subprocess
from pathlib import Path

import cv2

from product import CLASS_NAMES
from scene import HELD_OUT, PICTURE_HEIGHT, PICTURE_WIDTH, Frame, Look, Scene

RATE_HZ = 25
CLIP_SEED = 910_010
CLIP_LOOK = Look(defect_share=0.5, noise=0.014, defocus=0.3, has_post=True, has_arm=True, has_rail=False, speed=82.0,
                 gain=1.34, lamp_swing=0.16, arm_period_s=6.5, stream_seed=98)


def truth_line(frame: Frame, frame_index: int) -> str:
    detections = [{"class": label.class_index, "label": CLASS_NAMES[label.class_index], "score": 1.0,
                   "box": [round(c, 1) for c in label.box]} for label in frame.labels]
    return json.dumps({"camera": "line", "frame_index": frame_index, "detections": detections})


def render_clip(out: Path, seconds: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    scene = Scene(CLIP_SEED, HELD_OUT, CLIP_LOOK)
    encoder = subprocess.Popen(
        ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
         "-s", f"{PICTURE_WIDTH}x{PICTURE_HEIGHT}", "-r", str(RATE_HZ), "-i", "-",
         "-c:v", "libx264", "-preset", "slow", "-crf", "25", "-bf", "3", "-g", str(2 * RATE_HZ), "-pix_fmt", "yuv420p",
         "-threads", "1", "-bitexact", "-movflags", "+faststart", str(out / "line.mp4")], stdin=subprocess.PIPE)
    with (out / "line_truth.jsonl").open("w", encoding="utf-8") as truth:
        for frame_index in range(int(seconds * RATE_HZ)):
            frame = scene.render(frame_index / RATE_HZ)
            encoder.stdin.write(frame.picture.tobytes())
            truth.write(truth_line(frame, frame_index) + "\n")
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit("clip: ffmpeg failed")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    render_clip(arguments.out, arguments.seconds)
