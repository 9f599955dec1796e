"""Putting a preset's effects on the faces of a frame: which, on whom, and what to tell where that is not possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.effects import EFFECTS
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head, find_heads, head_of_box
from mien.filters.effects.registry import Effect
from mien.filters.preset import EffectUse
from mien.filters.trigger import parse_trigger
from mien.types import Faces, Frame

_MOST_ROOM = 0.6
_TOP_IN_VIEW = 0.02


def put_effects(frame: Frame, uses: Sequence[EffectUse], when: str, *, has_room: bool) -> tuple[Frame, list[str]]:
    """The frame with effects on its faces, and what people should know of it.

    frame: with a matte; it stays as it is. when: the condition of effects that have none. has_room: the picture may grow
    upwards so that a hat is whole; its matte and faces move along.
    """
    faces = frame.faces
    if not uses:
        return frame, []
    if faces is None or not len(faces):
        return frame, [f"no face found: nothing is put on ({', '.join(use.name for use in uses)})"]
    heads = find_heads(faces, frame.matte)
    plan, notes = _plan(uses, when, faces, heads, (frame.width, frame.height))
    if has_room:
        frame, moved = _with_room(frame, plan)
        if moved:
            heads = find_heads(frame.faces, frame.matte)  # type: ignore[arg-type]  # it has faces
            plan = [(effect, row, _head(effect, heads, frame.faces, row)) for effect, row, _ in plan]  # type: ignore[arg-type]
    if not plan:
        return frame, notes
    canvas = Canvas(frame.image, None if frame.matte is None else frame.matte.copy())
    # Far heads first, so that the hat of one in front hides them.
    for effect, _, head in sorted(plan, key=lambda one: (one[0].layer, float(one[2].box[3]))):
        effect.paint(canvas, head)
    return replace(frame, image=canvas.image, matte=canvas.matte), notes


def _head(effect: Effect, heads: Sequence[Head | None], faces: Faces, row: int) -> Head:
    """The head, or for what must cover a face in any case one guessed from its box."""
    return heads[row] or head_of_box(faces.boxes[row])


def _plan(
    uses: Sequence[EffectUse], when: str, faces: Faces, heads: Sequence[Head | None], size_wh: tuple[int, int]
) -> tuple[list[tuple[Effect, int, Head]], list[str]]:
    plan: list[tuple[Effect, int, Head]] = []
    notes = []
    for use in uses:
        effect = EFFECTS[use.name]
        text = use.when or when
        rows = list(range(len(faces)))
        if text:
            trigger = parse_trigger(text)
            answers = [trigger.holds(faces, row, size_wh) for row in rows]
            rows = [row for row, answer in zip(rows, answers, strict=True) if answer]
            if None in answers:
                lacking = trigger.missing(faces)
                reason = f"these faces carry no {', '.join(lacking)}" if lacking else "some faces were not judged"
                notes.append(f"{effect.name}: left off where '{text}' cannot be told, {reason}")
        lost = [row for row in rows if heads[row] is None and not effect.is_privacy]
        if lost:
            notes.append(
                f"{effect.name}: left off {len(lost)} of {len(faces)} faces whose eyes, nose and mouth are not known"
            )
        plan += [(effect, row, _head(effect, heads, faces, row)) for row in rows if row not in lost]
    return plan, notes


def _with_room(frame: Frame, plan: Sequence[tuple[Effect, int, Head]]) -> tuple[Frame, bool]:
    """The frame grown upwards by as much as what stands on the heads needs; not where the photo cuts the people there."""
    matte = frame.matte
    tops = [head.place((0, head.top - effect.reach, 0))[1] for effect, _, head in plan if effect.reach]
    if not tops or matte is None or min(tops) >= 0 or (matte[0] > 0.5).mean() > _TOP_IN_VIEW:
        return frame, False
    rows = min(round(-float(min(tops))), round(_MOST_ROOM * frame.height))
    if rows <= 0:
        return frame, False
    return grown_upwards(frame, rows), True


def grown_upwards(frame: Frame, rows: int) -> Frame:
    """The frame with empty rows on top, (H + rows, W), filled with the colours of its first one; nobody is there."""

    def grown(plane: NDArray[Any], border: int) -> NDArray[Any]:
        return np.asarray(cv2.copyMakeBorder(plane, rows, 0, 0, 0, border))

    faces = frame.faces
    return replace(
        frame,
        image=grown(frame.image, cv2.BORDER_REPLICATE),
        matte=None if frame.matte is None else grown(frame.matte, cv2.BORDER_CONSTANT),
        alpha=None if frame.alpha is None else grown(frame.alpha, cv2.BORDER_CONSTANT),
        faces=None if faces is None else faces.moved(1.0, (0.0, float(rows))),
    )
