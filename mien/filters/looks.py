"""Looks: what changes the photo as a whole. Retouching comes before anything is put on it, colour and grain at the end."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.colour import linear_to_srgb, srgb_to_linear
from mien.filters.effects.head import Head

Image = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.floating[Any]]

Painter: TypeAlias = Callable[[Image, Sequence[Head], int], Image]
"""Gives a new (H, W, 3) uint8 picture, of the picture, its heads and a seed for grain."""


@dataclass(frozen=True)
class Look:
    """One way a photo can look. is_retouch: works on the photo itself, before effects and background."""

    name: str
    summary: str
    paint: Painter
    is_retouch: bool


LOOKS: dict[str, Look] = {}
"""All looks, in the order in which help shows them."""

_SMOOTH_REACH, _SMOOTH_EDGE, _TEXTURE = 0.10, 0.055, 0.30
_SKIN_SPREAD = 16.0
_DARK, _LIFTED, _MOST_LIFT = 0.30, 0.42, 0.52
_ILLUMINATION_SIDE = 320


def find_look(name: str) -> Look:
    """The look of a name, whatever its case. Raises `InputError` for another one."""
    word = name.strip().lower()
    if word in LOOKS:
        return LOOKS[word]
    near = difflib.get_close_matches(word, LOOKS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"look {name!r}: expected one of {', '.join(LOOKS)}{hint}")


def _register(name: str, summary: str, *, is_retouch: bool = False) -> Callable[[Painter], Painter]:
    def add(paint: Painter) -> Painter:
        LOOKS[name] = Look(name, summary, paint, is_retouch)
        return paint

    return add


def guided_filter(guide: Plane, picture: Plane, radius: int, edge: float) -> Plane:
    """A picture, (H, W) or (H, W, C), smoothed but for the edges of its guide, (H, W), all float32.

    He, Sun, Tang: "Guided image filtering", ECCV 2010, equations 5, 6 and 8; ``edge`` is the square root of their epsilon:
    changes smaller than it are smoothed away.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT), np.float32)

    shape = (*guide.shape, 1) if picture.ndim == 3 else guide.shape
    mean_guide = mean(guide)
    spread = mean(guide * guide) - mean_guide * mean_guide + edge * edge
    own, middle = guide.reshape(shape), mean_guide.reshape(shape)
    mean_picture = mean(picture)
    slope = (mean(own * picture) - middle * mean_picture) / spread.reshape(shape)
    return np.asarray(mean(slope) * own + mean(mean_picture - slope * middle), np.float32)


@_register("smooth", "skin smoothed, with its pores, eyes, brows and mouth kept", is_retouch=True)
def smooth(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """Blemishes go, edges stay: a guided filter in the face, only where the colour is that face's own skin."""
    done = image.copy()
    for head in heads:
        reach = 1.5 * head.unit * max(head.half_width, head.chin - 0.5)
        centre = head.place((0, 0.55, 0.2))
        left, top = np.maximum(np.floor(centre - reach), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(centre + reach), image.shape[1::-1]).astype(int).tolist()
        if right - left < 8 or bottom - top < 8:
            continue
        part = done[top:bottom, left:right]
        weight = _skin(part, head, (left, top))
        colours = part.astype(np.float32) / 255
        grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
        base = guided_filter(grey, colours, max(2, round(_SMOOTH_REACH * head.unit)), _SMOOTH_EDGE)
        fine = colours - cv2.GaussianBlur(colours, (0, 0), max(0.6, 0.018 * head.unit))
        even = base + _TEXTURE * fine
        part[:] = np.clip((colours + weight[..., None] * (even - colours)) * 255 + 0.5, 0, 255).astype(np.uint8)
    return done


def _skin(part: Image, head: Head, corner: tuple[int, int]) -> Plane:
    """(h, w) in [0, 1]: skin of this face, in its oval, like its cheeks in colour, away from eyes, brows and mouth."""
    height, width = part.shape[:2]
    inverse = np.linalg.inv(head.axes[:, :2])
    x, y = np.meshgrid(np.arange(width) + 0.5 + corner[0], np.arange(height) + 0.5 + corner[1])
    u, v = np.einsum("ij,jhw->ihw", inverse, np.stack([x, y]) - head.points["eyes"][:, None, None])
    oval = np.hypot(u / (1.12 * head.half_width), (v - 0.42) / 1.50)
    weight = np.clip((1.06 - oval) / 0.22, 0, 1)
    lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB).astype(np.float32)
    cheeks = (np.abs(np.abs(u) - 0.52) < 0.16) & (np.abs(v - 0.58) < 0.16)
    if cheeks.sum() >= 6:
        tone = np.median(lab[cheeks], axis=0)
        away = np.hypot(lab[..., 1] - tone[1], lab[..., 2] - tone[2]) + 0.22 * np.abs(lab[..., 0] - tone[0])
        weight *= np.exp(-((away / _SKIN_SPREAD) ** 2))
    for side in (-1, 1):
        weight *= np.clip(np.hypot((u - side * 0.5) / 0.40, (v + 0.12) / 0.30) - 0.55, 0, 0.45) / 0.45
    mouth = inverse @ (head.points["mouth"] - head.points["eyes"])
    weight *= np.clip(np.hypot((u - mouth[0]) / 0.62, (v - mouth[1]) / 0.32) - 0.6, 0, 0.4) / 0.4
    return np.asarray(cv2.GaussianBlur(weight.astype(np.float32), (0, 0), max(0.6, 0.04 * head.unit)), np.float32)


