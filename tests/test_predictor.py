"""One model file and what it says of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mien
from mien.errors import InputError, ModelError
from mien.models.store import shipped

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg"

pytestmark = pytest.mark.skipif(
    not {"faces", "attributes", "matte"} <= set(shipped()), reason="the shipped models are not in this checkout"
)


def test_two_lines_give_what_analyze_gives() -> None:
    found = mien.Predictor("faces")(SAMPLE)
    assert isinstance(found, mien.Prediction)
    assert found.to_json()["faces"] == mien.analyze(SAMPLE).to_json()["faces"]


def test_what_a_model_was_trained_for_is_told_though_it_is_sensitive() -> None:
    (face,) = mien.Predictor("attributes")(SAMPLE).to_json()["faces"]  # type: ignore[union-attr]
    assert {"age", "gender", "mask"} <= face["attributes"].keys()
    assert "age" not in mien.analyze(SAMPLE).to_json()["faces"][0]["attributes"]


def test_a_matte_model_gives_a_matte() -> None:
    matte = mien.Predictor("matte")(SAMPLE)
    assert isinstance(matte, np.ndarray)
    assert matte.shape == (512, 512)
    assert 0.2 < matte.mean() < 0.8


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(InputError, match="expected device and threads for a matte model, got min_score"):
        mien.Predictor("matte", min_score=0.5)
    with pytest.raises(ModelError, match="no shipped model is called 'face'"):
        mien.Predictor("face")
