"""Facial keypoints on grey pictures of 96x96 in Kaggle's form: ``python -m examples.keypoints``."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from examples.painted import grey, paint
from examples.steps import Choice, choose, judge, mien, save_folder, train_and_judge
from mien.data.sample import read_parquet
from mien.types import KEYPOINT_NAMES

SIDE = 96
MOST_SHIFT = 16
KAGGLE = {
    "left_eye": "left_eye_center",
    "right_eye": "right_eye_center",
    "nose": "nose_tip",
    "mouth_left": "mouth_left_corner",
    "mouth_right": "mouth_right_corner",
}
Points = dict[str, tuple[float, float]]


def pictures(choice: Choice) -> Iterator[tuple[NDArray[np.uint8], Points]]:
    """Grey pictures (96, 96) and their points."""
    if choice.real is None:
        for number in range(choice.count):
            face = paint(number, side=SIDE, share=0.7, smiles=number % 2 == 0)
            yield grey(face.image)[..., 0], face.keypoints
        return
    for sample in read_parquet(choice.real / "keypoints" / "landmarks68-youtube-train.parquet")[: choice.count]:
        image = sample.image()
        scale = SIDE / max(image.shape[:2])
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
        small = cv2.warpAffine(grey(image)[..., 0], matrix, (SIDE, SIDE), flags=cv2.INTER_AREA)
        points = sample.faces[0].keypoints * scale if sample.faces else np.full((5, 2), np.nan)
        yield (
            np.asarray(small, np.uint8),
            {n: (float(x), float(y)) for n, (x, y) in zip(KEYPOINT_NAMES, points, strict=True)},
        )


def save_training_csv(path: Path, rows: Sequence[tuple[NDArray[np.uint8], Points]]) -> Path:
    """Kaggle's ``training.csv``, whose points count from the middle of the first pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = [f"{name}_{axis}" for name in KAGGLE.values() for axis in "xy"]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*head, "Image"])
        for image, points in rows:
            places = [round(value - 0.5, 3) for name in KAGGLE for value in points[name]]
            table.writerow([*places, " ".join(map(str, image.ravel().tolist()))])
    return path


def save_shifted(folder: Path, rows: Sequence[tuple[NDArray[np.uint8], Points]]) -> Path:
    """The pictures moved off the middle, as an ImageFolder: what fixed-place networks fail on."""

    def shifted(number: int, image: NDArray[np.uint8], points: Points) -> tuple[NDArray[np.uint8], dict[str, object]]:
        dx, dy = (int(v) for v in np.random.default_rng(number).integers(-MOST_SHIFT, MOST_SHIFT + 1, 2))
        matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        moved = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        places = {name: [x + dx, y + dy] for name, (x, y) in points.items()}
        box = [max(0, dx), max(0, dy), min(SIDE, SIDE + dx), min(SIDE, SIDE + dy)]
        return np.repeat(np.asarray(moved, np.uint8)[..., None], 3, axis=2), {"faces": [{"box": box, "keypoints": places}]}

    return save_folder(folder, [shifted(number, *row) for number, row in enumerate(rows)])


def prepare(choice: Choice) -> None:
    """The project, divided, its training pictures also moved; and the last tenth of the pictures off the middle."""
    project, rows = choice.folder / "keypoints", list(pictures(choice))
    kept = max(1, len(rows) // 10)
    table = save_training_csv(choice.folder / "kaggle" / "training.csv", rows[:-kept])
    save_shifted(choice.folder / "shifted", rows[-kept:])
    mien("new", project, "--task", "keypoints")
    mien("data", "import", project, table.parent, "--format", "kaggle")
    mien("data", "split", project, "--validation", 0.15, "--test", 0.15)
    mien("data", "augment", project, "--times", 2)


def main(words: Sequence[str] | None = None) -> None:
    """Prepare, train, judge in the middle and off it."""
    choice = choose("Facial keypoints on grey pictures of 96x96.", words, painted=200, real=1500)
    prepare(choice)
    centred = train_and_judge(choice.folder / "keypoints", choice)["points rmse"]
    moved = judge(choice.folder / "keypoints" / "runs" / "first", choice.folder / "shifted")["points rmse"]
    for name, rmse in (("in the middle", centred), (f"up to {MOST_SHIFT} px off it", moved)):
        half, whole = mean_squares(rmse)
        print(f"{name}: RMSE {rmse:.3f} px, MSE {half:.6f} on [-1, 1] and {whole:.6f} on [0, 1] coordinates")


def mean_squares(rmse_px: float) -> tuple[float, float]:
    """The mean squared error on [-1, 1] and on [0, 1] coordinates that an RMSE in pixels of 96x96 is."""
    return (rmse_px / (SIDE / 2)) ** 2, (rmse_px / SIDE) ** 2


if __name__ == "__main__":
    main()
