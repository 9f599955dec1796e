"""Wide areas of doubt in a matte become person or background, by what lies around them; the rest stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.models import matte
from mien.models.doubt import decided

Plane = np.ndarray


def body(height: int = 300, width: int = 240) -> Plane:
    """A head and shoulders that the lower border cuts, with a soft outline."""
    matte = np.zeros((height, width), np.float32)
    cv2.circle(matte, (width // 2, height // 3), height // 7, 1, -1)
    cv2.ellipse(matte, (width // 2, height), (width // 3, height // 2), 0, 180, 360, 1, -1)
    return cv2.GaussianBlur(matte, (0, 0), 2)


def test_a_matte_without_doubt_stays_as_it_is() -> None:
    matte = body()
    assert np.array_equal(decided(matte), matte)


@pytest.mark.parametrize("size", [(300, 240), (1200, 960), (90, 72)])
def test_a_doubtful_hole_that_the_border_cuts_is_filled(size: tuple[int, int]) -> None:
    matte = body(*size)
    height, width = size
    hole = np.zeros_like(matte)
    cv2.ellipse(hole, (width // 2, height), (width // 6, height // 5), 0, 180, 360, 1, -1)
    hole = cv2.GaussianBlur(hole, (0, 0), height / 60)
    doubtful = matte * (1 - 0.7 * hole)
    filled = decided(doubtful)
    assert doubtful.min(where=hole > 0.9, initial=1) < 0.4
    assert np.abs(filled - matte).max() < 0.08
    assert filled.dtype == np.float32
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_haze_away_from_the_person_goes() -> None:
    matte = body()
    hazy = matte.copy()
    cv2.circle(hazy, (215, 30), 18, 0.5, -1)
    assert np.abs(decided(cv2.GaussianBlur(hazy, (0, 0), 1)) - cv2.GaussianBlur(matte, (0, 0), 1)).max() < 0.1


def test_what_borders_on_both_is_left_alone() -> None:
    matte = body()
    matte[150:220, 200:240] = 0.5
    matte[150:220, 150:200] = np.maximum(matte[150:220, 150:200], 0.5)
    assert np.array_equal(decided(matte), matte)


def test_a_gap_that_the_matte_is_sure_of_stays() -> None:
    matte = body()
    gap = np.zeros_like(matte)
    cv2.circle(gap, (120, 250), 20, 1, -1)
    matte = matte * (1 - cv2.GaussianBlur(gap, (0, 0), 2))
    assert np.array_equal(decided(matte), matte)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (3, 400), (40, 40)])
def test_plain_and_tiny_mattes_pass(size: tuple[int, int], value: float) -> None:
    matte = np.full(size, value, np.float32)
    assert np.array_equal(decided(matte), matte)


def test_the_matte_model_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(matte, "decided", lambda plane: seen.append(plane) or np.ones_like(plane))
    answer = matte.MatteModel()(np.zeros((60, 80, 3), np.uint8))
    assert answer.shape == (60, 80)
    assert answer.min() == 1
    assert seen[0].max() <= 1
