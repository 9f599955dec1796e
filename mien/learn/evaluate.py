"""Judging a model file on labelled pictures: scores with 95 % intervals, for the whole set and for slices of it.

It runs the same model classes as everything else; torch is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.data.sample import Sample
from mien.data.test_set import samples_to_judge
from mien.errors import DataError
from mien.learn.evaluate_attributes import judge_attributes
from mien.learn.evaluate_faces import LOWEST_SCORE, Detector, judge_detector
from mien.learn.evaluate_mattes import judge_mattes
from mien.learn.judged import Judged, Progress
from mien.learn.run_folder import model_file
from mien.learn.scores import Report
from mien.models.faces import FaceModel
from mien.models.onnx_file import read_onnx

TASKS = ("faces", "matte", "attributes")
"""What the models are for that can be judged."""


def evaluate(
    model: str | Path, data: str | Path, *, split: str = "", threads: int = 1, progress: Progress | None = None
) -> Report:
    """Judge a model on a folder with ``metadata.jsonl``, a project, or a Parquet file of face crops.

    model: a shipped model's name, an ONNX file, or the folder of a run. split: the part of the set, one of `SPLITS`; of a
    project its test part where it is not given, see `samples_to_judge`. threads: of one model call. progress: called after
    each picture.

    Raises `ModelError` when the model cannot be used and `DataError` when the data cannot be read or has no labels for it.
    """
    path = model_file(model)
    read_onnx(path)  # a model that cannot be used is told before the data is read
    samples, notes = samples_to_judge(data, split)
    return judge(path, samples, str(data), notes=notes, threads=threads, progress=progress).report


def judge(
    model: str | Path,
    samples: Sequence[Sample],
    data: str,
    *,
    notes: Sequence[str] = (),
    threads: int = 1,
    progress: Progress | None = None,
) -> Judged:
    """As `evaluate`, of samples, with what the report rests on. data: what they are called. notes: put before the others."""
    path = model_file(model)
    card = read_onnx(path).card
    if card.task == "attributes":
        judged = judge_attributes(path, samples, data, threads, progress)
    elif card.task == "matte":
        judged = judge_mattes(path, samples, data, threads, progress)
    elif card.task == "faces":
        find = FaceModel(path, threads=threads, min_score=LOWEST_SCORE)
        threshold = float(card.thresholds.get("default", find.session.settings.get("min_score", 0.5)))
        judged = judge_detector(find, f"{card.name} {card.version}", threshold, samples, data, progress)
    else:
        raise DataError(f"{data}: there is no measure for a model for {card.task!r}, only for {', '.join(TASKS)}")
    judged.report.notes[:0] = notes
    return judged


def evaluate_detector(
    find: Detector, name: str, threshold: float, data: str | Path, progress: Progress | None = None
) -> Report:
    """Judge any face detector as `evaluate` judges ours.

    find: takes (H, W, 3) uint8 RGB and gives `Faces` by falling score, the weak ones too (from a score of 0.02 on), unknown
    keypoints as NaN. threshold: the score from which on it would be believed in use. Raises `DataError`.
    """
    samples, _ = samples_to_judge(data)
    return judge_detector(find, name, threshold, samples, str(data), progress).report
