#!/usr/bin/env python3
"""Detects with ONNX Runtime and numpy alone: the other opinion that framemill is compared with.

    onnx_reference.py MODEL.onnx PICTURE... > detections.jsonl

Written from the model families' own documentation, sharing nothing with framemill's code: letterbox with
OpenCV, decoding in numpy, class-wise greedy NMS. Which head and input style a model has is given here by
hand (STYLES), not guessed from shapes.
"""
import argparse
import json
import os
import sys

import cv2
import numpy as np
import onnxruntime

# file name part: (head, layout of the input). "rgb01" is RGB 0..1 centred, "bgr255" BGR 0..255 top left.
STYLES = {
    "yolov5": ("v5", "rgb01"),
    "yolov8": ("v8", "rgb01"),
    "yolo11": ("v8", "rgb01"),
    "yolov12": ("v8", "rgb01"),
    "yolov10": ("end2end", "rgb01"),
    "yolox": ("yolox", "bgr255"),
}
CANDIDATE_SCORE = 0.1
NMS_IOU = 0.65
GREY = 114


def style_of(path):
    for part, style in STYLES.items():
        if part in os.path.basename(path):
            return style
    raise SystemExit(f"{path}: its family is not in STYLES")


def letterbox(bgr, width, height, style):
    """`bgr`: 0..255, 8 bits (then the resized picture is rounded, as usual) or float (then it is not)."""
    scale = min(width / bgr.shape[1], height / bgr.shape[0])
    new_width, new_height = round(bgr.shape[1] * scale), round(bgr.shape[0] * scale)
    resized = bgr
    if (new_height, new_width) != bgr.shape[:2]:
        resized = cv2.resize(bgr, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    left = top = 0
    if style == "rgb01":
        left, top = (width - new_width) // 2, (height - new_height) // 2
    canvas = np.full((height, width, 3), GREY, bgr.dtype)
    canvas[top:top + new_height, left:left + new_width] = resized
    if style == "rgb01":
        tensor = canvas[:, :, ::-1].astype(np.float32) / 255
    else:
        tensor = canvas.astype(np.float32)
    return np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]), scale, left, top


def yolox_decode(rows, width, height):
    grids, strides = [], []
    for stride in (8, 16, 32):
        ys, xs = np.mgrid[0:height // stride, 0:width // stride]
        grids.append(np.stack([xs.ravel(), ys.ravel()], 1))
        strides.append(np.full((xs.size, 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    rows = rows.copy()
    rows[:, 0:2] = (rows[:, 0:2] + grid) * stride
    rows[:, 2:4] = np.exp(rows[:, 2:4]) * stride
    return rows


def decode(output, head, width, height):
    """Boxes x1,y1,x2,y2 in pixels of the input, scores, classes."""
    if head == "end2end":
        rows = output[0]
        return rows[:, :4], rows[:, 4], rows[:, 5].astype(int)
    if head == "v8":
        rows = output[0].T
        scores = rows[:, 4:]
    else:
        rows = output[0]
        if head == "yolox":
            rows = yolox_decode(rows, width, height)
        scores = rows[:, 4:5] * rows[:, 5:]
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    if boxes.max() < 4:  # the YOLOv5 of the test data reports shares of the input
        boxes = boxes * np.array([width, height, width, height])
    return boxes, scores.max(1), scores.argmax(1)


def overlap(box, others):
    left_top = np.maximum(box[:2], others[:, :2])
    right_bottom = np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.clip(right_bottom - left_top, 0, None), 1)
    areas = np.prod(others[:, 2:] - others[:, :2], 1)
    return common / (np.prod(box[2:] - box[:2]) + areas - common)


def suppress(boxes, scores, classes):
    kept = []
    for class_id in np.unique(classes):
        order = np.flatnonzero(classes == class_id)
        order = order[np.argsort(-scores[order], kind="stable")]
        while order.size:
            best, order = order[0], order[1:]
            kept.append(best)
            if order.size:
                order = order[overlap(boxes[best], boxes[order]) <= NMS_IOU]
    return np.array(kept, int)


class Reference:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Without it 8-bit products saturate on CPUs without VNNI, and INT8 models come out wrong.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        model_input = self.session.get_inputs()[0]
        self.input_name = model_input.name
        self.height, self.width = model_input.shape[2:]
        self.head, self.style = style_of(path)

    def detect(self, bgr, noise=None):
        """Sorted by score, best first. `noise`: added to the input tensor, made for its shape."""
        tensor, scale, left, top = letterbox(bgr, self.width, self.height, self.style)
        if noise:
            tensor = (tensor + noise(tensor.shape)).astype(np.float32)
        output = self.session.run(None, {self.input_name: tensor})[0]
        boxes, scores, classes = decode(output, self.head, self.width, self.height)
        chosen = scores >= CANDIDATE_SCORE
        boxes, scores, classes = boxes[chosen], scores[chosen], classes[chosen]
        if self.head != "end2end":
            kept = suppress(boxes, scores, classes)
            boxes, scores, classes = boxes[kept], scores[kept], classes[kept]
        boxes = (boxes - [left, top, left, top]) / scale
        height, width = bgr.shape[:2]
        boxes = np.clip(boxes, 0, [width, height, width, height])
        return [{"class": int(classes[i]), "score": round(float(scores[i]), 5),
                 "box": [round(float(v), 3) for v in boxes[i]]} for i in np.argsort(-scores, kind="stable")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", nargs="+")
    arguments = parser.parse_args()
    reference = Reference(arguments.model)
    for path in arguments.pictures:
        bgr = cv2.imread(path, cv2.IMREAD_COLOR)
        print(json.dumps({"name": os.path.basename(path), "detections": reference.detect(bgr)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
