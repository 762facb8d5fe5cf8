"""AP of an exported model on a cached split, with ONNX Runtime or OpenVINO.

    python3 measure.py --cache CACHE --model ../models/line_int8.onnx [--runtime openvino]

Prints AP50 and AP50-95 per class and the best F1 over the score bar. Boxes are compared in pixels of
the 640x384 input.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from answers import MAP_IOUS, average_precision, counts_at, read_output
from dataset import load_split
from letterbox import letterbox
from product import CLASS_NAMES

NMS_IOU = 0.35  # chosen on the tuning part: products stand apart, and rough boxes of one scratch must merge


def open_model(path: Path, runtime: str):
    """A function from float `[batch, 3, 384, 640]` to `[batch, 4 + classes, positions]`, on one thread."""
    if runtime == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda x: session.run(["output0"], {"images": x})[0]
    import openvino
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    return lambda x: request.infer({"images": x})[compiled.output(0)].copy()


def prepare(picture: np.ndarray) -> np.ndarray:
    """uint8 RGB picture to the model's `[1, 3, 384, 640]`."""
    canvas = letterbox(picture)[0]
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def measure(cache: Path, split: str, model: Path, runtime: str, pictures_max: int | None = None) -> dict:
    infer = open_model(model, runtime)
    pictures, labels = load_split(cache, split)
    answers, truths, spent = [], [], []
    for picture, rows in list(zip(pictures, labels))[:pictures_max]:
        x = prepare(picture)
        began = time.perf_counter()
        output = infer(x)
        spent.append(time.perf_counter() - began)
        answers.append(read_output(output[0], 0.001, NMS_IOU))
        truth = rows.copy()
        _, scale, left, top = letterbox(picture)
        truth[:, 1:5] = truth[:, 1:5] * scale + np.float32([left, top, left, top])
        truths.append(truth)
    table = {name: [average_precision(answers, truths, index, iou) for iou in MAP_IOUS]
             for index, name in enumerate(CLASS_NAMES)}
    sweep = []
    for bar in np.arange(0.1, 0.8, 0.05):
        objects, right, claimed = counts_at(answers, truths, bar)
        sweep.append((float(bar), right / objects, right / max(claimed, 1)))
    return {"table": table, "sweep": sweep, "median_ms": float(np.median(spent) * 1e3), "pictures": len(answers),
            "objects": {name: int(sum(((t[:, 0] == k) & (t[:, 5] > 0.5)).sum() for t in truths))
                        for k, name in enumerate(CLASS_NAMES)}}


def report(figures: dict) -> None:
    print(f"{figures['pictures']} pictures, median {figures['median_ms']:.2f} ms on one thread")
    for name, row in figures["table"].items():
        print(f"{name:<14}objects {figures['objects'][name]:>6}  AP50 {row[0]:.4f}  AP50-95 {np.mean(row):.4f}")
    everything = np.array(list(figures["table"].values()))
    print(f"{'mean':<29}  AP50 {everything[:, 0].mean():.4f}  AP50-95 {everything.mean():.4f}")
    for bar, recall, precision in figures["sweep"]:
        print(f"score {bar:.2f}  recall {recall:.4f}  precision {precision:.4f}  "
              f"F1 {2 * recall * precision / (recall + precision + 1e-9):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--split", default="held_out")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--runtime", choices=("onnxruntime", "openvino"), default="onnxruntime")
    arguments = parser.parse_args()
    report(measure(arguments.cache, arguments.split, arguments.model, arguments.runtime))
