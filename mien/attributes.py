"""THE table of face attributes, and the forms an attribute takes: column, JSON, overlay text, colours.

An attribute is one entry here; labelling buttons, dataset column, loss, metric, model output, JSON, overlay and legend
derive from it. The functions take an `Attribute`, not a name: a newer model's card may bring one that this table lacks.

A column has a row for each face and is float32: (N, K) probabilities in the order of ``answers``, or (N, 2) value and
standard deviation for an attribute with a ``unit``. A row of NaN stands for a face that was not judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError

Column = NDArray[np.float32]


@dataclass(frozen=True)
class Attribute:
    """One question about a face.

    answers: what can be chosen, in the order of the column; empty when the answer is a number.
    unit: of a number.
    mirror: answers that change in a mirror image (``{"left": "right", "right": "left"}``); the others stay. Mirroring twice
        must give the first answer back.
    mirror_sign: -1 for a number that changes its sign in a mirror image, such as an angle to the side.
    short: how an answer is called where there is little room.
    is_sensitive: shown and computed only when asked for by name.

    Raises `InputError` when it has neither or both of answers and unit, or names an unknown answer.
    """

    name: str
    question: str
    answers: tuple[str, ...] = ()
    unit: str = ""
    mirror: Mapping[str, str] = field(default_factory=dict)
    mirror_sign: float = 1.0
    short: Mapping[str, str] = field(default_factory=dict)
    is_sensitive: bool = False

    def __post_init__(self) -> None:
        if bool(self.answers) == bool(self.unit):
            raise InputError(f"attribute {self.name}: expected either answers or a unit, got {self.answers} {self.unit!r}")
        if len(set(self.answers)) != len(self.answers) or len(self.answers) == 1:
            raise InputError(f"attribute {self.name}: expected two or more different answers, got {self.answers}")
        unknown = {*self.mirror, *self.mirror.values(), *self.short} - set(self.answers)
        if unknown:
            raise InputError(f"attribute {self.name}: expected answers out of {self.answers}, got {sorted(unknown)}")
        if any(self.mirror.get(other) != answer for answer, other in self.mirror.items()):
            raise InputError(f"attribute {self.name}: expected a mirror that undoes itself, got {dict(self.mirror)}")

    @property
    def width(self) -> int:
        """How many numbers a face has in the column."""
        return len(self.answers) or 2


_EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")

ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "smile", "Does this face smile?", ("smile", "no_smile"), short={"smile": "smiling", "no_smile": "not smiling"}
        ),
        Attribute(
            "mask",
            "Does this face wear a mask over nose and mouth?",
            ("mask", "no_mask", "bad_mask"),
            short={"no_mask": "no mask", "bad_mask": "mask worn wrongly"},
        ),
        # The eight emotions of FER+ (Barsoum et al. 2016, arXiv:1608.01041).
        Attribute("expression", "Which expression does this face show?", _EXPRESSIONS),
        Attribute("age", "How old does this person look?", unit="years"),
        Attribute("gender", "Which gender would a passer-by guess?", ("male", "female"), is_sensitive=True),
    )
}
"""Every attribute this version knows, in the order people see them."""


def find(name: str, given: Mapping[str, Attribute] | None = None) -> Attribute:
    """The attribute of a name: out of ``given`` (a model's card), else the table. Raises `InputError` for another name."""
    for table in (given or {}, ATTRIBUTES):
        if name in table:
            return table[name]
    raise InputError(f"attribute {name!r}: expected one of {', '.join({**(given or {}), **ATTRIBUTES})}")


def from_card(entries: Iterable[Mapping[str, Any]]) -> dict[str, Attribute]:
    """The attributes that a model's card describes, by name; what it leaves out of a known one comes from the table.

    An entry has ``name`` and ``answers`` or ``unit``, and any other field of `Attribute`; unknown keys are passed over.
    Raises `ModelError` for an entry that makes no attribute.
    """
    found = {}
    for entry in entries:
        name = str(entry.get("name", ""))
        known = ATTRIBUTES.get(name)
        values = {item.name: entry[item.name] for item in fields(Attribute) if item.name in entry}
        try:
            values["answers"] = tuple(str(answer) for answer in values.get("answers", ()))
            if known is not None and (values["answers"], values.get("unit", "")) == (known.answers, known.unit):
                found[name] = replace(known, **values)
            else:
                found[name] = Attribute(**{"question": name.replace("_", " "), **values})
        except (TypeError, AttributeError, InputError) as error:
            raise ModelError(f"card: expected an attribute with name and answers or unit, got {entry} ({error})") from None
    return found


def check_column(attribute: Attribute, column: Column) -> Column:
    """The column itself when it has the attribute's width. Raises `InputError` else."""
    if column.ndim != 2 or column.shape[1] != attribute.width:
        raise InputError(f"attribute {attribute.name}: expected a column (N, {attribute.width}), got {column.shape}")
    return column


def to_json(attribute: Attribute, column: Column, row: int) -> dict[str, Any] | None:
    """One face's answer as JSON; None for a face that was not judged.

    Answers: ``{"answer": str, "scores": {answer: float in [0, 1]}}``, four decimals.
    Numbers: ``{"value": float, "unit": str, "std": float}``, two decimals.
    """
    values = check_column(attribute, column)[row]
    if not np.isfinite(values).all():
        return None
    if attribute.answers:
        scores = {answer: round(float(score), 4) for answer, score in zip(attribute.answers, values, strict=True)}
        return {"answer": attribute.answers[int(values.argmax())], "scores": scores}
    return {"value": round(float(values[0]), 2), "unit": attribute.unit, "std": round(float(values[1]), 2)}


def from_json(attribute: Attribute, entries: list[dict[str, Any] | None]) -> Column:
    """The column of these answers, one entry a face: the way back from `to_json`. Raises `InputError` for another form."""
    column = np.full((len(entries), attribute.width), np.nan, np.float32)
    for row, entry in enumerate(entries):
        if entry is None:
            continue
        try:
            if attribute.answers:
                column[row] = [entry["scores"][answer] for answer in attribute.answers]
            elif entry["unit"] == attribute.unit:
                column[row] = entry["value"], entry["std"]
            else:
                raise InputError(f"attribute {attribute.name}: expected {attribute.unit}, got {entry['unit']!r}")
        except (KeyError, TypeError, ValueError) as error:
            wanted = "scores of " + ", ".join(attribute.answers) if attribute.answers else "value, unit and std"
            raise InputError(f"attribute {attribute.name}: expected {wanted}, got {str(entry)[:60]}") from error
    return column


def mirrored(attribute: Attribute, column: Column) -> Column:
    """The column that the mirrored pictures of these faces have."""
    check_column(attribute, column)
    if not attribute.answers:
        return column * np.array([attribute.mirror_sign, 1], np.float32)
    order = [attribute.answers.index(str(mirrored_answer(attribute, answer))) for answer in attribute.answers]
    return column[:, order]


def mirrored_answer(attribute: Attribute, answer: str | float) -> str | float:
    """The answer, or the number, that the mirrored picture of a face has."""
    return attribute.mirror.get(answer, answer) if isinstance(answer, str) else answer * attribute.mirror_sign


def mirrored_name(name: str) -> str:
    """The name that a thing has in a mirror image: ``left`` and ``right`` change places, as whole words between ``_``."""
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))


def short_text(attribute: Attribute, column: Column, row: int) -> str:
    """A word or two about one face for an overlay; empty for a face that was not judged."""
    values = check_column(attribute, column)[row]
    if not np.isfinite(values).all():
        return ""
    if attribute.answers:
        answer = attribute.answers[int(values.argmax())]
        return attribute.short.get(answer, answer.replace("_", " "))
    unit = "" if attribute.unit == "years" else f" {attribute.unit}"
    return f"{attribute.name} {values[0]:.0f}{unit} \u00b1{math.ceil(values[1]):d}"


_COLOURS = (
    (46, 196, 182),
    (255, 159, 28),
    (231, 29, 54),
    (131, 104, 240),
    (88, 196, 70),
    (240, 98, 180),
    (64, 148, 255),
    (250, 220, 60),
)


def colours(attribute: Attribute) -> dict[str, tuple[int, int, int]]:
    """RGB of each answer, in the order of the answers: the legend of an overlay coloured by this attribute."""
    return {answer: _COLOURS[number % len(_COLOURS)] for number, answer in enumerate(attribute.answers)}
