"""The picture that effects paint on, and how a drawing gets onto it: warped to the head, under the photo's own light."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.effects.art import Tile, tinted
from mien.filters.effects.head import Head

Array = NDArray[np.float64]
Plane = NDArray[np.float32]

_USUAL_WHITE = 0.80
_GAIN = (0.5, 1.08)
_TINT = 0.45
_GREY_PHOTO = 4.0
_LEAN = 0.14
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class Light:
    """What falls on a head. gain: (3,) factors of red, green and blue. lean: how much brighter the picture's right side is,
    in [-1, 1]. is_grey: the photo has no colours.
    """

    gain: Plane
    lean: float
    is_grey: bool


@dataclass(eq=False)
class Canvas:
    """A picture being painted on.

    photo: (H, W, 3) uint8 RGB, as it was; it stays so. matte: (H, W) float32 the canvas's own, grows by what is put on; or
    None. image: (H, W, 3) uint8 RGB, what is painted on.
    """

    photo: NDArray[np.uint8]
    matte: Plane | None = None
    image: NDArray[np.uint8] = field(init=False)
    _lights: dict[int, Light] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.image = self.photo.copy()

    def put(
        self,
        tile: Tile,
        matrix: Array,
        head: Head,
        *,
        shadow: float = 0.0,
        drop: tuple[float, float] = (0.02, 0.06),
        reach: float = 0.05,
        tint: Plane | None = None,
    ) -> None:
        """Lay a drawing on the picture; it becomes part of the person in the matte.

        matrix: (2, 3) from head coordinates of the drawing to pixels. shadow: depth in [0, 1] of what it casts on the
        person, ``drop`` to the right and down and blurred by ``reach``, in head coordinates. tint: (3,) sRGB in [0, 1] for a
        drawing in greys; one that has none is put under the photo's light instead.
        """
        move = (drop[0] * head.unit, drop[1] * head.unit)
        blur = max(0.5, reach * head.unit)
        edge = 3 * blur + max(map(abs, move)) if shadow > 0 else 0.0
        laid = self._laid(tile, matrix, _MARGIN + edge)
        if laid is None:
            return
        (left, top, right, bottom), layer = laid
        if tint is not None:
            layer = tinted(layer, tint)
        part = self.image[top:bottom, left:right].astype(np.float32) / 255
        if shadow > 0:
            shift = np.array([[1, 0, move[0]], [0, 1, move[1]]])
            cast = cv2.warpAffine(cv2.GaussianBlur(layer[..., 3], (0, 0), blur), shift, (right - left, bottom - top))
            if self.matte is not None:
                cast *= self.matte[top:bottom, left:right]
            cast *= 1 - layer[..., 3]
            part *= (1 - shadow * cast)[..., None]
        colour = layer[..., :3] if tint is not None else self._under_light(layer, head, (left, top))
        part *= 1 - layer[..., 3:]
        part += colour
        self.image[top:bottom, left:right] = np.clip(part * 255 + 0.5, 0, 255).astype(np.uint8)
        if self.matte is not None:
            region = self.matte[top:bottom, left:right]
            region += (1 - region) * layer[..., 3]

    def stain(self, tile: Tile, matrix: Array, *, is_light: bool = False) -> None:
        """Dye the skin with a drawing: multiply by its colours, or with ``is_light`` add them as light (screen)."""
        laid = self._laid(tile, matrix, _MARGIN)
        if laid is None:
            return
        (left, top, right, bottom), layer = laid
        part = self.image[top:bottom, left:right].astype(np.float32) / 255
        # A colour already multiplied by its alpha: what it lets through is 1 - alpha + colour.
        part = 1 - (1 - part) * (1 - layer[..., :3]) if is_light else part * (1 - layer[..., 3:] + layer[..., :3])
        self.image[top:bottom, left:right] = np.clip(part * 255 + 0.5, 0, 255).astype(np.uint8)

    def _laid(self, tile: Tile, matrix: Array, margin: float) -> tuple[tuple[int, int, int, int], Plane] | None:
        """The part of the picture, ``x1 y1 x2 y2``, that a drawing reaches, and the drawing there; None outside of it."""
        level = tile.at(float(np.linalg.norm(matrix[:, :2]) / np.sqrt(2)))
        x, y = level.origin
        warp = matrix @ np.array([[1 / level.unit, 0, -x / level.unit], [0, 1 / level.unit, -y / level.unit], [0, 0, 1]])
        height, width = level.pixels.shape[:2]
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ warp.T
        left, top = np.maximum(np.floor(corners.min(axis=0) - margin), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(corners.max(axis=0) + margin), self.image.shape[1::-1]).astype(int).tolist()
        if right <= left or bottom <= top:
            return None
        # OpenCV counts from the middle of the first pixel.
        warp[:, 2] += warp[:, :2].sum(axis=1) / 2 - 0.5 - np.array([left, top])
        layer = cv2.warpAffine(level.pixels, warp, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
        return (left, top, right, bottom), np.asarray(layer, np.float32)

    def _under_light(self, layer: Plane, head: Head, corner: tuple[int, int]) -> Plane:
        light = self.light(head)
        columns = (np.arange(layer.shape[1]) + corner[0] - head.points["eyes"][0]) / (2 * head.unit)
        ramp = (1 + _LEAN * light.lean * np.clip(columns, -1, 1)).astype(np.float32)
        colour = layer[..., :3] * light.gain * ramp[None, :, None]
        if light.is_grey:
            colour = np.repeat(colour @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
        return np.minimum(colour, layer[..., 3:])

    def light(self, head: Head) -> Light:
        """The light on a head, from the brightest part of its surroundings and the two sides of its face."""
        if id(head) not in self._lights:
            self._lights[id(head)] = self._measured_light(head)
        return self._lights[id(head)]

    def _measured_light(self, head: Head) -> Light:
        x1, y1, x2, y2 = head.box
        wide = self._crop(1.5 * x1 - 0.5 * x2, 1.5 * y1 - 0.5 * y2, 1.5 * x2 - 0.5 * x1, 1.5 * y2 - 0.5 * y1)
        face = self._crop(x1 + 0.15 * (x2 - x1), y1 + 0.25 * (y2 - y1), x2 - 0.15 * (x2 - x1), y2 - 0.1 * (y2 - y1))
        if wide.size == 0 or face.size == 0:
            return Light(np.ones(3, np.float32), 0.0, False)
        flat = wide.reshape(-1, 3).astype(np.float32)
        bright = np.percentile(flat, 96, axis=0) / 255
        level = float(np.clip(bright.mean() / _USUAL_WHITE, *_GAIN))
        # Minkowski mean of order 6, "shades of grey" (Finlayson and Trezzi 2004), trusted only in part.
        cast = np.mean((flat / 255) ** 6, axis=0) ** (1 / 6)
        gain = level * (1 + _TINT * (cast / max(float(cast.mean()), 1e-3) - 1))
        grey = face.mean(axis=2)
        half = grey.shape[1] // 2
        lean = 0.0 if half == 0 else float(grey[:, -half:].mean() - grey[:, :half].mean()) / max(float(grey.mean()), 8.0)
        is_grey = bool(np.ptp(flat, axis=1).mean() < _GREY_PHOTO)
        return Light(np.clip(gain, 0.4, 1.12).astype(np.float32), float(np.clip(2 * lean, -1, 1)), is_grey)

    def _crop(self, x1: float, y1: float, x2: float, y2: float) -> NDArray[np.uint8]:
        height, width = self.image.shape[:2]
        left, right = (int(np.clip(value, 0, width)) for value in (x1, x2))
        top, bottom = (int(np.clip(value, 0, height)) for value in (y1, y2))
        part = self.photo[top:bottom, left:right]
        step = max(1, min(part.shape[:2]) // 48) if part.size else 1
        return part[::step, ::step]

    def hair_width(self, head: Head) -> float:
        """Half the width of the hair above the forehead in head coordinates, from 1.0 to 1.6; a usual head without a
        matte."""
        usual = head.half_width
        if self.matte is None:
            return usual
        steps = np.arange(0.5, 1.9, 0.05)
        found = []
        for side in (-1, 1):
            spots = np.round([head.place((side * step, -1.05, -0.3)) for step in steps]).astype(int)
            inside = (spots >= 0).all(axis=1) & (spots < self.photo.shape[1::-1]).all(axis=1)
            solid = np.zeros(len(steps), bool)
            solid[inside] = self.matte[spots[inside, 1], spots[inside, 0]] > 0.5
            found.append(steps[int(solid.argmin())] if solid[0] and not solid.all() else usual)
        return float(np.clip(max(found), 1.0, 1.6))

    def hair_colour(self, head: Head) -> Plane:
        """(3,) sRGB in [0, 1]: the middle colour of what lies between the forehead and the top of the head."""
        places = [
            head.place((x, y, -0.2)) for y in np.linspace(head.top + 0.12, -1.25, 5) for x in np.linspace(-0.5, 0.5, 7)
        ]
        spots = np.round(places).astype(int)
        inside = (spots >= 0).all(axis=1) & (spots < self.photo.shape[1::-1]).all(axis=1)
        spots = spots[inside]
        if self.matte is not None and len(spots):
            spots = spots[self.matte[spots[:, 1], spots[:, 0]] > 0.8]
        if len(spots) < 5:
            return np.array([0.24, 0.17, 0.13], np.float32)
        return np.asarray(np.median(self.photo[spots[:, 1], spots[:, 0]], axis=0) / 255, np.float32)
