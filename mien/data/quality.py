"""What can be measured of a picture and a face in it without a model: light, sharpness, size, pose, odd labels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.sample import FaceLabel
from mien.geometry import clip_boxes, iou
from mien.types import KEYPOINT_NAMES

_LEFT_EYE, _RIGHT_EYE, _NOSE, _MOUTH_LEFT, _MOUTH_RIGHT = range(len(KEYPOINT_NAMES))
_SIDE = 96
_LEAST_SIDE = 4.0


@dataclass(frozen=True)
class Look:
    """How a face is seen.

    size: of its box's shorter side over the picture's. light: mean brightness, 0 black to 1 white. sharpness: 0 for a
    featureless patch, 1 and more for a crisp face. yaw: to the subject's left (positive) or right, -1 to 1, 0 to the front.
    """

    size: float
    light: float
    sharpness: float
    yaw: float


def look_of(image: NDArray[np.uint8], box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Look:
    """Measure a face: ``image`` (H, W, 3) uint8 RGB, ``box`` (4,) and ``keypoints`` (5, 2) in its pixels."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (int(value) for value in clip_boxes(np.floor(box)[None], width, height)[0])
    patch = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    light, sharpness = light_and_sharpness(patch if patch.size else image)
    size = float(min(box[2] - box[0], box[3] - box[1])) / min(height, width)
    return Look(size, light, sharpness, yaw_of(keypoints))


def light_and_sharpness(image: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean brightness, 0 to 1, and sharpness: the strength of fine edges over that of all contrast, at one size."""
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    plane = grey.astype(np.float32) / 255
    fine = cv2.Laplacian(plane, cv2.CV_32F).std()
    return float(plane.mean()), float(fine / (0.5 * plane.std() + 0.02))


def yaw_of(keypoints: NDArray[np.float32]) -> float:
    """How far a face is turned: -1 to its right, 0 to the front, 1 to its left; NaN where eyes or nose are unknown.

    The measure is the way of the nose from between the eyes along their line, over half their distance.
    """
    left, right, nose = keypoints[_LEFT_EYE], keypoints[_RIGHT_EYE], keypoints[_NOSE]
    axis = left - right
    length = float(np.hypot(*axis))
    if not np.isfinite(length + nose.sum()) or length < 1e-6:
        return float("nan")
    return float(np.clip((nose - (left + right) / 2) @ axis / length / (length / 2), -1, 1))


def face_faults(faces: list[FaceLabel], width: int, height: int) -> list[str]:
    """What is odd about the labelled faces of a picture of that size, one sentence each."""
    found = []
    for number, face in enumerate(faces, 1):
        found += [f"face {number}: {fault}" for fault in _box_faults(face.box, width, height)]
        if not face.is_ignored:
            found += [f"face {number}: {fault}" for fault in _point_faults(face, width, height)]
    boxes = np.array([face.box for face in faces if not face.is_ignored], np.float32).reshape(-1, 4)
    for one, other in np.argwhere(np.triu(iou(boxes, boxes) > 0.8, 1)):
        found.append(f"faces {one + 1} and {other + 1}: two boxes on one face")
    return found


def _box_faults(box: NDArray[np.float32], width: int, height: int) -> list[str]:
    found = []
    sides = box[2:] - box[:2]
    if box[0] < -1 or box[1] < -1 or box[2] > width + 1 or box[3] > height + 1:
        found.append(f"box {_text(box)} leaves the picture of {width}x{height}")
    if sides.min() < _LEAST_SIDE:
        found.append(f"box is {sides.min():.1f} pixels small")
    elif max(sides) > 3.5 * min(sides):
        found.append(f"box is {sides[0]:.0f}x{sides[1]:.0f}, no shape of a face")
    return found


def _point_faults(face: FaceLabel, width: int, height: int) -> list[str]:
    found = []
    sides = face.box[2:] - face.box[:2]
    reach = np.concatenate([face.box[:2] - 0.5 * sides, face.box[2:] + 0.5 * sides])
    points = dict(zip(KEYPOINT_NAMES, face.keypoints.tolist(), strict=True)) | dict(face.more_points)
    for name, (x, y) in points.items():
        if not np.isfinite([x, y]).all():
            continue
        if not (-1 <= x <= width + 1 and -1 <= y <= height + 1):
            found.append(f"{name} ({x:.0f}, {y:.0f}) leaves the picture of {width}x{height}")
        elif not (reach[0] <= x <= reach[2] and reach[1] <= y <= reach[3]):
            found.append(f"{name} lies far outside the box")
    five = face.keypoints
    across, mouth = five[_LEFT_EYE] - five[_RIGHT_EYE], (five[_MOUTH_LEFT] + five[_MOUTH_RIGHT]) / 2
    down = mouth - (five[_LEFT_EYE] + five[_RIGHT_EYE]) / 2
    turn = float(across[0] * down[1] - across[1] * down[0])
    if np.isfinite(turn) and turn < -0.05 * float(np.prod(sides)):
        found.append("left and right eye seem swapped (left is the subject's own)")
    return found


def _text(box: NDArray[np.float32]) -> str:
    return "(" + ", ".join(f"{value:.0f}" for value in box) + ")"
