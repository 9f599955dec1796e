"""What makes the probabilities of a trained model honest, fitted on faces that it was not trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_FACES, _LEAST_OF_ANSWER = 30, 10
_SLOPES = (0.25, 2.5)
_ROUNDS = 25
_WANTED_ACCURACY, _LEAST_COVERAGE = 0.95, 0.85


@dataclass(frozen=True)
class Calibration:
    """Bias-corrected temperature scaling (Alexandari et al. 2020): logits are divided by ``temperature``, then each answer's
    ``shifts`` (K,) is added.
    """

    temperature: float
    shifts: NDArray[np.float64]

    def __call__(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of probabilities (N, K) as calibrated probabilities."""
        return _softmax(logs / self.temperature + self.shifts)


def calibration(logs: NDArray[np.float64], labels: NDArray[np.int64], is_balanced: bool) -> Calibration:
    """What makes these faces likeliest: logarithms of probabilities (N, K) and numbers of the right answers (N,).

    Training draws rare answers more often than they come, which the shifts undo; is_balanced: they make all answers
    equally common instead. Both are held near 1 and 0 by a normal prior of spread 1, and only answers of at least ten faces
    are shifted. Under 30 faces nothing is fitted.
    """
    count, answers = logs.shape
    common = np.bincount(labels, minlength=answers)
    free = np.flatnonzero(common >= _LEAST_OF_ANSWER)
    if count < _LEAST_FACES or len(free) < 2:
        return Calibration(1.0, np.zeros(answers))
    weights = count / (common > 0).sum() / common[labels] if is_balanced else np.ones(count)
    # The terms of each logit, (N, K, 1 + F): linear in the slope and the shifts, so that the fit is convex.
    terms = np.concatenate(
        [logs[:, :, None], np.broadcast_to(np.eye(answers)[:, free], (count, answers, len(free)))], axis=2
    )
    found = start = np.eye(1 + len(free))[0]
    for _ in range(_ROUNDS):  # Newton's method
        chances = _softmax(terms @ found)
        mean = (chances[:, :, None] * terms).sum(1)
        slope = weights @ (mean - terms[np.arange(count), labels]) + (found - start)
        spread = np.einsum("n,nk,nki,nkj->ij", weights, chances, terms, terms, optimize=True)
        curve = spread - (weights[:, None] * mean).T @ mean + np.eye(len(found))
        found = found - np.linalg.solve(curve, slope)
    shifts = np.zeros(answers)
    shifts[free] = found[1:]
    return Calibration(1 / float(np.clip(found[0], *_SLOPES)), shifts)


def is_calibrating(group: str) -> bool:
    """Whether the held-out faces of a group are those that calibrate a model; the others say how well that went."""
    return hashlib.sha256(group.encode()).digest()[0] % 2 == 0


def abstain_below(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    """The lowest score from which on 95 % of the answers are right, as far as 85 % of the faces still get one; 0 where all
    of them may, or there are too few to tell.
    """
    order = np.argsort(-confidence)
    right = np.cumsum(hits[order]) / np.arange(1, len(order) + 1)
    if len(order) < _LEAST_FACES or right[-1] >= _WANTED_ACCURACY:
        return 0.0
    good = np.flatnonzero(right >= _WANTED_ACCURACY)
    kept = max(int(good[-1]) + 1 if len(good) else 0, round(_LEAST_COVERAGE * len(order)))
    return float(confidence[order[min(kept, len(order)) - 1]])


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
