"""Where a head is and how it is turned, from five keypoints, better from 68 contour points: what effects are hung on.

Head coordinates are in distances between the pupils: the origin midway between the eyes, x to the right of the picture
when the
head is upright, y down to the chin, z out of the face towards the viewer. A scaled orthographic camera brings them into the
picture (DeMenthon and Davis, "Model-based object pose in 25 lines of code", IJCV 1995, section 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.types import KEYPOINT_NAMES, LANDMARKS, Faces

Array = NDArray[np.float64]

_MODEL = {
    "left_eye": (0.5, 0.0, 0.0),
    "right_eye": (-0.5, 0.0, 0.0),
    "nose": (0.0, 0.57, 0.42),
    "mouth_left": (0.41, 1.05, 0.08),
    "mouth_right": (-0.41, 1.05, 0.08),
    "chin": (0.0, 1.83, 0.02),
    "jaw_left": (1.06, 0.12, -0.85),
    "jaw_right": (-1.06, 0.12, -0.85),
}
"""A mean head. Left and right are the subject's own."""

_PARTS_OF_68 = {
    "left_eye": range(42, 48),
    "right_eye": range(36, 42),
    "nose": (30,),
    "mouth_left": (54,),
    "mouth_right": (48,),
    "chin": (8,),
    "jaw_left": (16,),
    "jaw_right": (0,),
}

_POINT_DEVIATION, _LOOSE_DEVIATION = 0.05, 0.16
_YAW_DEVIATION, _PITCH_DEVIATION = 0.45, 0.16
_ROUNDS = 8
_LEAST_EYES_PX = 2.0
_TOP, _HALF_WIDTH, _CHIN = -1.72, 1.12, 1.83


@dataclass(frozen=True, eq=False)
class Head:
    """One head in the picture.

    axes: (2, 3) pixels that one step along x, y and z of the head makes in the picture. points: pixel places by name:
    the five of `KEYPOINT_NAMES`, ``eyes`` (between them), ``mouth`` (between its corners) and ``lip`` (under the nose).
    box: (4,) of the face. yaw, pitch, roll: radians; the roll turns clockwise on screen.
    top, half_width, chin: of this head in head coordinates: top of the hair (y), half the width at the temples, chin (y).
    """

    axes: Array
    points: dict[str, Array]
    box: Array
    yaw: float
    pitch: float
    roll: float
    top: float = _TOP
    half_width: float = _HALF_WIDTH
    chin: float = _CHIN

    @property
    def unit(self) -> float:
        """Pixels of one head coordinate: the distance of the pupils seen from the front."""
        return float(np.linalg.norm(self.axes) / np.sqrt(2))

    def place(self, point: Iterable[float], anchor: str = "eyes") -> Array:
        """The pixel of a point given in head coordinates from an anchor of `points`."""
        return self.points[anchor] + self.axes @ np.asarray(tuple(point), np.float64)

    def plane(self, anchor: str, at: Iterable[float] = (0, 0, 0), turn: float = 0.0, angle: float = 0.0) -> Array:
        """The 2x3 matrix from a flat drawing in head coordinates to pixels.

        at: where the drawing's origin lies, in head coordinates from the anchor. turn: radians about the head's y axis by
        which the drawing's right side goes back, as a cheek does. angle: radians clockwise in its own plane.
        """
        across = np.array([np.cos(turn), 0.0, -np.sin(turn)])
        down = np.array([0.0, 1.0, 0.0])
        cos, sin = np.cos(angle), np.sin(angle)
        columns = self.axes @ np.stack([cos * across + sin * down, cos * down - sin * across], axis=1)
        return np.column_stack([columns, self.place(at, anchor)])

    def ball(self, anchor: str, at: Iterable[float] = (0, 0, 0)) -> Array:
        """As `plane`, for what is round: turned with the head in the picture, never foreshortened."""
        cos, sin = self.unit * np.cos(self.roll), self.unit * np.sin(self.roll)
        x, y = self.place(at, anchor)
        return np.array([[cos, -sin, x], [sin, cos, y]])


def find_heads(faces: Faces, matte: NDArray[np.float32] | None = None) -> list[Head | None]:
    """The head of each face; None for one without finite eyes, nose and mouth, or with eyes closer than two pixels.

    matte: (H, W) float32 in [0, 1], shows how high the hair goes. Raises `InputError` for a `LANDMARKS` column of another
    shape.
    """
    contours = faces.attributes.get(LANDMARKS)
    if contours is not None and np.shape(contours) != (len(faces), 136):
        raise InputError(f"{LANDMARKS}: expected a column ({len(faces)}, 136), got {np.shape(contours)}")
    return [
        _head(faces.boxes[row], faces.keypoints[row], None if contours is None else contours[row], matte)
        for row in range(len(faces))
    ]


def head_of_box(box: NDArray[np.floating]) -> Head:
    """An upright head that fills a face box, (4,): where the eyes should be, for what must cover a face in any case."""
    x1, y1, x2, y2 = (float(value) for value in box)
    unit = max((x2 - x1) / (2 * 0.98), (y2 - y1) / 2.6, 1.0)
    centre = np.array([(x1 + x2) / 2, y1 + 0.40 * (y2 - y1)])
    points = {name: centre + unit * np.array(_MODEL[name][:2]) for name in KEYPOINT_NAMES}
    below = np.array([0.0, unit])
    points |= {"eyes": centre, "mouth": centre + 1.05 * below, "lip": centre + 0.85 * below}
    return Head(unit * np.eye(3)[:2], points, np.asarray(box, np.float64), 0.0, 0.0, 0.0)


