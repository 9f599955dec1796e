"""Changing training pictures: geometry by one warp (pictures, boxes, points and mattes together), looks by
albumentations.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.attributes import ATTRIBUTES, Attribute, mirrored_answer, mirrored_name
from mien.data.sample import FaceLabel
from mien.geometry import box_area, clip_boxes, transform_boxes, transform_points
from mien.types import KEYPOINT_NAMES

MIRRORED_KEYPOINTS = tuple(
    KEYPOINT_NAMES.index(
        {"left_eye": "right_eye", "right_eye": "left_eye", "mouth_left": "mouth_right", "mouth_right": "mouth_left"}.get(
            n, n
        )
    )
    for n in KEYPOINT_NAMES
)
"""Which keypoint each one becomes in a mirror image."""


@dataclass
class FaceRows:
    """Faces under augmentation: boxes (N, 4), keypoints (N, 5, 2) with NaN for unknown, and flags (N,)."""

    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    is_ignored: NDArray[np.bool_]
    is_taught: NDArray[np.bool_]
    is_loose: NDArray[np.bool_]

    @classmethod
    def join(cls, parts: list[FaceRows]) -> FaceRows:
        return cls(
            np.concatenate([part.boxes for part in parts]).reshape(-1, 4).astype(np.float32),
            np.concatenate([part.keypoints for part in parts]).reshape(-1, 5, 2).astype(np.float32),
            *(
                np.concatenate([getattr(part, name) for part in parts]).astype(bool)
                for name in ("is_ignored", "is_taught", "is_loose")
            ),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> FaceRows:
        return FaceRows(
            self.boxes[rows], self.keypoints[rows], self.is_ignored[rows], self.is_taught[rows], self.is_loose[rows]
        )


def warp_faces(
    faces: FaceRows, matrix: NDArray[np.float32], size_wh: tuple[int, int], min_visible: float = 0.4, min_size: float = 6.0
) -> FaceRows:
    """Faces after a 2x3 affine warp onto a canvas of ``size_wh``.

    Boxes are clipped; a face of which less than ``min_visible`` is left, or smaller than ``min_size`` pixels,
    becomes an ignored region; one that is gone is dropped. Where the warp mirrors, left and right keypoints change names.
    """
    moved = _moved(faces, matrix, size_wh, min_visible, min_size)
    return moved[box_area(moved.boxes) > 1]


def _moved(
    faces: FaceRows, matrix: NDArray[np.float32], size_wh: tuple[int, int], min_visible: float, min_size: float
) -> FaceRows:
    """As `warp_faces`, with those that are gone still in their rows."""
    whole = transform_boxes(matrix, faces.boxes)
    boxes = clip_boxes(whole, *size_wh)
    keypoints = transform_points(matrix, faces.keypoints)
    if np.linalg.det(matrix[:, :2]) < 0:
        keypoints = keypoints[:, MIRRORED_KEYPOINTS]
    visible = box_area(boxes) / np.maximum(box_area(whole), 1e-6)
    small = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) < min_size
    return FaceRows(boxes, keypoints, faces.is_ignored | (visible < min_visible) | small, faces.is_taught, faces.is_loose)


def warp_labels(
    labels: Sequence[FaceLabel],
    matrix: NDArray[np.float32],
    size_wh: tuple[int, int],
    attributes: Mapping[str, Attribute] | None = None,
) -> tuple[FaceLabel, ...]:
    """Labels after a 2x3 affine warp onto a canvas of ``size_wh``; see `warp_faces` for what is cut or small.

    Keypoints that fall outside the canvas become unknown. Where the warp mirrors, left and right change names, and answers
    change as their attribute says; attributes: those beside the table.
    """
    if not labels:
        return ()
    flags = np.zeros(len(labels), bool)
    rows = FaceRows(
        np.array([label.box for label in labels], np.float32).reshape(-1, 4),
        np.array([label.keypoints for label in labels], np.float32).reshape(-1, len(KEYPOINT_NAMES), 2),
        np.array([label.is_ignored for label in labels]),
        flags,
        flags,
    )
    moved = _moved(rows, matrix, size_wh, 0.4, 6.0)
    points = np.where(_is_on(moved.keypoints, size_wh)[..., None], moved.keypoints, np.nan)
    is_mirrored = bool(np.linalg.det(matrix[:, :2]) < 0)
    return tuple(
        replace(
            label,
            box=moved.boxes[row],
            keypoints=points[row],
            is_ignored=bool(moved.is_ignored[row]),
            attributes=_answers(label.attributes, attributes, is_mirrored),
            more_points=_more_points(label.more_points, matrix, size_wh, is_mirrored),
        )
        for row, label in enumerate(labels)
        if box_area(moved.boxes[row]) > 1
    )


def _is_on(points: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((points >= 0) & (points <= np.array(size_wh))).all(axis=-1))


def _answers(
    answers: Mapping[str, str | float], attributes: Mapping[str, Attribute] | None, is_mirrored: bool
) -> dict[str, str | float]:
    if not is_mirrored:
        return dict(answers)
    known = {**ATTRIBUTES, **(attributes or {})}
    return {name: mirrored_answer(known[name], value) if name in known else value for name, value in answers.items()}


def _more_points(
    points: Mapping[str, tuple[float, float]], matrix: NDArray[np.float32], size_wh: tuple[int, int], is_mirrored: bool
) -> dict[str, tuple[float, float]]:
    moved = {}
    for name, point in points.items():
        place = transform_points(matrix, np.array(point, np.float32))
        if _is_on(place, size_wh):
            moved[mirrored_name(name) if is_mirrored else name] = (float(place[0]), float(place[1]))
    return moved


def warp_image(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float32],
    size_wh: tuple[int, int],
    fill: tuple[float, ...] | float | NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) or plane (H, W) moved by a 2x3 matrix in pixels, counted from the picture's corner, not from the
    first pixel's centre. Shrunk first by area where it would alias. ``fill`` is a colour, or a picture of
    ``size_wh`` to lie under it.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.6:
        height, width = image.shape[:2]
        small = (max(1, round(width * scale * 1.2)), max(1, round(height * scale * 1.2)))
        step = np.array([[width / small[0], 0], [0, height / small[1]]], np.float32)
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        matrix = np.concatenate([matrix[:, :2] @ step, matrix[:, 2:]], axis=1)
    linear = matrix[:, :2]  # OpenCV counts from pixel centres, labels from pixel edges
    matrix = np.column_stack([linear, matrix[:, 2] + linear.sum(1) / 2 - 0.5])
    if isinstance(fill, np.ndarray):
        return cv2.warpAffine(image, matrix, size_wh, fill.copy(), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)
    border: Any = tuple(float(value) for value in fill) if isinstance(fill, tuple) else fill
    return cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


def similarity(
    rng: np.random.Generator,
    scale: float,
    centre: tuple[float, float],
    to: tuple[float, float],
    angle_deg: float,
    flip: bool,
) -> NDArray[np.float32]:
    """A 2x3 matrix that mirrors (when ``flip``), turns, scales and slightly stretches, and brings ``centre`` onto ``to``."""
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = float(np.exp(rng.normal(0, 0.06)))
    linear = turn @ np.diag([scale * stretch * (-1 if flip else 1), scale / stretch])
    return np.concatenate([linear, (np.array(to) - linear @ np.array(centre))[:, None]], axis=1).astype(np.float32)


def random_square(image: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random square of the picture, half its shorter side at least, mirrored half of the time: (size, size, 3)."""
    height, width = image.shape[:2]
    side = max(1, int(min(height, width) * rng.uniform(0.5, 1.0)))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in (height, width))
    step = -1 if rng.random() < 0.5 else 1
    return cv2.resize(image[top : top + side, left : left + side][:, ::step], (size, size), interpolation=cv2.INTER_AREA)


