"""Where everything of a poster goes: page, panel, and the person's scale and place. Pure numbers, no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.filters.subject import Subject

_PAGE_RATIO = 1.25
_SIDE_MARGIN, _BOTTOM_MARGIN, _TOP_MARGIN = 0.10, 0.115, 0.105
_HEAD_MOST, _HEAD_LEAST, _HEAD_LEAST_IN_GROUP = 0.46, 0.20, 0.13
_SINK = 0.012
_POP_LEAST = 0.14
_PANEL_LEAST = 0.46
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


def lay_out_photo(width: int, height: int, long_side: int) -> Layout:
    """A whole photo in the panel, for a picture without people; extreme shapes lose their ends."""
    page = page_size(long_side, width > height)
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


def lay_out_subject(subject: Subject, long_side: int, pop_out: float) -> Layout:
    """Place people so that heads stand over the panel's top edge and no cut of the photo's border is seen.

    pop_out: share of the highest head above the panel's top edge, in [0, 1]; less where the shape does not allow it.
    """
    box_width, box_height = subject.box[2] - subject.box[0], subject.box[3] - subject.box[1]
    is_group = len(subject.heads) > 1
    page = page_size(long_side, bool(box_width > (_WIDE_GROUP if is_group else _WIDE_SINGLE) * box_height))
    unit = min(page)
    left, right = round(_SIDE_MARGIN * unit), page[0] - round(_SIDE_MARGIN * unit)
    bottom = float(page[1] - round(_BOTTOM_MARGIN * unit))
    top_least = _TOP_MARGIN * unit * (1.5 if subject.is_cut_top else 1.0)

    scale = _scale(subject, page, right - left, bottom - top_least)
    shift_x = _shift_x(subject, scale, left, right, page[0] / 2)
    person_top, person_bottom = float(subject.box[1]), _resting_row(subject)
    shift_y = bottom - scale * person_bottom
    spare = shift_y + scale * person_top - top_least
    if spare < 0:
        shift_y -= spare
    else:
        shift_y -= spare / 2
        bottom -= spare / 2

    head_top = shift_y + scale * person_top
    tallest = subject.heads[subject.heads[:, 1].argmin()]
    head_height = scale * float(tallest[3] - tallest[1])
    wanted = head_top + pop_out * head_height
    limit = min(wanted, _highest_conflict(subject, scale, (shift_x, shift_y), left, right), bottom - _PANEL_LEAST * unit)
    has_pop_out = not subject.is_cut_top and limit - head_top >= _POP_LEAST * head_height
    if has_pop_out:
        top = limit
    elif subject.is_cut_top:
        top = max(shift_y + _SINK * scale * subject.height, top_least)
    else:
        top = max(head_top - 0.07 * unit, 0.6 * _SIDE_MARGIN * unit)
    middle = subject.heads.mean(axis=0)
    head = (
        scale * float(middle[0] + middle[2]) / 2 + shift_x,
        scale * float(middle[1] + middle[3]) / 2 + shift_y,
        scale * float(subject.heads[:, 2].max() - subject.heads[:, 0].min() + middle[3] - middle[1]) / 2,
    )
    return Layout(page, (left, round(top), right, round(bottom)), scale, (shift_x, shift_y), has_pop_out, head)


def _scale(subject: Subject, page: tuple[int, int], panel_width: float, room: float) -> float:
    head_height = float(np.median(subject.heads[:, 3] - subject.heads[:, 1]))
    fits = room / max(_resting_row(subject) - float(subject.box[1]), 1e-6)
    most = _HEAD_MOST * page[1] / max(head_height, 1e-6)
    least = (_HEAD_LEAST if len(subject.heads) == 1 else _HEAD_LEAST_IN_GROUP) * page[1] / max(head_height, 1e-6)
    heads_width = float(subject.heads[:, 2].max() - subject.heads[:, 0].min())
    scale = max(min(fits, most), min(least, 0.86 * panel_width / max(heads_width, 1e-6)))
    grip = 1 - 2 * _SINK
    if subject.cut_left is not None and subject.cut_right is not None:
        return max(scale, panel_width / (grip * subject.width))
    centre = float(subject.heads[:, [0, 2]].mean())
    if subject.cut_left is not None:
        scale = max(scale, min(0.42 * panel_width / max(centre - _SINK * subject.width, 1e-6), most))
    if subject.cut_right is not None:
        scale = max(scale, min(0.42 * panel_width / max(grip * subject.width - centre, 1e-6), most))
    return scale


def _shift_x(subject: Subject, scale: float, left: float, right: float, centre: float) -> float:
    heads = float(subject.heads[:, [0, 2]].mean())
    body = float(subject.box[0] + subject.box[2]) / 2
    shift = centre - scale * (0.7 * heads + 0.3 * body)
    if subject.cut_left is not None:
        shift = min(shift, left - scale * _SINK * subject.width)
    if subject.cut_right is not None:
        shift = max(shift, right - scale * (1 - _SINK) * subject.width)
    return shift


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


def _highest_conflict(
    subject: Subject, scale: float, shift: tuple[float, float], left: float, right: float
) -> float:
    """The lowest place of the panel's top edge at which all that stands above it is whole and within the panel's width."""
    gap = 0.01 * (right - left)
    outside = (scale * subject.left + shift[0] < left + gap) | (scale * subject.right + shift[0] > right - gap)
    rows = [float(subject.rows[outside][0])] if outside.any() else []
    rows += [row for row in (subject.cut_left, subject.cut_right) if row is not None]
    return scale * min(rows) + shift[1] - gap if rows else float("inf")
