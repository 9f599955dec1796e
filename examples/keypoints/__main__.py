"""Facial keypoints on grey pictures of 96x96 in Kaggle's form: ``python -m examples.keypoints``."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.own_model import grey_face
from examples.keypoints.plain import Labelled, Points, errors, shifted
from examples.keypoints.plain import train as train_plain
from examples.painted import grey, paint
from examples.steps import Choice, Score, Trained, choose, judge, mien, row, save_folder, show, train
from mien.data.sample import Sample, read_parquet
from mien.metrics import bootstrap_interval, ratio
from mien.types import KEYPOINT_NAMES

SIDE = 96
MOST_SHIFT = 16
PLAIN_TIMES = 3
"""Epochs of a plain network for each of mien's, which looks at several views of each face in one."""
KAGGLE = {
    "left_eye": "left_eye_center",
    "right_eye": "right_eye_center",
    "nose": "nose_tip",
    "mouth_left": "mouth_left_corner",
    "mouth_right": "mouth_right_corner",
}


def pictures(choice: Choice, part: str) -> Iterator[Labelled]:
    """Grey pictures (96, 96) and their points. part: "train", or "validation" for a quarter as many of other people."""
    count = choice.count if part == "train" else max(2, choice.count // 4)
    if choice.real is None:
        for number in range(count):
            face = paint(number if part == "train" else 100_000 + number, side=SIDE, share=0.7, smiles=number % 2 == 0)
            yield grey(face.image)[..., 0], face.keypoints
        return
    samples = read_parquet(choice.real / "keypoints" / f"landmarks68-youtube-{part}.parquet")
    for number in np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int):
        yield _small(samples[number])


def _small(sample: Sample) -> Labelled:
    picture = grey_face(sample)
    (face,) = (picture.labels and picture.labels.faces) or ()
    named = {name: (float(x), float(y)) for name, (x, y) in zip(KEYPOINT_NAMES, face.keypoints, strict=True)}
    return np.asarray(picture.picture)[..., 0].copy(), named


def save_training_csv(path: Path, rows: Sequence[Labelled]) -> Path:
    """Kaggle's ``training.csv``, whose points count from the middle of the first pixel; unknown ones are left empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = [f"{name}_{axis}" for name in KAGGLE.values() for axis in "xy"]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*head, "Image"])
        for image, points in rows:
            places = [round(value - 0.5, 3) if np.isfinite(value) else "" for name in KAGGLE for value in points[name]]
            table.writerow([*places, " ".join(map(str, image.ravel().tolist()))])
    return path


def moved(rows: Sequence[Labelled]) -> list[Labelled]:
    """The pictures moved off the middle, each by its own lot: what networks of fixed places fail on."""
    found = []
    for number, (image, points) in enumerate(rows):
        dx, dy = (int(v) for v in np.random.default_rng(number).integers(-MOST_SHIFT, MOST_SHIFT + 1, 2))
        found.append(shifted(image, points, dx, dy))
    return found


def save_labelled(folder: Path, rows: Sequence[Labelled]) -> Path:
    """Pictures and points as an ImageFolder; the face is somewhere in the picture."""

    def told(points: Points) -> dict[str, object]:
        known: dict[str, Sequence[float]] = {name: place for name, place in points.items() if np.isfinite(place).all()}
        return {"faces": [{"box": [0, 0, SIDE, SIDE], "keypoints": known}]}

    return save_folder(folder, [(np.repeat(image[..., None], 3, axis=2), told(points)) for image, points in rows])


def prepare(choice: Choice) -> tuple[list[Labelled], dict[str, list[Labelled]]]:
    """The project, divided; gives what it is trained on, and others' faces in the middle and off it, as folders too."""
    project, rows = choice.folder / "keypoints", list(pictures(choice, "train"))
    table = save_training_csv(choice.folder / "kaggle" / "training.csv", rows)
    apart = list(pictures(choice, "validation"))
    judged = {"centred": apart, "moved": moved(apart)}
    for name, members in judged.items():
        save_labelled(choice.folder / name, members)
    mien("new", project, "--task", "keypoints")
    mien("data", "import", project, table.parent, "--format", "kaggle")
    mien("data", "split", project, "--validation", 0.15, "--test", 0)
    return rows, judged


def rmse_of(squares: NDArray[np.float64]) -> Score:
    """The root of the mean of squared errors (N,), one a picture, with its interval over pictures."""
    mean = ratio(squares)
    low, high = bootstrap_interval(lambda weights: np.sqrt(mean(weights)), range(len(squares)))
    return Score(float(np.sqrt(squares.mean())), low, high, len(squares))


def mean_squares(rmse_px: float) -> tuple[float, float]:
    """The mean squared error on [-1, 1] and on [0, 1] coordinates that an RMSE in pixels of 96x96 is."""
    return (rmse_px / (SIDE / 2)) ** 2, (rmse_px / SIDE) ** 2


def main(words: Sequence[str] | None = None) -> None:
    """Prepare, train a plain network without and with moved pictures, then mien's; judge each in the middle and off it."""
    choice = choose("Facial keypoints on grey pictures of 96x96.", words, painted=(200, 10), real=(400, 8))
    rows, judged = prepare(choice)
    told: dict[str, tuple[Trained, dict[str, Score]]] = {}
    for name, most_shift in (("plain network, centred pictures", 0), ("plain network, moved pictures", MOST_SHIFT)):
        began, cpu = time.monotonic(), time.process_time()
        network = train_plain(rows, PLAIN_TIMES * choice.epochs, most_shift)
        cost = Trained(len(rows), time.monotonic() - began, time.process_time() - cpu)
        told[name] = cost, {place: rmse_of(errors(network, members)) for place, members in judged.items()}
    trained = train(choice.folder / "keypoints", choice)
    scores = {place: judge(trained.run, choice.folder / place)["points rmse"] for place in judged}
    told["mien, frozen backbone"] = trained, scores
    lines, notes = [], []
    for name, (cost, by_place) in told.items():
        lines += [row(name, cost, f"RMSE in px, {place}", score) for place, score in by_place.items()]
        half, whole = mean_squares(by_place["centred"].value)
        notes.append(f"{name}, centred: MSE {half:.6f} on [-1, 1] and {whole:.6f} on [0, 1] coordinates.")
    note = f"Moved: by up to {MOST_SHIFT} px each way. Plain networks have {PLAIN_TIMES} times the epochs.\n"
    show("keypoints", choice, lines, "\n".join([note, *(f"- {one}" for one in notes)]))


if __name__ == "__main__":
    main()
