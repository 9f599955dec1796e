"""What a labelled face teaches the attribute network: a distribution for each attribute that is known, and its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute, mirrored_name
from mien.data.answers import known_label, known_votes, named_points
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError
from mien.learn.attribute_network import POINTS, logits_of

MIRRORED_POINTS = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)
"""Which of the 68 points each one becomes in a mirror image."""
RELATED = {("expression", "happiness"): "smile"}
"""Where nobody was asked for an attribute, an answer to another one tells it roughly."""
RELATED_TRUST = 0.3
_SPREAD = 2.0
"""Standard deviation, in units, that a labelled number is taken to have: neighbours are nearly right."""

Distribution = NDArray[np.float32]


def distribution(attribute: Attribute, label: Any, votes: Mapping[str, float] | None = None) -> Distribution | None:
    """How likely each answer (or whole unit of a number) is, (K,) summing to 1; None where nothing is known.

    label: an answer's name or a number. votes: for answers, how many people
    gave them; they count more than the label.
    """
    if attribute.answers:
        if votes:
            counts = np.array([votes.get(answer, 0) for answer in attribute.answers], np.float32)
            return counts / counts.sum() if counts.sum() > 0 else None
        if label not in attribute.answers:
            return None
        return np.eye(len(attribute.answers), dtype=np.float32)[attribute.answers.index(label)]
    if not isinstance(label, int | float) or not np.isfinite(label):
        return None
    low, high = attribute.span
    steps = np.linspace(low, high, logits_of(attribute))
    bell = np.exp(-0.5 * ((steps - np.clip(label, low, high)) / _SPREAD) ** 2)
    return (bell / bell.sum()).astype(np.float32)


def face_targets(
    attributes: Sequence[Attribute], sample: Sample, face: FaceLabel | None, trust: float, implied: Mapping[str, str]
) -> tuple[Distribution, NDArray[np.float32]]:
    """All distributions joined, (K,) with 0 where unknown, and how much each attribute counts, (A,). Of points x and y in
    pixels of the picture stand there, NaN where unknown.

    trust: of the labels, 0 to 1. implied: answers that hold for the whole set though nobody was asked.
    """
    told: dict[str, tuple[Distribution, float]] = {}
    for attribute in attributes:
        if attribute.points:
            places = named_points(attribute, face)
            told[attribute.name] = places, trust * float(np.isfinite(places).any())
            continue
        found = distribution(attribute, known_label(attribute, sample, face), known_votes(attribute, sample))
        if found is not None:
            told[attribute.name] = found, trust
        elif attribute.name in implied:
            found = distribution(attribute, implied[attribute.name])
            if found is None:
                raise DataError(f"implied: {attribute.name}: expected an answer out of {attribute.answers}, got {implied}")
            told[attribute.name] = found, RELATED_TRUST * trust
    by_name = {attribute.name: attribute for attribute in attributes}
    for (other, answer), name in RELATED.items():
        if name in by_name and name not in told and other in told:
            share = float(told[other][0][by_name[other].answers.index(answer)])
            if share <= 0.1 or share >= 0.8:
                told[name] = np.array([share, 1 - share], np.float32), RELATED_TRUST * trust
    unknown = {a.name: (np.zeros(logits_of(a), np.float32), 0.0) for a in attributes if a.name not in told}
    parts, weights = zip(*({**told, **unknown}[a.name] for a in attributes), strict=True)
    return np.concatenate(parts), np.array(weights, np.float32)


def mirrored_target(attribute: Attribute, part: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a mirrored face teaches of an attribute: the part of its targets (K,), its points being moved already."""
    if attribute.points:
        names = attribute.point_names
        others = [mirrored_name(name) if mirrored_name(name) in names else name for name in names]
        return part.reshape(-1, 2)[[names.index(name) for name in others]].flatten()
    if attribute.answers:
        return part[[attribute.answers.index(attribute.mirror.get(answer, answer)) for answer in attribute.answers]]
    return part[::-1] if attribute.mirror_signs[:1] == (-1,) else part


def face_points(sample: Sample) -> NDArray[np.float32]:
    """The 68 points of a crop in pixels of its picture, (68, 2), NaN where there are none."""
    values = sample.labels.get("landmarks68")
    if values is None:
        return np.full((POINTS, 2), np.nan, np.float32)
    return np.asarray(values, np.float32).reshape(POINTS, 2)
