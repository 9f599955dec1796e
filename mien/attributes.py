"""THE table of face attributes, and the forms an attribute takes: column, JSON, overlay text, colours.

An attribute is one entry here; labelling buttons, dataset column, loss, metric, model output, JSON, overlay and legend
derive from it. The functions take an `Attribute`, not a name: a newer model's card may bring one that this table lacks.

A column has a row for each face and is float32: (N, K) probabilities in the order of ``answers``; (N, 2) value and standard
deviation for an attribute with a ``unit``; (N, K) numbers in the order of ``parts``; or (N, 2 P) x and y of ``points``. A
row of NaN stands for a face that was not judged.
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

    answers: what can be chosen, in the order of the column; empty when the answer is no choice.
    unit: of a number. span: the smallest and largest value a number can take.
    parts: names of several numbers that are told together, such as angles. points: how many points are told.
    point_names: what the points are called, in their order; none where they only have numbers.
    mirror: answers that change in a mirror image (``{"left": "right", "right": "left"}``); the others stay. Mirroring twice
        must give the first answer back.
    mirror_signs: for a number, or for each of ``parts``: -1 where it changes its sign in a mirror image.
    short: how an answer is called where there is little room.
    abstain_below: no answer is given when none scores as much, 0 to 1.
    is_balanced: scores are calibrated as if all answers were equally common, whatever the faces that calibrate them hold:
        where a rare answer must not be missed, or those faces tell nothing of how common it is. Else as common as there.
    hints: what to tell a caller, by name: the part whose number is then below the limit, and that limit.
    is_sensitive: shown and computed only when asked for by name.

    Raises `InputError` when it has not just one of answers, unit, parts and points, or names an unknown answer or part.
    """

    name: str
    question: str
    answers: tuple[str, ...] = ()
    unit: str = ""
    span: tuple[float, float] = (0.0, 100.0)
    parts: tuple[str, ...] = ()
    points: int = 0
    point_names: tuple[str, ...] = ()
    mirror: Mapping[str, str] = field(default_factory=dict)
    mirror_signs: tuple[float, ...] = ()
    short: Mapping[str, str] = field(default_factory=dict)
    abstain_below: float = 0.0
    is_balanced: bool = False
    hints: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    is_sensitive: bool = False

    def __post_init__(self) -> None:
        kinds = (bool(self.answers), bool(self.unit and not self.parts), bool(self.parts), self.points > 0)
        if sum(kinds) != 1:
            raise InputError(
                f"attribute {self.name}: expected one of answers, a unit, parts or points, "
                f"got {self.answers} {self.unit!r} {self.parts} {self.points}"
            )
        if len(set(self.answers)) != len(self.answers) or len(self.answers) == 1:
            raise InputError(f"attribute {self.name}: expected two or more different answers, got {self.answers}")
        if self.point_names and not len(set(self.point_names)) == len(self.point_names) == self.points:
            raise InputError(f"attribute {self.name}: expected {self.points} different names, got {self.point_names}")
        unknown = {*self.mirror, *self.mirror.values(), *self.short} - set(self.answers)
        if unknown:
            raise InputError(f"attribute {self.name}: expected answers out of {self.answers}, got {sorted(unknown)}")
        if any(self.mirror.get(other) != answer for answer, other in self.mirror.items()):
            raise InputError(f"attribute {self.name}: expected a mirror that undoes itself, got {dict(self.mirror)}")
        if any(part not in self.parts for part, _ in self.hints.values()):
            raise InputError(f"attribute {self.name}: expected hints about {self.parts}, got {dict(self.hints)}")

    @property
    def width(self) -> int:
        """How many numbers a face has in the column."""
        return len(self.answers) or len(self.parts) or 2 * self.points or 2

    @property
    def is_geometry(self) -> bool:
        """Whether it tells of places, angles and the picture (`parts`, `points`), not of the person."""
        return bool(self.parts or self.points)


_EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")

ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "smile",
            "Does this face smile?",
            ("smile", "no_smile"),
            short={"smile": "smiling", "no_smile": "not smiling"},
            is_balanced=True,
        ),
        Attribute(
            "mask",
            "Does this face wear a mask over nose and mouth?",
            ("mask", "no_mask", "bad_mask"),
            short={"no_mask": "no mask", "bad_mask": "mask worn wrongly"},
            is_balanced=True,
        ),
        # The eight emotions of FER+ (Barsoum et al. 2016, arXiv:1608.01041).
        Attribute("expression", "Which expression does this face show?", _EXPRESSIONS),
        Attribute("age", "How old does this person look?", unit="years", is_sensitive=True),
        Attribute("gender", "Which gender would a passer-by guess?", ("male", "female"), is_sensitive=True),
        # The contour of iBUG 300-W (Sagonas et al. 2013), in its order.
        Attribute("landmarks68", "Where do jaw, brows, nose, eyes and mouth run?", points=68),
        Attribute(
            "pose",
            "Which way does the head look?",
            unit="degrees",
            parts=("yaw", "pitch", "roll"),
            mirror_signs=(-1, 1, -1),
        ),
        # Limits from labelled faces: 1 % are under 0.26 of light; a blur of 4 % of the face's width gives a sharpness
        # of 0.03 to 0.09, none 0.14 to 0.65.
        Attribute(
            "quality",
            "Is the picture of this face good enough?",
            parts=("light", "sharpness", "size"),
            hints={"too_dark": ("light", 0.2), "too_blurred": ("sharpness", 0.11), "too_small": ("size", 24.0)},
        ),
    )
}
"""Every attribute this version knows, in the order people see them."""


