"""Checks what framemill relies on in the exported models, in ONNX Runtime and in OpenVINO.

    python3 check_models.py --models ../models

Input and output names, shapes and types; the metadata; size; a batch of 4 gives the same as one by one;
boxes are ordered and scores lie in 0..1. Pictures come from the generator. Exit status 1 if anything fails.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx

from letterbox import INPUT_HEIGHT, INPUT_WIDTH
from measure import open_model, prepare
from product import CLASS_NAMES
from scene import HELD_OUT, Scene

BYTES_MAX = 2_000_000
POSITIONS = sum((INPUT_HEIGHT // stride) * (INPUT_WIDTH // stride) for stride in (8, 16, 32))
METADATA = {"framemill.color": "rgb", "framemill.range": "0..1", "framemill.letterbox": "center",
            "license": "Apache-2.0"}


def check_model(path: Path) -> list[str]:
    """What is wrong with the model, one line each."""
    wrong = []

    def expect(is_met: bool, message: str) -> None:
        if not is_met:
            wrong.append(f"{path.name}: {message}")

    model = onnx.load(path)
    expect(path.stat().st_size < BYTES_MAX, "file too large")
    ends = {value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
            for value in (*model.graph.input, *model.graph.output)}
    expect(ends == {"images": ["batch", 3, INPUT_HEIGHT, INPUT_WIDTH],
                    "output0": ["batch", 4 + len(CLASS_NAMES), POSITIONS]}, f"inputs and outputs are {ends}")
    facts = {prop.key: prop.value for prop in model.metadata_props}
    expect(facts.items() >= METADATA.items(), f"metadata is {facts}")
    expect(json.loads(facts["names"]) == {str(k): name for k, name in enumerate(CLASS_NAMES)}, "wrong names")
    expect(all(0 < float(facts[key]) < 1 for key in ("framemill.score", "framemill.nms_iou")), "wrong bars")

    x = np.concatenate([prepare(Scene(950_000 + k, HELD_OUT).render(1.0).picture) for k in range(4)])
    outputs = {}
    for runtime in ("onnxruntime", "openvino"):
        infer = open_model(path, runtime)
        together, single = infer(x), np.concatenate([infer(x[k:k + 1]) for k in range(4)])
        outputs[runtime] = single
        expect(together.shape == (4, 4 + len(CLASS_NAMES), POSITIONS), f"{runtime}: output is {together.shape}")
        gap = np.abs(together - single)
        print(f"{path.name} {runtime}: batch of 4 against single: boxes within {gap[:, :4].max():.2e} px, "
              f"scores within {gap[:, 4:].max():.2e}")
        expect(gap[:, :4].max() < 0.05 and gap[:, 4:].max() < 1e-3, f"{runtime}: a batch differs from single pictures")
        expect(bool((single[:, 4:] >= 0).all() and (single[:, 4:] <= 1).all()), f"{runtime}: scores leave 0..1")
        expect(bool((single[:, 2:4] > 0).all()), f"{runtime}: a box has no area")
    gap = np.abs(outputs["onnxruntime"] - outputs["openvino"])[:, 4:]
    print(f"{path.name}: scores of the two runtimes within {gap.max():.3f}, mean {gap.mean():.1e}")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=Path, required=True)
    faults = [fault for path in sorted(parser.parse_args().models.glob("*.onnx")) for fault in check_model(path)]
    print("\n".join(faults) or "models: all as promised")
    sys.exit(1 if faults else 0)
