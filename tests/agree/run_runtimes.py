#!/usr/bin/env python3
"""Proves that framemill detects the same with OpenVINO and with ONNX Runtime, for all ONNX models of the test data.

    tests/agree/run_runtimes.py --tool BUILD/tests/agree/detect_pictures --testdata TESTDATA [--pictures 16]

Both runtimes run inside framemill, on the same pictures, so nothing but the runtimes' arithmetic differs.
- Float models: the bars of run_agreement.py. Each sure detection (.3 or more) of one side has one of the other
  side with the same class, IoU >= .95 and a score within .02.
- Quantised models (ROUNDED) round each layer's activations to 8 bits. A value between two steps falls to either
  side by its last bit, in which runtimes differ, since each adds in an order of its own; the layers that follow
  make more of it. Single detections then differ by several hundredths whoever is right, as noise of a
  millionth in the input does in one and the same runtime (run_agreement.py measures that). So the bars
  are on the mean over all sure detections: of the score difference, and of 1 - IoU. One scale for all
  weights of a layer (PER_TENSOR) makes the steps so coarse that the noise of a millionth moves the mean score by
  .018 within ONNX Runtime, five times as far as in a model with a scale for each channel (.0035): its bars are wider.
- A model that one side refuses, the other one refuses, too, with the same reason.
Exit status: 0 all bars kept, 1 missed, 2 cannot run.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from detections import is_alike, mean_differences

RUNTIMES = ("openvino", "onnxruntime")
ROUNDED = ("int8",)          # file name parts
PER_TENSOR = ("entropy",)
SCORE_MEAN_MOST, BOX_MEAN_MOST = 0.03, 0.05
PER_TENSOR_MEAN_MOST = 0.08  # of both
# Finds nothing on these pictures, or is refused. Everything else has to find something.
IS_BLIND = ("rmcar",)
IS_REFUSED = ("BROKENHEAD",)


def pictures_of(testdata, model, count):
    """Paths, evenly spaced: of steel for the steel model, else of streets and rooms."""
    images = Path(testdata) / "images"
    patterns = ("neu-det/images/*.jpg",) if "steel" in model else ("misc/*.jpg", "coco/val2017/images/*.jpg")
    chosen = []
    for pattern in patterns:
        paths = sorted(glob.glob(str(images / pattern)))
        chosen += paths[::max(1, len(paths) // count)][:count]
    return chosen


def write_pictures(path, pictures):
    """The stream that detect_pictures reads, decoded and converted by FFmpeg."""
    with open(path, "wb") as file:
        for picture in pictures:
            probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height",
                                    "-of", "csv=p=0", picture], stdout=subprocess.PIPE, text=True, check=True)
            width, height = probe.stdout.strip().split(",")[:2]
            planes = subprocess.run(["ffmpeg", "-v", "error", "-i", picture, "-pix_fmt", "yuvj444p", "-f", "rawvideo", "-"],
                                    stdout=subprocess.PIPE, check=True).stdout
            file.write(f"FMPIC1 {Path(picture).name} {width} {height}\n".encode() + planes)


def detect(tool, runtime, model, stream):
    """(picture: detections, what the tool said of the model); none and the reason where it is refused."""
    run = subprocess.run([tool, model, stream, "--runtime", runtime], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=600, check=False)
    said = run.stderr.strip()
    if run.returncode != 0:
        return None, said
    return {line["name"]: line["detections"] for line in map(json.loads, run.stdout.splitlines())}, said


def is_mean_alike(model, left, right):
    score, box, count = mean_differences([(left[name], right[name]) for name in right])
    score_most, box_most = SCORE_MEAN_MOST, BOX_MEAN_MOST
    if any(part in model for part in PER_TENSOR):
        score_most = box_most = PER_TENSOR_MEAN_MOST
    is_good = count > 0 and score <= score_most and box <= box_most
    print(f"{model}: {'ok' if is_good else 'MISSED'}: {count} detections; mean score difference {score:.4f} (at most "
          f"{score_most}), mean 1 - IoU {box:.4f} (at most {box_most})")
    return is_good


def is_model_alike(tool, testdata, model, count):
    with tempfile.TemporaryDirectory() as folder:
        stream = os.path.join(folder, "pictures")
        write_pictures(stream, pictures_of(testdata, model, count))
        path = str(Path(testdata) / "models" / model)
        (left, left_said), (right, right_said) = (detect(tool, runtime, path, stream) for runtime in RUNTIMES)
    if left is None or right is None:
        # Shapes and values as the runtimes print them; what is wrong stands before the first number.
        is_good = left is None and right is None and any(part in model for part in IS_REFUSED) \
            and re.split(r"\d", left_said.replace(path, ""))[0] == re.split(r"\d", right_said.replace(path, ""))[0]
        print(f"{model}: {'ok' if is_good else 'MISSED'}: refused: {left_said or 'not by openvino'} | "
              f"{right_said or 'not by onnxruntime'}")
        return is_good
    if left_said != right_said:
        print(f"{model}: MISSED: openvino says \"{left_said}\", onnxruntime \"{right_said}\"")
        return False
    is_blind = any(part in model for part in IS_BLIND)
    if any(part in model for part in ROUNDED) and not is_blind:
        return is_mean_alike(model, left, right)
    return is_alike(model, left, right, RUNTIMES, is_blind)


def models_of(testdata):
    folder = Path(testdata) / "models"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.onnx"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tool", required=True, help="the built detect_pictures")
    parser.add_argument("--testdata", default=os.environ.get("FRAMEMILL_TESTDATA"))
    parser.add_argument("--pictures", type=int, default=16, help="how many of each folder of pictures")
    parser.add_argument("--model", action="append", metavar="MODEL", help="only this one, as its path below models/")
    arguments = parser.parse_args()
    if not arguments.testdata or not models_of(arguments.testdata):
        print("run_runtimes: name the test data with --testdata or FRAMEMILL_TESTDATA", file=sys.stderr)
        return 2
    if arguments.pictures < 1:
        parser.error("--pictures must be at least 1")
    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(lambda model: is_model_alike(arguments.tool, arguments.testdata, model, arguments.pictures),
                             arguments.model or models_of(arguments.testdata)))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
