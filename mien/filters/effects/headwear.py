"""What sits on the head: a felt hat, a golden crown, cat ears. Each is as high and wide as the hair asks for."""

from __future__ import annotations

from functools import cache

import numpy as np

from mien.filters.effects.art import Sketch, Tile, ellipse, lit, metal, spline
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head
from mien.filters.effects.registry import register

_GOLD = (
    *((-1.0, (0.66, 0.43, 0.13)), (-0.45, (0.90, 0.67, 0.26)), (-0.08, (0.44, 0.26, 0.06)), (0.02, (0.52, 0.32, 0.08))),
    *((0.24, (0.93, 0.72, 0.27)), (0.52, (1.0, 0.88, 0.52)), (0.78, (1.0, 0.985, 0.87)), (1.0, (1.0, 0.95, 0.70))),
)
_RUBY, _SAPPHIRE, _EMERALD = (0.72, 0.05, 0.12), (0.08, 0.20, 0.66), (0.03, 0.50, 0.30)


@cache
def _hat() -> Tile:
    """A fedora from the front, a little from above; the origin is the middle of the brim's front edge."""
    sheet = Sketch(-2.3, -1.75, 2.3, 0.45)
    felt = np.array([0.40, 0.315, 0.25], np.float32)
    weave = sheet.grain(3, 0.008) * 0.018 + sheet.grain(4, 0.05) * 0.014
    crown = np.concatenate(
        [
            spline(((-1.20, -0.08), (-1.17, -0.45), (-1.09, -0.95), (-0.98, -1.28), (-0.74, -1.47)), is_closed=False),
            spline(((-0.62, -1.50), (-0.34, -1.47), (0.0, -1.36), (0.34, -1.47), (0.62, -1.50)), is_closed=False),
            spline(((0.74, -1.47), (0.98, -1.28), (1.09, -0.95), (1.17, -0.45), (1.20, -0.08)), is_closed=False),
            spline(((0.9, 0.06), (0, 0.14), (-0.9, 0.06)), is_closed=False),
        ]
    )
    cover = sheet.fill(crown)
    # The two pinches at the front and the crease along the top.
    relief = np.zeros(sheet.shape, np.float32)
    for side in (-1, 1):
        relief -= 0.16 * np.exp(-(((sheet.x - side * 0.52) / 0.26) ** 2 + ((sheet.y + 1.12) / 0.36) ** 2))
    relief -= 0.12 * np.exp(-((sheet.x / 0.5) ** 2 + ((sheet.y + 1.46) / 0.14) ** 2))
    normals = sheet.normals(cover, 0.62, relief=relief.astype(np.float32), depth=0.9)
    turning = 1 - 0.42 * np.clip(np.abs(sheet.x - 0.12) / 1.15, 0, 1) ** 2.2
    sheet.paint(cover, np.clip(lit(felt, normals, ambient=0.36) * ((1 + weave) * turning)[..., None], 0, 1))
    dip = 0.10 * (1 - (sheet.x / 1.25) ** 2)
    band = cover * np.clip((sheet.y + 0.42 - dip) * 40, 0, 1)
    ribbon = np.array([0.085, 0.070, 0.080]) * (1 + 0.10 * sheet.grain(5, 0.006, (6, 1)))[..., None]
    sheen = np.exp(-(((sheet.x + 0.45) / 0.4) ** 2)) * 0.10
    sheet.paint(band, np.clip(lit(ribbon.astype(np.float32), normals, ambient=0.5) + sheen[..., None], 0, 1))
    sheet.darken(0.5 * np.clip(1 - np.abs(sheet.y + 0.43 - dip) / 0.03, 0, 1) * cover)
    bow = sheet.fill(spline(((0.98, -0.36), (1.15, -0.40), (1.14, -0.16), (1.0, -0.10), (0.92, -0.2))))
    sheet.paint(bow * cover, lit((0.12, 0.10, 0.11), sheet.normals(bow, 0.06), ambient=0.5))
    brim = np.concatenate(
        [
            spline(((-2.12, -0.27), (-1.80, -0.20), (-1.2, -0.06), (-0.6, 0.03), (0, 0.06)), is_closed=False),
            spline(((0.6, 0.03), (1.2, -0.06), (1.80, -0.20), (2.12, -0.27)), is_closed=False),
            spline(((2.14, -0.20), (1.85, 0.02), (1.25, 0.21), (0.6, 0.30), (0, 0.325)), is_closed=False),
            spline(((-0.6, 0.30), (-1.25, 0.21), (-1.85, 0.02), (-2.14, -0.20)), is_closed=False),
        ]
    )
    flat = sheet.fill(brim)
    sheet.darken(0.75 * np.clip(sheet.soft(sheet.moved(flat, 0, -0.05), 0.05) * 1.4, 0, 1) * (1 - flat))
    roll = sheet.normals(flat, 0.14, depth=0.8)
    roll[..., 1] -= 0.30 * np.clip(1 - (sheet.y + 0.1) / 0.4, 0, 1)
    sheet.paint(flat, np.clip(lit(felt * 1.06, roll, ambient=0.42) * (1 + weave)[..., None], 0, 1))
    edge = np.clip(flat - sheet.moved(flat, 0, -0.022), 0, 1)
    sheet.darken(0.45 * sheet.soft(edge, 0.006))
    under = np.clip((sheet.y - 0.10 - 0.17 * (1 - (sheet.x / 1.9) ** 2)) / 0.05, 0, 1) * flat
    sheet.darken(0.35 * under, (0.08, 0.05, 0.04))
    return sheet.tile()


