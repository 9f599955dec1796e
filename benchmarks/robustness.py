"""How the face model holds up when pictures are turned, dark, blurred or seen smaller, beside YuNet; and what each
input size costs. Needs the training data and says so where it is absent.

    python -m benchmarks.robustness [--only pictures|sizes] [--no-write]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.accuracy import DATA, held_out_part, is_data_there, is_drawn
from benchmarks.peers import FOLDER, YUNET_SCORE, yunet
from benchmarks.speed import interleaved
from benchmarks.tables import ROOT, put, table
from mien.data.sample import Sample, read_samples
from mien.geometry import iou, transform_boxes
from mien.learn.evaluate_faces import LOWEST_SCORE, Detector, judge_detector
from mien.metrics import bootstrap_interval, keypoint_errors, ratio
from mien.models.faces import FaceModel

ANGLES = range(0, 360, 30)
LONG_SIDES = (256, 320, 352, 384, 448, 512, 576, 640, 768)
MIN_SIDE = 24
TURNED_PICTURES = 120


def turned(image: np.ndarray, boxes: np.ndarray, angle_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned about its middle on a canvas that holds all of it; boxes are those around the turned ones."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (round(height * sine + width * cosine), round(height * cosine + width * sine))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return cv2.warpAffine(image, matrix, size, borderValue=(127, 127, 127)), transform_boxes(
        matrix.astype(np.float32), boxes
    )


def dark(image: np.ndarray) -> np.ndarray:
    """A tenth of the light, with the noise of a sensor."""
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image * 0.1 + noise, 0, 255).astype(np.uint8)


def blurred(image: np.ndarray) -> np.ndarray:
    """Out of focus by 1 % of the longer side."""
    return cv2.GaussianBlur(image, (0, 0), 0.01 * max(image.shape[:2]))


def faces_of(sample: Sample) -> np.ndarray:
    """Boxes of the labelled faces that are large enough to be asked for."""
    boxes = [face.box for face in sample.faces or () if not face.is_ignored]
    return np.array([box for box in boxes if min(box[2:] - box[:2]) >= MIN_SIDE], np.float32).reshape(-1, 4)


def recall(find: Detector, threshold: float, pictures: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float]:
    """Share of the faces found at a threshold with IoU 0.4 (turned boxes are looser), and its interval over pictures."""
    hits, counts = [], []
    for image, boxes in pictures:
        found = find(image)
        kept = found.boxes[found.scores >= threshold]
        hits.append(int((iou(boxes, kept).max(axis=1, initial=0) >= 0.4).sum()))
        counts.append(len(boxes))
    share = ratio(hits, counts)
    low, high = bootstrap_interval(share, list(range(len(hits))))
    return float(share(np.ones((1, len(hits))))[0]), low, high


def points(find: Detector, samples: list[Sample], change: Callable[[np.ndarray], np.ndarray] | None) -> tuple[float, float]:
    """Mean keypoint error over the distance of the eyes, of the faces found, and the share found."""
    errors, found_faces = [], 0
    for sample in samples:
        image = sample.image()
        face = (sample.faces or ())[0]
        side = min(face.box[2:] - face.box[:2])
        if change is not None:
            small = 80 / side / 2
            image = cv2.resize(image, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
            image = change(image)
        scale = image.shape[0] / sample.image().shape[0]
        found = find(image)
        overlaps = iou(face.box[None] * scale, found.boxes)[0] if len(found) else np.zeros(1)
        if overlaps.max(initial=0) < 0.3:
            continue
        found_faces += 1
        row = int(overlaps.argmax())
        errors.append(float(np.nanmean(keypoint_errors(found.keypoints[[row]], face.keypoints[None] * np.float32(scale)))))
    return float(np.mean(errors)), found_faces / len(samples)


def size_table(part: Path, threshold: float) -> str:
    """AP and time of each input size, ours and YuNet, and the curve as a picture."""
    samples = [sample for sample in read_samples(part) if is_drawn(sample)]
    image = next(s for s in samples if s.faces).image()
    image = cv2.resize(image, (640, 480))
    finders: dict[tuple[str, int], Detector] = {
        ("mien faces", side): FaceModel(long_side=side, min_score=LOWEST_SCORE) for side in LONG_SIDES
    }
    in_use: dict[tuple[str, int], Detector] = {("mien faces", side): FaceModel(long_side=side) for side in LONG_SIDES}
    if (FOLDER / "yunet_n_640_640.onnx").is_file():
        finders |= {("YuNet", side): yunet(side) for side in LONG_SIDES}
        in_use |= {("YuNet", side): yunet(side, YUNET_SCORE) for side in LONG_SIDES}
    calls = {f"{name} {side}": partial(find, image) for (name, side), find in in_use.items()}
    times = interleaved(calls, rounds=20)
    lines: dict[str, list[tuple[int, float, float]]] = {"mien faces": [], "YuNet": []}
    for (name, side), find in finders.items():
        least = threshold if name == "mien faces" else YUNET_SCORE
        ap50 = judge_detector(find, str(side), least, samples, str(part)).report.value("ap50")
        lines[name].append((side, times[f"{name} {side}"][1], ap50))
    plot(lines)
    rows = [[name, side, f"{ms:.1f}", f"{ap:.3f}"] for name, line in lines.items() for side, ms, ap in line]
    return (
        "Accuracy against time, by the size at which the picture is seen, "
        f"on the {len(samples)} pictures without faces or with boxes that people drew:\n\n"
        + table(["detector", "longer side px", "ms at 640x480", "AP50"], rows)
        + "\n\n![AP50 against milliseconds for each input size](images/faces-sizes.png)"
    )


def plot(lines: dict[str, list[tuple[int, float, float]]]) -> None:
    """Accuracy against time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, line), colour, away in zip(lines.items(), ("#1b9e77", "#7570b3"), ((5, -11), (-8, 8)), strict=True):
        if line:
            sides, times, values = zip(*line, strict=True)
            axis.plot(times, values, marker="o", label=name, color=colour)
            for side, x, y in zip(sides, times, values, strict=True):
                axis.annotate(str(side), (x, y), textcoords="offset points", xytext=away, fontsize=8, color=colour)
    axis.set(xlabel="milliseconds for a 640x480 picture, one thread", ylabel="AP50 on the held-out part", xscale="log")
    for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        ticks("{x:.0f}")
    axis.grid(alpha=0.3, which="both")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(ROOT / "docs" / "images" / "faces-sizes.png", dpi=120)
    plt.close(figure)


