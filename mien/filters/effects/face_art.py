"""What sits on the face: a moustache, a clown's nose; and what dyes it: blush, freckles, a sparkle at the smile."""

from __future__ import annotations

from functools import cache

import numpy as np

from mien.filters.effects.art import Sketch, Tile, ellipse, lit, mirrored, spline
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head
from mien.filters.effects.registry import register

_CHEEK_TURN = 0.55


@cache
def _moustache() -> Tile:
    """A handlebar in greys, to be tinted; the origin is the dip under the nose."""
    sheet = Sketch(-0.95, -0.42, 0.95, 0.42)
    half = spline(
        (
            *((0.0, -0.075), (0.10, -0.115), (0.24, -0.10), (0.40, -0.035), (0.55, 0.02), (0.66, -0.005), (0.745, -0.085)),
            *((0.775, -0.17), (0.805, -0.165), (0.80, -0.05), (0.73, 0.075), (0.60, 0.135), (0.43, 0.145), (0.25, 0.135)),
            *((0.10, 0.115), (0.0, 0.06)),
        )
    )
    random = np.random.default_rng(21)
    body = np.maximum(sheet.fill(half), sheet.fill(mirrored(half)))
    sheet.paint(0.92 * sheet.soft(body, 0.010), lit((0.36, 0.36, 0.36), sheet.normals(body, 0.11), ambient=0.45))
    upper = ((0.02, -0.05), (0.20, -0.07), (0.40, 0.005), (0.57, 0.055), (0.70, 0.02), (0.775, -0.09), (0.79, -0.16))
    lower = ((0.01, 0.05), (0.16, 0.12), (0.36, 0.14), (0.57, 0.125), (0.72, 0.055), (0.795, -0.07), (0.80, -0.155))
    top, bottom = spline(upper, is_closed=False), spline(lower, is_closed=False)
    lines, levels = [], []
    for _ in range(1500):
        share = random.beta(1.1, 1.1)
        flow = top * (1 - share) + bottom * share
        start = int(random.uniform(0, 0.86) * len(flow))
        length = int(random.uniform(0.12, 0.26) * len(flow))
        piece = flow[start : start + length : 5]
        if len(piece) < 3:
            continue
        drift = np.linspace(0, 1, len(piece))[:, None] * random.normal(0, 0.014, 2)
        side = random.choice((-1, 1))
        lines.append((piece + random.normal(0, 0.006, 2) + drift) * (side, 1))
        light = 0.50 - 0.30 * share + 0.10 * np.exp(-(((flow[start, 0] - 0.28) / 0.14) ** 2))
        levels.append(float(np.clip(random.normal(light, 0.15), 0.05, 0.95)))
    bright, hair = sheet.hairs(lines, levels, 0.0075)
    sheet.paint(0.9 * hair, (bright / np.maximum(hair, 1e-3))[..., None])
    part = np.exp(-((sheet.x / 0.022) ** 2)) * np.clip((0.05 - sheet.y) / 0.1, 0, 1)
    sheet.fade((1 - 0.55 * part).astype(np.float32))
    return sheet.tile()


@register("moustache", "a waxed handlebar in the colour of the hair")
def moustache(canvas: Canvas, head: Head) -> None:
    """Between nose and lips, its ends curled up."""
    tint = np.clip(0.75 * canvas.hair_colour(head), 0.05, 0.75).astype(np.float32)
    plane = head.plane("lip", (0, 0.0, 0.06))
    plane[:, :2] *= (1.0, 1.22)
    canvas.put(_moustache(), plane, head, shadow=0.38, drop=(0.01, 0.045), reach=0.035, tint=tint)


@cache
def _nose() -> Tile:
    sheet = Sketch(-0.5, -0.5, 0.5, 0.5)
    radius = 0.33
    ball = sheet.fill(ellipse(0, 0, radius, radius))
    away = np.clip(np.hypot(sheet.x, sheet.y) / radius, 0, 1)
    height = np.sqrt(1 - away**2)
    normals = np.dstack([sheet.x / radius, sheet.y / radius, height]).astype(np.float32)
    red = np.array([0.83, 0.055, 0.06]) * (1 - 0.35 * away**3)[..., None]
    colour = lit(red.astype(np.float32), normals, ambient=0.50, gloss=0.28, sharpness=14)
    # Light that comes back from the cheeks, along the lower edge.
    bounce = np.clip(normals[..., 1] * 0.8 + 0.1, 0, 1) * away**4
    sheet.paint(ball, np.clip(colour + bounce[..., None] * (0.32, 0.09, 0.06), 0, 1))
    window = np.clip(1 - np.hypot((sheet.x + 0.105) / 0.075, (sheet.y + 0.140) / 0.055), 0, 1) ** 0.6
    sheet.lighten(0.88 * sheet.soft(window.astype(np.float32), 0.012))
    spot = np.clip(1 - np.hypot((sheet.x - 0.13) / 0.03, (sheet.y - 0.155) / 0.024), 0, 1)
    sheet.lighten(0.35 * sheet.soft(spot.astype(np.float32), 0.010))
    return sheet.tile()


