"""Projects with painted faces, and a model that knows where they were painted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mien.data.project import NewPicture, Project
from mien.data.sample import Sample, face_from_entry
from mien.types import KEYPOINT_NAMES, Faces


def wall(seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """A background of soft colours."""
    grain = np.random.default_rng(seed).integers(40, 215, (5, 7, 3), np.uint8)
    return cv2.resize(grain, size[::-1], interpolation=cv2.INTER_CUBIC)


def portrait(seed: int, *, side: int = 40, at: tuple[int, int] = (44, 30), behind: int | None = None) -> np.ndarray:
    """A picture of 128x96 with one face: a grainy, so sharp, square in plain red at its left border."""
    image = wall(seed if behind is None else behind)
    face = np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)
    face[..., 0] = 255
    image[at[1] : at[1] + side, at[0] : at[0] + side] = face
    return image


def find(image: np.ndarray) -> Faces:
    """The face of a `portrait`: where red is full."""
    ys, xs = np.nonzero(cv2.erode((image[..., 0] >= 235).astype(np.uint8), np.ones((3, 3), np.uint8)))
    if len(ys) < 60:
        return Faces.none()
    x1, x2, y1, y2 = xs.min() - 1, xs.max() + 2, ys.min() - 1, ys.max() + 2
    places = np.array([[0.7, 0.4], [0.3, 0.4], [0.5, 0.6], [0.65, 0.8], [0.35, 0.8]])
    points = np.array([x1, y1]) + places * [x2 - x1, y2 - y1]
    return Faces(np.array([[x1, y1, x2, y2]]), np.array([0.9]), points[None])


def entry(answer: str | None = "mask", *, side: int = 40, at: tuple[int, int] = (44, 30)) -> dict[str, object]:
    """The label of a `portrait`."""
    places = [[0.7, 0.4], [0.3, 0.4], [0.5, 0.6], [0.65, 0.8], [0.35, 0.8]]
    points = {n: [at[0] + x * side, at[1] + y * side] for n, (x, y) in zip(KEYPOINT_NAMES, places, strict=True)}
    label: dict[str, object] = {"box": [*at, at[0] + side, at[1] + side], "keypoints": points}
    return label | ({"attributes": {"mask": answer}} if answer else {})


def labels(answer: str = "mask", **changes: object) -> Sample:
    return Sample(b"", "x", **{"faces": (face_from_entry(entry(answer), "here"),), **changes})


def masks(root: Path, count: int = 12, first: int = 0, **changes: object) -> Project:
    """A project of so many portraits, their classes in turn, two of each person."""
    project = Project.create(root, task="mask")
    answers = ("mask", "no_mask", "bad_mask")
    for n in range(first, first + count):
        told = labels(answers[n % 3], **{"person": f"p{n // 2}", "session": f"s{n // 4}", **changes})
        project.add([NewPicture(portrait(n), f"{n}.png", told)])
    return project
