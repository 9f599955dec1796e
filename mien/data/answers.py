"""What people said about a face: the label and the votes for an attribute, wherever the set keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.data.sample import FaceLabel, Sample
from mien.types import KEYPOINT_NAMES


def known_label(attribute: Attribute, sample: Sample, face: FaceLabel | None) -> Any:
    """The answer's name, or the number, that a face is labelled with; None where it is not.

    It comes from the face or, for a crop, from the picture. 1 and 0 stand for the first and the second of two answers.
    """
    of_face = face.attributes if face is not None else {}
    label: Any = of_face.get(attribute.name, sample.labels.get(attribute.name) if sample.is_crop else None)
    if len(attribute.answers) == 2 and isinstance(label, int | float) and label in (0, 1):
        label = attribute.answers[0 if label else 1]
    is_known = label in attribute.answers if attribute.answers else isinstance(label, int | float)
    return label if is_known else None


def known_votes(attribute: Attribute, sample: Sample) -> dict[str, float]:
    """How many people gave each answer to a crop; empty where they were not counted."""
    votes = {
        answer: float(sample.labels[f"votes_{answer}"])
        for answer in attribute.answers
        if sample.is_crop and sample.labels.get(f"votes_{answer}") is not None
    }
    return votes if sum(votes.values()) > 0 else {}


def named_points(attribute: Attribute, face: FaceLabel | None) -> NDArray[np.float32]:
    """The points of a face that an attribute names, (2 P,) pixels ``x y x y ...``, NaN where unknown."""
    places = np.full((attribute.points, 2), np.nan, np.float32)
    if face is not None:
        known = {**dict(zip(KEYPOINT_NAMES, face.keypoints, strict=True)), **face.more_points}
        for row, name in enumerate(attribute.point_names):
            places[row] = known.get(name, (np.nan, np.nan))
    return places.flatten()


def known_points(attribute: Attribute, sample: Sample, face: FaceLabel | None) -> NDArray[np.float32] | None:
    """The labelled places of an attribute's points, (P, 2) pixels, NaN where one is unknown; None where all are.

    Points with names are the face's own; those without stand in the labels of the picture, ``x y x y ...``.
    """
    if not attribute.point_names:
        told = sample.labels.get(attribute.name)
        return None if told is None else np.asarray(told, np.float32).reshape(-1, 2)
    places = named_points(attribute, face).reshape(-1, 2)
    return places if np.isfinite(places).any() else None
