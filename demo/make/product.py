"""Bottles and jars as small pictures with alpha, and the defects drawn on them.

A product is a solid of revolution seen from slightly above. Each pixel of its picture gets a
coordinate `u` across (-1 left edge, 1 right edge) and `v` up (0 bottom, 1 top); shape, shading,
the wrapped paper label and the defects are all functions of these two, so no artwork is needed.
Everything comes from the generator handed in: the same state draws the same product.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

CLASS_NAMES = ("product", "dent", "scratch", "stain", "missing_cap")
PRODUCT, DENT, SCRATCH, STAIN, MISSING_CAP = range(5)

SUPERSAMPLE = 2  # products are drawn this much larger, then shrunk: clean edges for little time
BRAND_WORDS = ("MILLA", "FRESH", "NORD", "AQUA", "TERRA", "SOL", "LUMO", "VITA", "KIRO", "OPAL")


@dataclass
class Mark:
    """One labelled thing on a product; `box` is x1, y1, x2, y2 in pixels of the product picture."""

    class_index: int
    box: tuple[float, float, float, float]


@dataclass
class Product:
    """Picture of one product; the middle of its bottom lies at `anchor` of `rgba` (x, y)."""

    rgba: np.ndarray  # float32, height x width x 4, colour not multiplied by alpha
    anchor: tuple[float, float]
    marks: list[Mark] = field(default_factory=list)  # marks[0] is the product itself


@dataclass
class ProductDesign:
    """What all products of one production run have in common; lengths in picture pixels."""

    kind: str  # "bottle", "jar" or "flask"
    width: float
    height: float
    body_rgb: np.ndarray
    cap_rgb: np.ndarray
    label_rgb: np.ndarray
    ink_rgb: np.ndarray
    label_low: float  # paper label from here ...
    label_high: float  # ... to here, as v
    gloss: float
    light_from: float  # -1 lamp at the left, 1 at the right
    shoulder_low: float
    neck_low: float
    cap_low: float
    neck_share: float  # half width of the neck as a share of that of the body
    word: str
    label_layout: int
    label_texture: np.ndarray | None = None  # from draw_label_texture


def hsv(hue_deg: float, saturation: float, value: float) -> np.ndarray:
    """RGB in 0..1 of a colour given as hue in degrees, saturation and value in 0..1."""
    sector = (hue_deg % 360.0) / 60.0
    offsets = np.array([5.0, 3.0, 1.0])
    k = (offsets + sector) % 6.0
    return (value - value * saturation * np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0)).astype(np.float32)


def draw_design(rng: np.random.Generator, hue_ranges, light_from: float) -> ProductDesign:
    """Draws a production run; colours come from `hue_ranges`, pairs of degrees."""

    def hue() -> float:
        low, high = hue_ranges[rng.integers(len(hue_ranges))]
        return rng.uniform(low, high)

    kind = str(rng.choice(["bottle", "bottle", "flask", "jar"]))
    if kind == "jar":
        width, height = rng.uniform(78, 104), rng.uniform(104, 138)
        shoulder_low, neck_low, cap_low, neck_share = 0.70, 0.78, 0.80, rng.uniform(0.76, 0.86)
    else:
        width, height = rng.uniform(58, 84), rng.uniform(148, 196)
        shoulder_low = rng.uniform(0.54, 0.66)
        neck_low = shoulder_low + rng.uniform(0.14, 0.20)
        cap_low, neck_share = rng.uniform(0.86, 0.89), rng.uniform(0.34, 0.46)
    pale = rng.random() < 0.35
    body = hsv(hue(), rng.uniform(0.03, 0.2), rng.uniform(0.75, 0.95)) if pale else \
        hsv(hue(), rng.uniform(0.45, 0.85), rng.uniform(0.40, 0.85))
    cap = hsv(hue(), rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.9))
    if rng.random() < 0.25:
        cap = np.full(3, rng.choice([0.12, 0.9]), np.float32)
    paper = hsv(hue(), rng.uniform(0.0, 0.18), rng.uniform(0.85, 0.98)) if rng.random() < 0.6 else \
        hsv(hue(), rng.uniform(0.4, 0.8), rng.uniform(0.6, 0.9))
    ink = hsv(hue(), rng.uniform(0.5, 0.95), rng.uniform(0.2, 0.6))
    label_low = rng.uniform(0.10, 0.18)
    design = ProductDesign(
        kind, width, height, body, cap, paper, ink, label_low,
        min(shoulder_low - 0.04, label_low + rng.uniform(0.30, 0.44)),
        rng.uniform(0.25, 0.7), light_from, shoulder_low, neck_low, cap_low, neck_share,
        str(rng.choice(BRAND_WORDS)), int(rng.integers(4)))
    design.label_texture = draw_label_texture(design, rng)
    return design


def half_width_at(design: ProductDesign, v: np.ndarray, has_cap: bool) -> np.ndarray:
    """Half width of the outline at height `v`, as a share of the body's; 0 above the top."""
    span = np.clip((v - design.shoulder_low) / (design.neck_low - design.shoulder_low), 0, 1)
    ease = 0.5 - 0.5 * np.cos(np.pi * span)
    half = 1.0 + (design.neck_share - 1.0) * ease
    half *= 1.0 - 0.35 * np.clip(1.0 - v / 0.035, 0, 1) ** 2 * 0.5  # rounded foot
    if design.kind == "flask":
        half -= 0.13 * np.exp(-(((v - 0.5 * design.shoulder_low - 0.12) / 0.13) ** 2)) * (span <= 0)
    if has_cap:
        cap_half = design.neck_share * (1.06 if design.kind == "jar" else 1.22)
        half = np.where(v >= design.cap_low, cap_half, half)
        return np.where(v <= 1.0, half, 0.0)
    # A bare mouth: narrower than the cap was, with a ring below the thread, and a little lower.
    mouth = design.neck_share * 0.93
    ring = np.abs(v - design.cap_low) < 0.012
    half = np.where(v >= design.cap_low, mouth, half)
    half = np.where(ring, design.neck_share * 1.12, half)
    return np.where(v <= mouth_top(design), half, 0.0)


