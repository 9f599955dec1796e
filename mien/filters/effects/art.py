"""A small drawing kit: smooth outlines, coverage with antialiased edges, and shading that makes flat shapes look round.

Drawings are made once, larger than needed, in head coordinates (`mien.filters.effects.head`), and kept as a `Tile`. Colours
are sRGB in [0, 1]. The light comes from above, a little from the left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Points = Sequence[tuple[float, float]] | NDArray[np.floating]
Colour = tuple[float, float, float]

UNIT = 200
"""Pixels of a drawing for one head coordinate: enough for a face that fills a 1080p frame."""

_OVERSAMPLING = 3
_SUBPIXEL_BITS = 6
_LIGHT = np.array([-0.36, -0.62, 0.70], np.float32)
_LIGHT /= np.linalg.norm(_LIGHT)


@dataclass(frozen=True, eq=False)
class Tile:
    """A finished drawing.

    pixels: (h, w, 4) float32, red, green, blue already multiplied by alpha, all in [0, 1].
    origin: (x, y) in pixels of the tile where head coordinates are (0, 0). unit: pixels of one head coordinate.
    """

    pixels: Array
    origin: tuple[float, float]
    unit: float

    @cached_property
    def smaller(self) -> Tile:
        """The tile at half its size, for heads farther away."""
        height, width = self.pixels.shape[:2]
        half = cv2.resize(self.pixels, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
        scale = half.shape[1] / width
        return Tile(np.asarray(half, np.float32), (self.origin[0] * scale, self.origin[1] * scale), self.unit * scale)

    def at(self, pixels_per_unit: float) -> Tile:
        """The smallest copy that is still sharp at that size."""
        tile = self
        while tile.unit >= 2 * pixels_per_unit and min(tile.pixels.shape[:2]) > 8:
            tile = tile.smaller
        return tile


class Sketch:
    """A drawing in the making: an empty sheet over ``x1 y1 x2 y2`` in head coordinates."""

    def __init__(self, x1: float, y1: float, x2: float, y2: float, unit: float = UNIT) -> None:
        self.unit = float(unit)
        self.x1, self.y1 = x1, y1
        self.shape = (int(np.ceil((y2 - y1) * unit)), int(np.ceil((x2 - x1) * unit)))
        self.colour: Array = np.zeros((*self.shape, 3), np.float32)
        self.alpha: Array = np.zeros(self.shape, np.float32)

    @cached_property
    def x(self) -> Array:
        """(h, w) head coordinate of each pixel."""
        row = self.x1 + (np.arange(self.shape[1], dtype=np.float32) + 0.5) / self.unit
        return np.broadcast_to(row, self.shape)

    @cached_property
    def y(self) -> Array:
        """(h, w) head coordinate of each pixel."""
        column = self.y1 + (np.arange(self.shape[0], dtype=np.float32) + 0.5) / self.unit
        return np.broadcast_to(column[:, None], self.shape)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        places = (np.asarray(points, np.float64) - (self.x1, self.y1)) * self.unit * _OVERSAMPLING - 0.5
        return np.round(places * (1 << _SUBPIXEL_BITS)).astype(np.int32)

    def _shrunk(self, large: NDArray[np.uint8]) -> Array:
        return np.asarray(cv2.resize(large, self.shape[::-1], interpolation=cv2.INTER_AREA), np.float32) / 255

    def _large(self) -> NDArray[np.uint8]:
        return np.zeros((self.shape[0] * _OVERSAMPLING, self.shape[1] * _OVERSAMPLING), np.uint8)

    def fill(self, *outlines: Points) -> Array:
        """(h, w) coverage of closed outlines; where two overlap there is a hole."""
        large = self._large()
        cv2.fillPoly(large, [self._fixed(outline) for outline in outlines], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._shrunk(large)

    def stroke(self, line: Points, width: float, *, is_closed: bool = False) -> Array:
        """(h, w) coverage of a line with round ends."""
        large = self._large()
        thickness = max(1, round(width * self.unit * _OVERSAMPLING))
        cv2.polylines(large, [self._fixed(line)], is_closed, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._shrunk(large)

    def hairs(self, lines: Iterable[Points], levels: Iterable[float], width: float) -> tuple[Array, Array]:
        """Fine tapering hairs: (h, w) brightness and (h, w) coverage. levels: brightness of each in [0, 1]."""
        bright, cover = self._large(), self._large()
        thick = max(1.0, width * self.unit * _OVERSAMPLING)
        for line, level in zip(lines, levels, strict=True):
            fixed = self._fixed(line)
            pieces = len(fixed) - 1
            for piece in range(pieces):
                share = 1 - abs(2 * (piece + 0.5) / pieces - 0.7) ** 1.5 * 0.6
                part = fixed[piece : piece + 2]
                line_width = max(1, round(thick * share))
                cv2.polylines(bright, [part], False, round(255 * level), line_width, cv2.LINE_AA, _SUBPIXEL_BITS)
                cv2.polylines(cover, [part], False, 255, line_width, cv2.LINE_AA, _SUBPIXEL_BITS)
        return self._shrunk(bright), self._shrunk(cover)

    def soft(self, mask: Array, reach: float) -> Array:
        """A mask blurred by ``reach`` head coordinates."""
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.3, reach * self.unit)), np.float32)

    def moved(self, mask: Array, right: float, down: float) -> Array:
        """A mask shifted by head coordinates; what comes in is empty."""
        move = np.array([[1, 0, right * self.unit], [0, 1, down * self.unit]])
        return np.asarray(cv2.warpAffine(mask, move, self.shape[::-1]), np.float32)

    def grain(self, seed: int, size: float, stretch: tuple[float, float] = (1, 1)) -> Array:
        """(h, w) smooth noise of mean 0 and deviation 1; ``size`` of its blotches in head coordinates."""
        noise = np.random.default_rng(seed).standard_normal(self.shape).astype(np.float32)
        reach = max(0.4, size * self.unit)
        noise = cv2.GaussianBlur(noise, (0, 0), reach * stretch[0], sigmaY=reach * stretch[1])
        return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), np.float32)

    def paint(self, cover: Array, colour: Colour | Array) -> None:
        """Put a colour, (3,) or (h, w, 3), over what is there, as far as ``cover`` in [0, 1] goes."""
        share = np.clip(cover, 0, 1)[..., None]
        new = share * np.asarray(colour, np.float32)
        self.colour = new + self.colour * (1 - share)
        self.alpha = share[..., 0] + self.alpha * (1 - share[..., 0])

    def lighten(self, cover: Array, colour: Colour | Array = (1, 1, 1)) -> None:
        """Add light to what is drawn, nothing outside of it (screen blending)."""
        light = np.clip(cover, 0, 1)[..., None] * np.asarray(colour, np.float32)
        own = self.alpha[..., None]
        self.colour = self.colour + light * (own - self.colour)

    def darken(self, cover: Array, colour: Colour = (0, 0, 0)) -> None:
        """Shade what is drawn towards a colour, nothing outside of it."""
        share = np.clip(cover, 0, 1)[..., None]
        self.colour = self.colour + share * (np.asarray(colour, np.float32) * self.alpha[..., None] - self.colour)

    def fade(self, keep: Array) -> None:
        """Make all that is drawn more transparent: ``keep`` (h, w) in [0, 1] stays."""
        self.colour, self.alpha = self.colour * keep[..., None], self.alpha * keep

    def tile(self) -> Tile:
        """The finished drawing."""
        pixels = np.dstack([np.clip(self.colour, 0, 1), np.clip(self.alpha, 0, 1)]).astype(np.float32)
        return Tile(pixels, (-self.x1 * self.unit, -self.y1 * self.unit), self.unit)

    def normals(self, mask: Array, roundness: float, *, relief: Array | None = None, depth: float = 1.0) -> Array:
        """(h, w, 3) unit normals of a shape blown up like a cushion: it rises within ``roundness`` of its edge.

        relief: extra height in head coordinates. depth: how high it rises, 1 is a quarter circle.
        """
        inside = (mask > 0.5).astype(np.uint8)
        away = cv2.distanceTransform(cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 5)[1:-1, 1:-1]
        share = np.clip(away / (roundness * self.unit), 0, 1)
        height = np.sqrt(np.clip(1 - (1 - share) ** 2, 0, 1)) * roundness * depth
        height = cv2.GaussianBlur(height.astype(np.float32), (0, 0), max(0.8, 0.16 * roundness * self.unit))
        if relief is not None:
            height = height + relief
        down, right = np.gradient(height * self.unit)
        normal = np.dstack([-right, -down, np.ones_like(right)])
        return np.asarray(normal / np.linalg.norm(normal, axis=2, keepdims=True), np.float32)


def spline(points: Points, *, is_closed: bool = True, steps: int = 20) -> NDArray[np.float64]:
    """(M, 2) points of the smooth curve through the given ones.

    Centripetal-like Catmull-Rom (Catmull and Rom 1974) with tension 0.5.
    """
    knots = np.asarray(points, np.float64)
    padded = np.concatenate([knots[-1:], knots, knots[:2]]) if is_closed else np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curve = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        a, b = (end - before) / 2, (after - start) / 2
        curve.append(
            (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * a + (3 * t**2 - 2 * t**3) * end + (t**3 - t**2) * b
        )
    if not is_closed:
        curve.append(knots[-1:])
    return np.concatenate(curve)


def tinted(layer: Array, colour: Array) -> Array:
    """A drawing made in greys, (h, w, 4) premultiplied, in another colour: 0.5 becomes the colour itself, (3,)."""
    alpha = layer[..., 3:]
    dark = 2 * layer[..., :3] * colour
    light = alpha * colour + (2 * layer[..., :3] - alpha) * (0.8 * (1 - colour))
    return np.dstack([np.where(2 * layer[..., :3] < alpha, dark, light), alpha])


def ellipse(x: float, y: float, across: float, down: float, angle_deg: float = 0.0, steps: int = 96) -> NDArray[np.float64]:
    """(steps, 2) points of an ellipse with these half axes."""
    turn, t = np.deg2rad(angle_deg), np.linspace(0, 2 * np.pi, steps, endpoint=False)
    u, v = across * np.cos(t), down * np.sin(t)
    return np.stack([x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)], axis=1)


def mirrored(points: Points) -> NDArray[np.float64]:
    """The points on the other side of x = 0."""
    return np.asarray(points, np.float64) * (-1, 1)


def lit(
    colour: Colour | Array, normals: Array, *, ambient: float = 0.45, gloss: float = 0.0, sharpness: float = 30
) -> Array:
    """(h, w, 3) a colour under the kit's light: Lambert with a soft wrap, and Blinn-Phong gloss."""
    facing = normals @ _LIGHT
    shade = ambient + (1 - ambient) * np.clip(0.25 + 0.75 * facing, 0, None)
    halfway = _LIGHT + np.array([0, 0, 1], np.float32)
    halfway /= np.linalg.norm(halfway)
    shine = gloss * np.clip(normals @ halfway, 0, 1) ** sharpness
    return np.asarray(np.asarray(colour, np.float32) * shade[..., None] + shine[..., None], np.float32)


def metal(stops: Sequence[tuple[float, Colour]], normals: Array) -> Array:
    """(h, w, 3) polished metal: its colour by where it mirrors to, from -1 (ground) over 0 (horizon) to 1 (sky)."""
    mirrored_up = -2 * normals[..., 2] * normals[..., 1] - 0.35 * normals[..., 0]
    places = [place for place, _ in stops]
    channels = [np.interp(mirrored_up, places, [colour[band] for _, colour in stops]) for band in range(3)]
    return np.asarray(np.dstack(channels), np.float32)
