"""Calm over time: a matte that does not flicker where nothing moves, faces whose points do not tremble. Built per stream."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.geometry import paired_boxes
from mien.types import Faces, Frame

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_WORK_SIDE = 480
_STILL_GAIN = 0.18
_NOISE_LEAST, _NOISE_MOST = 0.6, 4.0
_MOVES_FROM, _MOVES_SURELY = 2.2, 4.5
_REACH_SHARE = 0.012
_SAME_FACE = 0.3
_HELD_S = 0.5
_LEAST_CUTOFF_HZ, _SPEED_WEIGHT, _SPEED_CUTOFF_HZ = 1.6, 9.0, 2.0


class SteadyMatte:
    """A stage that lets the matte of a still place settle and that of a moving one pass.

    A recursive filter whose gain is chosen for each pixel by motion, as in temporal noise reduction (Dubois and Sabri,
    "Noise
    reduction in image sequences using motion-compensated temporal filtering", IEEE Transactions on Communications 1984; here
    motion is measured, not compensated). A place moves when the picture differs there from its own settled mean by several
    times the camera's noise, which is measured in every frame. Where it moves the gain is 1: no lag.
    """

    __name__ = "steady_matte"

    def __init__(self) -> None:
        self._matte: Plane | None = None
        self._mean: Plane | None = None

    def __call__(self, frame: Frame) -> Frame:
        if frame.matte is None:
            return frame
        small = self._shrunk(frame.image)
        if self._matte is None or self._mean is None or self._matte.shape != frame.matte.shape:
            self._matte, self._mean = frame.matte.copy(), small
            return frame
        gain = self._gain(small, self._mean)
        self._mean += gain * (small - self._mean)
        if gain.shape != frame.matte.shape:
            gain = cv2.resize(gain, (frame.width, frame.height), interpolation=cv2.INTER_LINEAR)
        self._matte = np.asarray(self._matte + gain * (frame.matte - self._matte), np.float32)
        return replace(frame, matte=self._matte.copy())

    def _shrunk(self, image: Image) -> Plane:
        height, width = image.shape[:2]
        ratio = min(1.0, _WORK_SIDE / max(height, width))
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        return np.asarray(grey, np.float32)

    def _gain(self, small: Plane, mean: Plane) -> Plane:
        """(h, w) from `_STILL_GAIN` to 1."""
        away = cv2.blur(np.abs(small - mean), (3, 3))
        # Noise is in every place and every frame: what shows in time alone is movement, what shows in space alone texture.
        noise = float(np.clip(min(np.median(away), _noise(small)), _NOISE_LEAST, _NOISE_MOST))
        moves = np.clip((away / noise - _MOVES_FROM) / (_MOVES_SURELY - _MOVES_FROM), 0, 1)
        reach = 2 * max(1, round(_REACH_SHARE * max(small.shape))) + 1
        moves = cv2.blur(cv2.dilate(moves, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))), (reach, reach))
        return np.asarray(_STILL_GAIN + (1 - _STILL_GAIN) * np.minimum(1.6 * moves, 1), np.float32)


def _noise(grey: Plane) -> float:
    """Standard deviation of a picture's noise, in levels (Immerkaer, "Fast noise variance estimation", CVIU 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)).mean())


class SteadyFaces:
    """A stage that smooths boxes and points, and keeps a face that is lost for a moment where it was.

    Each face is followed by the overlap of its boxes. The One Euro filter (Casiez, Roussel, Vogel, CHI 2012) smooths slow
    movement and follows quick one; speed is measured in face widths a second. A face that is not found stays for half a
    second, so that what hides it does not blink.
    """

    __name__ = "steady_faces"

    def __init__(self) -> None:
        self._faces = Faces.none()
        self._speed: NDArray[np.float32] = np.zeros((0, 14), np.float32)
        self._seen_s: list[float] = []
        self._time_s = 0.0

    def __call__(self, frame: Frame) -> Frame:
        if frame.faces is None:
            return frame
        step_s = max(frame.time_s - self._time_s, 1e-3)
        self._time_s = frame.time_s
        found, old = frame.faces, self._faces
        pairs = paired_boxes(found.boxes, old.boxes, _SAME_FACE)
        values = _values(found)
        speeds = np.zeros_like(values)
        for row, before in pairs.items():
            size = max(float(found.boxes[row, 2] - found.boxes[row, 0]), 1.0)
            last = _values(old[[before]])[0]
            speed = (values[row] - last) / (size * step_s)
            speeds[row] = self._speed[before] + _smoothing(_SPEED_CUTOFF_HZ, step_s) * (speed - self._speed[before])
            cutoff = _LEAST_CUTOFF_HZ + _SPEED_WEIGHT * np.abs(speeds[row])
            smooth = last + _smoothing(cutoff, step_s) * (values[row] - last)
            values[row] = np.where(np.isfinite(smooth), smooth, values[row])
        speeds = np.nan_to_num(speeds)
        steady = replace(found, boxes=values[:, :4], keypoints=values[:, 4:].reshape(-1, 5, 2))
        held = [row for row in range(len(old)) if row not in pairs.values() and frame.time_s - self._seen_s[row] < _HELD_S]
        if held and (not len(found) or set(old.attributes) == set(found.attributes)):
            steady, speeds = _joined(steady, old[held]), np.concatenate([speeds, np.zeros((len(held), 14), np.float32)])
        else:
            held = []
        self._seen_s = [frame.time_s] * len(found) + [self._seen_s[row] for row in held]
        self._faces, self._speed = steady, speeds
        return replace(frame, faces=steady)


def _values(faces: Faces) -> NDArray[np.float32]:
    return np.concatenate([faces.boxes, faces.keypoints.reshape(len(faces), 10)], axis=1)


def _smoothing(cutoff_hz: float | NDArray[np.float32], step_s: float) -> NDArray[np.float32]:
    """Equation 4 of the One Euro paper: the share of the new value."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff_hz) * step_s)), np.float32)


def _joined(faces: Faces, more: Faces) -> Faces:
    return Faces(
        np.concatenate([faces.boxes, more.boxes]),
        np.concatenate([faces.scores, more.scores]),
        np.concatenate([faces.keypoints, more.keypoints]),
        np.concatenate([faces.ids, more.ids]),
        {name: np.concatenate([faces.attributes[name], more.attributes[name]]) for name in faces.attributes}
        if len(faces)
        else more.attributes,
    )
