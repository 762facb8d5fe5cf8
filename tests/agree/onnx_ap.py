#!/usr/bin/env python3
"""Average precision with ONNX Runtime, numpy and pycocotools alone: the other opinion on `framemill eval`.

    pip install -r tests/agree/requirements.txt pycocotools==2.0.11
    onnx_ap.py MODEL.onnx... --images FOLDER --labels FOLDER --classes N

Detects as onnx_reference.py does, but down to a score of .001 and at most 300 a picture, and lets pycocotools
judge it against YOLO labels. The figures that tests/e2e/test_eval_testdata.py holds framemill to came from here.
"""
import argparse
import contextlib
import io
import os
import sys

import cv2
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import onnx_reference

DETECTIONS_MAX = 300


def read_truth(images, labels, class_count):
    truth = {"images": [], "annotations": [], "categories": [{"id": i, "name": str(i)} for i in range(class_count)]}
    for number, name in enumerate(sorted(os.listdir(images)), 1):
        height, width = cv2.imread(os.path.join(images, name)).shape[:2]
        truth["images"].append({"id": number, "file_name": os.path.join(images, name), "width": width, "height": height})
        for line in open(os.path.join(labels, os.path.splitext(name)[0] + ".txt"), encoding="utf-8"):
            class_id, x, y, w, h = map(float, line.split())
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, "image_id": number, "category_id": int(class_id), "iscrowd": 0,
                                         "bbox": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height],
                                         "area": w * width * h * height})
    return truth


def detect(model, truth):
    reference = onnx_reference.Reference(model)
    results = []
    for image in truth["images"]:
        for found in reference.detect(cv2.imread(image["file_name"]))[:DETECTIONS_MAX]:
            x1, y1, x2, y2 = found["box"]
            results.append({"image_id": image["id"], "category_id": found["class"], "score": found["score"],
                            "bbox": [x1, y1, x2 - x1, y2 - y1]})
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--images", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--classes", type=int, default=80)
    arguments = parser.parse_args()
    onnx_reference.CANDIDATE_SCORE = 0.001
    onnx_reference.STYLES["steel"] = ("v8", "rgb01")
    truth = read_truth(arguments.images, arguments.labels, arguments.classes)
    for model in arguments.models:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = truth
            coco.createIndex()
            evaluation = COCOeval(coco, coco.loadRes(detect(model, truth)), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        ap, ap50, _, small, medium, large = evaluation.stats[:6]
        print(f"{os.path.basename(model)}: AP50 {ap50:.4f}, AP {ap:.4f}, small {small:.4f}, medium {medium:.4f}, large {large:.4f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
