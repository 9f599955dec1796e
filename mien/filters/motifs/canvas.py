"""What a motif is drawn on: places in units of the picture's short side, smooth noise, colours mixed in OKLab.

Nothing here depends on how many pixels there are, so a picture of one seed has the same composition at any size.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import into_gamut, oklab_to_srgb, oklch_to_oklab
from mien.filters.harmony import Scheme

Plane = NDArray[np.floating[Any]]
Picture = NDArray[np.floating[Any]]
Stop = tuple[float, tuple[float, float, float]]
"""A place in [0, 1] on a colour ramp, and its OKLCH colour."""

_LONGEST_UNITS = 4.0
_LATTICE = 64
_HORIZON_SHARES = (0.44, 0.68)
_SPLINE_DEVIATION = 0.479
_RAMP_STEPS = 1024
_FINEST_CELL_PX = 1.6
_STRIP_PIXELS = 16_384
_GENTLE_PULL, _MOST_TURN_DEG = 0.35, 28.0
_NAMED_SPREAD = 0.35


@dataclass(frozen=True, eq=False)
class Canvas:
    """An empty picture with all that a motif may know.

    size_wh: pixels. scheme: colours that suit the person, or that were asked for by name. seed: decides what chance decides.
    head: (x, y, radius) of the heads in units. is_named: whether the colours were asked for; nature's own then give way.
    is_overlay: whether something that was asked for lies below, so that a motif leaves most of it to be seen.
    has_land: whether land comes in front, so that a sky ends at its horizon.

    A unit is the short side (a quarter of the long side for extreme shapes); x grows to the right, y downwards, from 0.
    """

    size_wh: tuple[int, int]
    scheme: Scheme
    seed: int
    head: tuple[float, float, float]
    is_named: bool = False
    is_overlay: bool = False
    has_land: bool = False

    @property
    def unit(self) -> float:
        """Pixels of one unit."""
        return max(min(self.size_wh), max(self.size_wh) / _LONGEST_UNITS)

    @property
    def width(self) -> float:
        """In units."""
        return self.size_wh[0] / self.unit

    @property
    def height(self) -> float:
        """In units."""
        return self.size_wh[1] / self.unit

    @property
    def horizon(self) -> float:
        """Where sky meets land, in units from the top: at the mouth's height; the lower border where there is no land."""
        if not self.has_land:
            return self.height
        low, high = _HORIZON_SHARES
        return min(max(self.head[1] + 0.3 * self.head[2], low * self.height), high * self.height)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.size_wh[1], self.size_wh[0]

    @property
    def light(self) -> float:
        """Where the light comes from: -1 from the picture's left, 1 from its right, 0 from the front."""
        return self.scheme.light

    @property
    def light_side(self) -> float:
        """-1 or 1: the side of the light; by chance where it comes from the front."""
        if abs(self.light) > 0.15:
            return 1.0 if self.light > 0 else -1.0
        return 1.0 if self.random("side").random() < 0.5 else -1.0

    @cached_property
    def x(self) -> Plane:
        """(1, W) centres of the columns in units."""
        return ((np.arange(self.size_wh[0], dtype=np.float32) + 0.5) / self.unit)[None]

    @cached_property
    def y(self) -> Plane:
        """(H, 1) centres of the rows in units."""
        return ((np.arange(self.size_wh[1], dtype=np.float32) + 0.5) / self.unit)[:, None]

    def random(self, key: str) -> np.random.Generator:
        """A stream of chance of one's own: other streams do not move it."""
        return np.random.default_rng([self.seed, zlib.crc32(key.encode())])

    def noise(self, key: str, cells: float, stretch: float = 1.0, rise: float = 0.0) -> Plane:
        """Smooth noise, (H, W) with mean 0 and deviation 1: a cubic B-spline over a lattice of normal numbers.

        cells: bumps in a unit. stretch: how many times wider than high they are. rise: units that it has moved upwards.
        """
        lattice = self.random(key).standard_normal((_LATTICE, _LATTICE), np.float32)
        columns, across = _spline(self.x[0] * (cells / stretch))
        rows, down = _spline((self.y[:, 0] + rise) * cells)
        part = lattice[rows][:, columns] / _SPLINE_DEVIATION
        return np.asarray((down @ part) @ across.T if len(rows) < len(columns) else down @ (part @ across.T), np.float32)

    def fractal(
        self, key: str, cells: float, octaves: int, *, gain: float = 0.5, stretch: float = 1.0, is_ridged: bool = False
    ) -> Plane:
        """Noise at ``octaves`` scales, each twice as fine and ``gain`` times as strong: (H, W), mean 0, deviation about 1.

        is_ridged: folded at 0, so that sharp crests come out (Musgrave, "Texturing and Modeling", 1998, chapter 16).
        """
        total = np.zeros(self.shape, np.float32)
        weight, power = 1.0, 0.0
        for octave in range(octaves):
            if octave and self.unit < _FINEST_CELL_PX * cells:
                break
            layer = self.noise(f"{key}{octave}", cells, stretch)
            if is_ridged:
                np.abs(layer, out=layer)
                layer = (0.8 - layer) * 1.66
            total += weight * layer
            power += weight * weight
            weight *= gain
            cells *= 2.03
        total /= np.float32(np.sqrt(power))
        return total

    def profile(self, key: str, cells: float, octaves: int, *, gain: float = 0.5, is_ridged: bool = False) -> Plane:
        """`fractal` along x alone: (1, W)."""
        total = np.zeros((1, self.size_wh[0]), np.float32)
        weight = 1.0
        for octave in range(octaves):
            lattice = self.random(f"{key}{octave}").standard_normal(_LATTICE).astype(np.float32)
            columns, across = _spline(self.x[0] * cells)
            layer = across @ lattice[columns] / np.float32(_SPLINE_DEVIATION**0.5)
            total += weight * ((0.8 - np.abs(layer)) * 1.66 if is_ridged else layer)
            weight *= gain
            cells *= 2.03
        return np.asarray(total * np.float32(np.sqrt(1 - gain * gain)), np.float32)

    def away(self, x: float, y: float) -> Plane:
        """How far each pixel is from a place, in units, (H, W)."""
        across, down = self.x - np.float32(x), self.y - np.float32(y)
        return np.asarray(np.sqrt(across * across + down * down), np.float32)

    def moved(self, field: Plane, right: Plane | float, down: Plane | float) -> Plane:
        """A field looked up elsewhere: at each pixel's place plus (right, down) in units."""
        to_x = np.broadcast_to(self.x * self.unit - 0.5 + np.float32(self.unit) * right, self.shape).astype(np.float32)
        to_y = np.broadcast_to(self.y * self.unit - 0.5 + np.float32(self.unit) * down, self.shape).astype(np.float32)
        return np.asarray(cv2.remap(field, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)

    def blurred(self, field: Plane, reach: float) -> Plane:
        """A field, (h, w) or (h, w, C), smoothed by a Gaussian of ``reach`` units; worked out on a smaller copy."""
        deviation = reach * self.unit
        step = max(1, int(deviation / 3))
        own = (field.shape[1], field.shape[0])
        size = (max(1, own[0] // step), max(1, own[1] // step))
        small = cv2.resize(field, size, interpolation=cv2.INTER_AREA) if step > 1 else field
        soft = cv2.GaussianBlur(small, (0, 0), max(deviation / step, 0.3))
        return np.asarray(cv2.resize(soft, own, interpolation=cv2.INTER_LINEAR) if step > 1 else soft, np.float32)

    def cover(self, away: Plane) -> Plane:
        """Coverage in [0, 1] of a shape from the signed distance to it in units (below 0 inside), smooth over one pixel."""
        return np.clip(0.5 - away * np.float32(self.unit), 0, 1)

    def flat(self, colour: Sequence[float] | Plane) -> Picture:
        """One OKLCH colour all over, (H, W, 3) sRGB in [0, 1]."""
        return np.broadcast_to(srgb_of(colour), (*self.shape, 3)).astype(np.float32)

    def natural(self, stops: Sequence[Stop]) -> list[Stop]:
        """Nature's colours moved towards the scheme: a little to suit the person, wholly where a colour was named."""
        places, table = [place for place, _ in stops], np.array([colour for _, colour in stops], np.float32)
        angles = np.deg2rad(table[:, 2])
        main = np.rad2deg(np.arctan2((table[:, 1] * np.sin(angles)).sum(), (table[:, 1] * np.cos(angles)).sum()))
        base = self.scheme.base
        if self.is_named:
            table[:, 2] = base[2] + _NAMED_SPREAD * _turn(table[:, 2], main)
            table[:, 1] *= np.clip(base[1] / 0.11, 0.0, 1.5)
            table[:, 0] += 0.25 * (base[0] - table[:, 0].mean())
        else:
            nearest = min((_turn(hue, main) for hue in (base[2], self.scheme.accent[2])), key=abs)
            table[:, 2] += np.clip(_GENTLE_PULL * nearest, -_MOST_TURN_DEG, _MOST_TURN_DEG)
        table[:, 2] %= 360
        return [(place, (float(row[0]), float(row[1]), float(row[2]))) for place, row in zip(places, table, strict=True)]


def ramp(field: Plane, stops: Sequence[Stop]) -> Picture:
    """Colours of a field: (H, W) in [0, 1] to (H, W, 3) sRGB in [0, 1], mixed between the stops in OKLab."""
    table = _ramp_table(tuple((float(place), *map(float, colour)) for place, colour in stops))
    steps = np.clip(field, 0, 1)
    return np.take(table, (steps * (_RAMP_STEPS - 1) + 0.5).astype(np.int32), axis=0)


@lru_cache(maxsize=256)
def _ramp_table(stops: tuple[tuple[float, ...], ...]) -> Plane:
    """(steps, 3) sRGB between stops of a place and an OKLCH colour each."""
    rows = np.array(stops, np.float32)
    colours = oklch_to_oklab(into_gamut(rows[:, 1:]))
    at = np.linspace(0, 1, _RAMP_STEPS, dtype=np.float32)
    lab = np.stack([np.interp(at, rows[:, 0], colours[:, axis]) for axis in range(3)], axis=1).astype(np.float32)
    return oklab_to_srgb(lab)


def srgb_of(colour: Sequence[Any] | Plane) -> Plane:
    """(3,) or (N, 3) OKLCH as sRGB in [0, 1], its chroma lowered where sRGB cannot show it."""
    return oklab_to_srgb(oklch_to_oklab(into_gamut(np.asarray(colour, np.float32))))


def shifted(
    colour: Plane | Sequence[float], lightness: float = 0.0, chroma: float = 1.0, hue_deg: float = 0.0
) -> tuple[float, float, float]:
    """An OKLCH colour that is lighter by ``lightness``, ``chroma`` times as strong, and turned by ``hue_deg``."""
    level, strength, hue = (float(value) for value in colour)
    return min(max(level + lightness, 0.03), 0.99), strength * chroma, (hue + hue_deg) % 360


def smoothstep(low: float, high: float, field: Plane) -> NDArray[np.float32]:
    """0 below ``low``, 1 above ``high``, an S between them."""
    at = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(at * at * (3 - 2 * at), np.float32)


def mixed(under: Picture, over: Picture | Plane, cover: Plane) -> Picture:
    """``over`` with coverage (H, W) on ``under``; ``over`` is a picture or one (3,) colour."""
    weight = np.asarray(cover, np.float32)
    if over.ndim == 3:
        return np.asarray(cv2.blendLinear(np.asarray(over, np.float32), under, weight, 1 - weight), np.float32)
    result = np.empty(under.shape, np.float32)
    red, green, blue = (float(value) for value in over)
    for rows in _strips(under.shape):
        part, own = _plane(weight, rows, under.shape), np.asarray(under[rows], np.float32)
        rest = 1 - part
        cv2.multiply(own, cv2.merge([rest, rest, rest]), dst=result[rows])
        result[rows] += cv2.merge([part * red, part * green, part * blue])
    return result


def screened(under: Picture, light: Picture | Plane, colour: Plane | None = None) -> Picture:
    """Light added to a picture as on film: ``1 - (1 - under) (1 - light)``, clipped at 1.

    light: (H, W, 3), or (H, W) of one sRGB ``colour``, (3,).
    """
    result = np.empty(under.shape, np.float32)
    for rows in _strips(under.shape):
        own = np.asarray(under[rows], np.float32)
        if colour is None:
            add = np.minimum(light[rows], 1).astype(np.float32, copy=False)
        else:
            level = np.clip(_plane(light, rows, under.shape), 0, 1)
            add = cv2.merge([level * float(value) for value in colour])
        cv2.multiply(1 - own, add, dst=result[rows])
        result[rows] += own
    return result


def scaled(picture: Picture, gain: Plane) -> Picture:
    """A picture made lighter or darker, (H, W, 3) in [0, 1]; gain: (H, W), 1 leaves it."""
    result = np.empty(picture.shape, np.float32)
    for rows in _strips(picture.shape):
        part = _plane(gain, rows, picture.shape)
        cv2.multiply(np.asarray(picture[rows], np.float32), cv2.merge([part, part, part]), dst=result[rows])
        np.minimum(result[rows], 1, out=result[rows])
    return result


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows that are worked on together: few enough that what is between two steps stays in the processor's cache."""
    count = max(1, _STRIP_PIXELS // max(1, shape[1]))
    return (slice(top, min(top + count, shape[0])) for top in range(0, shape[0], count))


def _plane(field: Plane, rows: slice, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows of a field that may be one row or one column only, (rows, W) float32."""
    part = field[rows] if field.shape[0] == shape[0] else field
    return np.ascontiguousarray(np.broadcast_to(part, (rows.stop - rows.start, shape[1])), np.float32)


def _turn(hue: Plane | float, origin: float) -> Plane:
    return (np.asarray(hue, np.float32) - origin + 180) % 360 - 180


def _spline(places: Plane) -> tuple[NDArray[np.int64], Plane]:
    """The lattice lines that these places touch, and the (N, lines) weights of a uniform cubic B-spline."""
    first = np.floor(places).astype(np.int64)
    part = (places - first).astype(np.float32)
    start = int(first.min()) - 1
    count = int(first.max()) + 3 - start
    weights = np.zeros((len(places), count), np.float32)
    rows = np.arange(len(places))
    inverse = 1 - part
    taps = (
        inverse**3 / 6,
        (3 * part**3 - 6 * part**2 + 4) / 6,
        (3 * inverse**3 - 6 * inverse**2 + 4) / 6,
        part**3 / 6,
    )
    for offset, tap in enumerate(taps):
        weights[rows, first - 1 + offset - start] = tap
    return (start + np.arange(count)) % _LATTICE, weights
