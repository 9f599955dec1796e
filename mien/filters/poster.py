"""The poster: a person who stands out of a framed panel, over colours taken from what they wear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.colour import oklab_to_srgb, oklch_to_oklab
from mien.filters.foreground import clean_foreground
from mien.filters.gradient import add_grain, portrait_gradient
from mien.filters.harmony import Scheme, choose_scheme
from mien.filters.layout import Layout, lay_out_photo, lay_out_subject
from mien.filters.subject import find_subject
from mien.types import Faces

Image = NDArray[np.uint8]
Picture = NDArray[np.float32]
Plane = NDArray[np.float32]

_SMOOTH_STEP = 4
"""Shadows and gradients are worked out this many times smaller: nothing sharp is in them."""

_PANEL_SHADOWS = ((0.006, 0.006, 0.20), (0.022, 0.030, 0.22))
_PERSON_SHADOWS = ((0.004, 0.008, 0.010, 0.26), (0.012, 0.026, 0.045, 0.30))
"""(aside, down, softness) as shares of the page's short side, and depth; a person's go away from the light."""

_SHADOW_ON_PAPER = 0.45
_WRAP, _WRAP_REACH, _WRAP_BLUR = 0.35, 0.008, 0.03
_FALL_OFF, _FALL_OFF_FROM = 0.22, 0.72
_STAIRS_DEVIATION = 0.6

_LIMITS = {
    "long_side": (64, 8192),
    "border": (0.0, 0.08),
    "corner": (0.0, 0.25),
    "shadow": (0.0, 2.0),
    "grain": (0.0, 5.0),
    "pop_out": (0.0, 1.0),
}


@dataclass(frozen=True)
class PosterDesign:
    """The proportions of a poster.

    long_side: of the 4:5 page, in pixels. border, corner: the frame's thickness and its corners' radius as shares of the
    page's short side. shadow, grain: 0 is none, 1 is usual. pop_out: share of the highest head that stands above the panel;
    less where the photo's border or something wide is in the way.

    Raises `InputError` for a value out of range.
    """

    long_side: int = 1350
    border: float = 0.012
    corner: float = 0.02
    shadow: float = 1.0
    grain: float = 1.0
    pop_out: float = 0.42

    def __post_init__(self) -> None:
        for item in fields(self):
            value, (least, most) = getattr(self, item.name), _LIMITS[item.name]
            kinds = int if item.name == "long_side" else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
                raise InputError(f"poster {item.name}: expected a number from {least} to {most}, got {value!r}")


@dataclass(frozen=True, eq=False)
class PosterPlan:
    """What a poster's places and colours are, so that every frame of a video can have the same. layout: where things go.
    scheme: the colours. is_photo: the picture is framed whole, as nobody is in it.
    """

    layout: Layout
    scheme: Scheme
    is_photo: bool


def plan_poster(
    image: Image,
    matte: Plane,
    faces: Faces | None,
    seed: int,
    design: PosterDesign,
    *,
    page: tuple[int, int] | None = None,
    scheme: Scheme | None = None,
) -> PosterPlan:
    """Choose layout and colours for the people in a picture; arguments as of `draw_poster`.

    page: (width, height) in pixels, and scheme: where they are given already, by an earlier frame of a video.
    """
    subject = find_subject(matte, faces)
    if subject is None:
        layout = lay_out_photo(image.shape[1], image.shape[0], design.long_side, page)
        matte = np.ones_like(matte)
    else:
        layout = lay_out_subject(subject, design.long_side, design.pop_out, design.corner, page)
    return PosterPlan(layout, scheme or choose_scheme(image, matte, seed), subject is None)


def draw_poster(
    image: Image,
    matte: Plane,
    faces: Faces | None,
    seed: int,
    design: PosterDesign,
    plan: PosterPlan | None = None,
    fill: Callable[[Image, Plane, Faces | None], Image] | None = None,
) -> tuple[Image, Faces | None, Plane]:
    """A poster of the people in a picture, or of the whole picture when it shows nobody.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1], tidy. faces: in pixels of the image.
    plan: places and colours, chosen for this picture when not given. fill: makes what is behind the person, (H, W, 3) uint8
    of the page's size, of the photo, its matte and its faces as they lie on the page; the scheme's colours when not given.
    Returns the page, (H, W, 3) uint8 of 4:5 or, for a wide group, 5:4; the faces where they are now; and the people's matte
    on the page, (H, W) float32.
    """
    plan = plan or plan_poster(image, matte, faces, seed, design)
    layout, scheme = plan.layout, plan.scheme
    if plan.is_photo:
        matte = np.ones_like(matte)
    panel = _Panel(layout, design.border * layout.unit, design.corner * layout.unit)
    colours, alpha = _placed(image, matte, layout)
    moved = None if faces is None else faces.moved(layout.scale, layout.shift)
    behind = None if fill is None else fill(_on_page(image, layout), alpha.copy(), moved)
    alpha *= panel.visible()
    page = _backdrop(panel, scheme, None if plan.is_photo else alpha, design.shadow, behind)
    if not plan.is_photo:
        colours = _lit(colours, alpha, page, scheme, layout)
    page = cv2.blendLinear(colours, page, alpha, 1 - alpha)
    if plan.is_photo:
        alpha = np.zeros_like(alpha)
    return add_grain(page, seed, design.grain), moved, alpha


def _on_page(image: Image, layout: Layout) -> Image:
    """The whole photo where it lies on the page; beyond its borders it is mirrored."""
    shift = np.array(layout.shift) + 0.5 * layout.scale - 0.5
    move = np.array([[layout.scale, 0, shift[0]], [0, layout.scale, shift[1]]])
    how = cv2.INTER_AREA if layout.scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.warpAffine(image, move, layout.page, flags=how, borderMode=cv2.BORDER_REFLECT), np.uint8)


class _Panel:
    """The panel's shapes on the page, as coverage in [0, 1] with smooth edges."""

    def __init__(self, layout: Layout, border: float, corner: float) -> None:
        self.layout, self.border, self.corner = layout, border, corner

    def shape(self, grow: float, step: int = 1, drop: float = 0.0) -> Plane:
        """(H, W) coverage of the rounded panel, grown by ``grow`` pixels and moved down by ``drop``."""
        width, height = self.layout.page
        x1, y1, x2, y2 = self.layout.panel
        radius = max(0.0, self.corner + grow) if self.corner > 0 else 0.0
        half_x, half_y = (x2 - x1) / 2 + grow - radius, (y2 - y1) / 2 + grow - radius
        x = np.abs((np.arange(0, width, step) + step / 2) - (x1 + x2) / 2) - half_x
        y = np.abs((np.arange(0, height, step) + step / 2) - (y1 + y2) / 2 - drop) - half_y
        cover = np.minimum.outer(*(np.clip((radius - away) / step + 0.5, 0, 1).astype(np.float32) for away in (y, x)))
        rows, columns = np.flatnonzero(y > 0), np.flatnonzero(x > 0)
        away = np.hypot(y[rows, None], x[None, columns])
        cover[np.ix_(rows, columns)] = np.clip((radius - away) / step + 0.5, 0, 1)
        return np.asarray(cover, np.float32)

    def visible(self) -> Plane:
        """(H, W): where a person may be seen, within the panel and, if they stand out, above it."""
        mask = self.shape(0)
        if self.layout.has_pop_out:
            x1, y1, x2, _ = self.layout.panel
            mask[:y1, x1:x2] = 1
        return mask


