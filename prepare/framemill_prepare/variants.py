"""Which models a set consists of, and what they are called."""
import re
from dataclasses import dataclass

WIDE_SHARES = (1.0, 0.8, 0.5)  # of the exported width
WIDE_ASPECT = 16 / 9


@dataclass(frozen=True)
class Variant:
    name: str         # as results call it: the file's name without its ending
    file: str         # below the output folder
    size: tuple       # (width, height)
    precision: str    # fp32, fp16, int8
    runtime: str      # that it is made for: openvino, onnxruntime

    @property
    def is_for_gpu(self):
        """ONNX in FP16 and QDQ gain nothing on a CPU."""
        return self.runtime == "onnxruntime"

    @property
    def is_measured(self):
        """What has a speed of its own here: on a CPU FP16 weights are computed with in FP32."""
        return self.precision != "fp16" and not self.is_for_gpu


def stem_of(file_name):
    """yolov8n_640_fp32.onnx -> yolov8n: sizes and precisions that the name has are those of the export, not of the variants."""
    stem = re.sub(r"\.onnx$", "", file_name, flags=re.I)
    shorter = re.sub(r"([_.-](\d{2,4}x\d{2,4}|\d{3,4}|fp32|float32|float))+$", "", stem, flags=re.I)
    return shorter or stem


def wide_sizes(exported, stride):
    """Sizes for 16:9 cameras, of the exported width and smaller: 640 gives 640x384, 512x288, 320x192. stride: both sides are multiples of it."""
    sizes = []
    for share in WIDE_SHARES:
        width = round(exported[0] * share / stride) * stride
        height = -(-round(width / WIDE_ASPECT) // stride) * stride
        size = (width, height)
        if width >= 4 * stride and height >= 3 * stride and size != tuple(exported) and size not in sizes and height <= exported[1]:
            sizes.append(size)
    return sizes


def plan_variants(stem, sizes, precisions, forms):
    """All of them, the most exact first."""
    variants = []
    for size in sizes:
        base = f"{stem}_{size[0]}x{size[1]}"
        variants.append(Variant(f"{base}_fp32", f"models/{base}_fp32.onnx", size, "fp32", "openvino"))
        if "fp16" in precisions:
            if "openvino" in forms:
                variants.append(Variant(f"{base}_fp16", f"models/{base}_fp16.xml", size, "fp16", "openvino"))
            if "onnx" in forms:
                variants.append(Variant(f"{base}_fp16_onnx", f"models/{base}_fp16_onnx.onnx", size, "fp16", "onnxruntime"))
        if "int8" in precisions:
            if "openvino" in forms:
                variants.append(Variant(f"{base}_int8", f"models/{base}_int8.xml", size, "int8", "openvino"))
            if "onnx" in forms:
                variants.append(Variant(f"{base}_int8_qdq", f"models/{base}_int8_qdq.onnx", size, "int8", "onnxruntime"))
    return variants
