"""Conditions: what they mean, what they refuse, and that nothing is ever run as a program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from painted_people import faces

from mien.errors import InputError
from mien.filters.trigger import parse_trigger

TWO = faces((0, 0, 10, 20), (20, 0, 60, 30)).with_attributes(
    smile=np.array([[0.8, 0.2], [0.3, 0.7]], np.float32),
    age=np.array([[30, 4], [np.nan, np.nan]], np.float32),
    expression=np.array([[0, 0.1, 0.9, 0, 0, 0, 0, 0], [0.6, 0.4, 0, 0, 0, 0, 0, 0]], np.float32),
)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("smile > 0.7", [True, False]),
        ("SMILE>.7", [True, False]),
        ("smile.no_smile >= 0.5", [False, True]),
        ("no_smile > 0.5", [False, True]),
        ("surprise > 0.5", [True, False]),
        ("expression.surprise > 0.5", [True, False]),
        ("expression == surprise", [True, False]),
        ("expression != surprise", [False, True]),
        ("smile == smile", [True, False]),
        ("faces == 2", [True, True]),
        ("faces >= 3 or smile < 0.5", [False, True]),
        ("smile > 0.5 and faces > 1 and score > 0.9", [True, False]),
        ("not smile > 0.7", [False, True]),
        ("not (smile > 0.7 or faces == 1)", [False, True]),
        ("smile > 0.7 or smile > 0.2 and faces == 1", [True, False]),
        ("size > 0.35", [False, True]),
        ("age < 40", [True, None]),
        ("age < 40 or faces == 2", [True, True]),
        ("age < 40 and faces == 1", [False, False]),
        ("mask > 0.5", [None, None]),
        ("not mask > 0.5", [None, None]),
        ("mask > 0.5 or smile > 0.7", [True, None]),
    ],
)
def test_what_a_condition_says_of_each_face(text: str, answers: list[bool | None]) -> None:
    trigger = parse_trigger(text)
    assert [trigger.holds(TWO, row, (100, 50)) for row in range(2)] == answers


def test_missing_attributes_are_named() -> None:
    assert parse_trigger("smile > 0.5 and (mask > 0.5 or age > 3)").missing(faces((0, 0, 1, 1))) == ["age", "mask", "smile"]
    assert parse_trigger("smile > 0.5 and faces == 1").missing(TWO) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "too early"),
        ("smile", "too early"),
        ("smile >", "too early"),
        ("smile > 0.5 and", "too early"),
        ("(smile > 0.5", "too early"),
        ("smile > 0.5)", "where it should end"),
        ("smile > 0.5 faces > 1", "where it should end"),
        ("smile = 0.5", "'= 0.5'"),
        ("0.5 < smile", "where a name"),
        ("smile > happy", "no attribute has that answer"),
        ("expression > surprise", "no attribute has that answer"),
        ("smiel > 0.5", "did you mean smile"),
        ("expression > 0.5", "'expression' is unknown"),
        ("__import__('os').system('true') == 1", "__import__"),
        ("smile.__class__ > 0", "unknown"),
        ("(" * 50 + "smile > 0.5" + ")" * 50, "inside each other"),
        ("not " * 50 + "smile > 0.5", "inside each other"),
        ("smile > 0.5 and " * 40 + "smile > 0.5", "at most"),
    ],
)
def test_what_is_not_understood_is_told(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_trigger(text)
    assert told in str(caught.value)


@given(some.text(alphabet="smileandortfcs0123456789.<>=!() _'\"", max_size=60))
def test_any_text_is_a_condition_or_an_input_error(text: str) -> None:
    try:
        trigger = parse_trigger(text)
    except InputError:
        return
    assert trigger.holds(TWO, 0) in (True, False, None)
    assert trigger.holds(TWO, 1) in (True, False, None)
