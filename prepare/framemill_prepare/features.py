"""A picture in a few dozen numbers: light, colour, detail and layout. What diversity and domain are measured in."""
import cv2
import numpy as np

STATISTICS = ("brightness", "contrast", "dark share", "bright share", "saturation", "red against blue", "green against the rest", "fine detail", "edges", "edges of one direction")
SIDE = 96


def statistics(picture):
    """The named ones, of a BGR picture: float64 [len(STATISTICS)]."""
    small = cv2.resize(picture, (SIDE * 2, SIDE * 2), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    gray = small @ np.array([0.114, 0.587, 0.299], np.float32)
    blue, green, red = small[..., 0], small[..., 1], small[..., 2]
    highest, lowest = small.max(axis=2), small.min(axis=2)
    dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    length = np.hypot(dx, dy)
    # How far edges run one way: length of the mean of doubled angles.
    weight = length.sum() + 1e-6
    one_way = np.hypot(((dx * dx - dy * dy) / (length + 1e-6)).sum(), (2 * dx * dy / (length + 1e-6)).sum()) / weight
    detail = np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean()
    return np.array([gray.mean(), gray.std(), (gray < 0.15).mean(), (gray > 0.85).mean(), ((highest - lowest) / (highest + 1e-3)).mean(), (red - blue).mean(),
                     (green - (red + blue) / 2).mean(), detail, length.mean(), one_way], np.float64)


def layout(picture):
    """Where things are: an 8x8 thumbnail in three channels and the strength of edges in 4x4 fields: float64 [208]."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB).astype(np.float32) / 255
    thumbnail = cv2.resize(lab, (8, 8), interpolation=cv2.INTER_AREA)
    gray = lab[..., 0]
    edges = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return np.concatenate([thumbnail.ravel(), cv2.resize(edges, (4, 4), interpolation=cv2.INTER_AREA).ravel()]).astype(np.float64)


def describe(picture):
    """Both: what two pictures are held against each other by, before weighting."""
    return np.concatenate([statistics(picture), layout(picture)])


def weighted(rows):
    """Rows of describe() so that plain distance means difference: both halves count alike, whatever their number of columns."""
    rows = np.asarray(rows, np.float64)
    spread = rows.std(axis=0)
    spread[spread < 1e-6] = 1
    scaled = (rows - rows.mean(axis=0)) / spread
    named = len(STATISTICS)
    scaled[:, :named] /= np.sqrt(named)
    scaled[:, named:] /= np.sqrt(scaled.shape[1] - named)
    return scaled
