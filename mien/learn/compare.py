"""Two models side by side on the same pictures: what is better, and whether that could be chance."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.sample import Sample, read_samples
from mien.data.test_set import samples_to_judge
from mien.errors import DataError, ModelError
from mien.learn.evaluate import judge
from mien.learn.judged import Progress
from mien.learn.paired import holm, paired_bootstrap
from mien.learn.run_folder import VALIDATION, model_file
from mien.learn.scores import METRICS
from mien.models.attributes import AttributeModel, whole_picture
from mien.models.faces import FaceModel
from mien.models.matte import MatteModel
from mien.models.onnx_file import read_onnx

SIGNIFICANT = 0.05
"""A difference counts when chance makes one so large in fewer than one of twenty sets."""
_TIMED, _ROUNDS = 12, 3


@dataclass(frozen=True)
class Side:
    """One of the two models. name: with version. size_bytes: of its file. milliseconds: for one picture, see `compare`."""

    name: str
    file: str
    size_bytes: int
    milliseconds: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    first, second: the models. rows: ``metric``, ``slice``, ``first``, ``second``, ``difference`` (second less first),
    ``low`` and ``high`` (95 %, None without an interval), ``p`` (two-sided), ``p_holm`` (of the whole set's scores, all
    asked at once), ``better`` ("first", "second", or "" where the difference could be chance or the number is no score).
    notes: what a reader should know. sentences: the result in words.
    """

    first: Side
    second: Side
    task: str
    data: str
    pictures: int
    rows: Sequence[dict[str, Any]]
    notes: Sequence[str]
    sentences: Sequence[str]

    def to_json(self) -> str:
        """The comparison as one JSON object."""
        return json.dumps({"version": 1, **asdict(self)}, allow_nan=False)

    def table(self) -> list[tuple[str, ...]]:
        """Header and rows as texts."""
        lines: list[tuple[str, ...]] = [("metric", "slice", "first", "second", "difference", "95 % interval", "p", "better")]
        for row in self.rows:
            interval = f"{row['low']:+.3f} to {row['high']:+.3f}" if row["low"] is not None else ""
            p = "" if row["p"] is None else f"{row['p']:.3f}" if row["p"] >= 0.001 else "< 0.001"
            values = (f"{row['first']:.3f}", f"{row['second']:.3f}", f"{row['difference']:+.3f}")
            lines.append((row["metric"], row["slice"], *values, interval, p, row["better"]))
        return lines


