"""Colours of a background that suit a person: bound to what they wear by a harmony rule, and apart from their outline."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import difference, into_gamut, oklab_to_oklch, oklch_to_oklab, srgb_to_oklab
from mien.filters.light import Light, find_light
from mien.filters.palette import Palette, dominant_colours

Plane = NDArray[np.float32]

HARMONY_RULES = {
    "complementary": (180.0,),
    "split": (150.0, 210.0),
    "analogous": (35.0, -35.0),
    "triad": (120.0, 240.0),
    "monochrome": (0.0,),
}
"""Hue angles from a colour of the person to the background, in degrees."""

_RULE_WORTH = {"complementary": 0.10, "split": 0.09, "analogous": 0.05, "triad": 0.03, "monochrome": 0.04}
_GREY_CHROMA = 0.035
_GREY_HUES = (35.0, 75.0, 195.0, 255.0, 300.0)
_LEVELS = ((0.40, 0.085), (0.52, 0.11), (0.64, 0.12), (0.75, 0.105), (0.84, 0.075))
_ENOUGH_CONTRAST = 0.27
_WORK_SIDE = 256
_JITTER, _TASTE = 0.04, 0.07
_FIRST_TASTE, _GOLDEN_ANGLE = 250.0, 137.508
_PURITY_MOST = 0.74
_WARM_SHIFT = 0.014
_NAMED_CHROMA = 0.19


@dataclass(frozen=True, eq=False)
class Scheme:
    """The colours of one poster, each (3,) float32 OKLCH.

    base: the background. glow: behind the head. deep: the lower corners. accent: a neighbouring hue, from one upper corner.
    page: the quiet paper around. border: the frame. shadow: the tint of shadows.
    light: where the person's light comes from, -1 from the picture's left, 1 from its right, 0 from the front.
    """

    base: Plane
    glow: Plane
    deep: Plane
    accent: Plane
    page: Plane
    border: Plane
    shadow: Plane
    light: float = 0.0


def choose_scheme(image: NDArray[np.uint8], matte: Plane, seed: int = 0) -> Scheme:
    """Colours for the person that ``matte`` shows; the same for the same seed, another seed may take another rule.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1]. Each rule of `HARMONY_RULES` is tried from the person's most
    telling colours at several lightnesses; the background that keeps farthest from the outline, with a pleasing hue, wins.
    The colours are then as warm or cool as the light on the person.
    """
    random = np.random.default_rng(seed)
    height, width = matte.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    matte = cv2.resize(matte, size, interpolation=cv2.INTER_AREA)
    light = find_light(image, matte)
    outline = outline_colours(image, matte, seed)
    sources = _telling(dominant_colours(image, matte, 6, seed))
    candidates, worth = _candidates(sources)
    taste = _TASTE * np.cos(np.deg2rad(candidates[:, 2] - _FIRST_TASTE - seed * _GOLDEN_ANGLE))
    worth = worth + taste + random.uniform(0, _JITTER, len(worth))
    score = worth + _contrast(candidates, outline) + _pleasing(candidates)
    base = candidates[int(score.argmax())]
    turn = 1.0 if random.random() < 0.5 else -1.0
    return _around(base, _lightness(outline), float(sources[0, 2]) if len(sources) else None, turn, light)


def named_scheme(colours: NDArray[np.uint8], image: NDArray[np.uint8], matte: Plane, seed: int = 0) -> Scheme:
    """A scheme of colours that were asked for: the first is the base, a second one the accent, (N, 3) uint8 sRGB, N > 0.

    Colours beyond a chroma of 0.19, which glare behind a face, are calmed to it.
    image, matte: as for `choose_scheme`; they give the light and whether the person is lighter than the base.
    """
    wanted = oklab_to_oklch(srgb_to_oklab(np.asarray(colours, np.float32) / np.float32(255)))
    random = np.random.default_rng(seed)
    lightness = _lightness(outline_colours(image, matte, seed))
    wanted[:, 1] = np.minimum(wanted[:, 1], _NAMED_CHROMA)
    level, chroma, hue = (float(value) for value in wanted[0])
    # Yellow turns to orange, never to the green beside it.
    turn = -1.0 if 55 < hue < 130 or random.random() < 0.5 else 1.0
    scheme = _around(wanted[0], lightness, None, turn, Light(find_light(image, matte).side))
    if len(wanted) > 1:
        return replace(scheme, accent=wanted[1], glow=wanted[2] if len(wanted) > 2 else scheme.glow)
    apart = -0.13 if level > 0.55 else 0.13
    near = np.array([[level + apart, 0.9 * chroma, hue + 24 * turn], [level + 0.10, 0.7 * chroma, hue]], np.float32)
    accent, glow = into_gamut(np.clip(near, 0, np.array([0.99, 1, 720], np.float32)) % np.array([1, 1, 360], np.float32))
    return replace(scheme, accent=accent, glow=glow)


def outline_colours(image: NDArray[np.uint8], matte: Plane, seed: int = 0) -> Palette:
    """The colours along the person's inner edge, against which a background is seen; arguments as for `choose_scheme`."""
    return dominant_colours(image, _outline(matte), 5, seed)


