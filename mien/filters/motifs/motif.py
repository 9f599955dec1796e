"""The registry of motifs, and how several of them make one picture.

Motifs lie on each other in the order of `LAYERS`: a ground fills the picture, land stands in its lower part, things are
scattered over both, and a surface gives all of it its relief. Where no ground was asked for, the rearmost motif brings
its own; a motif of the night makes it night.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.gradient import add_grain
from mien.filters.motifs.canvas import Canvas, Picture, mixed, smoothstep

LAYERS = ("ground", "land", "scatter", "surface")
"""From the back to the front."""

SOFT, FINE, SHARP = 960, 1152, 1920
"""The longest side in pixels that a motif is drawn at; a larger picture is enlarged from it. By how fine its details are."""

_LEAST_SIDE = 360
_SEAM_SOFTNESS = 0.34

Draw: TypeAlias = Callable[[Canvas, Picture], Picture]
"""Makes (H, W, 3) float32 sRGB in [0, 1] from the canvas and the picture below, which it leaves as it is."""


@dataclass(frozen=True)
class Motif:
    """One generator. layer: of `LAYERS`. ground: the motifs that it lies on, a ground first. longest: see `SOFT`."""

    word: str
    draw: Draw
    layer: str
    ground: tuple[str, ...]
    longest: int


MOTIFS: dict[str, Motif] = {}
"""Every generator by its word."""


def register(
    word: str, *, layer: str = "ground", ground: tuple[str, ...] = ("gradient",), longest: int = SOFT
) -> Callable[[Draw], Draw]:
    """Put a generator into `MOTIFS` under ``word``; see `Motif`."""

    def add(draw: Draw) -> Draw:
        MOTIFS[word] = Motif(word, draw, layer, ground, longest)
        return draw

    return add


def paint(words: Sequence[str], canvas: Canvas) -> NDArray[np.uint8]:
    """The picture of one or more words of `MOTIFS`, (H, W, 3) uint8 of the canvas's size.

    Grounds melt into each other along a soft slanting seam, the first at the top; the rest follows `LAYERS`.
    """
    chosen = sorted({word: MOTIFS[word] for word in words}.values(), key=_depth)
    own = next((motif.ground for motif in chosen if "night" in motif.ground), chosen[0].ground)
    brought = [] if chosen[0].layer == "ground" else [MOTIFS[word] for word in own if MOTIFS[word] not in chosen]
    chosen = sorted([*brought, *chosen], key=_depth)
    side = max(canvas.size_wh)
    drawn = min(max(side, _LEAST_SIDE), max(motif.longest for motif in chosen))
    size = tuple(max(1, round(length * drawn / side)) for length in canvas.size_wh)
    place = replace(canvas, size_wh=(size[0], size[1]), has_land=any(motif.layer == "land" for motif in chosen))
    grounds = [motif for motif in chosen if motif.layer == "ground"]
    picture = np.zeros((*place.shape, 3), np.float32)
    for number, motif in enumerate(grounds):
        drawing = motif.draw(place, picture)
        picture = mixed(picture, drawing, _seam(place, number, len(grounds))) if number else drawing
    asked = 0 if brought else len(grounds)
    for motif in chosen[len(grounds) :]:
        picture = motif.draw(replace(place, is_overlay=asked > 0), picture)
        asked += motif not in brought
    how = cv2.INTER_AREA if drawn > side else cv2.INTER_CUBIC
    if drawn != side:
        picture = cv2.resize(picture, canvas.size_wh, interpolation=how)
    return add_grain(np.asarray(picture * 255, np.float32), canvas.seed, 0.6)


def _seam(canvas: Canvas, number: int, count: int) -> Picture:
    """How much of ground ``number`` is seen, (H, W): it begins ``number / count`` of the way down, on a wandering slant."""
    down = canvas.y / canvas.height + 0.22 * canvas.light_side * (canvas.x / canvas.width - 0.5)
    down = down + 0.06 * canvas.noise("seam", 1.6)
    middle = number / count
    return smoothstep(middle - _SEAM_SOFTNESS / 2, middle + _SEAM_SOFTNESS / 2, down)


def _depth(motif: Motif) -> int:
    return LAYERS.index(motif.layer)