@_register("lift", "dark photos lifted out of the shadows; bright ones stay", is_retouch=True)
def lift(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """Local brightening by an illumination map that keeps edges, as in LIME (Guo, Li, Ling: TIP 2017, equation 2).

    How much is decided by the faces, or by the whole picture without any; highlights are left as they are.
    """
    linear_like = image.max(axis=2)
    level = float(np.mean([_face_level(linear_like, head) for head in heads])) if heads else float(linear_like.mean()) / 255
    if level >= _DARK + 0.12 or level <= 0:
        return image.copy()
    strength = float(np.clip((_DARK + 0.12 - level) / 0.12, 0, 1))
    power = max(_MOST_LIFT, float(np.log(_LIFTED) / np.log(max(level, 0.02))))
    height, width = linear_like.shape
    ratio = min(1.0, _ILLUMINATION_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(linear_like, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    light = guided_filter(small, small, max(2, round(0.06 * max(size))), 0.1)
    light = np.clip(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR), 0.02, 1)
    gain = (1 + strength * (light ** (power - 1) - 1))[..., None]
    colours = image.astype(np.float32) / 255
    # A shoulder instead of clipping where a bright spot lies in a dark place.
    bright = colours * gain
    bright = np.where(bright > 0.8, 0.8 + 0.2 * np.tanh((bright - 0.8) / 0.2), bright)
    noise = cv2.bilateralFilter(bright.astype(np.float32), 5, 0.06 * strength + 0.001, 2)
    return np.clip(noise * 255 + 0.5, 0, 255).astype(np.uint8)


def _face_level(bright: Image, head: Head) -> float:
    x1, y1, x2, y2 = np.clip(head.box, 0, None).astype(int)
    part = bright[y1:y2, x1:x2]
    return float(part.mean()) / 255 if part.size else 0.5


def _curve(*knots: tuple[float, float]) -> NDArray[np.float64]:
    """(256,) tone curve in [0, 1], smooth and never falling, through these points.

    Monotone cubic interpolation (Fritsch and Carlson 1980).
    """
    x, y = np.array(knots).T
    slopes = np.diff(y) / np.diff(x)
    middle = np.where(slopes[:-1] * slopes[1:] > 0, 2 * slopes[:-1] * slopes[1:] / (slopes[:-1] + slopes[1:] + 1e-12), 0)
    tangents = np.concatenate([[slopes[0]], middle, [slopes[-1]]])
    at = np.arange(256) / 255
    row = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(x) - 2)
    step = x[row + 1] - x[row]
    t = (at - x[row]) / step
    return (
        (2 * t**3 - 3 * t**2 + 1) * y[row]
        + (t**3 - 2 * t**2 + t) * step * tangents[row]
        + (3 * t**2 - 2 * t**3) * y[row + 1]
        + (t**3 - t**2) * step * tangents[row + 1]
    )


def _toned(image: Image, curves: Sequence[NDArray[np.float64]], saturation: float) -> Image:
    """Red, green and blue through a curve each, after colours were made stronger (over 1) or weaker."""
    table = np.clip(np.stack(curves, axis=1) * 255 + 0.5, 0, 255).astype(np.uint8)[None]
    grey = np.array([0.2126, 0.7152, 0.0722])
    mix = saturation * np.eye(3) + (1 - saturation) * grey[None]
    return np.asarray(cv2.LUT(cv2.transform(image, mix), table), np.uint8)


def _balanced(gains: tuple[float, float, float], tone: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A curve for each channel: gains in linear light, as a change of the lamp, then the tone curve."""
    linear = srgb_to_linear((np.arange(256) / 255).astype(np.float32))
    return [np.interp(linear_to_srgb(linear * gain), np.arange(256) / 255, tone) for gain in gains]


@lru_cache(maxsize=4)
def _vignette(width: int, height: int, depth: float) -> Plane:
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    away = np.sqrt((x**2)[None] * 0.55 + (y**2)[:, None] * 0.55)
    return np.asarray(1 - depth * np.clip((away - 0.45) / 0.6, 0, 1) ** 2, np.float32)


def _grained(image: Image, seed: int, strength: float, vignette: float) -> Image:
    """Film grain: strongest in the middle tones, as large in a big picture as in a small one; darker corners."""
    height, width = image.shape[:2]
    zoom = max(1.0, max(height, width) / 1100)
    size = (max(1, round(width / zoom)), max(1, round(height / zoom)))
    random = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(random.standard_normal(size[::-1], np.float32), (0, 0), 0.55)
    noise = cv2.resize(noise * strength, (width, height), interpolation=cv2.INTER_CUBIC)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    noise *= 0.35 + 2.6 * grey * (1 - grey)
    plane = _vignette(width, height, vignette)
    return np.clip(image * plane[..., None] + noise[..., None] + 0.5, 0, 255).astype(np.uint8)


@_register("warm", "late sun: golden lights, soft contrast")
def warm(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """A warmer lamp, a gentle curve."""
    tone = _curve((0, 0.012), (0.25, 0.235), (0.5, 0.515), (0.75, 0.785), (1, 0.995))
    return _toned(image, _balanced((1.10, 1.0, 0.80), tone), 1.06)


@_register("cool", "clear morning: blue shades, crisp contrast")
def cool(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """A cooler lamp, a steeper curve."""
    tone = _curve((0, 0.0), (0.25, 0.225), (0.5, 0.51), (0.75, 0.79), (1, 1))
    return _toned(image, _balanced((0.88, 1.0, 1.14), tone), 0.97)


@_register("film", "colour negative: lifted blacks, split tones, grain, dark corners")
def film(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """Teal shadows and amber lights."""
    red = _curve((0, 0.045), (0.25, 0.225), (0.5, 0.515), (0.75, 0.80), (1, 0.975))
    green = _curve((0, 0.052), (0.25, 0.24), (0.5, 0.505), (0.75, 0.77), (1, 0.96))
    blue = _curve((0, 0.075), (0.25, 0.265), (0.5, 0.49), (0.75, 0.715), (1, 0.89))
    return _grained(_toned(image, [red, green, blue], 0.90), seed, 8.5, 0.24)


@_register("mono", "black and white film: deep blacks, grain, dark corners")
def mono(image: Image, heads: Sequence[Head], seed: int) -> Image:
    """Silver on a barely warm paper."""
    tone = _curve((0, 0.02), (0.22, 0.16), (0.5, 0.52), (0.78, 0.85), (1, 0.985))
    return _grained(_toned(image, [tone, tone * 0.992, tone * 0.972], 0.0), seed, 9.5, 0.26)