def picture_tables(part: Path, threshold: float) -> str:
    """Recall on changed and turned pictures, and the error of keypoints, ours and YuNet."""
    finders: dict[str, tuple[Detector, float]] = {"mien faces": (FaceModel(min_score=LOWEST_SCORE), threshold)}
    if (FOLDER / "yunet_n_640_640.onnx").is_file():
        finders["YuNet at 640"] = (yunet(640), YUNET_SCORE)
    shown = [(s.image(), faces_of(s)) for s in read_samples(part) if s.faces and len(faces_of(s))][:TURNED_PICTURES]
    rows = []
    for name, (find, least) in finders.items():
        for change, seen in {
            "as they are": shown,
            "a tenth of the light": [(dark(image), boxes) for image, boxes in shown],
            "out of focus by 1 %": [(blurred(image), boxes) for image, boxes in shown],
        }.items():
            value, low, high = recall(find, least, seen)
            rows.append([name, change, f"{value:.3f} ({low:.3f} to {high:.3f})"])
    angles = [["angle", *(str(angle) for angle in ANGLES)]]
    turned_sets = {angle: [turned(image, boxes, angle) for image, boxes in shown] for angle in ANGLES}
    auto = FaceModel(rotate="auto")
    for name, (find, least) in {**finders, "mien faces --rotate auto": (auto, threshold)}.items():
        angles.append([name, *(f"{recall(find, least, turned_sets[angle])[0]:.3f}" for angle in ANGLES)])
    frames = read_samples(DATA / "keypoints" / "landmarks68-youtube-validation.parquet")
    keypoints = []
    for name, (find, _) in finders.items():
        for change, how in {"as they are": None, "40 px faces, out of focus": blurred}.items():
            error, share = points(find, frames, how)
            keypoints.append([name, change, f"{error:.3f}", f"{share:.3f}"])
    return "\n\n".join(
        [
            f"Recall at the default threshold of faces of {MIN_SIDE} px and more in {len(shown)} held-out pictures:",
            table(["detector", "pictures", "recall"], rows),
            "The same, the pictures turned by so many degrees:",
            table(angles[0], angles[1:]),
            f"Keypoints on {len(frames)} video frames that people labelled, none of them in the training: error over the "
            "distance of the eyes, of the faces found, and the share found:",
            table(["detector", "frames", "error", "found"], keypoints),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("pictures", "sizes"), help="one of the two parts; both unless given")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if not is_data_there("robustness"):
        return
    cv2.setNumThreads(1)
    part = held_out_part("faces")
    threshold = float(FaceModel().card.thresholds["default"])
    parts: dict[str, Callable[[Path, float], str]] = {"robustness": picture_tables, "input-sizes": size_table}
    if options.only:
        parts.pop("input-sizes" if options.only == "pictures" else "robustness")
    for name, tables in parts.items():
        text = tables(part, threshold)
        print(text)
        if not options.no_write:
            put(name, text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