@register("hat", "a felt hat with a ribbon", reach=1.0, layer=2)
def hat(canvas: Canvas, head: Head) -> None:
    """The brim across the forehead; wide enough for the hair that goes under it."""
    plane = head.plane("eyes", (0, -0.90, 0.30), angle=0.05)
    plane[:, 0] *= max(1.0, canvas.hair_width(head) / 1.15)
    plane[:, 1] *= float(np.clip((-head.top - 0.90 + 0.60) / 1.42, 0.95, 1.35))
    canvas.put(_hat(), plane, head, shadow=0.55, drop=(0.03, 0.22), reach=0.12)


@cache
def _crown() -> tuple[Tile, Tile]:
    """The far rim and the front of a crown; the origin is the middle of the front's lower edge."""
    back, front = Sketch(-1.35, -1.25, 1.35, 0.4), Sketch(-1.35, -1.25, 1.35, 0.4)
    rim = back.fill(ellipse(0, -0.40, 1.02, 0.17)) * (back.y < -0.30)
    far = np.maximum(rim, 0)
    for x, top in ((-0.62, -0.84), (0.0, -0.92), (0.62, -0.84)):
        far = np.maximum(far, back.fill(((x - 0.28, -0.45), (x, top), (x + 0.28, -0.45))))
    back.paint(far, metal(_GOLD, back.normals(far, 0.06)) * 0.42)

    def edge(x: float, y: float) -> tuple[float, float]:
        """Bent round the head: lower in the middle, points leaning outwards."""
        return x * (1.0 - 0.10 * y), y + 0.17 * (1 - x * x)

    tips = ((-1.0, -0.74), (-0.52, -0.80), (0.0, -0.90), (0.52, -0.80), (1.0, -0.74))
    outline = [edge(-0.98, 0.0)]
    for number, (x, y) in enumerate(tips):
        outline.append(edge(x, y))
        if number < len(tips) - 1:
            middle = (x + tips[number + 1][0]) / 2
            outline += [edge(middle + offset, -0.30 - 0.9 * abs(offset)) for offset in (-0.07, 0.0, 0.07)]
    outline += [edge(x, 0.0) for x in np.linspace(0.98, -0.98, 40)]
    body = front.fill(outline)
    # Turning away at both sides, as a ring does, and hammered a little.
    normals = front.normals(body, 0.05, relief=front.grain(8, 0.03) * 0.0016)
    bend = np.clip(front.x / 1.06, -0.97, 0.97)
    normals[..., 0] += bend * 0.9
    normals[..., 1] += 0.28
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    front.paint(body, metal(_GOLD, normals) * (1 - 0.38 * np.abs(bend) ** 3)[..., None])
    along = np.linspace(-1.0, 1.0, 60)
    for y, width in ((-0.035, 0.055), (-0.235, 0.045)):
        line = [edge(x, y) for x in along]
        ring = front.stroke(line, width) * (body > 0.2)
        cords = front.normals(ring, width / 2, depth=1.2)
        cords[..., 0] += 0.8 * bend
        cords /= np.linalg.norm(cords, axis=2, keepdims=True)
        front.darken(0.55 * np.clip(front.soft(front.moved(ring, 0, 0.02), 0.015) - ring, 0, 1))
        front.paint(ring, metal(_GOLD, cords))
    for number, (x, y) in enumerate(tips):
        _jewel(front, *edge(x * 0.99, y - 0.055), 0.085, None)
        if number in (1, 2, 3):
            _jewel(front, *edge(x, -0.44), 0.066, _EMERALD if number == 2 else _SAPPHIRE)
    for x in (-0.78, -0.27, 0.27, 0.78):
        _jewel(front, *edge(x, -0.135), 0.062 * (1 - 0.3 * x * x), _RUBY, across=1 - 0.35 * x * x)
    return back.tile(), front.tile()


