"""Sunglasses: a glossy frame, tinted lenses with the sky in them, arms that go back to the ears."""

from __future__ import annotations

from functools import cache

import numpy as np

from mien.filters.effects.art import Sketch, Tile, lit, mirrored, spline
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head
from mien.filters.effects.registry import register

_OUTER = (
    *((0.10, -0.17), (0.14, -0.25), (0.30, -0.29), (0.62, -0.315), (0.92, -0.33), (1.06, -0.315), (1.10, -0.24)),
    *((1.06, -0.14), (1.02, 0.04), (0.96, 0.22), (0.84, 0.345), (0.66, 0.395), (0.46, 0.385), (0.28, 0.30), (0.17, 0.14)),
    (0.12, -0.02),
)
_LENS = (
    *((0.185, -0.12), (0.21, -0.19), (0.34, -0.215), (0.62, -0.235), (0.88, -0.245), (0.965, -0.21), (0.965, -0.12)),
    *((0.93, 0.05), (0.87, 0.18), (0.77, 0.265), (0.63, 0.305), (0.48, 0.295), (0.345, 0.23), (0.25, 0.11), (0.205, -0.02)),
)
_BRIDGE = ((-0.20, -0.245), (-0.10, -0.235), (0, -0.228), (0.10, -0.235), (0.20, -0.245))
_BRIDGE_UNDER = (
    (0.20, -0.10),
    (0.13, -0.125),
    (0.06, -0.150),
    (0, -0.158),
    (-0.06, -0.150),
    (-0.13, -0.125),
    (-0.20, -0.10),
)
_ACETATE = (0.055, 0.050, 0.052)
_ARM_LENGTH = 1.15


@cache
def _front() -> Tile:
    sheet = Sketch(-1.3, -0.55, 1.3, 0.6)
    outer, lens = spline(_OUTER), spline(_LENS)
    bridge = np.concatenate([spline(_BRIDGE, is_closed=False), spline(_BRIDGE_UNDER, is_closed=False)])
    body = np.maximum(np.maximum(sheet.fill(outer), sheet.fill(mirrored(outer))), sheet.fill(bridge))
    glass = np.maximum(sheet.fill(lens), sheet.fill(mirrored(lens)))
    down = np.clip((sheet.y + 0.25) / 0.55, 0, 1)[..., None]
    tint = np.array([0.035, 0.030, 0.032]) * (1 - down) + np.array([0.150, 0.105, 0.080]) * down
    sheet.paint(glass * (0.965 - 0.13 * down[..., 0] ** 1.6), tint.astype(np.float32))
    _reflections(sheet, glass)
    frame = body * (1 - glass)
    normals = sheet.normals(frame, 0.045, depth=1.1)
    sheet.paint(frame, np.clip(lit(_ACETATE, normals, ambient=0.5, gloss=0.55, sharpness=26), 0, 1))
    # The frame's thickness, as a dark line and a lit one where it meets the glass.
    inner = np.clip(sheet.soft(frame, 0.018) * 2 * glass, 0, 1)
    sheet.darken(0.55 * inner * (sheet.y < 0.05))
    for side in (-1, 1):
        rivet = np.hypot((sheet.x - side * 1.005) / 0.030, (sheet.y + 0.262) / 0.016)
        sheet.lighten(0.85 * np.clip(1.4 - rivet, 0, 1) * frame, (0.92, 0.9, 0.86))
    return sheet.tile()


def _reflections(sheet: Sketch, glass: np.ndarray) -> None:
    """The sky in the upper half of each lens and a slanting window over both."""
    for side in (-1, 1):
        x = sheet.x - side * 0.57
        half = glass * (side * sheet.x > 0)
        sky = np.clip(1 - ((x / 0.52) ** 2 + ((sheet.y + 0.40) / 0.42) ** 2), 0, 1)
        sheet.lighten(0.30 * sheet.soft(sky.astype(np.float32), 0.03) * half, (0.62, 0.76, 0.95))
        slant = x + 0.62 * sheet.y
        for middle, width, level in ((-0.17, 0.085, 0.22), (-0.015, 0.028, 0.16)):
            band = np.clip((width - np.abs(slant - middle)) * 60, 0, 1) * np.clip(0.75 - 1.6 * (sheet.y + 0.1), 0, 1)
            sheet.lighten(level * sheet.soft(band.astype(np.float32), 0.008) * half, (0.9, 0.95, 1))
        horizon = np.exp(-(((sheet.y - 0.13 - 0.10 * (x / 0.4) ** 2) / 0.075) ** 2))
        sheet.lighten((0.15 * horizon * half).astype(np.float32), (1.0, 0.74, 0.48))


@cache
def _arm() -> Tile:
    """From the hinge (x = 0) back to the ear (x = 1), seen from the side."""
    sheet = Sketch(-0.05, -0.2, _ARM_LENGTH + 0.05, 0.25)
    bar = spline(((0, -0.075), (0.5, -0.055), (1.0, -0.03), (_ARM_LENGTH, 0.02)), is_closed=False)
    under = spline(((_ARM_LENGTH, 0.07), (1.0, 0.025), (0.5, 0.035), (0, 0.075)), is_closed=False)
    cover = sheet.fill(np.concatenate([bar, under]))
    sheet.paint(cover, np.clip(lit(_ACETATE, sheet.normals(cover, 0.05), ambient=0.5, gloss=0.4, sharpness=20), 0, 1))
    sheet.fade(np.clip((_ARM_LENGTH - 0.08 - sheet.x) / 0.35, 0, 1))
    return sheet.tile()


@register("sunglasses", "dark glasses with the sky in the lenses")
def sunglasses(canvas: Canvas, head: Head) -> None:
    """Lenses over the eyes; the arm that shows when the head is turned goes back to the ear."""
    scale = head.half_width / 1.12
    for side in (-1, 1):
        hinge = (side * 1.11 * scale, -0.235, 0.10)
        back = head.axes @ np.array([side * 0.06, 0.03, -1.0])
        outwards = head.axes[:, 0] * side
        if float(back @ outwards) > 0.05 * head.unit**2:
            matrix = np.column_stack([back, head.axes[:, 1], head.place(hinge)])
            canvas.put(_arm(), matrix, head, shadow=0.3, drop=(0, 0.05), reach=0.04)
    plane = head.plane("eyes", (0, 0.03, 0.16))
    plane[:, :2] *= 1.05 * scale
    canvas.put(_front(), plane, head, shadow=0.42, drop=(0.015, 0.075), reach=0.06)
