"""Small projects of painted faces that a network can learn in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from conftest import paint_face

from mien.data.project import NewPicture, Project
from mien.data.sample import FaceLabel, Sample
from mien.types import KEYPOINT_NAMES

ANSWERS = ("hat", "bare", "crown")


def picture(number: int, answer: str = "", *, has_plaster: bool | None = None) -> tuple[np.ndarray, FaceLabel]:
    """A picture of 128x96 with one painted face, with a red bar for a hat or a yellow one for a crown, and its label.

    has_plaster: whether there is a black line across the nose; None does not ask.
    """
    rng = np.random.default_rng(number)
    answer = answer or ANSWERS[number % len(ANSWERS)]
    image = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (128, 96), interpolation=cv2.INTER_CUBIC).copy()
    size, x, y = float(rng.uniform(40, 60)), float(rng.uniform(5, 60)), float(rng.uniform(15, 35))
    told = paint_face(image, x, y, size)
    if answer != "bare":
        image[int(y) : int(y + size * 0.3), int(x) : int(x + size)] = (235, 20, 20) if answer == "hat" else (240, 220, 20)
    asked = {"hat": answer}
    if has_plaster is not None:
        asked["plaster"] = "plaster" if has_plaster else "none"
    if has_plaster:
        image[int(y + size * 0.5) : int(y + size * 0.58), int(x) : int(x + size)] = 0
    five = np.array([told["keypoints"][name] for name in KEYPOINT_NAMES], np.float32)  # type: ignore[index]
    chin = (x + size / 2, y + size)
    # One chin in five is not to be seen.
    more = {} if number % 5 == 4 else {"chin": chin}
    box = np.array(told["box"], np.float32)
    return image, FaceLabel(box, five, attributes=asked, by="person", more_points=more)


def hats(
    root: Path,
    count: int = 36,
    *,
    task: str = "attribute",
    answers: tuple[str, ...] = ANSWERS,
    asks_plaster: bool = False,
) -> Project:
    """A project of so many pictures, two of each person: who wears what, or where points or faces are; every second person
    wears a plaster where that is asked.
    """
    names = ("left_eye", "right_eye", "chin") if task == "keypoints" else ()
    asked = {"attribute": "hat", "classes": ANSWERS} if task == "attribute" else {}
    project = Project.create(root, task=task, keypoints=names, **asked)  # type: ignore[arg-type]
    for number in range(count):
        has_plaster = number // 2 % 2 == 0 if asks_plaster else None
        image, face = picture(number, answers[number % len(answers)], has_plaster=has_plaster)
        project.add([NewPicture(image, f"{number}.png", Sample(b"", "x", faces=(face,), person=f"p{number // 2}"))])
    project.close()
    return project
