#!/usr/bin/env python3
"""Proves that framemill detects what an independent script detects, for every family of heads.

    python3 -m venv VENV && VENV/bin/pip install -r tests/agree/requirements.txt
    VENV/bin/python tests/agree/run_agreement.py --tool BUILD/tests/agree/detect_pictures --testdata TESTDATA

Both sides get the same pixels: each picture is turned into full-range 4:4:4 YUV, which framemill reads, and
back into BGR, which the reference reads, in floats: rounding to 8 bits on one side alone moves scores by up
to .02. Then, model by model, each of the reference's detections with a score of .3 or more must have one of
framemill's of the same class with IoU >= .95 and a score within .02, and the other way round. A detection
with a rival nearby, of which NMS keeps the one that is better in the last digit, is not held against either
side (`edge`, at most 1 %).

A dynamically quantised model (DYNAMIC) rounds the activations of each layer to 8 bits, with a scale taken from
the picture itself. A value that lies between two steps falls to either side by its last bit, and the layers
that follow make more of it: noise of a millionth in the input moves scores by several hundredths, in one
and the same runtime. No bar near .02 can hold there, whoever is right, so two others do:
- Its float form (float_form.py: the same weights without the rounding) has to keep the bars above.
- As it is, framemill may differ from the reference, in the mean, at most SELF_BAR times as far as the reference
  differs from itself when its input gets that noise.
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
    import onnx
    import float_form
    import onnx_reference
    from detections import is_alike, mean_differences
except ImportError as problem:
    sys.exit(f"run_agreement: {problem}; install tests/agree/requirements.txt into a venv")

NOISE = 1e-6
NOISE_SEEDS = (1, 2)
SELF_BAR = 1.5
DYNAMIC_PICTURES = 4  # times as many: a mean over 85 detections is off by up to .8 of itself, over 400 by .2
# model: pictures, below images/. DYNAMIC ones are dynamically quantised.
COCO, STEEL = ("misc/*.jpg", "coco/val2017/images/*.jpg"), ("neu-det/images/*.jpg",)
MODELS = {
    "yolov5n_640_fp32.onnx": COCO,
    "yolov8n_640_fp32.onnx": COCO,
    "yolo11n_640_fp32.onnx": COCO,
    "yolox_nano_416_fp32_kazuhito00.onnx": COCO,
    "rect/yolo11n_640x384_fp32.onnx": COCO,
    "yolov10n_640_int8_dynamic_s8_gaotong.onnx": COCO,
    "steel_neu_yolov8n_640_int8_dynamic_alizay.onnx": STEEL,
}
DYNAMIC = {"yolov10n_640_int8_dynamic_s8_gaotong.onnx", "steel_neu_yolov8n_640_int8_dynamic_alizay.onnx"}


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


def is_as_near_as_itself(model, ours, theirs, noisy):
    """`noisy`: the reference's answers to its noisy input, one dictionary a seed."""
    score, box, count = mean_differences([(ours[name], theirs[name]) for name in theirs])
    score_self, box_self, _ = mean_differences([(run[name], theirs[name]) for run in noisy for name in theirs])
    is_good = count > 0 and score <= SELF_BAR * score_self and box <= SELF_BAR * box_self
    print(f"{model}: {'ok' if is_good else 'MISSED'}: {count} detections; mean score difference {score:.4f}, of the "
          f"reference to itself {score_self:.4f}; mean 1 - IoU {box:.4f}, to itself {box_self:.4f}")
    return is_good


def read_pictures(images, patterns, count):
    """Up to `count` of each pattern, evenly spaced: name: planes Y, U, V."""
    pictures = {}
    for pattern in patterns:
        paths = sorted(glob.glob(os.path.join(images, pattern)))
        for path in paths[::max(1, len(paths) // count)][:count]:
            pictures[os.path.basename(path)] = to_yuv(cv2.imread(path, cv2.IMREAD_COLOR))
    return pictures


def write_pictures(path, pictures):
    with open(path, "wb") as file:
        for name, planes in pictures.items():
            file.write(f"FMPIC1 {name} {planes[0].shape[1]} {planes[0].shape[0]}\n".encode())
            for plane in planes:
                file.write(plane.tobytes())


def detect_with_framemill(tool, runtime, model, stream):
    """picture: detections; None, and a line that says why, if the tool fails."""
    run = subprocess.run([tool, model, stream, "--runtime", runtime], stdout=subprocess.PIPE, text=True, timeout=600, check=False)
    if run.returncode != 0:
        print(f"{model}: detect_pictures ended with {run.returncode}")
        return None
    return {line["name"]: line["detections"] for line in map(json.loads, run.stdout.splitlines())}


def is_model_kept(model, arguments, folder):
    count = arguments.pictures * (DYNAMIC_PICTURES if model in DYNAMIC else 1)
    pictures = read_pictures(os.path.join(arguments.testdata, "images"), MODELS[model], count)
    if not pictures:
        print(f"{model}: no pictures {MODELS[model]} in the test data")
        return False
    stream = os.path.join(folder, "pictures")
    write_pictures(stream, pictures)
    bgr = {name: to_bgr(planes) for name, planes in pictures.items()}
    path = os.path.join(arguments.testdata, "models", model)
    exact, exact_path = model, path
    is_kept = True
    if model in DYNAMIC:
        reference = onnx_reference.Reference(path)
        theirs = {name: reference.detect(picture) for name, picture in bgr.items()}
        noisy = []
        for seed in NOISE_SEEDS:
            random = np.random.default_rng(seed)
            noisy.append({name: reference.detect(picture, lambda shape: random.uniform(-NOISE, NOISE, shape))
                          for name, picture in bgr.items()})
        ours = detect_with_framemill(arguments.tool, arguments.runtime, path, stream)
        is_kept = ours is not None and is_as_near_as_itself(model, ours, theirs, noisy)
        exact, exact_path = f"{model}, float form", os.path.join(folder, os.path.basename(model))
        onnx.save(float_form.float_form(onnx.load(path)), exact_path)
    reference = onnx_reference.Reference(exact_path)
    theirs = {name: reference.detect(picture) for name, picture in bgr.items()}
    ours = detect_with_framemill(arguments.tool, arguments.runtime, exact_path, stream)
    return ours is not None and is_alike(exact, ours, theirs) and is_kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tool", required=True, help="the built detect_pictures")
    parser.add_argument("--testdata", default=os.environ.get("FRAMEMILL_TESTDATA"))
    parser.add_argument("--runtime", default="openvino", choices=("openvino", "onnxruntime"), help="that framemill uses")
    parser.add_argument("--pictures", type=int, default=16, help="how many of each folder of pictures")
    parser.add_argument("--model", action="append", choices=MODELS, metavar="MODEL", help="only these of MODELS")
    arguments = parser.parse_args()
    if not arguments.testdata:
        print("run_agreement: name the test data with --testdata or FRAMEMILL_TESTDATA", file=sys.stderr)
        return 2
    if arguments.pictures < 1:
        parser.error("--pictures must be at least 1")
    is_kept = True
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.model or MODELS:
            is_kept = is_model_kept(model, arguments, folder) and is_kept
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