class Looks:
    """Colour, light, blur, noise, compression and occlusion, the same for the same seed. Shapes and labels stay as
    they are.
    """

    def __init__(self, strength: float = 1.0, has_patches: bool = True) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations as A

        s = strength
        steps = [
            A.RandomBrightnessContrast(brightness_limit=0.25 * s, contrast_limit=0.3 * s, p=0.5),
            A.RandomGamma(gamma_limit=(50, 180), p=0.25),
            A.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=35, val_shift_limit=20, p=0.3),
            A.RGBShift(r_shift_limit=18, g_shift_limit=12, b_shift_limit=18, p=0.15),
            A.ToGray(p=0.1),
            A.OneOf(
                [A.GaussianBlur(blur_limit=(3, 7)), A.MotionBlur(blur_limit=(3, 9)), A.Downscale(scale_range=(0.35, 0.8))],
                p=0.2,
            ),
            A.GaussNoise(std_range=(0.01, 0.06), p=0.12),
            A.ImageCompression(quality_range=(25, 90), p=0.2),
        ]
        if has_patches:
            steps.append(
                A.CoarseDropout(
                    num_holes_range=(1, 3),
                    hole_height_range=(0.04, 0.15),
                    hole_width_range=(0.04, 0.15),
                    fill="random_uniform",
                    p=0.12,
                )
            )
        self._compose = A.Compose(steps)

    def __call__(self, image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """``image`` (H, W, 3) uint8, changed; ``seed`` decides all."""
        # One state for all steps; one seed for each would make them all come together.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        return self._compose(image=image)["image"]


def in_low_light(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as a small camera takes it in the dark: little light, off in colour, noisy by photons and sensor."""
    light = (image.astype(np.float32) / 255) ** 2.2 * float(rng.uniform(0.04, 0.25))
    light *= rng.normal(1, 0.06, 3).astype(np.float32)
    photons = float(rng.uniform(400, 4000))
    noisy = light + rng.standard_normal(light.shape, np.float32) * np.sqrt(np.maximum(light, 0) / np.float32(photons))
    noisy += rng.standard_normal(light.shape, np.float32) * np.float32(rng.uniform(0.0005, 0.003))
    gain = float(rng.uniform(1, 3))
    return np.round(np.clip(noisy * gain, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def brightened(image: NDArray[np.uint8], least_light: float, most_gain: float) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with all values times one gain, at most ``most_gain``, so that their mean reaches
    ``least_light``; as it is where it does.
    """
    gain = min(most_gain, least_light / max(float(image[::4, ::4].mean()), 1e-3))
    return image if gain <= 1 else cv2.convertScaleAbs(image, alpha=gain).astype(np.uint8, copy=False)


def variant(
    image: NDArray[np.uint8],
    labels: Sequence[FaceLabel],
    seed: Sequence[int],
    looks: Looks,
    attributes: Mapping[str, Attribute] | None = None,
) -> tuple[NDArray[np.uint8], tuple[FaceLabel, ...]]:
    """A changed copy of a labelled picture, of its size: cut, turned, moved, mirrored, in another light.

    seed: decides all. Where the last face would be cut away, the move is drawn again, gentler each time.
    """
    rng = np.random.default_rng(list(seed))
    height, width = image.shape[:2]
    real = [label for label in labels if not label.is_ignored]
    for strength in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0):
        matrix = _camera_move(rng, (width, height), real, strength)
        moved = warp_labels(labels, matrix, (width, height), attributes)
        if sum(not label.is_ignored for label in moved) >= min(1, len(real)):
            break
    blurred = cv2.resize(cv2.resize(image, (6, 6), interpolation=cv2.INTER_AREA), (width, height))
    changed = looks(warp_image(image, matrix, (width, height), blurred), int(rng.integers(2**31)))
    return (in_low_light(changed, rng) if rng.random() < 0.12 else changed), moved


def _camera_move(
    rng: np.random.Generator, size_wh: tuple[int, int], faces: Sequence[FaceLabel], strength: float
) -> NDArray[np.float32]:
    """A crop, turn, shift and, half of the time, mirror image of a picture; around one face in two cases of five."""
    width, height = size_wh
    centre, scale = (width / 2, height / 2), float(np.exp(strength * rng.uniform(-0.2, 0.45)))
    if faces and rng.random() < 0.4:
        box = faces[int(rng.integers(len(faces)))].box
        near = 0.6 * min(width / (box[2] - box[0]), height / (box[3] - box[1]))
        scale = float(np.clip(near * np.exp(strength * rng.uniform(-0.5, 0)), 0.8, 1 + 2 * strength))
        centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    reach = 0.12 * strength * np.array(size_wh)
    to = np.array(size_wh) / 2 + rng.uniform(-1, 1, 2) * reach
    angle = strength * float(rng.normal(0, 10))
    return similarity(rng, scale, centre, (float(to[0]), float(to[1])), angle, bool(rng.random() < 0.5))
