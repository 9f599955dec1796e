"""Where everything of a poster goes: page, panel, and the person's scale and place. Pure numbers, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.filters.subject import Subject

_PAGE_RATIO = 1.25
_SIDE_MARGIN, _BOTTOM_MARGIN, _TOP_MARGIN = 0.10, 0.115, 0.105
_HEAD_MOST, _HEAD_LEAST, _HEAD_LEAST_IN_GROUP = 0.66, 0.20, 0.13
_PANEL_LEAST, _PANEL_NARROWEST, _ROOM_AROUND = 0.66, 0.58, 1.5
_POP_LEAST, _HEADROOM = 0.14, 0.07
_HEADS_SPAN, _BODIES_SPAN = 0.86, 0.94
_SINK, _CLEARANCE = 0.012, 0.025
_WIDE_GROUP, _WIDE_SINGLE = 1.1, 1.6
_PHOTO_RATIOS = (0.62, 1.9)


@dataclass(frozen=True)
class Layout:
    """Pixel places on the page.

    page: (width, height). panel: ``x1 y1 x2 y2`` of the picture area inside the border.
    scale, shift: a point (x, y) of the photo lies at (scale * x + shift[0], scale * y + shift[1]).
    has_pop_out: whether the person may stand over the panel's top edge.
    head: (x, y, radius) on the page: the middle of the heads, for the light behind them.
    """

    page: tuple[int, int]
    panel: tuple[int, int, int, int]
    scale: float
    shift: tuple[float, float]
    has_pop_out: bool
    head: tuple[float, float, float]

    @property
    def unit(self) -> int:
        """The page's short side, from which every thickness follows."""
        return min(self.page)


def page_size(long_side: int, is_landscape: bool) -> tuple[int, int]:
    """(width, height) in pixels of a 4:5 page."""
    short_side = round(long_side / _PAGE_RATIO)
    return (long_side, short_side) if is_landscape else (short_side, long_side)


def lay_out_photo(width: int, height: int, long_side: int, page: tuple[int, int] | None = None) -> Layout:
    """A whole photo in the panel, for a picture without people; extreme shapes lose their ends.

    page: (width, height) where it is given already, as in a video.
    """
    page = page or page_size(long_side, width > height)
    unit = min(page)
    ratio = float(np.clip(width / height, *_PHOTO_RATIOS))
    room = (page[0] - 2 * _SIDE_MARGIN * unit, page[1] - (_SIDE_MARGIN + _BOTTOM_MARGIN) * unit)
    panel_width = min(room[0], room[1] * ratio)
    panel_height = panel_width / ratio
    x1 = (page[0] - panel_width) / 2
    y1 = _SIDE_MARGIN * unit + (room[1] - panel_height) * 0.46
    panel = (round(x1), round(y1), round(x1 + panel_width), round(y1 + panel_height))
    scale = max((panel[2] - panel[0]) / width, (panel[3] - panel[1]) / height)
    centre = ((panel[0] + panel[2]) / 2, (panel[1] + panel[3]) / 2)
    shift = (centre[0] - scale * width / 2, centre[1] - scale * height / 2)
    return Layout(page, panel, scale, shift, False, (centre[0], centre[1], unit / 4))


def lay_out_subject(
    subject: Subject, long_side: int, pop_out: float, corner: float, page: tuple[int, int] | None = None
) -> Layout:
    """Place people so that heads stand over the panel's top edge and no cut of the photo's border is seen.

    A border of the photo that cuts somebody lies on the panel's edge or beyond it; the panel grows narrower for that, and
    the person larger only when it would get too narrow.

    pop_out: share of the highest head above the panel's top edge, in [0, 1]; less where that would show a cut or something
    wider than the panel. corner: radius of the panel's corners as a share of the page's short side. page: (width, height)
    where it is given already, as in a video.
    """
    page = page or _page(subject, long_side)
    unit = min(page)
    clearance = max(_CLEARANCE, corner) * unit
    bottom = float(page[1] - round(_BOTTOM_MARGIN * unit))
    top_least = _TOP_MARGIN * unit * (1.3 if subject.is_cut_top else 1.0)
    scale, half_width, middle = _scale_and_width(subject, page, bottom - top_least)
    left, right = page[0] / 2 - half_width, page[0] / 2 + half_width
    person_top = float(subject.box[1])
    shift_x = page[0] / 2 - scale * middle
    shift_y = bottom - scale * _resting_row(subject)
    spare = shift_y + scale * person_top - top_least
    shift_y -= spare if spare < 0 else spare / 2
    bottom -= max(spare, 0) / 2

    head_top = shift_y + scale * person_top
    tallest = subject.heads[subject.heads[:, 1].argmin()]
    head_height = scale * float(tallest[3] - tallest[1])
    conflict = _highest_conflict(subject, scale, (shift_x, shift_y), left + clearance, right - clearance)
    top = min(head_top + pop_out * head_height, conflict, bottom - _PANEL_LEAST * unit)
    has_pop_out = not subject.is_cut_top and top - head_top >= _POP_LEAST * head_height
    if subject.is_cut_top:
        top = max(shift_y + _SINK * scale * subject.height, top_least)
    elif not has_pop_out:
        top = max(min(head_top - _HEADROOM * unit, bottom - _PANEL_LEAST * unit), 0.6 * _SIDE_MARGIN * unit)
    x, y, radius = subject.head_light
    head = (scale * x + shift_x, scale * y + shift_y, scale * radius)
    panel = (round(left), round(top), round(right), round(bottom))
    return Layout(page, panel, scale, (shift_x, shift_y), has_pop_out, head)


