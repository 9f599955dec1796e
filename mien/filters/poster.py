"""The poster: a person who stands out of a framed panel, over colours taken from what they wear."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import oklab_to_srgb, oklch_to_oklab
from mien.filters.foreground import split_layers
from mien.filters.gradient import add_grain, portrait_gradient
from mien.filters.harmony import Scheme, choose_scheme
from mien.filters.layout import Layout, lay_out_photo, lay_out_subject
from mien.filters.subject import find_subject, tidy_matte
from mien.types import Faces

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_SMOOTH_STEP = 4
"""Shadows and gradients are worked out this many times smaller: nothing sharp is in them."""


def draw_poster(
    image: Image,
    matte: Plane,
    faces: Faces | None,
    *,
    seed: int,
    long_side: int,
    border: float,
    corner: float,
    shadow: float,
    grain: float,
    pop_out: float,
) -> tuple[Image, Layout, bool]:
    """A poster of the people in a picture, or of the whole picture when it shows nobody.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1]. border, corner: shares of the page's short side.
    shadow, grain: 0 is none, 1 is usual. pop_out: share of the head above the panel.
    Returns the page, (long_side, long_side / 1.25, 3) uint8 or turned when the group is wide, the layout, and whether a
    person was found.
    """
    tidy = tidy_matte(matte)
    subject = find_subject(tidy, faces)
    if subject is None:
        layout = lay_out_photo(image.shape[1], image.shape[0], long_side)
        scheme = choose_scheme(image, np.ones_like(matte), seed)
    else:
        layout = lay_out_subject(subject, long_side, pop_out)
        scheme = choose_scheme(image, tidy, seed)
    frame = _Frame(layout, border * layout.unit, corner * layout.unit)
    colours, alpha = _placed(image, np.ones_like(matte) if subject is None else tidy, layout)
    alpha *= frame.visible()
    page = _backdrop(frame, scheme, alpha if subject is not None else None, shadow)
    if subject is not None:
        colours = _lit(colours, alpha, page, scheme, frame)
    weight = cv2.merge([alpha, alpha, alpha])
    page += (colours - page) * weight
    return add_grain(page, seed, grain), layout, subject is not None


class _Frame:
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
        outside = np.hypot(np.maximum(x, 0)[None], np.maximum(y, 0)[:, None])
        inside = np.minimum(np.maximum(x[None], y[:, None]), 0)
        return np.clip((radius - outside - inside) / step + 0.5, 0, 1).astype(np.float32)

    def visible(self) -> Plane:
        """(H, W): where a person may be seen, within the panel and, if they stand out, above it."""
        mask = self.shape(0)
        if self.layout.has_pop_out:
            x1, y1, x2, _ = self.layout.panel
            mask[: y1 + round(self.corner), x1:x2] = np.maximum(mask[: y1 + round(self.corner), x1:x2], 1)
        return mask


def _srgb(oklch: Plane) -> Plane:
    return oklab_to_srgb(oklch_to_oklab(oklch)) * 255


def _placed(image: Image, matte: Plane, layout: Layout) -> tuple[Plane, Plane]:
    """The person at the poster's scale on an empty page: clean colours (H, W, 3) and matte (H, W), float32."""
    width, height = layout.page
    scale = layout.scale
    x0, y0 = (max(0, int(np.floor(-shift / scale)) - 2) for shift in layout.shift)
    x1 = min(image.shape[1], int(np.ceil((width - layout.shift[0]) / scale)) + 2)
    y1 = min(image.shape[0], int(np.ceil((height - layout.shift[1]) / scale)) + 2)
    part, part_matte = image[y0:y1, x0:x1], matte[y0:y1, x0:x1]
    if scale < 1:
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        part_matte = cv2.resize(part_matte, size, interpolation=cv2.INTER_AREA)
    foreground, _ = split_layers(np.ascontiguousarray(part), np.ascontiguousarray(part_matte))
    grow_x, grow_y = scale * (x1 - x0) / part.shape[1], scale * (y1 - y0) / part.shape[0]
    move = np.array(
        [
            [grow_x, 0, layout.shift[0] + scale * x0 + 0.5 * grow_x - 0.5],
            [0, grow_y, layout.shift[1] + scale * y0 + 0.5 * grow_y - 0.5],
        ]
    )
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    colours = cv2.warpAffine(foreground, move, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(part_matte, move, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)
    return colours.astype(np.float32), np.asarray(alpha, np.float32)


def _backdrop(frame: _Frame, scheme: Scheme, alpha: Plane | None, shadow: float) -> Plane:
    """Page, panel with its border, and what the person's shadow does to both: (H, W, 3) float32 in [0, 255]."""
    layout, unit = frame.layout, frame.layout.unit
    width, height = layout.page
    tint = _srgb(scheme.shadow)
    paper = np.broadcast_to(_srgb(scheme.page), (*frame.shape(0, _SMOOTH_STEP).shape, 3)).astype(np.float32)
    panel = portrait_gradient((paper.shape[1], paper.shape[0]), scheme, tuple(value / _SMOOTH_STEP for value in layout.head))
    for drop, spread, depth in ((0.006, 0.006, 0.20), (0.022, 0.030, 0.22)):
        cast = _blurred(frame.shape(frame.border - 0.2 * spread * unit, _SMOOTH_STEP, drop * unit), spread * unit / _SMOOTH_STEP)
        paper = _tinted(paper, tint, depth * shadow * cast)
    if alpha is not None:
        small = cv2.resize(alpha, (paper.shape[1], paper.shape[0]), interpolation=cv2.INTER_AREA)
        for right, down, spread, depth in ((0.004, 0.008, 0.010, 0.26), (0.012, 0.026, 0.045, 0.30)):
            moved = _moved(small, right * unit / _SMOOTH_STEP, down * unit / _SMOOTH_STEP)
            cast = _blurred(moved, spread * unit / _SMOOTH_STEP)
            panel = _tinted(panel, tint, depth * shadow * cast)
            paper = _tinted(paper, tint, 0.45 * depth * shadow * cast)
    page, inner = (cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR) for layer in (paper, panel))
    rim = frame.shape(frame.border)[..., None]
    page += (_srgb(scheme.border) - page) * rim
    page += (inner - page) * frame.shape(0)[..., None]
    return np.asarray(page, np.float32)


