"""Runs a model over a clip with ONNX Runtime and writes result lines for score.py.

    python3 check_clip.py --model ../models/line_int8.onnx --clip ../clips/line.mp4 --out RESULTS.jsonl [--every 3]

Independent of framemill. The score bar and the suppression overlap come from the model's own metadata.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from answers import read_output
from letterbox import letterbox


def check_clip(model: Path, clip: Path, out: Path, every: int) -> None:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    names = json.loads(facts["names"])
    score_min, nms_iou = float(facts["framemill.score"]), float(facts["framemill.nms_iou"])
    video = cv2.VideoCapture(str(clip))
    frame_index = 0
    with out.open("w", encoding="utf-8") as results:
        while True:
            is_read, picture = video.read()
            if not is_read:
                break
            if frame_index % every == 0:
                canvas, scale, left, top = letterbox(picture[..., ::-1])
                x = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255)
                rows = read_output(session.run(["output0"], {"images": x})[0][0], score_min, nms_iou)
                boxes = (rows[:, 2:] - [left, top, left, top]) / scale
                boxes = np.clip(boxes, 0, [picture.shape[1], picture.shape[0]] * 2)
                detections = [{"class": int(row[0]), "label": names[str(int(row[0]))], "score": round(float(row[1]), 4),
                               "box": [round(float(c), 2) for c in box]} for row, box in zip(rows, boxes)]
                line = {"camera": clip.stem, "frame_index": frame_index, "detections": detections}
                results.write(json.dumps(line) + "\n")
            frame_index += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    check_clip(arguments.model, arguments.clip, arguments.out, arguments.every)
