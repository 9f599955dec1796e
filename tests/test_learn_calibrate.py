"""Calibration undoes what training on balanced draws did, and leaves alone what too few faces tell of."""

from __future__ import annotations

import numpy as np
import pytest

from mien.learn.calibrate import abstain_below, calibration
from mien.metrics import calibration_error

SHIFT = np.array([1.0, -0.2, -0.8])


def told(
    count: int = 4000, temperature: float = 1.6, shift: np.ndarray = SHIFT
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Honest probabilities, labels drawn by them, and what an overconfident and shifted model says (logarithms)."""
    rng = np.random.default_rng(1)
    true = rng.normal(0, 1.5, (count, 3)) + np.array([0.8, 0.0, -1.2])
    chances = np.exp(true) / np.exp(true).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in chances])
    said = (true - shift) * temperature
    return chances, labels, said - np.log(np.exp(said).sum(1, keepdims=True))


def test_finds_temperature_and_shifts() -> None:
    chances, labels, logs = told()
    fitted = calibration(logs, labels, is_balanced=False)
    assert fitted.temperature == pytest.approx(1.6, rel=0.1)
    found = fitted.shifts - fitted.shifts.mean()
    assert np.allclose(found, SHIFT - SHIFT.mean(), atol=0.15)
    before, after = (calibration_error(p.max(1), p.argmax(1) == labels) for p in (np.exp(logs), fitted(logs)))
    assert after < 0.03 < 0.1 < before
    assert np.abs(fitted(logs) - chances).mean() < 0.02


def test_balanced_shifts_raise_the_recall_of_rare_answers() -> None:
    _, labels, logs = told(shift=np.zeros(3))
    plain, level = (calibration(logs, labels, is_balanced=balanced)(logs).argmax(1) for balanced in (False, True))

    def recall(answers: np.ndarray) -> list[float]:
        return [float((answers[labels == k] == k).mean()) for k in range(3)]

    assert np.bincount(labels).argmin() == 2
    assert recall(level)[2] > recall(plain)[2] + 0.1
    assert np.mean(recall(level)) > np.mean(recall(plain))
    assert (plain == labels).mean() > (level == labels).mean()


def test_few_faces_change_nothing_and_rare_answers_are_not_shifted() -> None:
    _, labels, logs = told(29)
    fitted = calibration(logs, labels, is_balanced=False)
    assert fitted.temperature == 1.0
    assert not fitted.shifts.any()
    _, labels, logs = told(400)
    labels[labels == 2] = 0
    labels[:9] = 2
    assert calibration(logs, labels, is_balanced=False).shifts[2] == 0.0


@pytest.mark.parametrize("balanced", [False, True])
def test_answers_that_are_always_right_stay_finite(balanced: bool) -> None:
    labels = np.arange(60) % 2
    logs = np.log(np.where(np.eye(2)[labels] > 0, 1 - 1e-7, 1e-7))
    fitted = calibration(logs, labels, balanced)
    assert 0.4 <= fitted.temperature <= 4
    assert np.isfinite(fitted(logs)).all()
    assert (fitted(logs).argmax(1) == labels).all()


def test_abstains_from_the_least_sure() -> None:
    confidence = np.linspace(0.5, 1, 200)
    hits = confidence > 0.53
    assert 0.5 < abstain_below(confidence, hits) < 0.54
    assert abstain_below(confidence, np.ones(200, bool)) == 0.0