def _lit(colours: Plane, alpha: Plane, page: Plane, scheme: Scheme, frame: _Frame) -> Plane:
    """The person under the poster's light: a little of the background wraps round the edge, and the lower end falls off."""
    unit = frame.layout.unit
    size = (max(1, page.shape[1] // _SMOOTH_STEP), max(1, page.shape[0] // _SMOOTH_STEP))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    wrap = 0.35 * (1 - _blurred(small, 0.008 * unit / _SMOOTH_STEP))
    light = cv2.GaussianBlur(cv2.resize(page, size, interpolation=cv2.INTER_AREA), (0, 0), 0.03 * unit / _SMOOTH_STEP)
    full = (page.shape[1], page.shape[0])
    wrap = cv2.resize(wrap, full, interpolation=cv2.INTER_LINEAR)[..., None]
    colours += (cv2.resize(light, full, interpolation=cv2.INTER_LINEAR) - colours) * wrap
    _, top, _, bottom = frame.layout.panel
    down = np.clip((np.arange(full[1]) - top) / max(1, bottom - top), 0, 1)
    fall = (0.22 * np.clip((down - 0.72) / 0.28, 0, 1) ** 1.5).astype(np.float32)[:, None, None]
    return np.asarray(colours + (_srgb(scheme.shadow) - colours) * fall, np.float32)


def _blurred(plane: Plane, deviation: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(deviation, 0.3)), np.float32)


def _moved(plane: Plane, right: float, down: float) -> Plane:
    move = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return np.asarray(cv2.warpAffine(plane, move, (plane.shape[1], plane.shape[0])), np.float32)


def _tinted(layer: Plane, tint: Plane, weight: Plane) -> Plane:
    return np.asarray(layer + (tint - layer) * weight[..., None], np.float32)
