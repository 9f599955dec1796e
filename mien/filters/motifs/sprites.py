"""Many small things in one picture: points of light, discs, cut paper, flowers, each put down in its own small window."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]
Picture = NDArray[np.floating[Any]]
Points = NDArray[np.float64]

_FEWEST_PX = 0.55


def splat(light: Picture, unit: float, places: Points, reach: Points, colours: Plane) -> None:
    """Add Gaussian points of light in place; one that is narrower than a pixel keeps its amount of light.

    light: (H, W, 3) linear or screen light. unit: pixels of a unit. places: (N, 2) x, y in units. reach: (N,) deviations in
    units. colours: (N, 3) what each adds at its middle.
    """
    if not len(places):
        return
    height, width = light.shape[:2]
    deviation = np.maximum(reach * unit, _FEWEST_PX)
    amount = np.minimum((reach * unit / deviation) ** 2, 1)[:, None] * colours
    centres = places * unit - 0.5
    order = np.argsort(deviation)
    for rows in np.array_split(order, max(1, len(order) // 400)):
        span = int(np.ceil(2.8 * deviation[rows].max()))
        offsets = np.arange(-span, span + 1)
        first = np.round(centres[rows]).astype(int)
        x, y = first[:, :1] + offsets, first[:, 1:] + offsets
        scale = -0.5 / deviation[rows, None] ** 2
        across = np.exp(scale * (x - centres[rows, :1]) ** 2) * ((x >= 0) & (x < width))
        down = np.exp(scale * (y - centres[rows, 1:]) ** 2) * ((y >= 0) & (y < height))
        bumps = (down[:, :, None] * across[:, None, :]).astype(np.float32)
        at = np.clip(y, 0, height - 1)[:, :, None] * width + np.clip(x, 0, width - 1)[:, None, :]
        flat = light.reshape(-1, 3)
        for axis in range(3):
            weights = bumps * amount[rows, axis, None, None].astype(np.float32)
            np.add.at(flat[:, axis], at.ravel(), weights.ravel())


def scatter_evenly(random: np.random.Generator, count: int, width: float, height: float) -> Points:
    """(N, 2) places over a rectangle without clumps: a golden-ratio sequence in two dimensions, moved by chance.

    M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018 (R2). They come in a mixed order.
    """
    plastic = 1.32471795724474602596
    steps = np.arange(1, count + 1)[:, None] * np.array([1 / plastic, 1 / plastic**2])
    return (steps + random.random(2)) % 1 * (width, height)


def draw_discs(light: Picture, unit: float, places: Points, radius: Points, colours: Plane, rim: float = 0.35) -> None:
    """Add discs of light as a lens out of focus makes them, a little brighter at the rim, in place.

    light: (H, W, 3). unit: pixels of a unit. places: (N, 2) and radius: (N,) in units. colours: (N, 3).
    """
    height, width = light.shape[:2]
    for (x, y), size, colour in zip(places * unit, radius * unit, colours, strict=True):
        reach = size + 2
        x1, x2 = max(0, int(x - reach)), min(width, int(x + reach) + 1)
        y1, y2 = max(0, int(y - reach)), min(height, int(y + reach) + 1)
        if x1 >= x2 or y1 >= y2:
            continue
        away = np.hypot(
            np.arange(x1, x2, dtype=np.float32)[None] + 0.5 - x, np.arange(y1, y2, dtype=np.float32)[:, None] + 0.5 - y
        )
        level = np.clip(size + 0.5 - away, 0, 1) * (1 - rim + rim * np.clip(away / size, 0, 1) ** 5)
        light[y1:y2, x1:x2] += level[..., None].astype(np.float32) * colour.astype(np.float32)


def stamp(picture: Image, sprite: Image, place: tuple[float, float], size: float, turn_deg: float = 0.0) -> None:
    """Lay a square sprite over a picture in place.

    picture: (H, W, 3) uint8. sprite: (S, S, 4) uint8, colours times coverage, then coverage. place: the middle (x, y) in
    pixels. size: pixels that the sprite's side gets.
    """
    window = _window(picture, place, size)
    if window is None:
        return
    red, green, blue, cover = cv2.split(_placed(sprite, window, place, size, turn_deg))
    rest = cv2.bitwise_not(cover)
    part = cv2.multiply(picture[window], cv2.merge([rest, rest, rest]), scale=1 / 255)
    picture[window] = cv2.add(part, cv2.merge([red, green, blue]))


def stamp_shade(picture: Image, gain: Image, place: tuple[float, float], size: float) -> None:
    """Darken a picture in place by a square sprite, (S, S) uint8, of which 255 leaves it; see `stamp`."""
    window = _window(picture, place, size, is_turned=False)
    if window is not None:
        part = cv2.bitwise_not(_placed(cv2.bitwise_not(gain), window, place, size, 0.0))
        picture[window] = cv2.multiply(picture[window], cv2.merge([part, part, part]), scale=1 / 255)


def stamp_cover(plane: Image, alpha: Image, place: tuple[float, float], size: float, turn_deg: float = 0.0) -> None:
    """Join the shape of a sprite, (S, S) uint8, to a coverage (H, W) uint8 in place; see `stamp`."""
    window = _window(plane, place, size)
    if window is not None:
        plane[window] = cv2.max(plane[window], _placed(alpha, window, place, size, turn_deg))


def _window(
    picture: Image, place: tuple[float, float], size: float, *, is_turned: bool = True
) -> tuple[slice, slice] | None:
    """The rows and columns that a sprite may touch; None outside the picture."""
    half = (0.71 if is_turned else 0.5) * size + 2
    x1, y1 = max(0, int(place[0] - half)), max(0, int(place[1] - half))
    x2, y2 = min(picture.shape[1], int(place[0] + half) + 1), min(picture.shape[0], int(place[1] + half) + 1)
    return (slice(y1, y2), slice(x1, x2)) if x1 < x2 and y1 < y2 else None


def _placed(sprite: Image, window: tuple[slice, slice], place: tuple[float, float], size: float, turn_deg: float) -> Image:
    side = sprite.shape[0]
    if size < 0.6 * side:
        side = max(2, round(1.25 * size))
        sprite = np.asarray(cv2.resize(sprite, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    move = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn_deg, size / side)
    move[0, 2] += place[0] - side / 2 - window[1].start
    move[1, 2] += place[1] - side / 2 - window[0].start
    extent = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    return np.asarray(cv2.warpAffine(sprite, move, extent, flags=cv2.INTER_LINEAR), np.uint8)
