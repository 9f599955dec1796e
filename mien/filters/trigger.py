"""When something is to happen: ``smile > 0.7 and not mask.mask > 0.5``. Parsed into plain data, never run as a program.

    expression = term {"or" term}
    term       = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | comparison
    comparison = name ("<" | "<=" | ">" | ">=" | "==" | "!=") (number | answer)

A name is an attribute of `mien.attributes` that has a number (``age``), an attribute with an answer
(``expression.happiness``), an answer alone where one attribute has it (``smile``, ``happiness``), or one of ``faces``
(how many there are), ``score`` and ``size`` (the face box's longer side as a share of the picture's).
``expression == surprise`` asks for the likeliest answer.

Kleene's three-valued logic decides what is not known: a face without the attribute gives neither yes nor no, and then
nothing happens.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mien import attributes as face_attributes
from mien.attributes import ATTRIBUTES, Attribute
from mien.errors import InputError
from mien.types import Faces

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TOKEN = re.compile(r"\s*(?:(<=|>=|==|!=|<|>|\(|\))|(\d+(?:\.\d*)?|\.\d+)|([A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)?))")
_OWN = ("faces", "score", "size")
_WORDS = ("and", "or", "not")
_MOST_LETTERS = 400
_MOST_NESTED = 20


@dataclass(frozen=True)
class _Comparison:
    """attribute: empty for one of `_OWN`, which ``name`` then says. answer: whose probability is meant; empty for a number
    and for a comparison with an answer.
    """

    attribute: str
    name: str
    answer: str
    sign: str
    value: float | str


_Node: TypeAlias = "_Comparison | tuple[str, tuple[_Node, ...]]"


@dataclass(frozen=True)
class Trigger:
    """A condition on one face. ``text`` is as it was written; `parse_trigger` makes one."""

    text: str
    _root: _Node

    def holds(self, faces: Faces, row: int, size_wh: tuple[int, int] = (1, 1)) -> bool | None:
        """Whether the condition is true for one face; None where the picture does not say. size_wh: of the picture."""
        return _value(self._root, faces, row, size_wh)

    def missing(self, faces: Faces) -> list[str]:
        """The attributes that it asks for and that these faces do not carry."""
        names = {node.attribute for node in _comparisons(self._root) if node.attribute}
        return sorted(names - set(faces.attributes))


def parse_trigger(text: str) -> Trigger:
    """The condition that a text describes. Raises `InputError` that names the place where it cannot be understood."""
    if len(text) > _MOST_LETTERS:
        raise InputError(f"when: expected at most {_MOST_LETTERS} letters, got {len(text)}")
    return Trigger(text, _Parser(text).parse())


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.place, self.depth = text, 0, 0
        self.tokens = list(self._split())

    def _split(self) -> Iterator[str]:
        place = 0
        while self.text[place:].strip():
            found = _TOKEN.match(self.text, place)
            if found is None:
                raise self._error(f"{self.text[place:].strip()[:12]!r}")
            yield found.group().strip()
            place = found.end()

    def _error(self, came: str) -> InputError:
        return InputError(f'when {self.text!r}: expected comparisons such as "smile > 0.7 and faces == 1", got {came}')

    def _next(self) -> str:
        if self.place >= len(self.tokens):
            raise self._error("an end that comes too early")
        self.place += 1
        return self.tokens[self.place - 1]

    def _is_at(self, word: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place].lower() == word

    def parse(self) -> _Node:
        root = self._any("or")
        if self.place < len(self.tokens):
            raise self._error(f"{self.tokens[self.place]!r} where it should end")
        return root

    def _any(self, word: str) -> _Node:
        part = self._factor if word == "and" else lambda: self._any("and")
        parts = [part()]
        while self._is_at(word):
            self._next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else (word, tuple(parts))

    def _factor(self) -> _Node:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise self._error(f"more than {_MOST_NESTED} conditions inside each other")
        try:
            if self._is_at("not"):
                self._next()
                return ("not", (self._factor(),))
            if self._is_at("("):
                self._next()
                inner = self._any("or")
                if self._next() != ")":
                    raise self._error("a bracket that is not closed")
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> _Comparison:
        name, sign, value = self._next(), self._next(), self._next()
        if sign not in _COMPARISONS:
            raise self._error(f"{sign!r} where one of {' '.join(_COMPARISONS)} should be")
        if not (name[0].isalpha() or name[0] == "_") or name.lower() in _WORDS:
            raise self._error(f"{name!r} where a name should be")
        if value[0].isalpha():
            return self._with_answer(name.lower(), sign, value.lower())
        if not (value[0].isdigit() or value[0] == "."):
            raise self._error(f"{value!r} where a number should be")
        if name.lower() in _OWN:
            return _Comparison("", name.lower(), "", sign, float(value))
        attribute, answer = _find(name.lower())
        return _Comparison(attribute.name, attribute.name, answer, sign, float(value))

    def _with_answer(self, name: str, sign: str, value: str) -> _Comparison:
        attribute = ATTRIBUTES.get(name)
        if attribute is None or value not in attribute.answers or sign not in ("==", "!="):
            raise self._error(f"'{name} {sign} {value}', where no attribute has that answer")
        return _Comparison(name, name, "", sign, value)


def _find(name: str) -> tuple[Attribute, str]:
    """The attribute and the answer that a name means; the answer is empty for a number."""
    head, _, answer = name.partition(".")
    attribute = ATTRIBUTES.get(head)
    if attribute is not None and attribute.unit and not answer:
        return attribute, ""
    if attribute is not None and attribute.answers and (answer or head) in attribute.answers:
        return attribute, answer or head
    holders = [one for one in ATTRIBUTES.values() if name in one.answers]
    if len(holders) == 1:
        return holders[0], name
    known = [*_OWN, *(one.name for one in ATTRIBUTES.values() if one.unit or one.name in one.answers)]
    known += [f"{one.name}.{answer}" for one in ATTRIBUTES.values() for answer in one.answers]
    near = difflib.get_close_matches(name, [*known, *(word.partition(".")[2] for word in known)], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"when: {name!r} is unknown; expected one of {', '.join(known)}{hint}")


def _comparisons(node: _Node) -> Iterator[_Comparison]:
    if isinstance(node, _Comparison):
        yield node
    else:
        for part in node[1]:
            yield from _comparisons(part)


def _value(node: _Node, faces: Faces, row: int, size_wh: tuple[int, int]) -> bool | None:
    if isinstance(node, _Comparison):
        return _compared(node, faces, row, size_wh)
    word, parts = node
    values = [_value(part, faces, row, size_wh) for part in parts]
    if word == "not":
        return None if values[0] is None else not values[0]
    decides = word == "or"  # the value that settles it whatever the others are
    if decides in values:
        return decides
    return None if None in values else not decides


def _compared(node: _Comparison, faces: Faces, row: int, size_wh: tuple[int, int]) -> bool | None:
    compare = _COMPARISONS[node.sign]
    if not node.attribute:
        x1, y1, x2, y2 = faces.boxes[row]
        own = {
            "faces": float(len(faces)),
            "score": float(faces.scores[row]),
            "size": float(max(x2 - x1, y2 - y1)) / max(size_wh),
        }
        return compare(own[node.name], float(node.value))
    attribute = ATTRIBUTES[node.attribute]
    column = faces.attributes.get(node.attribute)
    if column is None:
        return None
    values = face_attributes.check_column(attribute, column)[row]
    if not np.isfinite(values).all():
        return None
    if isinstance(node.value, str):
        return (attribute.answers[int(values.argmax())] == node.value) == (node.sign == "==")
    return compare(float(values[attribute.answers.index(node.answer)] if node.answer else values[0]), node.value)
