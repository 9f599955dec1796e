"""Other people's face detectors, as callables: a picture (H, W, 3) uint8 RGB in; boxes, scores and keypoints out.

Keypoints are in mien's order; NaN where a detector gives none. Peers that are not here are left out, with a reason.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from mien.learn.evaluate_faces import LOWEST_SCORE, Detector
from mien.types import Faces

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "peers"
FROM_YUNET = [1, 0, 2, 4, 3]
"""YuNet's points: right eye, left eye, nose, right and left mouth corner of the subject."""

YUNET_SCORE = 0.6
"""What the samples of OpenCV use for YuNet."""


def no_points(boxes: np.ndarray, scores: np.ndarray) -> Faces:
    return Faces(boxes, scores, np.full((len(boxes), 5, 2), np.nan))


def yunet(long_side: int, min_score: float = LOWEST_SCORE) -> Detector:
    """YuNet (OpenCV Zoo, 2023) with the picture's longer side at ``long_side`` pixels, by OpenCV's own class."""
    net = cv2.FaceDetectorYN.create(str(FOLDER / "yunet_n_640_640.onnx"), "", (320, 320), min_score, 0.3, 5000)

    def find(image: np.ndarray) -> Faces:
        height, width = image.shape[:2]
        scale = long_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        net.setInputSize(size)
        found = net.detect(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1])[1]
        if found is None:
            return Faces.none()
        ratio = np.array([width / size[0], height / size[1]])
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], 1) * np.tile(ratio, 2)
        return Faces(boxes, found[:, 14], found[:, 4:14].reshape(-1, 5, 2)[:, FROM_YUNET] * ratio)

    return find


def ultra_light(long_side: int) -> Detector:
    """Ultra-Light-Fast-Generic-Face-Detector RFB-320 through onnxruntime, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(FOLDER / f"version-RFB-{long_side}.onnx"), options)
    given = session.get_inputs()[0]
    height, width = given.shape[2:]

    def find(image: np.ndarray) -> Faces:
        small = (cv2.resize(image, (width, height)).astype(np.float32) - 127) / 128
        confidences, boxes = session.run(None, {given.name: small.transpose(2, 0, 1)[None]})
        scores, boxes = confidences[0, :, 1], boxes[0]
        boxes, scores = boxes[scores > LOWEST_SCORE], scores[scores > LOWEST_SCORE]
        boxes = boxes * np.tile([image.shape[1], image.shape[0]], 2)
        sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        keep = np.array(cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), LOWEST_SCORE, 0.3), int).reshape(-1)
        return no_points(boxes[keep], scores[keep])

    return find


def haar() -> Detector:
    """OpenCV's frontal Haar cascade; the number of agreeing windows, squashed, is its score."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def find(image: np.ndarray) -> Faces:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        boxes, _, weights = cascade.detectMultiScale3(grey, 1.1, 3, minSize=(16, 16), outputRejectLevels=True)
        if not len(boxes):
            return Faces.none()
        boxes = np.asarray(boxes, np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return no_points(boxes, 1 / (1 + np.exp(-np.asarray(weights, np.float32).reshape(-1) / 3)))

    return find


def face_peers(yunet_score: float = LOWEST_SCORE) -> tuple[dict[str, Detector], list[str]]:
    """Detectors by name, YuNet with a least score, and why others are missing."""
    known = {
        "YuNet at 640": (lambda: yunet(640, yunet_score), "yunet_n_640_640.onnx"),
        "YuNet at 320": (lambda: yunet(320, yunet_score), "yunet_n_640_640.onnx"),
        "Ultra-Light RFB-320": (lambda: ultra_light(320), "version-RFB-320.onnx"),
    }
    there = {name: make() for name, (make, file) in known.items() if (FOLDER / file).is_file()}
    missing = [f"{name}: left out, {file} is not there" for name, (_, file) in known.items() if name not in there]
    return {**there, "Haar frontal": haar()}, missing
