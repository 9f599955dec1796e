"""A wall of flowers: blossoms drawn petal by petal as heights and tones, then laid over each other by the hundred."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, ramp, scaled, shifted, smoothstep
from mien.filters.motifs.motif import FINE, register
from mien.filters.motifs.sprites import scatter_evenly, stamp, stamp_shade

_SIDE = 160
_KINDS = 6
_BLOSSOMS_IN_UNIT = 115
_LEAVES_IN_UNIT = 45


@register("flowers", layer="scatter", ground=("dusk",), longest=FINE)
def flowers(canvas: Canvas, below: Picture) -> Picture:
    """A wall of blossoms and leaves in the scheme's colours; over another motif, garlands along the borders."""
    scheme, random = canvas.scheme, canvas.random("wall")
    base, accent = scheme.base, scheme.accent
    tones = [
        shifted(base, 0.80 - base[0], 0.85),
        shifted(accent, 0.78 - accent[0], 1.0),
        shifted(base, 0.92 - base[0], 0.35),
        shifted(accent, 0.88 - accent[0], 0.55),
        shifted(base, 0.66 - base[0], 1.1),
    ]
    leaf = canvas.natural(((0.0, (0.40, 0.075, 145.0)), (1.0, (0.56, 0.085, 135.0))))
    picture = _bytes(below)
    area = canvas.width * canvas.height
    greens = [tuple(a + (b - a) * share for a, b in zip(leaf[0][1], leaf[1][1], strict=True)) for share in (0.0, 0.5, 1.0)]
    leaves = [[_dyed(_leaf(kind), (tone[0], tone[1], tone[2])) for tone in greens] for kind in range(3)]
    for x, y in (
        scatter_evenly(canvas.random("leaves"), int(_LEAVES_IN_UNIT * area) + 4, canvas.width + 0.2, canvas.height + 0.2)
        - 0.1
    ):
        size, turn, kind = random.uniform(0.12, 0.20), random.uniform(0, 360), int(random.integers(3))
        green = int(random.integers(3))
        if canvas.is_overlay and not _is_garland(canvas, x, y, 0.02):
            continue
        stamp(picture, leaves[kind][green], (x * canvas.unit, y * canvas.unit), size * canvas.unit, turn)
    dyed = [[_dyed(_blossom(kind), tone) for tone in tones] for kind in range(_KINDS)]
    places = (
        scatter_evenly(canvas.random("blossoms"), int(_BLOSSOMS_IN_UNIT * area) + 4, canvas.width + 0.2, canvas.height + 0.2)
        - 0.1
    )
    places += random.normal(0, 0.022, places.shape)
    sizes = np.sort(random.uniform(0, 1, len(places)) ** 1.4)[::-1]
    shade = _shade()
    for (x, y), share in zip(places, sizes, strict=True):
        kind, tone, turn = (
            int(random.integers(_KINDS)),
            int(random.choice(5, p=(0.28, 0.2, 0.24, 0.16, 0.12))),
            random.uniform(0, 360),
        )
        if canvas.is_overlay and not _is_garland(canvas, x, y, 0.0):
            continue
        size = (0.095 + 0.115 * share) * canvas.unit
        at = (x * canvas.unit, y * canvas.unit)
        drop = (at[0] - 0.05 * size * canvas.light_side, at[1] + 0.07 * size)
        stamp_shade(picture, shade, drop, 1.22 * size)
        stamp(picture, dyed[kind][tone], at, size, turn)
    finished = picture.astype(np.float32)
    finished *= np.float32(1 / 255)
    if canvas.is_overlay:
        return finished
    away = canvas.away(canvas.head[0], canvas.head[1]) / np.float32(max(canvas.width, canvas.height))
    return scaled(finished, 1.04 - 0.30 * smoothstep(0.25, 0.95, away))


def _is_garland(canvas: Canvas, x: float, y: float, slack: float) -> bool:
    """Whether a place is in the flowers' border: the lower corners, less along the sides, little at the top."""
    side = min(x, canvas.width - x) / canvas.width
    down = y / canvas.height
    return bool(
        side < 0.05 + slack + 0.17 * max(0.0, down - 0.35) ** 1.2
        or down > 0.95 - slack
        or (down < 0.05 + slack and side < 0.3)
    )


def _dyed(shape: tuple[Plane, Plane, Plane], tone: tuple[float, float, float]) -> NDArray[np.uint8]:
    """A sprite of one colour, as `stamp` takes it: dark in its depths, pale at its rims, with golden stamens."""
    level, alpha, centre = shape
    level_of, chroma, hue = tone
    stops = [
        (0.0, (max(0.12, level_of - 0.42), chroma * 1.15, hue - 8)),
        (0.5, (level_of - 0.10, chroma * 1.12, hue - 3)),
        (0.8, (level_of, chroma, hue)),
        (1.0, (min(0.98, level_of + 0.09), chroma * 0.6, hue + 4)),
    ]
    picture = ramp(level, stops)
    if centre.any():
        picture = mixed(picture, ramp(level, [(0.0, (0.45, 0.09, 60.0)), (1.0, (0.90, 0.12, 92.0))]), centre)
    return _bytes(np.dstack([picture * alpha[..., None], alpha]))


