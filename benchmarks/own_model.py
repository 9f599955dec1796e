"""A model of one's own from few pictures: masks from 100 faces a class, and keypoints; how long it takes and how good it is.

python -m benchmarks.own_model [--only masks|points] [--scratch] [--no-write]

The separate part is drawn from groups of pictures that hold no training face. The shipped network that the backbone comes
from was trained on part of these pictures too: ``--held-out FOLDER`` takes the faces that it never saw (the ``validation``
folder of its run) as the separate part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.tables import machine, put, table
from mien.data.divide import divide
from mien.data.project import NewPicture, Project
from mien.data.sample import FaceLabel, Sample, read_imagefolder, read_samples
from mien.types import KEYPOINT_NAMES

MASKS = ("mask", "no_mask", "bad_mask")
PER_CLASS, APART, LEAST_SIDE, REACH = 100, 240, 24, 2.2
POINTS_TRAIN, POINTS_APART = 1200, 300

_TRAIN = """
import json, resource, sys, time
began = time.monotonic()
from mien.cli import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([time.monotonic() - began, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


def masked_faces(samples: list[Sample]) -> Iterator[tuple[Sample, FaceLabel]]:
    """Faces of 24 px and more that are labelled with one of the three answers."""
    for sample in samples:
        for face in sample.faces or ():
            side = float(min(face.box[2:] - face.box[:2]))
            if not face.is_ignored and side >= LEAST_SIDE and face.attributes.get("mask") in MASKS:
                yield sample, face


def cut(sample: Sample, face: FaceLabel) -> NewPicture:
    """One face with its surroundings, as a picture of its own."""
    image = sample.image()
    centre, half = (face.box[:2] + face.box[2:]) / 2, REACH / 2 * float((face.box[2:] - face.box[:2]).max())
    x1, y1 = (int(max(0, value)) for value in np.floor(centre - half))
    x2, y2 = (int(value) for value in np.ceil(centre + half))
    crop = np.ascontiguousarray(image[y1:y2, x1:x2])
    scale = min(1.0, 256 / max(crop.shape[:2]))
    if scale < 1:
        crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    moved = replace(
        face,
        box=(face.box - np.array([x1, y1, x1, y1], np.float32)) * np.float32(scale),
        keypoints=(face.keypoints - np.array([x1, y1], np.float32)) * np.float32(scale),
        more_points={},
    )
    return NewPicture(crop, "face", Sample(b"", "x", faces=(moved,), group=sample.group or sample.name))


def mask_projects(data: Path, folder: Path, held_out: Path | None) -> tuple[Project, Project]:
    """The project to train on, and one of the faces of other groups to judge by."""
    rng = np.random.default_rng(0)
    given = read_imagefolder(data / "faces" / "train")
    apart = [one for one in read_imagefolder(held_out) if not one.is_crop] if held_out is not None else []
    hidden = {sample.group or sample.name for sample in apart}
    pairs = list(masked_faces([one for one in given if (one.group or one.name) not in hidden]))
    if not apart:
        groups = sorted({sample.group or sample.name for sample, _ in pairs})
        rng.shuffle(groups)
        hidden = set(groups[: len(groups) // 3])
    others = list(masked_faces(apart)) if apart else [one for one in pairs if (one[0].group or one[0].name) in hidden]
    pairs = [one for one in pairs if (one[0].group or one[0].name) not in hidden]
    train = Project.create(folder / "masks", task="mask", classes=MASKS)
    judge = Project.create(folder / "apart", task="mask", classes=MASKS)
    for project, faces, count in ((train, pairs, PER_CLASS), (judge, others, APART)):
        order, taken = rng.permutation(len(faces)), Counter[str]()
        for row in order:
            sample, face = faces[int(row)]
            answer = str(face.attributes["mask"])
            if taken[answer] < count:
                taken[answer] += len(project.add([cut(sample, face)]).kept)
        project.close()
        print(f"{project.root.name}: {dict(taken)}", file=sys.stderr)
    return train, judge


def point_projects(data: Path, folder: Path) -> tuple[Project, Project]:
    """Grey faces of 96 px with their five keypoints, to train on and to judge by, split by person."""
    rng = np.random.default_rng(0)
    found = []
    for name, file, count in (
        ("points", "landmarks68-youtube-train", POINTS_TRAIN),
        ("points-apart", "landmarks68-youtube-validation", POINTS_APART),
    ):
        samples = read_samples(data / "keypoints" / f"{file}.parquet")
        project = Project.create(folder / name, task="keypoints", keypoints=KEYPOINT_NAMES)
        for row in rng.permutation(len(samples))[:count]:
            project.add([grey_face(samples[int(row)])])
        project.close()
        found.append(project)
    return found[0], found[1]


def grey_face(sample: Sample) -> NewPicture:
    """A face as the keypoint sets have it: grey, 96 px, filling the picture."""
    (face,) = sample.faces or ()
    image = cv2.cvtColor(cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    side = 1.25 * float((face.box[2:] - face.box[:2]).max())
    x, y = (face.box[:2] + face.box[2:]) / 2 - side / 2
    scale = 96 / side
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], np.float32)
    small = cv2.warpAffine(image, matrix, (96, 96), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    moved = replace(
        face,
        box=np.array([0, 0, 96, 96], np.float32),
        keypoints=((face.keypoints - [x, y]) * scale).astype(np.float32),
        is_taught=False,
    )
    return NewPicture(np.asarray(small, np.uint8), "face", Sample(b"", "x", faces=(moved,), group=sample.group))


def trained(project: Project, *words: str) -> tuple[Path, float, float]:
    """The model that the command makes of a project, and its wall and processor seconds."""
    command = [sys.executable, "-c", _TRAIN, "train", str(project.root), *words]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        raise SystemExit(done.stderr)
    _, cpu = json.loads(done.stderr.splitlines()[-1])
    print(done.stdout, file=sys.stderr)
    return Path(done.stdout.splitlines()[-1]), time.monotonic() - began, cpu


def measured(what: str, project: Project, judge: Project, metric: str, *words: str) -> list[Any]:
    """A row: what was trained, its pictures, seconds, and the figure on the separate part."""
    from mien.learn.evaluate import evaluate

    divide(project, {"validation": 0.15})  # the separate part is the test
    model, wall, cpu = trained(project, *words)
    report = evaluate(model, judge.root)
    (row,) = [row for row in report.rows if row["metric"] == metric and row["slice"] == "all"]
    between = f"{row['low']:.3f} to {row['high']:.3f}"
    count = len(project.rows())
    return [what, f"{count:,}", f"{wall:.0f}", f"{cpu:.0f}", f"{row['value']:.3f}", between, str(row["count"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the labelled pictures")
    parser.add_argument("--only", choices=("masks", "points"), help="measure only this")
    parser.add_argument("--held-out", type=Path, help="faces that the shipped network never saw")
    parser.add_argument("--scratch-epochs", type=int, default=60, help="epochs of the network from scratch; 0 leaves it out")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if not (options.data / "faces" / "train" / "metadata.jsonl").is_file():
        print(f"skipped: {options.data} is not there; it holds the labelled pictures that this measures with")
        return
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.only in (None, "masks"):
            train, judge = mask_projects(options.data, folder, options.held_out)
            metric = "mask balanced_accuracy"
            rows.append(measured("mask, 3 classes, frozen: balanced accuracy", train, judge, metric, "--name", "frozen"))
            if options.scratch_epochs:
                words = ("--name", "scratch", "--backbone", "scratch", "--epochs", str(options.scratch_epochs))
                rows.append(measured("the same from scratch", train, judge, metric, *words))
        if options.only in (None, "points"):
            train, judge = point_projects(options.data, folder)
            rows.append(measured("five points, 96 px grey: RMSE in px", train, judge, "points rmse", "--name", "points"))
    head = ["what", "pictures", "seconds", "CPU seconds", "figure", "95 % interval", "judged on"]
    text = f"{machine()}.\n\n" + table(head, rows)
    print(text)
    if not options.no_write:
        put("own-model", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