@register("clown-nose", "a shiny red ball on the nose", layer=1)
def clown_nose(canvas: Canvas, head: Head) -> None:
    """On the tip of the nose; round from every side."""
    canvas.put(_nose(), head.ball("nose", (0, 0.01, 0.10)), head, shadow=0.5, drop=(0.035, 0.075), reach=0.06)


@cache
def _blush() -> Tile:
    sheet = Sketch(-0.7, -0.6, 0.7, 0.6, 60)
    away = np.hypot((sheet.x + 0.15 * sheet.y) / 0.36, sheet.y / 0.24)
    sheet.paint((0.40 * np.exp(-0.8 * away**2)).astype(np.float32), (0.93, 0.36, 0.42))
    edge = np.clip((1 - np.maximum(np.abs(sheet.x) / 0.7, np.abs(sheet.y) / 0.6)) / 0.15, 0, 1)
    sheet.fade(edge)
    return sheet.tile()


@register("blush", "rosy cheeks", layer=0)
def blush(canvas: Canvas, head: Head) -> None:
    """A soft rose on both cheeks; the skin shows through."""
    for side in (-1, 1):
        plane = head.plane("eyes", (side * 0.60, 0.60, 0.08), turn=side * _CHEEK_TURN, angle=-side * 0.22)
        plane[:, 0] *= side
        canvas.stain(_blush(), plane)


@cache
def _freckles() -> tuple[Tile, Tile]:
    """The right-hand cheek and the bridge of the nose."""
    random = np.random.default_rng(7)
    tiles = []
    for reach_x, reach_y, count in ((0.28, 0.17, 95), (0.16, 0.14, 30)):
        sheet = Sketch(-0.8, -0.6, 0.8, 0.6)
        depth = np.zeros(sheet.shape, np.float32)
        for x, y in random.normal(0, 1, (count, 2)) * (reach_x, reach_y):
            size = float(np.clip(random.lognormal(np.log(0.0125), 0.42), 0.006, 0.032))
            across, down = size * random.uniform(0.8, 1.25), size * random.uniform(0.8, 1.25)
            spot = np.exp(-((((sheet.x - x) / across) ** 2 + ((sheet.y - y) / down) ** 2) ** 1.3))
            depth = np.maximum(depth, spot * random.uniform(0.15, 0.85))
        sheet.paint(0.58 * depth, (0.60, 0.34, 0.21))
        tiles.append(sheet.tile())
    return tiles[0], tiles[1]


@register("freckles", "freckles over nose and cheeks", layer=0)
def freckles(canvas: Canvas, head: Head) -> None:
    """Many small ones, no two alike, denser towards the nose."""
    cheek, bridge = _freckles()
    canvas.stain(bridge, head.plane("eyes", (0, 0.40, 0.30)))
    for side in (-1, 1):
        plane = head.plane("eyes", (side * 0.50, 0.52, 0.12), turn=side * _CHEEK_TURN, angle=side * 0.10)
        plane[:, 0] *= side
        canvas.stain(cheek, plane)


@cache
def _star() -> Tile:
    """A four-pointed glint with a glow; colours are light to be added."""
    sheet = Sketch(-1, -1, 1, 1)
    x, y = np.abs(sheet.x), np.abs(sheet.y)
    rays = np.exp(-y / 0.016 - (x / 0.62) ** 2 * 2.4) + np.exp(-x / 0.016 - (y / 0.78) ** 2 * 2.4)
    u, v = (x + y) / np.sqrt(2), np.abs(sheet.x - sheet.y) / np.sqrt(2)
    slant = np.exp(-np.minimum(u, v) / 0.012 - (np.maximum(u, v) / 0.20) ** 2 * 2.4) * 0.55
    away = np.hypot(x, y)
    glow = 0.34 * np.exp(-((away / 0.10) ** 1.2)) + 0.16 * np.exp(-((away / 0.30) ** 1.5)) + np.exp(-((away / 0.045) ** 2))
    light = np.clip(rays + slant + glow, 0, 1) * np.clip((1 - away) / 0.2, 0, 1)
    sheet.paint(light.astype(np.float32), (1.0, 0.985, 0.93))
    return sheet.tile()


@register("sparkle", "a glint of light at the smile", layer=1)
def sparkle(canvas: Canvas, head: Head) -> None:
    """A big glint on the teeth and two small ones beside it."""
    for at, size, angle in (
        ((0.17, -0.035, 0.12), 0.62, 0.12),
        ((0.50, -0.20, 0.05), 0.26, 0.3),
        ((-0.16, 0.06, 0.1), 0.20, 0.0),
    ):
        matrix = head.ball("mouth", at)
        cos, sin = np.cos(angle), np.sin(angle)
        matrix[:, :2] = size * matrix[:, :2] @ np.array([[cos, -sin], [sin, cos]])
        canvas.stain(_star(), matrix, is_light=True)
