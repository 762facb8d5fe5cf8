"""The model's input size and how a picture is fitted into it: aspect kept, centred, gray border."""

import cv2
import numpy as np

INPUT_WIDTH, INPUT_HEIGHT = 640, 384
GRAY = 114


def letterbox(picture: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """(input picture 384 x 640, scale, left, top); x in the input = x in the picture * scale + left."""
    rows, columns = picture.shape[:2]
    scale = min(INPUT_WIDTH / columns, INPUT_HEIGHT / rows)
    width, height = round(columns * scale), round(rows * scale)
    if (width, height) != (columns, rows):
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    left, top = (INPUT_WIDTH - width) // 2, (INPUT_HEIGHT - height) // 2
    canvas = np.full((INPUT_HEIGHT, INPUT_WIDTH, 3), GRAY, np.uint8)
    canvas[top:top + height, left:left + width] = picture
    return canvas, scale, left, top
