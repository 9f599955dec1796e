from __future__ import annotations

import json

import numpy as np
import pytest

from mien.attributes import (
    ATTRIBUTES,
    Attribute,
    check_column,
    colours,
    find,
    from_card,
    from_json,
    mirrored,
    short_text,
    to_json,
)
from mien.errors import InputError, ModelError

GAZE = Attribute(
    "gaze", "Where does this face look?", ("left", "straight", "right"), mirror={"left": "right", "right": "left"}
)
YAW = Attribute("yaw", "How far is this face turned?", unit="degrees", mirror_signs=(-1,))
EVERY = [*ATTRIBUTES.values(), GAZE, YAW]


def column(attribute: Attribute, rows: int = 3) -> np.ndarray:
    values = np.random.default_rng(5).random((rows, attribute.width)).astype(np.float32)
    return values / values.sum(axis=1, keepdims=True) if attribute.answers else values * 40


@pytest.mark.parametrize("attribute", EVERY, ids=lambda attribute: attribute.name)
def test_every_attribute_goes_to_json_and_back(attribute: Attribute) -> None:
    values = column(attribute)
    values[1] = np.nan
    entries = [to_json(attribute, values, row) for row in range(3)]
    assert entries[1] is None
    again = from_json(attribute, json.loads(json.dumps(entries, allow_nan=False)))
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, values, atol=5e-3)


@pytest.mark.parametrize("attribute", EVERY, ids=lambda attribute: attribute.name)
def test_every_attribute_has_texts_colours_and_a_mirror(attribute: Attribute) -> None:
    values = column(attribute)
    assert bool(short_text(attribute, values, 0)) != attribute.is_geometry
    assert short_text(attribute, values * np.nan, 0) == ""
    assert list(colours(attribute)) == list(attribute.answers)
    assert len(set(colours(attribute).values())) == len(attribute.answers)
    if attribute.points:
        with pytest.raises(InputError, match="points change places in a mirror image"):
            mirrored(attribute, values)
    else:
        np.testing.assert_array_equal(mirrored(attribute, mirrored(attribute, values)), values)
    assert attribute.question.endswith("?")


def test_the_table_is_what_models_and_labels_are_made_for() -> None:
    assert ATTRIBUTES["smile"].answers == ("smile", "no_smile")
    assert ATTRIBUTES["mask"].answers == ("mask", "no_mask", "bad_mask")
    assert " ".join(ATTRIBUTES["expression"].answers) == ("neutral happiness surprise sadness anger disgust fear contempt")
    assert ATTRIBUTES["age"].unit == "years"
    assert [attribute.name for attribute in ATTRIBUTES.values() if attribute.is_sensitive] == ["age", "gender"]
    assert all(name == attribute.name for name, attribute in ATTRIBUTES.items())


def test_json_forms() -> None:
    answers = to_json(ATTRIBUTES["mask"], np.array([[0.1, 0.86666, 0.03]], np.float32), 0)
    assert answers == {"answer": "no_mask", "scores": {"mask": 0.1, "no_mask": 0.8667, "bad_mask": 0.03}}
    number = to_json(ATTRIBUTES["age"], np.array([[31.416, 4.2]], np.float32), 0)
    assert number == {"value": 31.42, "unit": "years", "std": 4.2}
    for attribute, entry in (
        (ATTRIBUTES["mask"], {"scores": {"mask": 1}}),
        (ATTRIBUTES["age"], {"value": 3}),
        (YAW, number),
    ):
        with pytest.raises(InputError, match=f"attribute {attribute.name}: expected"):
            from_json(attribute, [entry])


def test_mirror_swaps_sides_and_signs() -> None:
    assert mirrored(GAZE, np.array([[0.5, 0.375, 0.125]], np.float32)).tolist() == [[0.125, 0.375, 0.5]]
    assert mirrored(YAW, np.array([[12, 3]], np.float32)).tolist() == [[-12, 3]]


def test_short_texts() -> None:
    assert short_text(ATTRIBUTES["smile"], np.array([[0.1, 0.9]], np.float32), 0) == "not smiling"
    assert short_text(ATTRIBUTES["age"], np.array([[31.4, 4.2]], np.float32), 0) == "age 31 ±5"
    assert short_text(YAW, np.array([[-12.4, 3]], np.float32), 0) == "yaw -12 degrees ±3"


def test_wrong_definitions_and_columns_are_refused() -> None:
    for wrong in (
        {},
        {"answers": ("a", "b"), "unit": "m"},
        {"answers": ("a", "a")},
        {"answers": ("a",)},
        {"answers": ("a", "b"), "mirror": {"a": "c"}},
        {"answers": ("a", "b"), "mirror": {"a": "b"}},
        {"answers": ("a", "b"), "short": {"c": "d"}},
    ):
        with pytest.raises(InputError, match="attribute x: expected"):
            Attribute("x", "What?", **wrong)
    for values in (np.zeros(3, np.float32), np.zeros((3, 2), np.float32)):
        with pytest.raises(InputError, match=r"attribute mask: expected a column \(N, 3\)"):
            check_column(ATTRIBUTES["mask"], values)
    with pytest.raises(InputError, match="attribute 'smlie': expected one of smile, mask"):
        find("smlie")


def test_a_card_may_bring_attributes_that_the_table_lacks() -> None:
    brought = from_card(
        [
            {"name": "mask", "answers": ["mask", "no_mask", "bad_mask"], "colour": "not known here"},
            {"name": "glasses", "answers": ["glasses", "sunglasses", "none"]},
            {"name": "expression", "answers": ["happy", "sad"]},
        ]
    )
    assert brought["mask"].short == ATTRIBUTES["mask"].short
    assert brought["expression"].answers == ("happy", "sad")
    assert find("glasses", brought).question == "glasses"
    assert find("age", brought) is ATTRIBUTES["age"]
    for wrong in ({"name": "x"}, {"name": "x", "answers": 3}, {"name": "x", "answers": ["a", "b"], "mirror": 4}):
        with pytest.raises(ModelError, match="card: expected an attribute"):
            from_card([wrong])


def test_points_with_names_are_told_by_name() -> None:
    ears = Attribute("points", "Where?", points=2, point_names=("left_ear", "right_ear"))
    column = np.array([[1.234, 2, 30, 4]], np.float32)
    told = to_json(ears, column, 0)
    assert told == {"left_ear": [1.23, 2.0], "right_ear": [30.0, 4.0]}
    np.testing.assert_allclose(from_json(ears, [told]), column, atol=0.01)
    assert len(set(colours(ears).values())) == 2
    (again,) = from_card([{"name": "points", "points": 2, "point_names": ["left_ear", "right_ear"]}]).values()
    assert again.point_names == ears.point_names
    with pytest.raises(InputError, match="expected 3 different names"):
        Attribute("points", "Where?", points=3, point_names=("a", "b"))
