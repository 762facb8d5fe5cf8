"""A picture as the model's input, as framemill's own letterbox makes it."""
from dataclasses import dataclass

import cv2
import numpy as np

BORDER = 114


@dataclass(frozen=True)
class InputStyle:
    """What framemill found out about the model's input."""
    is_bgr: bool = False
    is_byte: bool = False  # 0..255, else 0..1
    is_top_left: bool = False


def letterbox(picture, size, style):
    """float32 [1, 3, height, width] of a BGR picture; size: (width, height)."""
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    resized = (max(1, round(width * scale)), max(1, round(height * scale)))
    if resized != (width, height):
        picture = cv2.resize(picture, resized, interpolation=cv2.INTER_LINEAR)
    left, top = (0, 0) if style.is_top_left else ((size[0] - resized[0]) // 2, (size[1] - resized[1]) // 2)
    canvas = np.full((size[1], size[0], 3), BORDER, np.uint8)
    canvas[top:top + resized[1], left:left + resized[0]] = picture
    if not style.is_bgr:
        canvas = canvas[:, :, ::-1]
    tensor = canvas.transpose(2, 0, 1)[None].astype(np.float32)
    return tensor if style.is_byte else tensor / np.float32(255)