def _jewel(
    sheet: Sketch, x: float, y: float, radius: float, colour: tuple[float, float, float] | None, *, across: float = 1.0
) -> None:
    """A round stone in a golden setting, or a golden ball."""
    ball = sheet.fill(ellipse(x, y, radius * across, radius))
    sheet.darken(0.45 * np.clip(sheet.soft(sheet.moved(ball, 0.008, 0.02), 0.02) - ball, 0, 1))
    sheet.paint(ball, metal(_GOLD, sheet.normals(ball, radius)))
    if colour is None:
        return
    stone = sheet.fill(ellipse(x, y, 0.74 * radius * across, 0.74 * radius))
    normals = sheet.normals(stone, 0.74 * radius)
    deep = np.clip(0.55 + 1.1 * (sheet.y - y) / radius, 0.35, 1.4)[..., None]
    sheet.paint(stone, np.clip(lit(np.asarray(colour) * deep, normals, ambient=0.65, gloss=0.9, sharpness=40), 0, 1))


@register("crown", "a golden crown with stones", reach=0.75, layer=2)
def crown(canvas: Canvas, head: Head) -> None:
    """On top of the hair, pushed down into it a little."""
    back, front = _crown()
    plane = head.plane("eyes", (0, head.top + 0.42, 0.25))
    plane[:, :2] *= 1.02 * head.half_width
    canvas.put(back, plane, head)
    canvas.put(front, plane, head, shadow=0.42, drop=(0.02, 0.08), reach=0.06)


