"""The card and the golden vectors that travel in a model file."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.card import CARD_KEY, GOLDEN_KEY, GoldenVector, ModelCard, golden_to_json, read_card, read_golden
from mien.errors import ModelError


def full_card(**changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "faces",
        "task": "faces",
        "version": "0.1.0",
        "summary": "Finds faces",
        "intended_use": "Counting people in photos.",
        "known_failures": ["small faces", "masks | hats"],
        "inputs": {"image": {"type": "uint8", "shape": "(H, W, 3)", "meaning": "RGB"}, "long_side": {"default": 640}},
        "outputs": {"boxes": {"type": "float32", "shape": "(N, 4)", "meaning": "pixels"}},
        "input_limits": {"min_side": 1, "max_side": 65535},
        "thresholds": {"default": 0.5, "precision_99": 0.8},
        "attributes": [{"name": "mask", "answers": ["mask", "no_mask"]}, {"name": "age", "unit": "years"}],
        "training": {"recipe": "recipes/faces.toml", "seed": 1},
        "data": [{"name": "web photos", "pictures": 3000, "terms": "no licence stated"}],
        "scores": [
            {"metric": "nme", "value": 0.05, "low": 0.04, "high": 0.06, "count": 9, "slice": "near", "better": "lower"},
            {"metric": "nme", "value": 0.09, "low": None, "high": None, "count": 9, "slice": "far", "better": "lower"},
            {"metric": "ap50", "value": 0.9, "low": 0.88, "high": 0.93, "count": 20, "slice": "all", "better": "higher"},
            {"metric": "ap50", "value": 0.95, "low": 0.9, "high": 0.97, "count": 8, "slice": "large", "better": "higher"},
            {"metric": "ap50", "value": 0.6, "low": 0.5, "high": 0.7, "count": 8, "slice": "small", "better": "higher"},
        ],
        "created": "2026-01-02",
    }
    return ModelCard(**{**values, **changes})


def test_a_card_survives_json() -> None:
    card = full_card()
    assert ModelCard.from_json(card.to_json()) == card


def test_unknown_keys_are_kept() -> None:
    text = json.dumps({**json.loads(full_card().to_json()), "carbon_kg": 3.5})
    card = ModelCard.from_json(text)
    assert card.extra == {"carbon_kg": 3.5}
    assert json.loads(card.to_json())["carbon_kg"] == 3.5


def test_only_four_keys_and_the_format_are_needed() -> None:
    card = ModelCard.from_json('{"format": 1, "name": "a", "task": "faces", "version": "1", "summary": "s"}')
    assert card.thresholds == {}
    assert card.licence == "Apache-2.0"


@pytest.mark.parametrize("key", ["format", "name", "task", "version", "summary"])
def test_a_missing_key_is_named(key: str) -> None:
    values = json.loads(full_card().to_json())
    del values[key]
    with pytest.raises(ModelError, match=f"missing: {key}$"):
        ModelCard.from_json(json.dumps(values))


def test_a_newer_format_is_refused_whatever_else_it_holds() -> None:
    with pytest.raises(ModelError, match=r"format 2 is newer than 1.*update mien"):
        ModelCard.from_json('{"format": 2, "title": "all other keys differ"}')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("format", "1"),
        ("format", True),
        ("scores", {"ap50": 0.9}),
        ("scores", ["ap50"]),
        ("known_failures", "one"),
        ("thresholds", {"default": "high"}),
        ("thresholds", {"default": True}),
        ("input_limits", {"min_side": 1.5}),
        ("inputs", {"image": "RGB"}),
        ("training", None),
    ],
)
def test_a_wrong_type_is_named(key: str, value: object) -> None:
    values = {**json.loads(full_card().to_json()), key: value}
    with pytest.raises(ModelError, match=f"card: {key}: expected") as caught:
        ModelCard.from_json(json.dumps(values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"card"', '{"format": NaN}', "[" * 100_000, "\ud800"])
def test_what_is_no_card_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ModelError, match="JSON can hold"):
        full_card(training={"loss": float("nan")}).to_json()


def test_cards_are_read_from_metadata() -> None:
    card = full_card()
    assert read_card({CARD_KEY: card.to_json()}, "a.onnx") == card
    with pytest.raises(ModelError, match=r"^a\.onnx: expected a model with a card"):
        read_card({}, "a.onnx")
    with pytest.raises(ModelError, match=r"^a\.onnx: card: expected JSON"):
        read_card({CARD_KEY: "?"}, "a.onnx")


def test_markdown_shows_the_worst_slice_first_and_both_intervals() -> None:
    text = full_card().to_markdown()
    lines = text.splitlines()
    assert "| ap50 ↑ | 0.900 | 0.880 to 0.930 | 20 |" in lines
    order = [
        lines.index(next(line for line in lines if f"| {name} |" in line)) for name in ("far", "near", "small", "large")
    ]
    assert order == sorted(order)
    assert "| nme ↓ | far | 0.090 | - | 9 |" in lines
    assert "| web photos | 3000 | no licence stated |" in lines
    assert "- masks \\| hats" in lines
    assert "| mask | mask, no_mask |" in lines
    assert "| age | years |" in lines
    assert "| name | type | shape | default | meaning |" in lines


def test_markdown_escapes_what_would_be_html() -> None:
    text = full_card(summary="<script>alert(1)</script>\n# no heading").to_markdown()
    assert "<script>" not in text
    assert "\n# no heading" not in text


def test_markdown_of_a_bare_card() -> None:
    text = ModelCard("a", "faces", "1", "s").to_markdown()
    assert text.startswith("# a 1\n\ns\n")
    assert "## Scores" not in text


def vector() -> GoldenVector:
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    outputs = {"boxes": np.array([[1, 2, 3.5, 4]], np.float32), "scores": np.zeros(0, np.float32)}
    return GoldenVector(image, outputs, {"boxes": 0.5, "scores": 0.01}, {"min_score": 0.25})


def test_golden_vectors_survive_json() -> None:
    (back,) = read_golden({GOLDEN_KEY: golden_to_json([vector()])}, "a.onnx")
    np.testing.assert_array_equal(back.image, vector().image)
    np.testing.assert_array_equal(back.outputs["boxes"], vector().outputs["boxes"])
    assert back.outputs["scores"].shape == (0,)
    assert back.tolerance == {"boxes": 0.5, "scores": 0.01}
    assert back.inputs == {"min_score": 0.25}


def test_golden_outputs_may_be_nested_lists() -> None:
    values = vector().to_dict()
    values["outputs"]["boxes"] = [[1, 2, 3.5, 4]]
    np.testing.assert_array_equal(GoldenVector.from_dict(values).outputs["boxes"], vector().outputs["boxes"])


def test_no_golden_vectors_is_an_empty_list() -> None:
    assert read_golden({}, "a.onnx") == []


def _bomb() -> str:
    png = base64.b64decode(vector().to_dict()["image_png"])
    return base64.b64encode(png[:16] + (60000).to_bytes(4, "big") * 2 + png[24:]).decode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_png", "AAAA"),
        ("image_png", "not base64!"),
        ("image_png", None),
        ("image_png", vector().to_dict()["image_png"][:80]),
        ("image_png", _bomb()),
        ("outputs", []),
        ("outputs", {"boxes": [[1, 2], [3]], "scores": []}),
        ("outputs", {"boxes": {"float32": "AAAA", "shape": [1]}, "scores": []}),
        ("outputs", {"boxes": {"float32": "AAAAAA=="}, "scores": []}),
        ("tolerance", {"boxes": 0.5}),
        ("inputs", {"min_score": "low"}),
    ],
)
def test_damaged_golden_vectors_are_model_errors(key: str, value: object) -> None:
    text = json.dumps([{**vector().to_dict(), key: value}])
    with pytest.raises(ModelError, match=r"^a\.onnx: golden vector"):
        read_golden({GOLDEN_KEY: text}, "a.onnx")


@pytest.mark.parametrize("text", ["{}", "[3]", "[{}]", "["])
def test_golden_metadata_of_another_form_is_a_model_error(text: str) -> None:
    with pytest.raises(ModelError):
        read_golden({GOLDEN_KEY: text}, "a.onnx")


def test_the_reference_page_names_every_field_and_every_measure() -> None:
    from mien.learn.scores import METRICS

    page = (Path(__file__).parents[1] / "docs" / "reference" / "card.md").read_text("utf-8")
    for field in dataclasses.fields(ModelCard):
        assert f"`{field.name}`" in page or field.name == "extra"
    for name, (better, meaning) in METRICS.items():
        assert f"| `{name}` | {better} | {meaning} |".replace("|  |", "| |") in page
