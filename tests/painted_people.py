"""Painted people whose matte, faces and colours are known."""

import cv2
import numpy as np

from mien.types import Faces, Frame

SKIN, HAIR, CLOTH, WALL = (224, 172, 138), (60, 40, 30), (200, 70, 40), (120, 160, 90)


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    table = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.stack([(table[:, :2] + table[:, 2:]) / 2] * 5, axis=1)
    return Faces(table, np.ones(len(table)), points)


def portrait(width: int = 300, height: int = 400, heads: tuple[float, ...] = (0.5,)) -> Frame:
    """Painted people before a speckled wall, mixed at their soft edge: a head each, shoulders that the lower border cuts."""
    random = np.random.default_rng(4)
    wall = np.array(WALL) + random.integers(-25, 26, (height, width, 1))
    person = np.zeros((height, width, 3), np.uint8)
    matte = np.zeros((height, width), np.float32)
    boxes = []
    for share in heads:
        x, y, size = round(share * width), round(0.36 * height), round(0.15 * height)
        for picture, cloth, hair, spill in ((person, CLOTH, HAIR, 6), (matte, 1.0, 1.0, 0)):
            cv2.ellipse(
                picture, (x, height), (round(1.9 * size) + spill, round(0.44 * height) + spill), 0, 0, 360, cloth, -1
            )
            cv2.ellipse(picture, (x, y), (size + spill, round(1.2 * size) + spill), 0, 0, 360, hair, -1)
        cv2.ellipse(person, (x, y + size // 5), (round(0.7 * size), round(0.9 * size)), 0, 0, 360, SKIN, -1)
        boxes.append((x - 0.75 * size, y - 0.6 * size, x + 0.75 * size, y + 1.15 * size))
    matte = cv2.GaussianBlur(matte, (0, 0), 1.2)
    image = matte[..., None] * person + (1 - matte[..., None]) * wall
    return Frame(image.round().astype(np.uint8), source="painted.png", faces=faces(*boxes), matte=matte)