def _head(box: Array, keypoints: Array, contour: Array | None, matte: NDArray[np.float32] | None) -> Head | None:
    points = {name: np.asarray(keypoints[row], np.float64) for row, name in enumerate(KEYPOINT_NAMES)}
    if contour is not None and np.isfinite(contour).all():
        marks = np.asarray(contour, np.float64).reshape(68, 2)
        points |= {name: marks[list(rows)].mean(axis=0) for name, rows in _PARTS_OF_68.items()}
        points["lip"] = (marks[33] + marks[51]) / 2
    if not all(np.isfinite(point).all() for point in points.values()):
        return None
    if np.linalg.norm(points["left_eye"] - points["right_eye"]) < _LEAST_EYES_PX:
        return None
    yaw, pitch, roll, scale = _pose(points)
    axes = scale * _rotation(yaw, pitch, roll)[:2]
    points["eyes"] = (points["left_eye"] + points["right_eye"]) / 2
    points["mouth"] = (points["mouth_left"] + points["mouth_right"]) / 2
    # Between the tip of the nose and the lips the nose itself stands out by about a third of its own depth.
    points.setdefault("lip", points["mouth"] + 0.36 * (points["nose"] - points["mouth"] - axes @ np.array([0, 0, 0.34])))
    head = Head(axes, points, np.asarray(box, np.float64), yaw, pitch, roll)
    return _measured(head, matte)


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The rows are the picture's x, y and depth in head coordinates; positive yaw turns the nose to the right."""
    cos, sin = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_y = np.array([[cos[0], 0, sin[0]], [0, 1, 0], [-sin[0], 0, cos[0]]])
    about_x = np.array([[1, 0, 0], [0, cos[1], sin[1]], [0, -sin[1], cos[1]]])
    about_z = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def _pose(points: dict[str, Array]) -> tuple[float, float, float, float]:
    """Yaw, pitch, roll in radians and pixels a head coordinate: Gauss-Newton with a prior for a head that faces the camera.

    Five points alone say little about pitch, as the mouth moves when its owner speaks: hence the prior.
    """
    names = [name for name in _MODEL if name in points]
    model = np.array([_MODEL[name] for name in names])
    seen = np.array([points[name] for name in names])
    loose = np.array([name in ("chin", "jaw_left", "jaw_right") for name in names])
    weight = 1 / np.where(loose, _LOOSE_DEVIATION, _POINT_DEVIATION)[:, None]
    eyes = points["left_eye"] - points["right_eye"]
    middle = (points["left_eye"] + points["right_eye"]) / 2
    down = (points["mouth_left"] + points["mouth_right"]) / 2 - middle
    roll = float(np.arctan2(eyes[1], eyes[0]))
    size = float(max(np.hypot(*eyes), np.hypot(*down) / 1.05))
    values = np.array([0.0, 0.0, roll, 0.0, 0.0, 0.0])

    def errors(values: Array) -> Array:
        shown = np.exp(values[3]) * (model @ _rotation(*values[:3])[:2].T) + values[4:6]
        prior = [values[0] / _YAW_DEVIATION, values[1] / _PITCH_DEVIATION]
        return np.concatenate([((shown - (seen - middle) / size) * weight).ravel(), prior])

    for _ in range(_ROUNDS):
        now = errors(values)
        slopes = np.stack([(errors(values + step) - now) / 1e-4 for step in 1e-4 * np.eye(6)], axis=1)
        values = values - np.clip(np.linalg.lstsq(slopes, now, rcond=None)[0], -0.4, 0.4)
    yaw = float(np.clip(values[0], -1.2, 1.2))
    return yaw, float(np.clip(values[1], -0.6, 0.6)), float(values[2]), size * float(np.exp(np.clip(values[3], -0.5, 0.8)))


def _measured(head: Head, matte: NDArray[np.float32] | None) -> Head:
    """The head with what can be seen of its proportions: chin and width by the contour, top of the hair by the matte."""
    top, half_width, chin = head.top, head.half_width, head.chin
    eyes = head.points["eyes"]
    inverse = np.linalg.inv(head.axes[:, :2])
    if "chin" in head.points:
        chin = float(np.clip((inverse @ (head.points["chin"] - eyes))[1], 1.4, 2.4))
        wide = inverse @ (head.points["jaw_left"] - head.points["jaw_right"])
        half_width = float(np.clip(wide[0] / 2 * _HALF_WIDTH / _MODEL["jaw_left"][0], 0.9, 1.4))
    if matte is not None:
        steps = np.arange(-0.9, -2.7, -0.04)
        x, y = np.round(eyes[:, None] + head.axes[:, 1, None] * steps).astype(int)
        inside = (x >= 0) & (y >= 0) & (x < matte.shape[1]) & (y < matte.shape[0])
        solid = inside.copy()
        solid[inside] = matte[y[inside], x[inside]] > 0.5
        if solid[0] and not solid.all():
            top = float(np.clip(steps[int(solid.argmin())], -2.4, -1.35))
    return Head(head.axes, head.points, head.box, head.yaw, head.pitch, head.roll, top, half_width, chin)
