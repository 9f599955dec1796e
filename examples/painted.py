"""Painted faces with everything about them known: enough to try a recipe, not to learn about people from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

MASKS = ("mask", "no_mask", "bad_mask")


@dataclass(frozen=True, eq=False)
class Painted:
    """A picture (H, W, 3) uint8 RGB with one face: its box ``x1 y1 x2 y2`` and keypoints ``x y`` in pixels."""

    image: NDArray[np.uint8]
    box: tuple[float, float, float, float]
    keypoints: dict[str, tuple[float, float]]


def paint(
    seed: int,
    *,
    side: int = 96,
    share: float = 0.8,
    at: tuple[float, float] = (0.5, 0.5),
    smiles: bool = True,
    mask: str = "no_mask",
) -> Painted:
    """A face whose box fills ``share`` of a square picture, its middle at ``at`` (shares of the side)."""
    rng = np.random.default_rng(seed)
    scale = 4  # painted large, then shrunk: soft edges
    size = side * scale
    wall = rng.integers(60, 200, (4, 4, 3), np.uint8)
    canvas = np.asarray(cv2.resize(wall, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8).copy()
    width, height = 0.76 * share * size, share * size
    x, y = at[0] * size, at[1] * size
    skin = tuple(int(v) for v in np.array([224, 178, 150]) * rng.uniform(0.45, 1.05))
    hair = tuple(int(v) for v in rng.integers(15, 110, 3))

    def place(across: float, down: float) -> tuple[int, int]:
        return round(x + across * width / 2), round(y + down * height / 2)

    def ellipse(across: float, down: float, wide: float, high: float, colour: tuple[int, ...], *arc: float) -> None:
        axes = (max(1, round(wide * width / 2)), max(1, round(high * height / 2)))
        line = max(2, round(0.022 * height)) if arc else -1
        cv2.ellipse(canvas, place(across, down), axes, 0, *(arc or (0, 360)), colour, line, cv2.LINE_AA)

    ellipse(0, -0.12, 1.12, 1.02, hair)
    ellipse(0, 0, 0.96, 1.0, skin)
    eye_y, eye_x = -0.18 + rng.uniform(-0.03, 0.03), 0.42 + rng.uniform(-0.04, 0.04)
    mouth_y, mouth_x = 0.5 + rng.uniform(-0.04, 0.04), 0.36 + rng.uniform(-0.05, 0.05)
    for left in (-1, 1):
        ellipse(left * eye_x, eye_y, 0.17, 0.08, (245, 245, 240))
        ellipse(left * eye_x, eye_y, 0.07, 0.06, hair)
        ellipse(left * eye_x, eye_y - 0.06, 0.22, 0.12, hair, 200, 340)
    ellipse(0, 0.16, 0.12, 0.09, tuple(int(0.8 * v) for v in skin))
    lips = (170, 60, 70)
    ellipse(0, mouth_y - (0.12 if smiles else -0.12), mouth_x, 0.16, lips, *((15, 165) if smiles else (195, 345)))
    if mask != "no_mask":
        top = 0.06 if mask == "mask" else 0.36
        corners = [
            place(-0.86, top),
            place(0, top - 0.06),
            place(0.86, top),
            place(0.6, 0.8),
            place(0, 0.96),
            place(-0.6, 0.8),
        ]
        cloth = tuple(int(v) for v in rng.integers(120, 250, 3))
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], cloth, cv2.LINE_AA)
    small = np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA), np.int16)
    image = np.clip(small + rng.integers(-8, 9, (side, side, 3)), 0, 255).astype(np.uint8)
    named = {
        "left_eye": place(eye_x, eye_y),  # the subject's left is the picture's right
        "right_eye": place(-eye_x, eye_y),
        "nose": place(0, 0.16),
        "mouth_left": place(mouth_x, mouth_y),
        "mouth_right": place(-mouth_x, mouth_y),
    }
    box = tuple(float(v) / scale for v in (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    points = {name: (across / scale, down / scale) for name, (across, down) in named.items()}
    return Painted(image, (box[0], box[1], box[2], box[3]), points)


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) in grey, still with three channels."""
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
