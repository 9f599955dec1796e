"""Every effect that can be put on a face, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mien.errors import InputError
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head

Painter: TypeAlias = Callable[[Canvas, Head], None]


@dataclass(frozen=True)
class Effect:
    """Something put on a face.

    name: what people write. summary: what it looks like, in a few words. paint: draws it onto a canvas.
    reach: how far above the top of the hair it stands, in head coordinates; 0 for what stays on the face.
    layer: -1 hides the face, 0 dyes skin, 1 sits on the face, 2 on the head; lower ones are painted first, in whatever
    order they were asked for.
    """

    name: str
    summary: str
    paint: Painter
    reach: float = 0.0
    layer: int = 1

    @property
    def is_privacy(self) -> bool:
        """Whether it makes faces unknowable: it then works from the box alone where no eyes were found."""
        return self.layer < 0


EFFECTS: dict[str, Effect] = {}
"""All effects, in the order in which help shows them."""


def register(name: str, summary: str, *, reach: float = 0.0, layer: int = 1) -> Callable[[Painter], Painter]:
    """Put an effect into `EFFECTS`."""

    def add(paint: Painter) -> Painter:
        EFFECTS[name] = Effect(name, summary, paint, reach, layer)
        return paint

    return add


def find_effect(name: str, known: dict[str, Effect]) -> Effect:
    """The effect of a name, whatever its case and with spaces, ``-`` or ``_`` between words. Raises `InputError`."""
    word = "-".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
    if word in known:
        return known[word]
    near = difflib.get_close_matches(word, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"effect {name!r}: expected one of {', '.join(known)}{hint}")
