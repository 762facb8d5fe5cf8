"""Synthetic production line: a conveyor seen from the side, with exact labels.

A `Scene` is drawn once from a seed (wall, belt, product run, lamp, things in front, camera) and
then gives the frame of any time: `scene.render(t)`. Frames of one scene are coherent, so the same
class makes single training pictures and a video clip.

Label rule: an object is labelled only where at least half of it (`VISIBLE_SHARE_MIN`) is inside
the picture and not behind an arm, post or rail. Its box is the extent of the whole object, as if
nothing stood in front, clipped to the picture. Objects seen less than that, but still more than a
tenth, are returned apart as `unsure`: training neither rewards nor punishes an answer there.

Two styles keep training and measuring apart: `TRAINING` and `HELD_OUT` draw from different hue
ranges, belts, walls and arm colours, besides using different seeds.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from product import (CLASS_NAMES, DENT, MISSING_CAP, PRODUCT, SCRATCH, STAIN, Product, draw_design,
                     draw_product, hsv)

PICTURE_WIDTH, PICTURE_HEIGHT = 640, 360
VISIBLE_SHARE_MIN = 0.5
UNSURE_SHARE_MIN = 0.1
DEFECTS = (DENT, SCRATCH, STAIN, MISSING_CAP)


@dataclass(frozen=True)
class Style:
    """What a set of scenes may look like."""

    name: str
    hue_ranges: tuple[tuple[float, float], ...]  # degrees; of products, caps, labels
    belts: tuple[str, ...]
    walls: tuple[str, ...]
    wall_hues: tuple[tuple[float, float], ...]
    arm_hues: tuple[tuple[float, float], ...]


TRAINING = Style("training", ((0, 40), (70, 110), (150, 200), (230, 285), (320, 350)),
                 ("rubber", "ribs", "links"), ("panels", "pipes", "windows", "plain"),
                 ((190, 240), (20, 50), (80, 140)), ((0, 15), (190, 230), (80, 110)))
HELD_OUT = Style("held_out", ((40, 70), (110, 150), (200, 230), (285, 320), (350, 360)),
                 ("chevron", "slats"), ("machines", "shelves"),
                 ((140, 190), (240, 300), (0, 20)), ((20, 55), (260, 300)))


@dataclass
class Label:
    """One object in a frame; `box` is x1, y1, x2, y2 in picture pixels, inside the picture."""

    class_index: int
    box: tuple[float, float, float, float]
    visible_share: float


@dataclass
class Frame:
    picture: np.ndarray  # uint8, 360 x 640 x 3, RGB
    labels: list[Label]
    unsure: list[Label]


@dataclass(frozen=True)
class Look:
    """Fixed choices for a scene that is to be looked at; None leaves a choice to the seed."""

    defect_share: float | None = None
    noise: float | None = None
    defocus: float | None = None
    has_post: bool | None = None
    has_arm: bool | None = None
    has_rail: bool | None = None
    speed: float | None = None  # pixels a second, negative: to the left
    gain: float | None = None
    lamp_swing: float | None = None
    arm_period_s: float | None = None
    stream_seed: int | None = None  # which products come, and what is wrong with them


def blend(picture: np.ndarray, rgba: np.ndarray, x: float, y: float) -> None:
    """Lays `rgba` (colour not multiplied) over `picture`, its corner at (x, y), in place."""
    left, top = int(np.floor(x)), int(np.floor(y))
    rows, columns = rgba.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + columns, picture.shape[1]), min(top + rows, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = rgba[y0 - top:y1 - top, x0 - left:x1 - left]
    alpha = part[..., 3:]
    target = picture[y0:y1, x0:x1]
    target *= 1 - alpha
    target += part[..., :3] * alpha


def metal_bar(rows: int, columns: int, rgb, is_upright: bool) -> np.ndarray:
    """A round bar, lit from one side, as RGB."""
    across = np.linspace(-1, 1, columns if is_upright else rows, dtype=np.float32)
    shade = 0.35 + 0.6 * np.sqrt(np.clip(1 - (across * 0.95 + 0.25) ** 2, 0, 1)) \
        + 0.45 * np.exp(-(((across + 0.35) / 0.16) ** 2))
    shade = shade[None, :, None] if is_upright else shade[:, None, None]
    return np.clip(np.broadcast_to(shade, (rows, columns, 3)) * np.asarray(rgb, np.float32), 0, 1)


class Scene:
    """One production line. Not thread-safe: products are drawn when first seen, and kept."""

    def __init__(self, seed: int, style: Style, look: Look = Look()):
        rng = np.random.default_rng([seed, 7 if style is TRAINING else 11])
        self._seed = seed
        self._stream_seed = seed if look.stream_seed is None else look.stream_seed
        self._style = style

        def pick(fixed, drawn):
            return drawn if fixed is None else fixed

        self._light_from = float(rng.choice([-1.0, 1.0]))
        designs = 1 + int(rng.random() < 0.3)
        self._designs = [draw_design(rng, style.hue_ranges, self._light_from) for _ in range(designs)]
        self._defect_share = pick(look.defect_share, rng.uniform(0.35, 0.85))
        widest = max(d.width for d in self._designs)
        self._pitch = widest * rng.uniform(1.22, 1.9)
        self._speed = pick(look.speed, rng.uniform(60, 170) * rng.choice([-1, 1]))
        self._foot_y = rng.uniform(248, 296)
        self._exposure_s = rng.uniform(0.0, 0.03)
        self._belt_value = rng.uniform(0.75, 1.15)
        self._belt_kind = str(rng.choice(style.belts))
        self._belt_rgb = hsv(rng.uniform(0, 360), rng.uniform(0.0, 0.35), rng.uniform(0.14, 0.42))
        self._wall = self._draw_wall(rng)
        self._front = self._draw_frame_front(rng)
        self._belt = self._draw_belt_texture(rng)
        self._products: dict[int, Product] = {}

        # Things in front.
        self._post = None
        if pick(look.has_post, rng.random() < 0.35):
            self._post = (rng.uniform(60, 580), int(rng.integers(10, 24)),
                          hsv(rng.uniform(0, 360), rng.uniform(0, 0.25), rng.uniform(0.3, 0.85)))
        self._rail = None
        if pick(look.has_rail, rng.random() < 0.35):
            self._rail = (rng.uniform(16, 42), int(rng.integers(4, 8)), rng.uniform(0.6, 0.9))
        self._has_arm = pick(look.has_arm, rng.random() < 0.5)
        low, high = style.arm_hues[rng.integers(len(style.arm_hues))]
        self._arm_rgb = hsv(rng.uniform(low, high), rng.uniform(0.6, 0.95), rng.uniform(0.65, 0.95))
        self._arm_picture = self._draw_arm(rng)
        self._arm_period_s = pick(look.arm_period_s, rng.uniform(5, 9))
        self._arm_phase = rng.uniform(0, 1)
        self._arm_x = rng.uniform(120, 520)
        self._arm_low_y = self._foot_y - rng.uniform(60, 150)

        # Lamp and camera.
        self._gain = pick(look.gain, rng.uniform(0.62, 1.3))
        self._warmth = rng.uniform(-0.09, 0.09)
        self._lamp_swing = pick(look.lamp_swing, rng.uniform(0.0, 0.22))
        self._lamp_period_s = rng.uniform(4, 9)
        self._flicker = rng.uniform(0, 0.02)
        self._sweep = rng.uniform(0.0, 0.25) if rng.random() < 0.5 else 0.0
        self._gamma = rng.uniform(0.85, 1.2)
        self._noise = pick(look.noise, rng.uniform(0.004, 0.045))
        self._defocus = pick(look.defocus, max(0.0, rng.uniform(-0.5, 1.15)))
        self._jpeg_quality = int(rng.integers(45, 96)) if rng.random() < 0.6 else None
        ys, xs = np.mgrid[0:PICTURE_HEIGHT, 0:PICTURE_WIDTH].astype(np.float32)
        spot_x, spot_y = rng.uniform(120, 520), rng.uniform(80, 240)
        spot = np.exp(-(((xs - spot_x) / 330) ** 2 + ((ys - spot_y) / 240) ** 2))
        vignette = 1 - 0.30 * (((xs - 320) / 320) ** 2 + ((ys - 180) / 180) ** 2) / 2
        self._light_map = ((0.80 + 0.38 * spot) * vignette).astype(np.float32)

    # --- what stays the same in all frames -------------------------------------------------------

    def _draw_wall(self, rng) -> np.ndarray:
        """The hall behind the line, out of focus."""
        low, high = self._style.wall_hues[rng.integers(len(self._style.wall_hues))]
        base = hsv(rng.uniform(low, high), rng.uniform(0.05, 0.35), rng.uniform(0.28, 0.72))
        wall = np.empty((PICTURE_HEIGHT, PICTURE_WIDTH, 3), np.float32)
        wall[:] = base
        wall *= np.linspace(1.15, 0.75, PICTURE_HEIGHT, dtype=np.float32)[:, None, None]
        kind = str(rng.choice(self._style.walls))

        def tone(value_low, value_high, saturation=0.25):
            return tuple(float(c) for c in hsv(rng.uniform(low - 20, high + 20), rng.uniform(0, saturation),
                                               rng.uniform(value_low, value_high)))

        if kind == "panels":
            step = int(rng.integers(70, 130))
            for x in range(int(rng.integers(-60, 0)), 640, step):
                cv2.rectangle(wall, (x, -5), (x + step - 6, 230), tone(0.35, 0.75), -1)
                cv2.line(wall, (x - 3, 0), (x - 3, 230), tone(0.1, 0.25), 3)
        elif kind == "pipes":
            for _ in range(int(rng.integers(4, 8))):
                thick, at = int(rng.integers(10, 28)), int(rng.integers(-10, 200))
                rgb = tone(0.4, 0.9, 0.6)
                if rng.random() < 0.6:
                    y0, y1 = max(at, 0), min(at + thick, 360)
                    if y1 > y0:
                        wall[y0:y1] = metal_bar(y1 - y0, 640, rgb, False)
                else:
                    x0 = int(rng.integers(0, 610))
                    wall[:, x0:x0 + thick] = metal_bar(360, min(thick, 640 - x0), rgb, True)
        elif kind == "windows":
            for x in range(int(rng.integers(-40, 30)), 640, int(rng.integers(120, 190))):
                cv2.rectangle(wall, (x, 14), (x + 92, 120), tone(0.85, 1.0, 0.12), -1)
                cv2.line(wall, (x + 46, 14), (x + 46, 120), tone(0.2, 0.35), 4)
                cv2.line(wall, (x, 64), (x + 92, 64), tone(0.2, 0.35), 4)
        elif kind == "machines":
            x = int(rng.integers(-60, 0))
            while x < 640:
                width, top = int(rng.integers(70, 170)), int(rng.integers(20, 120))
                cv2.rectangle(wall, (x, top), (x + width, 300), tone(0.35, 0.8), -1)
                cv2.rectangle(wall, (x + 10, top + 12), (x + width - 10, top + 50), tone(0.08, 0.2), -1)
                for lamp in range(3):
                    lamp_rgb = [(0.2, 0.95, 0.4), (1.0, 0.75, 0.2), (0.95, 0.25, 0.2)][lamp]
                    cv2.circle(wall, (x + 20 + 18 * lamp, top + 66), 5, lamp_rgb, -1, cv2.LINE_AA)
                cv2.rectangle(wall, (x + width, top + 30), (x + width + 8, 300), tone(0.05, 0.15), -1)
                x += width + int(rng.integers(8, 60))
        elif kind == "shelves":
            for y in range(int(rng.integers(20, 50)), 240, int(rng.integers(58, 80))):
                x = int(rng.integers(-30, 0))
                while x < 640:
                    width, height = int(rng.integers(24, 60)), int(rng.integers(24, 46))
                    cv2.rectangle(wall, (x, y - height), (x + width, y), tone(0.3, 0.85, 0.5), -1)
                    x += width + int(rng.integers(3, 26))
                cv2.rectangle(wall, (0, y), (640, y + 6), tone(0.15, 0.4), -1)
        for _ in range(int(rng.integers(0, 4))):  # lamps far away
            cv2.circle(wall, (int(rng.integers(0, 640)), int(rng.integers(0, 60))), int(rng.integers(8, 22)),
                       (1.0, 0.97, 0.9), -1, cv2.LINE_AA)
        wall = cv2.GaussianBlur(wall, (0, 0), rng.uniform(3.5, 7.0))
        # The rail behind the products, nearly in focus.
        y = int(self._foot_y - rng.uniform(30, 60))
        wall[y:y + 7] = metal_bar(7, 640, (0.62, 0.64, 0.67), False)
        for x in range(int(rng.integers(0, 120)), 640, 160):
            post = metal_bar(int(self._foot_y) - y, min(8, 640 - x), (0.45, 0.47, 0.5), True)
            wall[y:int(self._foot_y), x:x + 8] = post
        return cv2.GaussianBlur(wall, (0, 0), 0.9)

    def _draw_frame_front(self, rng) -> np.ndarray:
        """Side of the conveyor below the belt: an aluminium profile, feet, dark floor."""
        top = self._belt_bottom()
        rows = PICTURE_HEIGHT - top
        front = np.empty((rows, PICTURE_WIDTH, 3), np.float32)
        front[:] = hsv(rng.uniform(200, 240), 0.1, rng.uniform(0.10, 0.22))
        profile = min(int(rng.integers(30, 44)), rows)
        metal = hsv(rng.uniform(190, 230), rng.uniform(0.0, 0.1), rng.uniform(0.55, 0.82))
        if rng.random() < 0.35:
            metal = hsv(rng.uniform(0, 360), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.7))
        shade = np.interp(np.arange(profile), [0, 3, 8, profile * 0.6, profile - 1], [1.25, 1.05, 0.86, 0.95, 0.55])
        front[:profile] = metal * shade[:, None, None]
        groove = profile // 2
        front[groove - 2:groove + 3] *= 0.45
        for x in range(int(rng.integers(10, 60)), 640, int(rng.integers(70, 120))):
            for y in (7, profile - 8):
                cv2.circle(front, (x, y), 3, tuple(float(c) for c in metal * 0.45), -1, cv2.LINE_AA)
                cv2.circle(front, (x - 1, y - 1), 1, tuple(float(c) for c in metal * 1.2), -1, cv2.LINE_AA)
        for x in range(int(rng.integers(20, 140)), 640, 250):
            front[profile:, x:x + 26] = metal_bar(rows - profile, min(26, 640 - x), metal * 0.7, True)
        if rng.random() < 0.5:  # a warning sticker
            x = int(rng.integers(40, 540))
            sticker = front[4:profile - 4, x:x + 60]
            ys, xs = np.mgrid[0:sticker.shape[0], 0:sticker.shape[1]]
            sticker[:] = np.where((((xs + ys) // 9) % 2)[..., None] == 0, np.float32([0.93, 0.76, 0.12]),
                                  np.float32([0.09, 0.09, 0.09])) * 0.9
        return cv2.GaussianBlur(np.clip(front, 0, 1), (0, 0), 0.7)

    def _belt_top(self) -> int:
        return int(self._foot_y - 9)

    def _belt_bottom(self) -> int:
        return int(self._foot_y + 13)

    def _draw_belt_texture(self, rng) -> np.ndarray:
        """The belt, flat and endless to both sides: 32 x 480, repeats after 480 columns."""
        ys, xs = np.mgrid[0:32, 0:480].astype(np.float32)
        texture = np.ones((32, 480), np.float32)
        if self._belt_kind == "ribs":
            texture += 0.35 * np.sin(xs * 2 * np.pi / 24)
        elif self._belt_kind == "links":
            texture -= 0.5 * ((xs % 40) < 4) + 0.35 * ((ys % 16) < 2)
        elif self._belt_kind == "chevron":
            texture -= 0.40 * (((xs + np.abs(ys - 16) * 1.2) % 30) < 9)
        elif self._belt_kind == "slats":
            texture -= 0.45 * ((xs % 60) < 7)
            texture += 0.18 * ((xs % 60) > 50)
        else:
            speckle = cv2.GaussianBlur(rng.normal(0, 1, (32, 480)).astype(np.float32), (0, 0), 1.5)
            texture += 0.35 * speckle
            texture -= 0.5 * ((xs % 480) < 5)  # the seam
        return texture

    def _draw_arm(self, rng) -> np.ndarray:
        """A gripper that comes down from above, as RGBA; its finger tips are the lowest row."""
        rows, columns = 330, 92
        arm = np.zeros((rows, columns, 4), np.float32)
        middle = columns // 2

        def part(x0, y0, x1, y1, rgb):
            arm[y0:y1, x0:x1, :3] = metal_bar(y1 - y0, x1 - x0, rgb, True)
            arm[y0:y1, x0:x1, 3] = 1

        steel = np.float32([0.66, 0.68, 0.71])
        reach = int(rng.integers(12, 18))
        part(middle - reach, 0, middle + reach, rows - 122, self._arm_rgb)  # column
        part(middle - 7, rows - 122, middle + 7, rows - 96, steel)  # piston
        part(middle - 34, rows - 98, middle + 34, rows - 62, self._arm_rgb * 0.92)  # hand
        arm[rows - 98:rows - 95, middle - 34:middle + 34, :3] *= 1.25
        arm[rows - 66:rows - 62, middle - 34:middle + 34, :3] *= 0.6
        for side in (-1, 1):
            x = middle + side * 28
            part(x - 6, rows - 62, x + 6, rows - 8, steel * 0.8)
            inner_left, inner_right = (4, 0) if side > 0 else (0, 4)  # rubber pads, thicker towards the product
            part(x - 6 - inner_left, rows - 24, x + 6 + inner_right, rows, np.float32([0.13, 0.13, 0.14]))
        cv2.circle(arm, (middle, rows - 80), 9, (0.15, 0.15, 0.16, 1), -1, cv2.LINE_AA)
        cv2.circle(arm, (middle, rows - 80), 5, (0.75, 0.78, 0.8, 1), -1, cv2.LINE_AA)
        for y in range(20, rows - 140, 46):
            arm[y:y + 3, middle - reach:middle + reach, :3] *= 0.55
        soft = cv2.GaussianBlur(np.clip(np.dstack([arm[..., :3] * arm[..., 3:], arm[..., 3]]), 0, 1), (0, 0), 0.8)
        soft[..., :3] /= np.maximum(soft[..., 3:], 1e-3)
        return soft

    # --- what moves ---------------------------------------------------------------------------

    def _product(self, index: int) -> tuple[Product, float]:
        """Product number `index` on the belt and how far it stands from its place, in pixels."""
        rng = np.random.default_rng([self._stream_seed, 101, index + 1_000_000])
        shift = rng.uniform(-0.06, 0.06) * self._pitch
        if index not in self._products:
            design = self._designs[int(rng.integers(len(self._designs)))]
            defects: list[int] = []
            if rng.random() < self._defect_share:
                count = 1 + int(rng.random() < 0.35)
                defects = [int(d) for d in rng.choice(DEFECTS, count, replace=False)]
            self._products[index] = draw_product(design, rng, defects)
        return self._products[index], shift

    def _arm_place(self, t: float) -> tuple[float, float]:
        """Where the arm's finger tips are: it waits above, comes down, moves on with the belt, leaves."""
        cycle = (t / self._arm_period_s + self._arm_phase) % 1.0
        down = np.interp(cycle, [0, 0.35, 0.50, 0.68, 0.82, 1.0], [0, 0, 1, 1, 0, 0])
        down = down * down * (3 - 2 * down)
        move = np.interp(cycle, [0.46, 0.72], [0.0, 1.0]) * self._speed * 0.26 * self._arm_period_s
        back = np.interp(cycle, [0.82, 1.0], [1.0, 0.0])
        return self._arm_x + move * back, -12 + (self._arm_low_y + 12) * down

    def render(self, t: float, noise_seed: int | None = None) -> Frame:
        """The frame at `t` seconds. Camera noise is drawn from `noise_seed`, by default from `t`."""
        noise_rng = np.random.default_rng([self._seed, 5, int(round(t * 1000)) + 10_000_000
                                           if noise_seed is None else noise_seed])
        picture = self._wall.copy()
        belt_top, belt_bottom = self._belt_top(), self._belt_bottom()
        travel = self._speed * t
        columns = np.arange(PICTURE_WIDTH, dtype=np.float32)
        row_share = np.linspace(0, 31, belt_bottom - belt_top, dtype=np.float32)
        # Depth: the far edge of the belt runs together a little.
        squeeze = np.linspace(1.10, 1.0, belt_bottom - belt_top, dtype=np.float32)
        map_x = ((columns[None] - 320) * squeeze[:, None] + 320 - travel) % 480
        map_y = np.broadcast_to(row_share[:, None], map_x.shape)
        texture = cv2.remap(self._belt, map_x.astype(np.float32), np.ascontiguousarray(map_y), cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_WRAP)
        blur = max(1, int(abs(self._speed) * self._exposure_s) | 1)
        if blur > 1:
            texture = cv2.blur(texture, (blur, 1))
        depth_light = np.linspace(1.25, 0.85, belt_bottom - belt_top, dtype=np.float32)[:, None, None]
        picture[belt_top:belt_bottom] = self._belt_rgb * texture[..., None] * depth_light * self._belt_value
        picture[belt_bottom:] = self._front
        picture[belt_bottom - 2:belt_bottom] *= 0.5

        placed: list[tuple[Product, float, float, np.ndarray]] = []
        first = int(np.floor((-120 - travel) / self._pitch))
        last = int(np.ceil((760 - travel) / self._pitch))
        for index in range(first, last + 1):
            product, shift = self._product(index)
            x = index * self._pitch + shift + travel - product.anchor[0]
            y = self._foot_y - product.anchor[1]
            rows, cols = product.rgba.shape[:2]
            if x > 640 or x + cols < 0:
                continue
            placed.append((product, x, y, self._shifted(product.rgba, x, y, blur)))
        for product, x, y, _ in placed:
            self._draw_shadow(picture, product, x, y)
        for product, x, y, rgba in placed:
            mirror = rgba[::-1].copy()
            mirror[..., 3] *= np.linspace(0.20, 0.0, mirror.shape[0], dtype=np.float32)[:, None]
            top = int(np.floor(y)) + 2 * int(product.anchor[1]) - rgba.shape[0] + 2
            strip = picture[belt_top:belt_bottom]
            blend(strip, mirror, x, top - belt_top)
        for product, x, y, rgba in placed:
            blend(picture, rgba, x, y)

        cover = np.zeros((PICTURE_HEIGHT, PICTURE_WIDTH), np.float32)
        self._draw_things_in_front(picture, cover, t)
        labels, unsure = self._label(placed, cover)
        return Frame(self._expose(picture, t, noise_rng), labels, unsure)

    @staticmethod
    def _shifted(rgba: np.ndarray, x: float, y: float, blur: int) -> np.ndarray:
        """`rgba` moved by the part of (x, y) that is below a pixel, with motion blur."""
        part_x, part_y = x - np.floor(x), y - np.floor(y)
        rows, columns = rgba.shape[:2]
        solid = np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3]])
        move = np.float32([[1, 0, part_x], [0, 1, part_y]])
        solid = cv2.warpAffine(solid, move, (columns + 1, rows + 1), flags=cv2.INTER_LINEAR)
        if blur > 1:
            solid = cv2.blur(solid, (blur, 1), borderType=cv2.BORDER_CONSTANT)
        solid[..., :3] /= np.maximum(solid[..., 3:], 1e-4)
        return solid

    def _draw_shadow(self, picture: np.ndarray, product: Product, x: float, y: float) -> None:
        width = product.marks[0].box[2] - product.marks[0].box[0]
        shadow = np.zeros((30, int(width * 1.9), 4), np.float32)
        centre = (int(shadow.shape[1] / 2), 13)
        cv2.ellipse(shadow, centre, (int(width * 0.50), 5), 0, 0, 360, (0, 0, 0, 0.75), -1, cv2.LINE_AA)
        shadow = cv2.GaussianBlur(shadow, (0, 0), 3.0)
        away = -self._light_from * width * 0.16
        blend(picture, shadow, x + product.anchor[0] - centre[0] + away, y + product.anchor[1] - 11)

    def _draw_things_in_front(self, picture: np.ndarray, cover: np.ndarray, t: float) -> None:
        def lay(rgba, x, y):
            blend(picture, rgba, x, y)
            as_cover = np.dstack([np.ones_like(rgba[..., 0])] * 3 + [rgba[..., 3]])
            covered = np.dstack([cover] * 3)
            blend(covered, as_cover, x, y)
            cover[:] = covered[..., 0]

        if self._rail is not None:
            above, thick, value = self._rail
            bar = np.ones((thick + 2, 640, 4), np.float32)
            bar[..., :3] = metal_bar(thick + 2, 640, (value, value, value * 1.03), False)
            bar[[0, -1], :, 3] = 0.4
            lay(bar, 0, self._foot_y - above)
        if self._has_arm:
            x, y = self._arm_place(t)
            rows, columns = self._arm_picture.shape[:2]
            lay(self._shifted(self._arm_picture, x - columns / 2, y - rows, 1), x - columns / 2, y - rows)
        if self._post is not None:
            x, width, rgb = self._post
            post = np.ones((360, width + 6, 4), np.float32)
            post[..., :3] = metal_bar(360, width + 6, rgb, True)
            edge = np.clip(np.minimum(np.arange(width + 6), np.arange(width + 6)[::-1]) / 3.0, 0, 1)
            post[..., 3] = edge
            lay(post, x, 0)

    @staticmethod
    def _label(placed, cover: np.ndarray) -> tuple[list[Label], list[Label]]:
        labels, unsure = [], []
        for product, x, y, _ in placed:
            for mark in product.marks:
                x1, y1, x2, y2 = (mark.box[0] + x, mark.box[1] + y, mark.box[2] + x, mark.box[3] + y)
                inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(PICTURE_WIDTH)), min(y2, float(PICTURE_HEIGHT)))
                if inside[2] - inside[0] < 2 or inside[3] - inside[1] < 2:
                    continue
                area_share = (inside[2] - inside[0]) * (inside[3] - inside[1]) / ((x2 - x1) * (y2 - y1))
                part = cover[int(inside[1]):int(np.ceil(inside[3])), int(inside[0]):int(np.ceil(inside[2]))]
                share = float(area_share * (1 - part.mean()))
                label = Label(mark.class_index, inside, share)
                if share >= VISIBLE_SHARE_MIN:
                    labels.append(label)
                elif share >= UNSURE_SHARE_MIN:
                    unsure.append(label)
        return labels, unsure

    def _expose(self, picture: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
        """Lamp, lens and sensor: float RGB of the scene to the camera's 8 bits."""
        swing = np.sin(2 * np.pi * t / self._lamp_period_s)
        gain = self._gain * (1 + self._lamp_swing * swing + self._flicker * rng.normal())
        tint = np.float32([1 + self._warmth + 0.04 * swing * self._lamp_swing, 1, 1 - self._warmth])
        light = self._light_map[..., None] * (gain * tint)
        if self._sweep > 0:  # a lamp or truck passing by
            centre = (t * 120) % 1000 - 180
            band = np.exp(-(((np.arange(PICTURE_WIDTH) - centre) / 90) ** 2)) * self._sweep
            light = light * (1 + band[None, :, None])
        picture = picture * light
        if self._defocus > 0.15:
            picture = cv2.GaussianBlur(picture, (0, 0), self._defocus)
        picture = np.clip(picture, 0, 1.25)
        picture = np.where(picture > 0.85, 0.85 + (picture - 0.85) * 0.45, picture) ** self._gamma
        grain = rng.standard_normal(picture.shape, dtype=np.float32)
        picture = picture + grain * (self._noise * (0.5 + 0.8 * np.sqrt(np.clip(picture, 0, 1))))
        bytes_rgb = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        if self._jpeg_quality is not None and self._jpeg_quality < 96:
            _, packed = cv2.imencode(".jpg", bytes_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality])
            bytes_rgb = cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]
        return np.ascontiguousarray(bytes_rgb)


def draw_boxes(picture: np.ndarray, labels: list[Label]) -> np.ndarray:
    """A copy of an RGB picture with its labels drawn in, for looking at."""
    colours = ((90, 220, 120), (255, 190, 60), (90, 200, 255), (240, 110, 220), (255, 90, 80))
    picture = picture.copy()
    for label in labels:
        x1, y1, x2, y2 = (int(round(c)) for c in label.box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colours[label.class_index], 1)
        cv2.putText(picture, CLASS_NAMES[label.class_index], (x1, max(y1 - 3, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.35,
                    colours[label.class_index], 1, cv2.LINE_AA)
    return picture
