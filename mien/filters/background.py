"""What can stand behind a person in a picture of the same size: words, plain colours, picture files and folders of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import linear_to_srgb, parse_colour, srgb_to_linear, srgb_to_oklab
from mien.filters.foreground import blend, split_layers
from mien.filters.gallery import best_picture, named_pictures, split_folder
from mien.filters.harmony import Scheme, choose_scheme, named_scheme, outline_colours
from mien.filters.moods import MOODS
from mien.filters.motifs.canvas import Canvas
from mien.filters.motifs.motif import MOTIFS, paint
from mien.filters.palette import Palette
from mien.filters.subject import Subject, find_subject
from mien.filters.words import Reading, colours_of, read_words
from mien.media.read import read
from mien.media.sources import SUFFIXES
from mien.types import Faces

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]
Plane = NDArray[np.float32]

TRANSPARENT = "transparent"
"""The word that asks for no background at all."""

_BOKEH_SIDE, _BOKEH_RADIUS_SHARE = 640, 0.026
_HIGHLIGHT_GAIN = 6.0
_NEAR_PERSON_SHARE = 0.008
_GREY_LEVEL = 0.94
_APART, _APART_REACH, _APART_MOST = 0.22, 0.11, 0.24
_APART_SIDE = 256
_ALIKE = 0.8


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

    @cached_property
    def subject(self) -> Subject | None:
        """The people as one shape; None where there is nobody."""
        return find_subject(self.matte, self.faces)

    @cached_property
    def scheme(self) -> Scheme:
        """Colours that suit the person."""
        return choose_scheme(self.image, self.matte, self.seed)

    @cached_property
    def outline(self) -> Palette:
        """The colours along the person's edge."""
        return outline_colours(self.image, self.matte, self.seed)

    def canvas(self, scheme: Scheme, *, is_named: bool) -> Canvas:
        """An empty picture of the scene's size for motifs to be drawn on."""
        empty = Canvas(self.size_wh, scheme, self.seed, (0, 0, 0))
        if self.subject is None:
            head = (empty.width / 2, 0.42 * empty.height, 0.18)
        else:
            x, y, radius = self.subject.head_light
            head = (x / empty.unit, y / empty.unit, min(max(radius / empty.unit, 0.05), 0.6))
        return replace(empty, head=head, is_named=is_named)


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
    """The background that a text asks for; the first of these that fits:

    a word of `BACKGROUNDS`; a colour (CSS name or #hex); a folder of pictures, ``FOLDER`` or ``FOLDER:WORDS``; the path of a
    picture; a description in words (`mien.filters.words.read_words`), such as "rainbow, texture" or "blue marble".

    Raises `InputError` with the nearest known words when it is none of them, or when a picture cannot be read.
    """
    word = text.strip().lower()
    near = [word] if word in BACKGROUNDS else get_close_matches(word, ("blur", "desaturate"), 1, _ALIKE)
    if near:
        return BACKGROUNDS[near[0]]
    colour = parse_colour(text)
    if colour is not None:
        return _solid(colour)
    found = split_folder(text.strip())
    if found is not None:
        return _gallery(named_pictures(*found))
    path = Path(text).expanduser()
    if path.suffix.lower() in SUFFIXES or len(path.parts) > 1 or path.is_file():
        return _file(path)
    return _Description(read_words(text))


def notes_on(text: str) -> list[str]:
    """What a person should know of how their words for a background were understood: a line a guess, a line a word left out.

    Empty for anything but a description in words. Raises what `parse_background` raises.
    """
    if text.strip().lower() == TRANSPARENT:
        return []
    background = parse_background(text)
    return list(background.reading.notes()) if isinstance(background, _Description) else []


@dataclass(frozen=True)
class _Description:
    """A background drawn from words, in the person's colours unless some were named."""

    reading: Reading

    def __call__(self, scene: Scene) -> Image:
        reading = self.reading
        is_named = bool(reading.colours)
        scheme = named_scheme(colours_of(reading), scene.image, scene.matte, scene.seed) if is_named else scene.scheme
        picture = paint(reading.motifs or ("gradient",), scene.canvas(scheme, is_named=is_named))
        for mood in reading.moods:
            picture = MOODS[mood].change(picture)
        return keep_apart(picture, scene)


def keep_apart(picture: Image, scene: Scene) -> Image:
    """The picture a little lighter or darker round the people where it comes too near the lightness of their outline.

    picture: (H, W, 3) uint8 of the scene's size. Lightness is OKLab's; it changes by at most a quarter, softly.
    """
    if scene.subject is None or not len(scene.outline):
        return picture
    ratio = min(1.0, _APART_SIDE / max(scene.size_wh))
    size = (max(1, round(scene.size_wh[0] * ratio)), max(1, round(scene.size_wh[1] * ratio)))
    near = cv2.GaussianBlur(cv2.resize(scene.matte, size, interpolation=cv2.INTER_AREA), (0, 0), _APART_REACH * max(size))
    ring = near * (1 - cv2.resize(scene.matte, size, interpolation=cv2.INTER_AREA))
    if ring.sum() < 1:
        return picture
    behind = srgb_to_oklab(cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255)[..., 0]
    level = float((behind * ring).sum() / ring.sum())
    gap = level - float(scene.outline.colours[:, 0] @ scene.outline.shares)
    lacking = max(0.0, _APART - abs(gap)) * (1 if gap >= 0 else -1)
    if not lacking:
        return picture
    gain = np.clip(1 + 1.6 * lacking * np.minimum(1.6 * near, 1) / max(level, 0.25), 1 - _APART_MOST, 1 + _APART_MOST)
    wide = cv2.resize(gain.astype(np.float32), scene.size_wh, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(picture, cv2.merge([wide, wide, wide]), dtype=cv2.CV_8U), np.uint8)


def _gallery(paths: list[Path]) -> Background:
    def from_folder(scene: Scene) -> Image:
        return _file(best_picture(paths, scene.scheme, scene.outline, scene.seed))(scene)

    return from_folder


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


BACKGROUNDS.update({word: _Description(Reading((word,))) for word in MOTIFS})
