#!/usr/bin/env python3
"""Proves that framemill detects what an independent script detects, for every family of heads.

    python3 -m venv VENV && VENV/bin/pip install -r tests/agree/requirements.txt
    VENV/bin/python tests/agree/run_agreement.py --tool BUILD/tests/agree/detect_pictures --testdata TESTDATA

Both sides get the same pixels: each picture is turned into full-range 4:4:4 YUV, which framemill reads, and
back into BGR, which the reference reads, in floats: rounding to 8 bits on one side alone moves scores by up
to .02. Then, model by model, each of the reference's detections with a score of .3 or more must have one of
framemill's of the same class with IoU >= .95 and a score within .02, and the other way round. A detection
with a rival nearby, of which NMS keeps the one that is better in the last digit, is not held against either
side (`edge`, at most 1 %). The dynamically quantised YOLOv10 gets wider bars: runtimes scale its activations
differently at run time.
Exit status: 0 all bars kept, 1 missed, 2 cannot run.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

try:
    import cv2
    import numpy as np
    import onnx_reference
except ImportError as problem:
    sys.exit(f"run_agreement: {problem}; install tests/agree/requirements.txt into a venv")

SCORE = 0.3
FLOAT_BARS = {"iou": 0.95, "score": 0.02, "share": 0.99}
INT8_BARS = {"iou": 0.9, "score": 0.12, "share": 0.95}
# model: bars. "share" is the least share of detections that must agree; the rest must be edge cases.
MODELS = {
    "yolov5n_640_fp32.onnx": FLOAT_BARS,
    "yolov8n_640_fp32.onnx": FLOAT_BARS,
    "yolo11n_640_fp32.onnx": FLOAT_BARS,
    "yolox_nano_416_fp32_kazuhito00.onnx": FLOAT_BARS,
    "rect/yolo11n_640x384_fp32.onnx": FLOAT_BARS,
    "yolov10n_640_int8_dynamic_s8_gaotong.onnx": INT8_BARS,
}


def to_yuv(bgr):
    b, g, r = (bgr[..., i].astype(np.float64) for i in range(3))
    y = 0.299 * r + 0.587 * g + 0.114 * b
    planes = (y, (b - y) / 1.772 + 128, (r - y) / 1.402 + 128)
    return [np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes]


def to_bgr(planes):
    y, u, v = (p.astype(np.float64) for p in planes)
    r = y + 1.402 * (v - 128)
    b = y + 1.772 * (u - 128)
    g = (y - 0.299 * r - 0.114 * b) / 0.587
    return np.clip(np.stack([b, g, r], -1), 0, 255).astype(np.float32)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def compare(wanted, found, bars):
    """Counts of (agreed, edge, missed) of `wanted`'s sure detections among `found`, and the worst values."""
    agreed, edge, missed = 0, 0, []
    worst_iou, worst_score = 1.0, 0.0
    for one in wanted:
        if one["score"] < SCORE:
            continue
        same = [o for o in found if o["class"] == one["class"]]
        best = max(same, key=lambda o: iou(one["box"], o["box"]), default=None)
        overlap = iou(one["box"], best["box"]) if best else 0.0
        difference = abs(one["score"] - best["score"]) if best else 1.0
        if overlap >= bars["iou"] and difference <= bars["score"]:
            agreed += 1
            worst_iou, worst_score = min(worst_iou, overlap), max(worst_score, difference)
            continue
        # Two boxes for one object with nearly the same score, or an overlap at NMS's limit: which of
        # them stays is a matter of the last digit.
        rivals = [o for o in wanted + found if o is not one and o is not best and o["class"] == one["class"]
                  and iou(one["box"], o["box"]) > 0.4]
        if rivals:
            edge += 1
        else:
            missed.append({"wanted": one, "nearest": best, "iou": round(overlap, 3)})
    return agreed, edge, missed, worst_iou, worst_score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tool", required=True, help="the built detect_pictures")
    parser.add_argument("--testdata", default=os.environ.get("FRAMEMILL_TESTDATA"))
    parser.add_argument("--pictures", type=int, default=16, help="how many COCO pictures besides misc/")
    parser.add_argument("--model", action="append", help="only these of MODELS")
    arguments = parser.parse_args()
    if not arguments.testdata:
        print("run_agreement: name the test data with --testdata or FRAMEMILL_TESTDATA", file=sys.stderr)
        return 2
    images = os.path.join(arguments.testdata, "images")
    coco = sorted(glob.glob(os.path.join(images, "coco/val2017/**/*.jpg"), recursive=True))
    paths = sorted(glob.glob(os.path.join(images, "misc/*.jpg"))) + coco[:arguments.pictures]
    if not paths:
        print(f"run_agreement: no pictures below {images}", file=sys.stderr)
        return 2

    is_kept = True
    with tempfile.TemporaryDirectory() as folder:
        stream = os.path.join(folder, "pictures")
        pictures = {}
        with open(stream, "wb") as file:
            for path in paths:
                planes = to_yuv(cv2.imread(path, cv2.IMREAD_COLOR))
                name = os.path.basename(path)
                pictures[name] = to_bgr(planes)
                file.write(f"FMPIC1 {name} {planes[0].shape[1]} {planes[0].shape[0]}\n".encode())
                for plane in planes:
                    file.write(plane.tobytes())
        for model, bars in MODELS.items():
            if arguments.model and model not in arguments.model:
                continue
            path = os.path.join(arguments.testdata, "models", model)
            run = subprocess.run([arguments.tool, path, stream], stdout=subprocess.PIPE, text=True,
                                 timeout=600, check=False)
            if run.returncode != 0:
                print(f"{model}: detect_pictures ended with {run.returncode}")
                is_kept = False
                continue
            ours = {line["name"]: line["detections"] for line in map(json.loads, run.stdout.splitlines())}
            reference = onnx_reference.Reference(path)
            agreed = edge = 0
            missed, worst_iou, worst_score = [], 1.0, 0.0
            for name, bgr in pictures.items():
                theirs = reference.detect(bgr)
                for wanted, found, side in ((theirs, ours[name], "reference"), (ours[name], theirs, "framemill")):
                    a, e, m, box, score = compare(wanted, found, bars)
                    agreed, edge = agreed + a, edge + e
                    missed += [{"picture": name, "only": side, **entry} for entry in m]
                    worst_iou, worst_score = min(worst_iou, box), max(worst_score, score)
            total = agreed + edge + len(missed)
            is_good = total > 0 and not missed and agreed >= bars["share"] * total
            is_kept = is_kept and is_good
            print(f"{model}: {'ok' if is_good else 'MISSED'}: {agreed} of {total} detections agree, {edge} edge, "
                  f"{len(missed)} missed; least IoU {worst_iou:.3f}, largest score difference {worst_score:.4f}")
            for entry in missed[:10]:
                print("   ", json.dumps(entry))
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