def mouth_top(design: ProductDesign) -> float:
    return 0.95 if design.kind == "jar" else 0.965


def draw_label_texture(design: ProductDesign, rng: np.random.Generator) -> np.ndarray:
    """The paper label, flat: 240 x 160, float RGB; only its middle faces the camera."""
    rows, columns = 160, 240
    texture = np.empty((rows, columns, 3), np.uint8)  # OpenCV writes text on bytes only

    def as_bytes(rgb) -> tuple[int, ...]:
        return tuple(int(255 * c) for c in np.clip(rgb, 0, 1))

    texture[:] = as_bytes(design.label_rgb)
    ink = as_bytes(design.ink_rgb)
    second = as_bytes(design.cap_rgb * 0.9)
    if design.label_layout == 0:
        cv2.rectangle(texture, (0, 0), (columns, 26), ink, -1)
        cv2.rectangle(texture, (0, rows - 14), (columns, rows), second, -1)
    elif design.label_layout == 1:
        cv2.circle(texture, (columns // 2, 66), 46, second, -1, cv2.LINE_AA)
        cv2.circle(texture, (columns // 2, 66), 46, ink, 4, cv2.LINE_AA)
    elif design.label_layout == 2:
        wave = [(x, int(118 + 12 * np.sin(x / 26.0))) for x in range(0, columns + 1, 6)]
        cv2.fillPoly(texture, [np.array(wave + [(columns, rows), (0, rows)])], second, cv2.LINE_AA)
    else:
        for y in (10, 20, rows - 12):
            cv2.line(texture, (0, y), (columns, y), ink, 4)
    size = cv2.getTextSize(design.word, cv2.FONT_HERSHEY_DUPLEX, 1.15, 3)[0]
    cv2.putText(texture, design.word, ((columns - size[0]) // 2, 78), cv2.FONT_HERSHEY_DUPLEX, 1.15,
                as_bytes(design.label_rgb) if design.label_layout == 1 else ink, 3, cv2.LINE_AA)
    for line in range(3):  # small print
        width = int(rng.integers(40, 80))
        y = 98 + 9 * line
        cv2.line(texture, ((columns - width) // 2, y), ((columns + width) // 2, y), ink, 2)
    for bar in range(14):  # barcode, near the right edge of the visible half
        x = 158 + bar * 3
        cv2.line(texture, (x, 128), (x, 150), (20, 20, 20), 1 + int(rng.random() < 0.4))
    return texture.astype(np.float32) / 255


def draw_product(design: ProductDesign, rng: np.random.Generator, defects: list[int]) -> Product:
    """Draws one product carrying `defects` (class indices; a spot that does not fit is left out)."""
    scale = SUPERSAMPLE
    has_cap = MISSING_CAP not in defects
    half_body = design.width / 2 * scale
    tall = design.height * scale
    pad = 6 * scale
    columns = int(2 * half_body + 2 * pad) // scale * scale
    bulge = design.width * 0.055 * scale  # how far level circles sag: the camera looks down a little
    rows = int(tall + bulge + 2 * pad) // scale * scale
    centre_x = columns / 2
    foot_y = rows - pad - bulge

    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5
    across = np.clip((xs - centre_x) / half_body, -1, 1)
    sag = bulge * np.sqrt(1 - across ** 2)
    v = (foot_y - ys + sag) / tall
    half = half_width_at(design, np.maximum(v, 0), has_cap) * half_body
    alpha = np.clip(half - np.abs(xs - centre_x) + 0.5, 0, 1) * (v >= 0)
    u = np.clip((xs - centre_x) / np.maximum(half, 1), -1, 1)

    # Defects that bend the surface must be known before shading.
    top_v = 1.0 if has_cap else mouth_top(design)
    marks = [Mark(PRODUCT, (0, 0, 0, 0))]
    taken: list[tuple[float, float, float, float]] = []
    bend = np.zeros((rows, columns), np.float32)
    paint: list[tuple[np.ndarray, np.ndarray]] = []  # mask, RGB
    for class_index in defects:
        if class_index == MISSING_CAP:
            continue
        shape = _draw_defect(class_index, design, rng, rows, columns, centre_x, foot_y, half_body,
                             tall, taken)
        if shape is None:
            continue
        box, bend_part, paint_parts = shape
        taken.append(box)
        marks.append(Mark(class_index, box))
        if bend_part is not None:
            bend += bend_part
        paint.extend(paint_parts)

    rgb = np.empty((rows, columns, 3), np.float32)
    rgb[:] = design.body_rgb
    rgb *= (0.86 + 0.22 * np.clip(v, 0, 1))[..., None]
    is_label = (v > design.label_low) & (v < design.label_high)
    texture_rows, texture_columns = design.label_texture.shape[:2]
    map_x = (np.arcsin(u) / np.pi + 0.5) * 0.62 * texture_columns + 0.19 * texture_columns
    map_y = (design.label_high - v) / (design.label_high - design.label_low) * texture_rows
    wrapped = cv2.remap(design.label_texture, map_x.astype(np.float32), map_y.astype(np.float32),
                        cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rgb[is_label] = wrapped[is_label]
    if has_cap:
        is_cap = v >= design.cap_low
        ridges = 0.90 + 0.10 * np.cos(np.arcsin(u) * 30)
        rgb[is_cap] = design.cap_rgb * ridges[is_cap][:, None]
        rgb[(v >= design.cap_low) & (v < design.cap_low + 0.012)] *= 0.6
    else:
        is_mouth = v >= design.cap_low + 0.012
        thread = 0.80 + 0.20 * np.sign(np.sin((v - design.cap_low) * tall / (1.6 * scale) + u * 0.6))
        rgb[is_mouth] = (0.35 * design.body_rgb + 0.55) * thread[is_mouth][:, None]

    # Light: one lamp, a darker edge on both sides, and a glossy streak where the lamp is mirrored.
    normal_z = np.sqrt(np.clip(1 - u ** 2, 0, 1))
    lamp_x = 0.55 * design.light_from
    lambert = np.clip(u * lamp_x + normal_z * np.sqrt(1 - lamp_x ** 2), 0, 1)
    shade = 0.34 + 0.74 * lambert
    streak = np.exp(-(((u - 0.48 * design.light_from) / 0.09) ** 2)) * design.gloss
    back_light = np.exp(-(((u + 0.80 * design.light_from) / 0.08) ** 2)) * design.gloss * 0.35
    dull = np.where(is_label, 0.35, 1.0)
    shoulder = ((v > design.shoulder_low) & (v < design.neck_low)).astype(np.float32)
    shade = np.maximum(shade + 0.10 * shoulder + bend, 0.16)
    rgb = rgb * shade[..., None] + ((streak + back_light) * dull * 0.55)[..., None]
    for mask, colour in paint:
        rgb = rgb * (1 - mask[..., None]) + (colour * (0.55 + 0.45 * shade)[..., None]) * mask[..., None]

    # The round top, seen from above.
    top_y = foot_y - top_v * tall
    top_half = float(half_width_at(design, np.array([top_v - 1e-3]), has_cap)[0]) * half_body
    flat = max(top_half * 0.16, 1.5)
    top_mask = np.zeros((rows, columns), np.float32)
    cv2.ellipse(top_mask, (int(centre_x), int(top_y + bulge * 0.75)), (int(top_half), int(flat)), 0, 0, 360, 1.0,
                -1, cv2.LINE_AA)
    top_rgb = np.clip(design.cap_rgb * 1.15 + 0.08, 0, 1) if has_cap else np.float32([0.07, 0.06, 0.06])
    rgb = rgb * (1 - top_mask[..., None]) + top_rgb * top_mask[..., None]
    if not has_cap:
        cv2.ellipse(rgb, (int(centre_x), int(top_y + bulge * 0.75)), (int(top_half), int(flat)), 0, 0, 360,
                    tuple(float(c) for c in np.clip(0.5 * design.body_rgb + 0.5, 0, 1)), 2, cv2.LINE_AA)
        neck = design.neck_share * 1.15 * half_body
        mouth_box = (centre_x - neck, top_y - flat, centre_x + neck, foot_y - (design.cap_low - 0.015) * tall + bulge)
        marks.append(Mark(MISSING_CAP, mouth_box))
    alpha = np.maximum(alpha, top_mask)

    rgba = np.dstack([np.clip(rgb, 0, 1) * alpha[..., None], alpha]).astype(np.float32)
    small = cv2.resize(rgba, (columns // scale, rows // scale), interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-4)
    marks = [Mark(m.class_index, tuple(c / scale for c in m.box)) for m in marks]
    solid_rows = np.flatnonzero(small[..., 3].max(axis=1) > 0.5)
    solid_columns = np.flatnonzero(small[..., 3].max(axis=0) > 0.5)
    marks[0].box = (float(solid_columns[0]), float(solid_rows[0]),
                    float(solid_columns[-1] + 1), float(solid_rows[-1] + 1))
    return Product(small, (centre_x / scale, foot_y / scale), marks)


def _draw_defect(class_index, design, rng, rows, columns, centre_x, foot_y, half_body, tall, taken):
    """Finds a free spot on the body; gives (box, change of shade, paint) or None if all is taken."""
    scale = SUPERSAMPLE
    for _ in range(12):
        if class_index == DENT:
            radius_x, radius_y = rng.uniform(9, 15) * scale, rng.uniform(9, 17) * scale
        elif class_index == STAIN:
            radius_x = radius_y = rng.uniform(8, 15) * scale
        else:
            length = rng.uniform(13, 23) * scale
            angle = rng.uniform(np.radians(28), np.radians(68)) * rng.choice([-1, 1])
            radius_x, radius_y = abs(length * np.cos(angle)), abs(length * np.sin(angle))
        room = half_body * 0.88 - radius_x
        if room <= 0:
            continue
        x = centre_x + rng.uniform(-room, room)
        y = foot_y - rng.uniform(0.05, design.shoulder_low - 0.01) * tall
        y = min(max(y, foot_y - design.shoulder_low * tall + radius_y), foot_y - radius_y - 2 * scale)
        box = (x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        gap = 3 * scale
        if any(box[0] < t[2] + gap and t[0] < box[2] + gap and box[1] < t[3] + gap and t[1] < box[3] + gap
               for t in taken):
            continue
        if class_index == DENT:
            return _draw_dent(rng, rows, columns, x, y, radius_x, radius_y, design.light_from)
        if class_index == STAIN:
            return _draw_stain(rng, rows, columns, x, y, radius_x)
        return _draw_scratch(rng, rows, columns, x, y, length, angle)
    return None


def _draw_dent(rng, rows, columns, x, y, radius_x, radius_y, light_from):
    """A hollow: the side facing away from the lamp catches light, the other lies in shadow."""
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float32)
    dx, dy = (xs - x) / radius_x, (ys - y) / radius_y
    r2 = dx ** 2 + dy ** 2
    slope = np.exp(-2.2 * r2)
    bend = (-light_from * 0.75 * dx + 0.85 * dy) * slope * rng.uniform(1.3, 1.85)
    crease = np.exp(-(((np.sqrt(r2) - 0.88) / 0.11) ** 2)) * (0.35 + 0.35 * np.clip(-dy, 0, 1))
    bend = bend - 0.12 * slope - crease * rng.uniform(0.4, 0.6)
    return (x - radius_x, y - radius_y, x + radius_x, y + radius_y), bend.astype(np.float32), []


def _draw_stain(rng, rows, columns, x, y, radius):
    """A dark splash with an uneven edge and a few drops beside it."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    edge = np.ones_like(turn)
    for wave in range(2, 7):
        edge += rng.uniform(-0.5, 0.5) / wave * np.cos(wave * turn + rng.uniform(0, 6.3))
    edge = edge / edge.max() * radius
    squash = rng.uniform(0.65, 1.0)
    points = np.stack([x + edge * np.cos(turn), y + edge * squash * np.sin(turn)], axis=1)
    mask = np.zeros((rows, columns), np.float32)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1.0, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 4))):
        direction = rng.uniform(0, 6.3)
        reach = radius * rng.uniform(0.75, 0.95)
        cv2.circle(mask, (int(x + reach * np.cos(direction)), int(y + reach * squash * np.sin(direction))),
                   int(rng.integers(2, 5)), 1.0, -1, cv2.LINE_AA)
    ys, xs = np.nonzero(mask > 0.4)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    rim = mask - cv2.erode(mask, np.ones((5, 5), np.uint8))
    mask = cv2.GaussianBlur(mask, (0, 0), 1.2)
    colour = hsv(rng.uniform(15, 45), rng.uniform(0.3, 0.8), rng.uniform(0.05, 0.22))
    return box, None, [(mask * rng.uniform(0.82, 0.95), colour), (rim * 0.6, colour * 0.5)]


def _draw_scratch(rng, rows, columns, x, y, length, angle):
    """Two or three bright grooves next to each other, each with a dark lip."""
    scale = SUPERSAMPLE
    light = np.zeros((rows, columns), np.float32)
    dark = np.zeros((rows, columns), np.float32)
    along = np.array([np.cos(angle), np.sin(angle)])
    beside = np.array([-along[1], along[0]])
    for groove in range(int(rng.integers(2, 4))):
        offset = (groove - 0.8) * rng.uniform(2.6, 3.8) * scale
        shift = 0.0 if groove == 0 else rng.uniform(-0.25, 0.25)
        reach = 1.0 if groove == 0 else rng.uniform(0.5, 0.8)
        steps = np.linspace(-reach, reach, 6)
        points = np.array([[x, y] + along * length * np.clip(s + shift, -1, 1) + beside * (offset + rng.normal(0, 0.5))
                           for s in steps])
        cv2.polylines(light, [points.astype(np.int32)], False, 1.0, int(rng.integers(2, 4)), cv2.LINE_AA)
        cv2.polylines(dark, [(points + [1.5, 2.0]).astype(np.int32)], False, 1.0, 2, cv2.LINE_AA)
    ys, xs = np.nonzero(np.maximum(light, dark) > 0.4)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    bright = np.float32([0.93, 0.93, 0.95]) * rng.uniform(0.9, 1.08)
    return box, None, [(dark * 0.75, np.float32([0.06, 0.06, 0.07])), (light * 0.95, bright)]