def _bytes(picture: Picture) -> NDArray[np.uint8]:
    """[0, 1] as 0 to 255, rounded."""
    return np.asarray(cv2.convertScaleAbs(picture, alpha=255), np.uint8)


@lru_cache(maxsize=_KINDS)
def _blossom(kind: int) -> tuple[Plane, Plane, Plane]:
    """One flower seen from the front, (S, S) each: tone in [0, 1], coverage, and where its stamens are."""
    random = np.random.default_rng([kind, 31])
    y, x = (np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) + 0.5) / _SIDE * 2 - 1
    away, angle = np.hypot(x, y), np.arctan2(y, x)
    level, alpha = np.zeros_like(x), np.zeros_like(x)
    rings, petals, shape = ((4, 9, 0.8), (5, 7, 0.65), (2, 6, 0.9), (6, 11, 0.6), (1, 5, 0.75), (3, 13, 1.2))[kind]
    for ring in range(rings):
        outer = 0.97 * (1 - ring / (rings + 0.55)) ** 0.9
        start = random.uniform(0, 6.28)
        for petal in random.permutation(petals):
            middle = start + 2 * np.pi * petal / petals + random.uniform(-0.06, 0.06)
            wide = 1.32 * np.pi / petals
            reach = outer * random.uniform(0.93, 1.03)
            part = _sector(middle, wide, reach)
            turn = (angle[part] - np.float32(middle) + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
            far = away[part]
            tip = reach * np.clip(1 - (np.abs(turn) / wide) ** (2.6 * shape), 0, 1) ** (0.42 * shape)
            cover = np.clip((tip - far) * _SIDE / 3.2 + 0.5, 0, 1)
            along = np.clip(far / np.maximum(tip, 1e-3), 0, 1)
            fold = 0.5 + 0.5 * np.cos(np.clip(turn / wide, -1, 1) * np.pi)
            lines = 0.05 * np.sin(turn * 34 + petal) * along
            tone = (
                0.16
                + 0.60 * along**1.3
                + 0.13 * fold
                + lines
                + 0.14 * smoothstep(0.86, 1.0, along)
                - 0.10 * (turn > 0) * (1 - fold)
            )
            shadow = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 4.5, borderType=cv2.BORDER_CONSTANT)
            level[part] *= 1 - 0.34 * shadow * (1 - cover)
            level[part] += (tone - level[part]) * cover
            alpha[part] = np.maximum(alpha[part], cover)
    heart = 0.17 if rings <= 3 else 0.0
    dots = np.sin(x * 58 + 2 * np.sin(y * 30)) * np.sin(y * 61 + 2 * np.sin(x * 27))
    centre = smoothstep(heart + 0.03, heart - 0.03, away) if heart else np.zeros_like(x)
    level = np.where(centre > 0.3, 0.45 + 0.45 * dots, level)
    return np.clip(level, 0, 1).astype(np.float32), alpha.astype(np.float32), np.asarray(centre, np.float32)


def _sector(middle: float, wide: float, reach: float) -> tuple[slice, slice]:
    """The rows and columns of a sprite that a petal and its shadow touch; ``middle`` and ``wide`` in radians."""
    angles = middle + np.linspace(-min(wide, np.pi), min(wide, np.pi), 33)
    across, down = np.append(reach * np.cos(angles), 0), np.append(reach * np.sin(angles), 0)
    first, last = (
        [int(np.clip((limit + 1) / 2 * _SIDE + slack, 0, _SIDE)) for limit in limits]
        for limits, slack in (((across.min(), down.min()), -15), ((across.max(), down.max()), 16))
    )
    return slice(first[1], last[1]), slice(first[0], last[0])


@lru_cache(maxsize=3)
def _leaf(kind: int) -> tuple[Plane, Plane, Plane]:
    """One leaf, pointing right; see `_blossom`."""
    y, x = (np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) + 0.5) / _SIDE * 2 - 1
    along = np.clip((x + 1) / 2, 0, 1)
    bent = y - (0.10 + 0.06 * kind) * np.sin(np.pi * along)
    half = (0.26 + 0.05 * kind) * np.sin(np.pi * along**0.8) ** 0.9
    alpha = np.clip((half - np.abs(bent)) * _SIDE / 3, 0, 1)
    veins = np.abs(np.sin((along * 9 - np.abs(bent) * 5) * np.pi)) ** 0.4
    level = 0.40 + 0.22 * (bent < 0) + 0.16 * veins + 0.30 * np.exp(-np.abs(bent) / 0.014)
    return np.clip(level, 0, 1).astype(np.float32), alpha.astype(np.float32), np.zeros_like(x)


@lru_cache(maxsize=1)
def _shade() -> NDArray[np.uint8]:
    """(64, 64): what the soft shadow of a blossom leaves of the light, 255 for all."""
    y, x = (np.mgrid[0:64, 0:64].astype(np.float32) + 0.5) / 32 - 1
    return _bytes(1 - np.float32(0.5) * smoothstep(1.0, 0.45, np.hypot(x, y)))