def _page(subject: Subject, long_side: int) -> tuple[int, int]:
    width, height = subject.box[2] - subject.box[0], subject.box[3] - subject.box[1]
    return page_size(long_side, bool(width > (_WIDE_GROUP if len(subject.heads) > 1 else _WIDE_SINGLE) * height))


def _scale_and_width(subject: Subject, page: tuple[int, int], room: float) -> tuple[float, float, float]:
    """The scale, half the panel's width in page pixels, and the photo's column that lies on the panel's middle."""
    unit = min(page)
    widest, narrowest = page[0] / 2 - _SIDE_MARGIN * unit, _PANEL_NARROWEST * page[0] / 2
    heads, is_group = subject.heads, len(subject.heads) > 1
    is_whole = subject.cut_left is None and subject.cut_right is None
    head_height = max(float(np.median(heads[:, 3] - heads[:, 1])), 1e-6)
    span = max(float(heads[:, 2].max() - heads[:, 0].min()), 1e-6)
    box_width = float(subject.box[2] - subject.box[0])
    fits = room / max(_resting_row(subject) - float(subject.box[1]), 1e-6)
    most = _HEAD_MOST * page[1] / head_height
    least = (_HEAD_LEAST_IN_GROUP if is_group else _HEAD_LEAST) * page[1] / head_height
    shows_heads = _HEADS_SPAN * 2 * widest / span
    shows_all = _BODIES_SPAN * 2 * widest / box_width if is_group and is_whole else shows_heads
    scale = max(min(fits, most, shows_all), min(least, shows_heads))

    first = _SINK * subject.width if subject.cut_left is not None else -np.inf
    last = (1 - _SINK) * subject.width if subject.cut_right is not None else np.inf
    lean = 1.0 if is_group and is_whole else 0.3
    body_middle = float(subject.box[0] + subject.box[2]) / 2
    middle = (1 - lean) * float(heads[:, [0, 2]].mean()) + lean * body_middle
    half = max(min(middle - first, last - middle), 1e-6)
    scale = max(scale, min(narrowest / half, most), 2 * narrowest / (last - first))
    middle = min(max(middle, first + narrowest / scale), last - narrowest / scale)
    roomy = max(narrowest, _ROOM_AROUND * scale * box_width / 2)
    half_width = min(widest, roomy, scale * (middle - first), scale * (last - middle))
    return scale, half_width, middle


def _highest_conflict(subject: Subject, scale: float, shift: tuple[float, float], left: float, right: float) -> float:
    """The lowest place of the panel's top edge with all that stands above it whole and between ``left`` and ``right``."""
    outside = (scale * subject.left + shift[0] < left) | (scale * subject.right + shift[0] > right)
    rows = [float(subject.rows[outside][0])] if outside.any() else []
    rows += [row for row in (subject.cut_left, subject.cut_right) if row is not None]
    return scale * min(rows) + shift[1] - 0.01 * (right - left) if rows else float("inf")


def _resting_row(subject: Subject) -> float:
    """The row of the photo that lies on the panel's bottom edge: above a ragged lower end, and inside a cut one."""
    if subject.is_cut_bottom:
        return (1 - _SINK) * subject.height
    widths = subject.right - subject.left
    lower = subject.rows > subject.box[1] + 0.6 * (subject.box[3] - subject.box[1])
    if not lower.any():
        return float(subject.box[3])
    wide = lower & (widths >= 0.5 * np.median(widths[lower]))
    return float(subject.rows[wide][-1])