def _srgb(oklch: Plane) -> Plane:
    return oklab_to_srgb(oklch_to_oklab(oklch)) * 255


def _placed(image: Image, matte: Plane, layout: Layout) -> tuple[Picture, Plane]:
    """The person at the poster's scale on an empty page: clean colours (H, W, 3) and matte (H, W), float32."""
    width, height = layout.page
    scale = layout.scale
    x0, y0 = (max(0, int(np.floor(-shift / scale)) - 2) for shift in layout.shift)
    x1 = min(image.shape[1], int(np.ceil((width - layout.shift[0]) / scale)) + 2)
    y1 = min(image.shape[0], int(np.ceil((height - layout.shift[1]) / scale)) + 2)
    part, part_matte = np.ascontiguousarray(image[y0:y1, x0:x1]), np.ascontiguousarray(matte[y0:y1, x0:x1])
    if scale < 1:
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        part_matte = cv2.resize(part_matte, size, interpolation=cv2.INTER_AREA)
    foreground = clean_foreground(part, part_matte)
    grow_x, grow_y = scale * (x1 - x0) / part.shape[1], scale * (y1 - y0) / part.shape[0]
    left, top = layout.shift[0] + scale * x0, layout.shift[1] + scale * y0
    move = np.array([[grow_x, 0, left + 0.5 * grow_x - 0.5], [0, grow_y, top + 0.5 * grow_y - 0.5]])
    how = cv2.INTER_LINEAR
    if scale > 1:
        part_matte, how = _blurred(part_matte, _STAIRS_DEVIATION), cv2.INTER_CUBIC
    colours = cv2.warpAffine(foreground, move, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(part_matte, move, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    rows = np.abs((np.arange(height) + 0.5 - layout.shift[1]) / (scale * image.shape[0]) - 0.5) <= 0.5
    columns = np.abs((np.arange(width) + 0.5 - layout.shift[0]) / (scale * image.shape[1]) - 0.5) <= 0.5
    alpha *= np.logical_and.outer(rows, columns)
    return colours.astype(np.float32), np.clip(alpha, 0, 1)


def _backdrop(panel: _Panel, scheme: Scheme, alpha: Plane | None, shadow: float, behind: Image | None) -> Picture:
    """Paper, panel with its border, and the shadows on both: (H, W, 3) float32 in [0, 255].

    behind: (H, W, 3) uint8, what the panel shows instead of the scheme's gradient.
    """
    layout, unit = panel.layout, panel.layout.unit
    width, height = layout.page
    step = _SMOOTH_STEP
    tint = _srgb(scheme.shadow)
    rows, columns = panel.shape(0, step).shape
    paper: Picture = np.full((rows, columns, 3), _srgb(scheme.page), np.float32)
    inner = portrait_gradient((columns, rows), scheme, (layout.head[0] / step, layout.head[1] / step, layout.head[2] / step))
    if behind is not None:
        inner = cv2.resize(behind, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    unshaded = inner
    for down, soft, depth in _PANEL_SHADOWS:
        cast = _blurred(panel.shape(panel.border - 0.2 * soft * unit, step, down * unit), soft * unit / step)
        paper = _tinted(paper, tint, depth * shadow * cast)
    if alpha is not None:
        small = cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA)
        away = -1.0 if scheme.light > 0 else 1.0
        for right, down, soft, depth in _PERSON_SHADOWS:
            cast = (
                depth * shadow * _blurred(_moved(small, away * right * unit / step, down * unit / step), soft * unit / step)
            )
            inner = _tinted(inner, tint, cast)
            paper = _tinted(paper, tint, _SHADOW_ON_PAPER * cast)
    page = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
    if behind is not None:
        # The shadows are soft, so that their difference can be enlarged; the picture itself stays sharp.
        inside = behind + cv2.resize(inner - unshaded, (width, height), interpolation=cv2.INTER_LINEAR)
    rim, cover = panel.shape(panel.border), panel.shape(0)
    page = cv2.blendLinear(np.full_like(page, _srgb(scheme.border)), page, rim, 1 - rim)
    return np.asarray(cv2.blendLinear(inside, page, cover, 1 - cover), np.float32)


def _lit(colours: Picture, alpha: Plane, page: Picture, scheme: Scheme, layout: Layout) -> Picture:
    """The person under the poster's light: a little of the background wraps round the edge, and the lower end falls off."""
    width, height = layout.page
    size = (max(1, width // _SMOOTH_STEP), max(1, height // _SMOOTH_STEP))
    reach = layout.unit / _SMOOTH_STEP
    wrap = _WRAP * (1 - _blurred(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), _WRAP_REACH * reach))
    light = cv2.GaussianBlur(cv2.resize(page, size, interpolation=cv2.INTER_AREA), (0, 0), max(_WRAP_BLUR * reach, 0.3))
    wrap = cv2.resize(wrap, (width, height), interpolation=cv2.INTER_LINEAR)
    light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.blendLinear(light, colours, wrap, 1 - wrap)
    _, top, _, bottom = layout.panel
    down = (np.arange(height, dtype=np.float32) - top) / max(1, bottom - top)
    fall = _FALL_OFF * np.clip((down - _FALL_OFF_FROM) / (1 - _FALL_OFF_FROM), 0, 1) ** 1.5
    dark = np.flatnonzero(fall)
    colours[dark] += (_srgb(scheme.shadow) - colours[dark]) * fall[dark, None, None]
    return np.asarray(colours, np.float32)


def _blurred(plane: Plane, deviation: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(deviation, 0.3)), np.float32)


def _moved(plane: Plane, right: float, down: float) -> Plane:
    move = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(plane, move, (plane.shape[1], plane.shape[0])), np.float32)


def _tinted(layer: Picture, tint: Plane, weight: Plane) -> Picture:
    return np.asarray(layer + (tint - layer) * weight[..., None], np.float32)
