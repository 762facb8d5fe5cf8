#!/usr/bin/env python3
"""What decoding costs beside ffmpeg's, and what it saves to skip the frames that no one looks at.

decode.py --build build/release --testdata DIR [--pairs 5] [--frames 1500]

A: CPU time of reading and decoding in `framemill run` (summary: total.decode_s), every frame sampled; then each 5th only.
B: CPU time of `ffmpeg -threads 1 -i CLIP -fps_mode passthrough -f null -` of the same frames, less that of one frame.
Pairs alternate; the ratio B / A is that of frames per core-second, and the median of the pairs is the figure.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from fast import CLIPS, cpu_of

MODEL = "rect/yolo11n_320x192_int8.onnx"  # hardly runs: hold infers each 50th frame


def decode_s(build, testdata, clip, every, frames):
    with tempfile.TemporaryDirectory() as folder:
        summary = pathlib.Path(folder) / "summary.json"
        subprocess.run([build / "framemill", "run", "--source", f"{clip},every={every}", "--model", testdata / "models" / MODEL, "--labels", "coco",
                        "--pace", "fast", "--policy", "hold", "--budget", ".02", "--max-frames", str(frames), "--summary", summary, "--listen", "off"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        total = json.loads(summary.read_text())["total"]
        return total["decode_s"], total["captured"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--testdata", type=pathlib.Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--frames", type=int, default=1500)
    a = parser.parse_args()
    medians = []
    for name in CLIPS:
        clip = a.testdata / f"clips/{name}.mp4"
        every_frame, each_fifth = [], []
        for _ in range(a.pairs):
            ours, captured = decode_s(a.build, a.testdata, clip, 1, a.frames)
            command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(clip), "-fps_mode", "passthrough", "-frames:v"]
            theirs = cpu_of([*command, str(captured), "-f", "null", "-"]) - cpu_of([*command, "1", "-f", "null", "-"])
            skipping, _ = decode_s(a.build, a.testdata, clip, 5, a.frames)
            every_frame.append(theirs / ours)
            each_fifth.append(theirs / skipping)
        medians.append(statistics.median(every_frame))
        print(f"{name:32} {captured} frames: {medians[-1]:.2f} of ffmpeg's frames per core-second ({min(every_frame):.2f}-{max(every_frame):.2f}); "
              f"each 5th frame sampled: {statistics.median(each_fifth):.2f} of them", flush=True)
    print(f"median {statistics.median(medians):.3f}; least {min(medians):.3f}")
    return 0 if min(medians) >= .85 else 1


if __name__ == "__main__":
    sys.exit(main())