_SHAPE = ("answers", "unit", "parts", "points", "point_names")


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
    tuples = {item.name for item in fields(Attribute) if "tuple" in str(item.type) and "Mapping" not in str(item.type)}
    for entry in entries:
        name = str(entry.get("name", ""))
        known = ATTRIBUTES.get(name)
        values = {item.name: entry[item.name] for item in fields(Attribute) if item.name in entry}
        try:
            values["answers"] = tuple(str(answer) for answer in values.get("answers", ()))
            values = {key: tuple(value) if key in tuples else value for key, value in values.items()}
            values["hints"] = {hint: (str(part), float(limit)) for hint, (part, limit) in values.get("hints", {}).items()}
            if known is not None and all(values.get(key, getattr(known, key)) == getattr(known, key) for key in _SHAPE):
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


def to_json(attribute: Attribute, column: Column, row: int) -> Any:
    """One face's answer as JSON; None for a face that was not judged.

    Answers: ``{"answer": str, "scores": {answer: float in [0, 1]}}``, four decimals; ``answer`` is None where no score
    reaches ``abstain_below``. Numbers: ``{"value": float, "unit": str, "std": float}``, two decimals. Parts: an object of
    them, two decimals, with the ``hints`` that hold where the attribute knows any. Points: a list of pairs in pixels, or an
    object of them where they have names.
    """
    values = check_column(attribute, column)[row]
    if not np.isfinite(values).all():
        return None
    if attribute.answers:
        scores = {answer: round(float(score), 4) for answer, score in zip(attribute.answers, values, strict=True)}
        return {"answer": answer_of(attribute, column, row), "scores": scores}
    if attribute.points:
        places = [[round(float(x), 2), round(float(y), 2)] for x, y in values.reshape(-1, 2)]
        return dict(zip(attribute.point_names, places, strict=True)) if attribute.point_names else places
    if attribute.parts:
        told: dict[str, Any] = {part: round(float(v), 2) for part, v in zip(attribute.parts, values, strict=True)}
        return told | ({"hints": hints(attribute, column, row)} if attribute.hints else {})
    return {"value": round(float(values[0]), 2), "unit": attribute.unit, "std": round(float(values[1]), 2)}


def answer_of(attribute: Attribute, column: Column, row: int) -> str | None:
    """The answer with the best score; None where the face was not judged or no score is good enough."""
    values = check_column(attribute, column)[row]
    if not attribute.answers or not np.isfinite(values).all() or values.max() < attribute.abstain_below:
        return None
    return attribute.answers[int(values.argmax())]


def hints(attribute: Attribute, column: Column, row: int) -> list[str]:
    """What a caller should know of one face: the hints whose part is below its limit."""
    values = dict(zip(attribute.parts, check_column(attribute, column)[row].tolist(), strict=True))
    return [hint for hint, (part, limit) in attribute.hints.items() if values[part] < limit]


def from_json(attribute: Attribute, entries: list[Any]) -> Column:
    """The column of these answers, one entry a face: the way back from `to_json`. Raises `InputError` for another form."""
    column = np.full((len(entries), attribute.width), np.nan, np.float32)
    for row, entry in enumerate(entries):
        if entry is None:
            continue
        try:
            if attribute.answers:
                column[row] = [entry["scores"][answer] for answer in attribute.answers]
            elif attribute.points:
                places = [entry[name] for name in attribute.point_names] or entry
                column[row] = np.asarray(places, np.float32).reshape(attribute.width)
            elif attribute.parts:
                column[row] = [entry[part] for part in attribute.parts]
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
    if attribute.points:
        raise InputError(f"attribute {attribute.name}: points change places in a mirror image, which is not told here")
    if not attribute.answers:
        signs = np.ones(attribute.width, np.float32)
        signs[: len(attribute.mirror_signs)] = attribute.mirror_signs
        return column * signs
    order = [attribute.answers.index(str(mirrored_answer(attribute, answer))) for answer in attribute.answers]
    return column[:, order]


def mirrored_answer(attribute: Attribute, answer: str | float) -> str | float:
    """The answer, or the number, that the mirrored picture of a face has."""
    return (
        attribute.mirror.get(answer, answer) if isinstance(answer, str) else answer * (attribute.mirror_signs or (1.0,))[0]
    )


def mirrored_name(name: str) -> str:
    """The name that a thing has in a mirror image: ``left`` and ``right`` change places, as whole words between ``_``."""
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))


def short_text(attribute: Attribute, column: Column, row: int) -> str:
    """A word or two about one face for an overlay; empty for a face that was not judged."""
    values = check_column(attribute, column)[row]
    if not np.isfinite(values).all():
        return ""
    if attribute.is_geometry:
        return ""
    if attribute.answers:
        answer = answer_of(attribute, column, row)
        return f"{attribute.name}?" if answer is None else attribute.short.get(answer, answer.replace("_", " "))
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
    """RGB of each answer, or of each named point, in their order: the legend of an overlay coloured by this attribute."""
    names = attribute.answers or attribute.point_names
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