def palette_fit(picture: Palette, scheme: Scheme, outline: Palette) -> float:
    """How well a picture's colours suit behind a person, in about [0, 1]: apart from the outline, near the scheme's hues."""
    if not len(picture) or not len(outline):
        return 0.0
    lch = oklab_to_oklch(picture.colours)
    apart = float(_contrast(lch, outline) @ picture.shares)
    weight = picture.shares * lch[:, 1]
    turns = [np.cos(np.deg2rad(lch[:, 2] - hue)) for hue in (scheme.base[2], scheme.accent[2])]
    alike = float((np.maximum(*turns) @ weight) / max(float(weight.sum()), 1e-6))
    return 0.65 * apart + 0.35 * (0.5 + 0.5 * alike) * min(1.0, float(weight.sum()) / 0.05)


def _lightness(outline: Palette) -> float:
    return float(outline.colours[:, 0] @ outline.shares) if len(outline) else 0.5


def _outline(matte: Plane) -> Plane:
    """How much each pixel is on the person's inner edge; the upper half, where the head is, counts double."""
    solid = (matte > 0.5).astype(np.uint8)
    reach = max(1, round(0.02 * max(matte.shape)))
    padded = cv2.copyMakeBorder(solid, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    inner = cv2.erode(padded, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))[reach:-reach, reach:-reach]
    filled = np.flatnonzero(solid.any(axis=1))
    weight = (solid - np.minimum(inner, solid)).astype(np.float32)
    if len(filled):
        weight[: (filled[0] + filled[-1]) // 2] *= 2
    return weight if weight.any() else matte


def _telling(person: Palette) -> Plane:
    """(0 to 2, 3) OKLCH: the colours that mark this person, clothes before skin and hair, which everybody has."""
    lch = oklab_to_oklch(person.colours)
    is_common = (np.abs(lch[:, 2] - 58) < 26) & (lch[:, 1] < 0.13)
    weight = np.sqrt(person.shares) * lch[:, 1] * np.where(is_common, 0.4, 1.0)
    order = [int(row) for row in np.argsort(-weight)[:2] if lch[row, 1] > _GREY_CHROMA]
    return np.asarray(lch[order], np.float32)


def _candidates(sources: Plane) -> tuple[Plane, Plane]:
    """(N, 3) OKLCH backgrounds by every rule from each source, and (N,) what the rule is worth."""
    hues = [
        (float(source[2]) + turn, _RULE_WORTH[rule] - 0.04 * rank)
        for rank, source in enumerate(sources)
        for rule, turns in HARMONY_RULES.items()
        for turn in turns
    ] or [(hue, 0.0) for hue in _GREY_HUES]
    rows = [(level, chroma, hue % 360, worth) for hue, worth in hues for level, chroma in _LEVELS]
    table = np.array(rows, np.float32)
    purest = into_gamut(np.stack([table[:, 0], np.full(len(table), 0.4), table[:, 2]], axis=1))
    table[:, 1] = np.minimum(table[:, 1], _PURITY_MOST * purest[:, 1])
    return table[:, :3], table[:, 3]


def _contrast(candidates: Plane, outline: Palette) -> Plane:
    """(N,) in [0, 1]: how far each background keeps from the outline, half on average, half from its nearest colour."""
    apart = difference(oklch_to_oklab(candidates)[:, None], outline.colours[None])
    apart = np.minimum(apart / _ENOUGH_CONTRAST, 1)
    common = outline.shares > 0.08
    return np.asarray(0.5 * (apart @ outline.shares) + 0.5 * apart[:, common].min(axis=1, initial=1), np.float32)


def _pleasing(candidates: Plane) -> Plane:
    """(N,): what colours people like behind a portrait; dark yellows and greens look muddy, skin tones swallow a face."""
    level, _, hue = candidates.T
    muddy = np.exp(-(((hue - 110) / 28) ** 2)) * np.clip((0.98 - level) / 0.35, 0, 1)
    fleshy = np.exp(-(((hue - 55) / 22) ** 2)) * np.exp(-(((level - 0.72) / 0.14) ** 2))
    gaudy = np.exp(-(((hue - 330) / 24) ** 2)) * np.clip((0.8 - level) / 0.3, 0, 1)
    return np.asarray(-0.45 * muddy - 0.30 * fleshy - 0.15 * gaudy, np.float32)


def _around(base: Plane, lightness: float, person_hue: float | None, turn: float, light: Light) -> Scheme:
    """The other colours: paper with a breath of the person's own hue, neighbours to one side (``turn``, 1 or -1).

    lightness: of the person's outline; the glow behind a darker person is lighter than the base.
    """
    level, chroma, hue = (float(value) for value in base)
    lift = 0.11 if lightness < level else -0.02
    warm = np.array([0, 0, _WARM_SHIFT * light.warmth], np.float32)

    def colour(new_level: float, new_chroma: float, new_hue: float) -> Plane:
        lch = np.array([np.clip(new_level, 0.05, 0.99), new_chroma, new_hue % 360], np.float32)
        return into_gamut(oklab_to_oklch(oklch_to_oklab(lch) + warm))

    paper_hue = hue if person_hue is None else person_hue
    return Scheme(
        base=base,
        glow=colour(level + lift, 0.75 * chroma, hue - 20 * turn),
        deep=colour(level - 0.17, 1.05 * chroma, hue + 22 * turn),
        accent=colour(level + 0.04, 1.1 * chroma, hue - 58 * turn),
        page=colour(0.945, 0.012, paper_hue),
        border=colour(0.99, 0.004, paper_hue),
        shadow=colour(0.22, 0.04, hue),
        light=light.side,
    )