def compare(
    first: str | Path,
    second: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Judge two models for the same task on the same pictures.

    first, second: shipped names, ONNX files or folders of runs. data, split: see `mien.learn.evaluate.evaluate`; without
    data, the pictures that both runs held out. The groups of pictures are drawn once and both models scored on them
    (paired bootstrap). Speed is the least mean time of three rounds over the same few pictures, in turns.

    Raises `DataError` for models of different tasks or without common scores, or runs without common pictures, and what
    `evaluate` raises.
    """
    files = [model_file(model) for model in (first, second)]
    cards = [read_onnx(file).card for file in files]
    if cards[0].task != cards[1].task:
        raise DataError(
            f"compare: expected two models for the same task, got {cards[0].name} for {cards[0].task} and "
            f"{cards[1].name} for {cards[1].task}"
        )
    if data is None:
        samples, notes = _held_out_by_both(Path(first), Path(second))
        where = f"{first}/{VALIDATION} and {second}/{VALIDATION}"
    else:
        (samples, notes), where = samples_to_judge(data, split), str(data)
    both = []
    for turn, file in enumerate(files):
        step = None if progress is None else _shifted(progress, turn)
        both.append(judge(file, samples, where, threads=threads, progress=step))
    notes += [note for judged in both for note in judged.report.notes]
    rows = _rows(*(judged.measures for judged in both))
    if not rows:
        raise DataError(f"{where}: {cards[0].name} and {cards[1].name} answer nothing that both can be judged by")
    times = _times_ms(files, samples, threads)
    sides = [
        Side(judged.report.model, str(file), file.stat().st_size, round(ms, 2))
        for judged, file, ms in zip(both, files, times, strict=True)
    ]
    names = _told_apart(sides)
    count = min(judged.report.pictures for judged in both)
    return Comparison(
        sides[0], sides[1], cards[0].task, where, count, rows, list(dict.fromkeys(notes)), _sentences(rows, names, count)
    )


def _shifted(progress: Progress, turn: int) -> Progress:
    return lambda done, count: progress(turn * count + done, 2 * count)


def _held_out_by_both(first: Path, second: Path) -> tuple[list[Sample], list[str]]:
    """The pictures that neither run was trained on, by their bytes."""
    sets = []
    for run in (first, second):
        if not (run / VALIDATION).is_dir():
            raise DataError(f"{run}: expected the folder of a run with {VALIDATION}/ in it; give DATA to compare on")
        sets.append({_digest(sample): sample for sample in read_samples(run / VALIDATION)})
    shared = [sample for digest, sample in sets[0].items() if digest in sets[1]]
    if not shared:
        raise DataError(f"{first} and {second}: expected pictures that both held out, found none; give DATA to compare on")
    left = len(sets[0]) + len(sets[1]) - 2 * len(shared)
    return shared, [f"{left} pictures that only one of the runs held out are left out"] if left else []


def _digest(sample: Sample) -> str:
    content = sample.picture if isinstance(sample.picture, bytes) else sample.picture.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _rows(first: Sequence[Any], second: Sequence[Any]) -> list[dict[str, Any]]:
    others = {(one.metric, one.slice): one for one in second}
    rows = []
    for one in first:
        if (other := others.get((one.metric, one.slice))) is None:
            continue
        found = paired_bootstrap(one.statistic, other.statistic, one.groups, other.groups)
        values = [float(each.statistic(np.ones((1, len(each.groups))))[0]) for each in (one, other)]
        if not np.isfinite(found.value):
            continue
        has_interval = bool(np.isfinite(found.low))
        rows.append(
            {
                "metric": one.metric,
                "slice": one.slice,
                "first": values[0],
                "second": values[1],
                "difference": found.value,
                "low": found.low if has_interval else None,
                "high": found.high if has_interval else None,
                "p": found.p if has_interval else None,
                "p_holm": None,
                "better": _better(one.metric, found.value, found.p if has_interval else 1.0),
            }
        )
    whole = [row for row in rows if row["slice"] == "all" and row["p"] is not None]
    for row, p in zip(whole, holm([row["p"] for row in whole]), strict=True):
        row["p_holm"] = p
        row["better"] = _better(row["metric"], row["difference"], p)
    return rows


def _better(metric: str, difference: float, p: float) -> str:
    way = METRICS[metric.split()[-1]][0]
    if p >= SIGNIFICANT or not way or difference == 0:
        return ""
    return "second" if (difference > 0) == (way == "higher") else "first"


def _told_apart(sides: Sequence[Side]) -> tuple[str, str]:
    if sides[0].name != sides[1].name:
        return sides[0].name, sides[1].name
    return f"the first ({sides[0].file})", f"the second ({sides[1].file})"


def _sentences(rows: Sequence[dict[str, Any]], names: tuple[str, str], pictures: int) -> list[str]:
    whole = [row for row in rows if row["slice"] == "all"]
    sentences = []
    for side, name, other in (("first", *names), ("second", *names[::-1])):
        if won := [row for row in whole if row["better"] == side]:
            told = ", ".join(f"{row['metric']} ({_told(row, side)})" for row in won)
            sentences.append(f"{name} is significantly better than {other} in {told}.")
    if not sentences:
        return [f"No score of {names[0]} and {names[1]} differs significantly on these {pictures} pictures."]
    if rest := [row["metric"] for row in whole if not row["better"] and METRICS[row["metric"].split()[-1]][0]]:
        sentences.append(f"No significant difference in {', '.join(rest)}.")
    return sentences


def _told(row: dict[str, Any], side: str) -> str:
    other = "second" if side == "first" else "first"
    return f"{row[side]:.3f} against {row[other]:.3f}"


def _times_ms(files: Sequence[Path], samples: Sequence[Sample], threads: int) -> list[float]:
    """Milliseconds for one picture of each model: the best round counts, for other programs only make it slower."""
    images = [sample.image() for sample in samples[:_TIMED]]
    runs = [_runner(file, threads) for file in files]
    best = [float("inf")] * len(files)
    for run in runs:
        run(images[0])
    for _ in range(_ROUNDS):
        for row, run in enumerate(runs):
            start = time.perf_counter()
            for image in images:
                run(image)
            best[row] = min(best[row], (time.perf_counter() - start) / len(images) * 1e3)
    return best


def _runner(file: Path, threads: int) -> Any:
    card = read_onnx(file).card
    if card.task == "attributes":
        reader = AttributeModel(file, names=[entry["name"] for entry in card.attributes], threads=threads)
        return lambda image: reader(image, whole_picture(image))
    if card.task == "faces":
        return FaceModel(file, threads=threads)
    if card.task == "matte":
        return MatteModel(file, threads=threads)
    raise ModelError(f"{file}: expected a model for faces, matte or attributes, got one for {card.task!r}")
