"""What can stand behind a person in a picture of the same size: a registry of words, plain colours, and picture files."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.colour import linear_to_srgb, nearest_colour_names, parse_colour, srgb_to_linear
from mien.filters.foreground import blend, split_layers
from mien.filters.gradient import add_grain, portrait_gradient
from mien.filters.harmony import choose_scheme
from mien.filters.subject import find_subject
from mien.media.read import read
from mien.types import Faces

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]
Plane = NDArray[np.float32]

TRANSPARENT = "transparent"
"""The word that asks for no background at all."""

_BOKEH_SIDE, _BOKEH_RADIUS_SHARE = 640, 0.026
_HIGHLIGHT_GAIN = 6.0
_NEAR_PERSON_SHARE = 0.008
_GRADIENT_SIDE = 1600
_GREY_LEVEL = 0.94


@dataclass(frozen=True, eq=False)
class Scene:
    """What a background may be made from.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1], tidy. faces: in pixels of the image, or None.
    seed: decides what is drawn by chance.
    """

    image: Image
    matte: Plane
    faces: Faces | None
    seed: int

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[0]

    @cached_property
    def layers(self) -> tuple[Image, Image]:
        """The person and what was behind, each with its own colours at the edge (`mien.filters.foreground`)."""
        return split_layers(self.image, self.matte)


Background: TypeAlias = Callable[[Scene], Image]
"""Makes the (H, W, 3) uint8 picture that comes behind the person; it never changes the scene."""

BACKGROUNDS: dict[str, Background] = {}
"""Every background that has a word of its own."""


def register(word: str) -> Callable[[Background], Background]:
    """Put a background into `BACKGROUNDS` under ``word``."""

    def add(background: Background) -> Background:
        BACKGROUNDS[word] = background
        return background

    return add


def replace_background(scene: Scene, background: Background) -> Image:
    """The scene's person before another background, (H, W, 3) uint8."""
    return blend(scene.layers[0], background(scene), scene.matte)


def parse_background(text: str) -> Background:
    """The background that a word of `BACKGROUNDS`, a colour (CSS name or #hex) or the path of a picture asks for.

    Raises `InputError` with the nearest known words when it is none of them, or when the picture cannot be read.
    """
    word = text.strip().lower()
    if word in BACKGROUNDS:
        return BACKGROUNDS[word]
    colour = parse_colour(text)
    if colour is not None:
        return _solid(colour)
    path = Path(text).expanduser()
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return _file(path)
    words = [TRANSPARENT, *BACKGROUNDS]
    near = difflib.get_close_matches(word, words, 2) + nearest_colour_names(word, 2)
    hint = f"; did you mean {' or '.join(near[:3])}?" if near else ""
    known = ", ".join(words)
    raise InputError(f"background {text!r}: expected {known}, a colour (name or #rrggbb) or a picture file{hint}")


def _solid(colour: NDArray[np.uint8]) -> Background:
    def solid(scene: Scene) -> Image:
        return np.broadcast_to(colour, scene.image.shape).copy()

    return solid


@lru_cache(maxsize=1)
def _picture(path: Path, changed_ns: int) -> Image:
    """The last picture file that was read, kept for the next frame; ``changed_ns`` makes a changed file a new one."""
    return read(path).image


def _file(path: Path) -> Background:
    picture = _picture(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def from_file(scene: Scene) -> Image:
        return cover_fit(picture, scene.size_wh)

    return from_file


def cover_fit(picture: Image, size_wh: tuple[int, int]) -> Image:
    """The middle of a picture, scaled to fill a size without stretching: (H, W, 3) uint8."""
    height, width = picture.shape[:2]
    scale = max(size_wh[0] / width, size_wh[1] / height)
    part_width, part_height = min(width, max(1, round(size_wh[0] / scale))), min(height, max(1, round(size_wh[1] / scale)))
    x, y = (width - part_width) // 2, (height - part_height) // 2
    part = picture[y : y + part_height, x : x + part_width]
    return np.asarray(cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8)


@register("blur")
def blurred(scene: Scene) -> Image:
    """The picture's own background as a wide-open lens shows it: disc-shaped blur of linear light, bright spots kept bright.

    The person is first replaced by the colours around them, so that nothing of them glows at their edge.
    """
    side = max(scene.size_wh)
    ratio = min(1.0, _BOKEH_SIDE / side)
    size = (max(1, round(scene.size_wh[0] * ratio)), max(1, round(scene.size_wh[1] * ratio)))
    small = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    matte = cv2.resize(scene.matte, size, interpolation=cv2.INTER_AREA)
    reach = 2 * round(_NEAR_PERSON_SHARE * max(size)) + 1
    free = (cv2.dilate(matte, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) < 0.05).astype(np.float32)
    light = fill_holes(srgb_to_linear(small), free)
    bright = 1 + _HIGHLIGHT_GAIN * light.mean(axis=2) ** 3
    disc = _disc(max(1.0, _BOKEH_RADIUS_SHARE * max(size)))
    mass = cv2.filter2D(bright, -1, disc, borderType=cv2.BORDER_REFLECT)
    light = cv2.filter2D(light * bright[..., None], -1, disc, borderType=cv2.BORDER_REFLECT) / mass[..., None]
    soft = np.clip(linear_to_srgb(light) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(soft, scene.size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)


@register("desaturate")
def desaturated(scene: Scene) -> Image:
    """The picture's own background in grey, a little darker, so that only the person has colour."""
    grey = cv2.convertScaleAbs(cv2.cvtColor(scene.layers[1], cv2.COLOR_RGB2GRAY), alpha=_GREY_LEVEL)
    return np.asarray(cv2.merge([grey, grey, grey]), np.uint8)


@register("gradient")
def gradient(scene: Scene) -> Image:
    """A soft gradient in colours that suit the person, as behind the poster's panel."""
    width, height = scene.size_wh
    ratio = min(1.0, _GRADIENT_SIDE / max(width, height))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    subject = find_subject(scene.matte, scene.faces)
    head = (width / 2, height / 2, min(width, height) / 4) if subject is None else subject.head_light
    placed = (head[0] * ratio, head[1] * ratio, head[2] * ratio)
    colours = portrait_gradient(size, choose_scheme(scene.image, scene.matte, scene.seed), placed)
    return np.asarray(cv2.resize(add_grain(colours, scene.seed), scene.size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def fill_holes(picture: Picture, weight: Plane) -> Picture:
    """Colours carried smoothly into where the weight is 0, (H, W, C) float32; all 0 when there is nothing to carry.

    Pull-push over an image pyramid (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4).
    """
    height, width = weight.shape
    if max(height, width) == 1 or weight.min() > 0:
        return picture
    size = (max(1, width // 2), max(1, height // 2))
    mass = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(picture * weight[..., None], size, interpolation=cv2.INTER_AREA)
    coarse = fill_holes(sums / np.maximum(mass, 1e-6)[..., None], np.minimum(mass * 4, 1))
    grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown + (picture - grown) * weight[..., None], np.float32)


def _disc(radius: float) -> Plane:
    reach = int(np.ceil(radius))
    axis = np.arange(-reach, reach + 1)
    cover = np.clip(radius + 0.5 - np.hypot(axis[:, None], axis[None]), 0, 1)
    return np.asarray(cover / cover.sum(), np.float32)
