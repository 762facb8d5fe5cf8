"""Writes the trained weights as ONNX, in FP32 and in INT8, with what framemill must know about them.

    python3 export.py --cache CACHE --weights CACHE/line.pt --out ../models

INT8 is ONNX Runtime static quantisation: pairs of QuantizeLinear and DequantizeLinear, weights per
channel, ranges from training pictures. Weights use 7 of the 8 bits, since processors without VNNI add
two products in 16 bits and would overflow. The last convolutions of the heads and the decoding stay float:
box sides span three decades, and an eighth bit there costs AP for no time won.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                      quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process

from dataset import load_split
from letterbox import INPUT_HEIGHT, INPUT_WIDTH
from measure import NMS_IOU, prepare
from network import STRIDES, LineDetector
from product import CLASS_NAMES

CALIBRATION_PICTURES = 200


class CalibrationPictures(CalibrationDataReader):
    """Training pictures, evenly spread over the scenes."""

    def __init__(self, cache: Path):
        pictures, _ = load_split(cache, "training")
        chosen = np.linspace(0, len(pictures) - 1, CALIBRATION_PICTURES).astype(int)
        self._inputs = (prepare(pictures[k]) for k in chosen)

    def get_next(self):
        x = next(self._inputs, None)
        return None if x is None else {"images": x}


def write_metadata(path: Path, score_min: float, precision: str) -> None:
    model = onnx.load(path)
    positions = sum((INPUT_HEIGHT // stride) * (INPUT_WIDTH // stride) for stride in STRIDES)
    for dim, size in zip(model.graph.output[0].type.tensor_type.shape.dim[1:], (4 + len(CLASS_NAMES), positions)):
        dim.dim_value = size  # the exporter leaves invented names here
    used_domains = {node.domain for node in model.graph.node}
    for opset in [o for o in model.opset_import if o.domain not in used_domains]:
        model.opset_import.remove(opset)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {
        "names": json.dumps({str(k): name for k, name in enumerate(CLASS_NAMES)}),
        "framemill.color": "rgb",
        "framemill.range": "0..1",
        "framemill.letterbox": "center",
        "framemill.score": f"{score_min:.2f}",
        "framemill.nms_iou": f"{NMS_IOU:.2f}",
        "license": "Apache-2.0",
        "description": f"Defects on a synthetic production line; framemill demo detector, {precision}.",
    })
    model.producer_name, model.producer_version, model.doc_string = "framemill demo", "", ""
    onnx.checker.check_model(model)
    onnx.save(model, path)


def float_nodes(path: Path) -> list[str]:
    """Names of the nodes after the heads' last ReLU: they stay float."""
    graph = onnx.load(path).graph
    maker = {name: node for node in graph.node for name in node.output}
    found, waiting = [], [maker[output.name] for output in graph.output]
    while waiting:
        node = waiting.pop()
        if node.name in found:
            continue
        found.append(node.name)
        if node.op_type != "Conv":  # the nearest convolution upstream is the head's last one
            waiting.extend(maker[name] for name in node.input if name in maker)
    return found


def export(cache: Path, weights: Path, out: Path, score_min: float) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model = LineDetector(len(CLASS_NAMES))
    model.load_state_dict(torch.load(weights))
    model.eval()
    float_path, int8_path = out / "line_fp32.onnx", out / "line_int8.onnx"
    batch_axis = {0: "batch"}
    torch.onnx.export(model, (torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH),), str(float_path), opset_version=17,
                      input_names=["images"], output_names=["output0"], dynamo=False,
                      dynamic_axes={"images": batch_axis, "output0": batch_axis})
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(float_path), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(int8_path), CalibrationPictures(cache), quant_format=QuantFormat.QDQ,
                        per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
                        op_types_to_quantize=["Conv", "Relu", "Add", "Concat", "Resize", "Slice"],
                        nodes_to_exclude=float_nodes(prepared))
    write_metadata(float_path, score_min, "FP32")
    write_metadata(int8_path, score_min, "INT8")
    for path in (float_path, int8_path):
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--score", type=float, default=0.55, help="recommended least score, written into the models")
    arguments = parser.parse_args()
    export(arguments.cache, arguments.weights, arguments.out, arguments.score)