@cache
def _ear() -> tuple[Tile, Tile]:
    """A cat's right-hand ear: fur in greys, to be tinted, and the pink inside. The origin is the middle of its foot."""
    fur, inside = Sketch(-0.75, -1.15, 0.75, 0.35), Sketch(-0.75, -1.15, 0.75, 0.35)
    outline = spline(
        (
            *((-0.50, 0.16), (-0.47, -0.12), (-0.33, -0.50), (-0.08, -0.84), (0.13, -0.97), (0.25, -0.88)),
            *((0.40, -0.52), (0.48, -0.14), (0.50, 0.16), (0.0, 0.22)),
        )
    )
    cover = fur.fill(outline)
    normals = fur.normals(cover, 0.30, depth=0.7)
    fur.paint(cover, lit((0.46, 0.46, 0.46), normals, ambient=0.5))
    random = np.random.default_rng(12)
    for count, over, width in ((2600, 0.0, 0.011), (700, 0.075, 0.009)):
        lines: list[np.ndarray] = []
        levels: list[float] = []
        while len(lines) < count:
            x, y = random.uniform(-0.55, 0.55), random.uniform(-1.0, 0.2)
            row, column = int((y - fur.y1) * fur.unit), int((x - fur.x1) * fur.unit)
            rim = cover[row, column] > 0.12 and (over == 0 or _is_near_edge(cover, row, column, fur.unit))
            if not rim:
                continue
            lean = np.array([0.45 * (x + 0.02) + random.normal(0, 0.10), -1.0])
            lean *= random.uniform(0.10, 0.17) / np.linalg.norm(lean)
            start = np.array([x, y]) + (0 if over == 0 else 0.3 * lean)
            bend = np.array([0.03 * np.sign(x + 1e-6), 0]) * random.uniform(0, 1)
            lines.append(np.stack([start, start + 0.5 * lean + bend * 0.4, start + lean + bend]))
            levels.append(float(np.clip(random.normal(0.44 - 0.10 * normals[row, column, 0], 0.10), 0.12, 0.85)))
        bright, hair = fur.hairs(lines, levels, width)
        fur.paint(0.85 * hair, (bright / np.maximum(hair, 1e-3))[..., None])
    fur.fade(np.clip((0.16 - fur.y + 0.05 * fur.grain(2, 0.015)) / 0.26, 0, 1))
    pink = inside.fill(
        spline(((-0.31, 0.14), (-0.25, -0.16), (-0.10, -0.50), (0.10, -0.76), (0.20, -0.50), (0.30, -0.14), (0.32, 0.14)))
    )
    pink = inside.soft(pink, 0.03)
    shade = np.clip(1.02 - 0.55 * np.exp(-((inside.x / 0.20) ** 2)) * np.clip((inside.y + 0.75) / 0.7, 0, 1), 0, 1)[
        ..., None
    ]
    inside.paint(pink, np.array([0.93, 0.66, 0.64], np.float32) * shade.astype(np.float32))
    lines, levels = [], []
    for _ in range(330):
        side = random.choice((-1, 1))
        foot = np.array([side * random.uniform(0.16, 0.34), random.uniform(-0.38, 0.16)])
        tip = foot + np.array([-side * random.uniform(0.08, 0.22), -random.uniform(0.10, 0.26)])
        lines.append(np.stack([foot, (foot + tip) / 2 + np.array([side * 0.02, 0.0]), tip]))
        levels.append(float(random.uniform(0.80, 1.0)))
    bright, hair = inside.hairs(lines, levels, 0.008)
    inside.paint(0.8 * hair * (inside.soft(pink, 0.05) > 0.12), np.array([1.0, 0.96, 0.92], np.float32) * bright[..., None])
    inside.fade(np.clip((0.12 - inside.y) / 0.26, 0, 1))
    return fur.tile(), inside.tile()


def _is_near_edge(cover: np.ndarray, row: int, column: int, unit: float) -> bool:
    """Whether a place inside a shape lies near its edge."""
    reach = round(0.05 * unit)
    around = cover[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    return bool(around.min() < 0.5)


@register("cat-ears", "furry ears in the colour of the hair", reach=0.85, layer=2)
def cat_ears(canvas: Canvas, head: Head) -> None:
    """Two ears that grow out of the hair, tinted like it."""
    fur, inside = _ear()
    tint = canvas.hair_colour(head)
    tint = np.clip(tint * 1.15 + 0.03, 0.10, 0.85).astype(np.float32)
    for side in (-1, 1):
        plane = head.plane(
            "eyes", (side * 0.66 * head.half_width, head.top + 0.30, -0.05), turn=side * 0.25, angle=side * 0.30
        )
        plane[:, 0] *= side * 0.98
        plane[:, 1] *= 0.98
        canvas.put(fur, plane, head, tint=tint)
        canvas.put(inside, plane, head)
