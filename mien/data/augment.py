"""Changing training pictures: geometry by one warp (pictures, boxes, points and mattes together), looks by
albumentations.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
    whole = transform_boxes(matrix, faces.boxes)
    boxes = clip_boxes(whole, *size_wh)
    keypoints = transform_points(matrix, faces.keypoints)
    if np.linalg.det(matrix[:, :2]) < 0:
        keypoints = keypoints[:, MIRRORED_KEYPOINTS]
    visible = box_area(boxes) / np.maximum(box_area(whole), 1e-6)
    small = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]) < min_size
    moved = FaceRows(boxes, keypoints, faces.is_ignored | (visible < min_visible) | small, faces.is_taught, faces.is_loose)
    return moved[box_area(boxes) > 1]


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
        for number, step in enumerate(self._compose.transforms):  # one seed for all would make them all come together
            step.set_random_seed(seed + 7919 * number)
        return self._compose(image=image)["image"]
