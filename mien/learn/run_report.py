"""A page about a training run, or about a model on a set: what it learned, how well, where it fails, what it cost.

One HTML file that holds its pictures; each picture lies beside it as a PNG as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.card import ModelCard
from mien.data.page import Page
from mien.data.test_set import samples_to_judge
from mien.errors import DataError, ModelError
from mien.learn import run_figures as draw
from mien.learn.evaluate import judge
from mien.learn.evaluate_attributes import Read, point_errors
from mien.learn.evaluate_faces import detections_of
from mien.learn.judged import Judged, Progress
from mien.learn.report import read_log
from mien.learn.run_folder import FACTS, HISTORY, VALIDATION, curves_of, model_file, read_facts, read_history
from mien.learn.run_tiles import Tile, grid, tiles_of, worst, worst_sheet
from mien.learn.scores import METRICS
from mien.media.write import encode, whole_file
from mien.models.onnx_file import read_onnx

WATTS_PER_CORE = 10.0
"""Assumed of a busy core; memory, cooling and the mains adapter come on top."""

_MOST_SLICES = 40
_MOST_FIGURES = 6
_LEGENDS = {
    "points": "Green: labelled. Orange: told. A white line joins the two.",
    "faces": "Green: labelled. Orange: found, with its keypoints.",
    "matte": "Each tile: the picture, the labelled cut-out, the model's cut-out.",
    "answers": "Framed green where the answer is the labelled one, else red; the number is the model's confidence.",
    "number": "What the model told and what is labelled.",
}


def write_report(run: str | Path, *, threads: int = 1, progress: Progress | None = None) -> Path:
    """Write ``report.html`` into the folder of a run, its pictures into ``report`` there, and give the page.

    run: a folder with any of ``model.onnx``, ``validation/``, ``history.jsonl`` and ``run.json``; what rests on a missing
    one is left out and the page says so. threads: of one model call. progress: called after each picture.

    Raises `DataError` for a folder that is no run, or whose files cannot be read.
    """
    run = Path(run)
    if not run.is_dir():
        raise DataError(f"{run}: expected the folder of a run, found none; runs lie in runs/")
    history, facts = read_history(run), read_facts(run)
    file, judged, missing = _judged(run, threads, progress)
    if file is None and not history and not facts:
        raise DataError(f"{run}: expected a run with model.onnx, {HISTORY} or {FACTS} in it, found none of them")
    page = Page(f"{run.resolve().name}: training report")
    pictures = _Pictures(page, run / "report")
    for reason in missing:
        page.text(reason, kind="note")
    if judged is not None:
        _add_scores(page, judged)
    _add_curves(page, pictures, run, history)
    if judged is not None and file is not None:
        _add_evidence(page, pictures, judged, file, threads)
    _add_cost(page, facts)
    _add_facts(page, facts, None if file is None else read_onnx(file).card)
    return page.write(run / "report.html")


def write_evaluation(judged: Judged, model: Path, folder: str | Path, *, threads: int = 1) -> Path:
    """Write the page about a model that was judged, ``report.html`` and its pictures, into a folder, and give the page.

    model: its file. Raises `DataError` when the folder cannot be made.
    """
    folder = Path(folder)
    page = Page(f"{judged.report.model} on {judged.report.data}")
    pictures = _Pictures(page, folder)
    _add_scores(page, judged)
    _add_evidence(page, pictures, judged, model, threads)
    _add_facts(page, {}, read_onnx(model).card)
    return page.write(folder / "report.html")


class _Pictures:
    """Puts pictures into a page, and as PNG beside it."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None

    def add(self, *pictures: tuple[str, bytes | NDArray[np.uint8], str]) -> None:
        """Pictures side by side: the name of each one's file, its pixels or the bytes of its PNG, what it shows."""
        for name, picture, _ in pictures:
            with whole_file(self.folder / f"{name}.png") as file:
                file.write(picture if isinstance(picture, bytes) else encode(picture, ".png"))
        self.page.pictures([(picture, about) for _, picture, about in pictures])


def _judged(run: Path, threads: int, progress: Progress | None) -> tuple[Path | None, Judged | None, list[str]]:
    try:
        file = model_file(run)
        read_onnx(file)
    except ModelError as error:
        return None, None, [f"No scores and pictures: {error}."]
    if not (run / VALIDATION).is_dir():
        return file, None, [f"No scores and pictures: {run / VALIDATION} is not there."]
    try:
        samples, notes = samples_to_judge(run / VALIDATION)
        return file, judge(file, samples, VALIDATION, notes=notes, threads=threads, progress=progress), []
    except DataError as error:
        return file, None, [f"No scores and pictures: {error}."]


# ------------------------------------------------------------------------------------------------------------------- scores


def _add_scores(page: Page, judged: Judged) -> None:
    report = judged.report
    whole = [row for row in report.rows if row["slice"] in ("all", "crops")]
    page.figures(
        (
            f"{row['value']:.3f}",
            row["metric"].replace("_", " "),
            f"95 %: {row['low']:.3f} to {row['high']:.3f}, n {row['count']}"
            if row["low"] is not None
            else f"n {row['count']}",
        )
        for row in [row for row in whole if row["better"]][:_MOST_FIGURES]
    )
    page.text(
        f"Judged on {report.pictures} pictures of {report.data}. " + " ".join(f"{n}." for n in report.notes), kind="note"
    )
    page.heading("Scores")
    page.table(
        ("measure", "value", "95 % interval", "of", "better", "what it is"),
        [(row["metric"], f"{row['value']:.3f}", _interval(row), row["count"], row["better"], _about(row)) for row in whole],
    )
    slices = sorted((row for row in report.rows if row not in whole and row["better"]), key=lambda row: -_gap(row, whole))
    if slices:
        page.heading("Slices, worst first")
        page.text(
            "How far each part of the pictures falls short of the whole; small parts have wide intervals.", kind="note"
        )
        page.table(
            ("measure", "slice", "value", "95 % interval", "of", "worse than the whole by"),
            [
                (
                    row["metric"],
                    row["slice"],
                    f"{row['value']:.3f}",
                    _interval(row),
                    row["count"],
                    f"{_gap(row, whole):+.3f}",
                )
                for row in slices[:_MOST_SLICES]
            ],
        )
        if len(slices) > _MOST_SLICES:
            page.text(f"and {len(slices) - _MOST_SLICES} better ones", kind="note")


def _slice_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["metric"], row["slice"], f"{row['value']:.3f}", _interval(row), row["count"]


def _interval(row: Mapping[str, Any], before: str = "") -> str:
    return f"{before}{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else ""


def _about(row: Mapping[str, Any]) -> str:
    return METRICS[row["metric"].split()[-1]][1]


def _gap(row: Mapping[str, Any], whole: Sequence[Mapping[str, Any]]) -> float:
    """How much worse a slice is than the whole set, or than the mean of its measure's slices where the whole has no row."""
    values = [one["value"] for one in whole if one["metric"] == row["metric"]]
    if not values:
        name, _, last = row["metric"].rpartition(" ")
        values = [one["value"] for one in whole if last == "recall" and one["metric"] == f"{name} balanced_accuracy"]
    gap = row["value"] - values[0] if values else 0.0
    return float(gap if row["better"] == "lower" else -gap)


# ------------------------------------------------------------------------------------------------------------------- curves


def _add_curves(page: Page, pictures: _Pictures, run: Path, history: Sequence[Mapping[str, float]]) -> None:
    page.heading("Learning")
    curves, step = curves_of(history), "epoch"
    curves.pop("seconds", None)
    if not curves and (run / "tensorboard").is_dir():
        logged = read_log(run / "tensorboard").items()
        curves = {f"train/{name}" if name.startswith("loss/") else name: list(curve) for name, curve in logged}
        curves, step = {name: curve for name, curve in curves.items() if "threshold" not in name}, "step"
    if not curves:
        page.text(f"No curves: {run / HISTORY} is not there or empty.", kind="note")
        return
    pictures.add(("curves", draw.draw_curves(curves, step), "losses and validation scores"))


# ----------------------------------------------------------------------------------------------------------------- evidence


def _add_evidence(page: Page, pictures: _Pictures, judged: Judged, model: Path, threads: int) -> None:
    for name, tiles in tiles_of(judged, model, threads=threads).items():
        page.heading(name.replace("_", " ").capitalize())
        attribute = judged.attributes.get(name)
        pictures.add(*_drawings(name, judged, attribute))
        legend = _LEGENDS[_kind(name, attribute)]
        page.text(f"{min(16, len(tiles))} of {len(tiles)}, drawn by lot. {legend}", kind="note")
        pictures.add((f"grid-{name}", grid(tiles), f"predictions of {name}"))
        _add_worst(page, pictures, name, tiles)


def _kind(name: str, attribute: Attribute | None) -> str:
    if attribute is None:
        return name
    return "points" if attribute.points else "answers" if attribute.answers else "number"


def _drawings(name: str, judged: Judged, attribute: Attribute | None) -> list[tuple[str, bytes, str]]:
    if attribute is not None:
        return _read_drawings(attribute, judged.read[name], judged.report.confusions.get(name))
    if name == "faces" and len((found := detections_of(judged.seen)).scores) and found.face_counts.sum():
        curve = {"faces": (found.scores, found.is_hit, int(found.face_counts.sum()))}
        return [
            (f"precision-recall-{name}", draw.draw_precision_recall(curve), "precision over recall"),
            (f"reliability-{name}", draw.draw_reliability(found.scores, found.is_hit), "share that is right over score"),
        ]
    if name == "matte" and len(shown := [1 - cut.iou for cut in judged.cuts if cut.has_person]) > 1:
        return [(f"errors-{name}", draw.draw_errors(np.array(shown), "1 - IoU"), "how many pictures have which error")]
    return []


def _read_drawings(
    attribute: Attribute, read: Read, confusion: Sequence[Sequence[int]] | None
) -> list[tuple[str, bytes, str]]:
    name, columns = attribute.name, np.array(read.columns, np.float64)
    if attribute.points:
        distances, scales = point_errors(attribute, read)
        errors = np.nanmean(distances, axis=1) / scales
        return [
            (f"errors-{name}", draw.draw_errors(errors, "error over the face's scale"), "how many faces have which error")
        ]
    if not attribute.answers:
        labels = np.array(read.labels, np.float64)
        return [(f"numbers-{name}", draw.draw_numbers(labels, columns[:, 0], attribute.unit), "told over labelled")]
    truth = np.array([attribute.answers.index(label) for label in read.labels])
    is_right = columns.argmax(1) == truth
    curves = {
        answer: (columns[:, k], truth == k, int((truth == k).sum()))
        for k, answer in enumerate(attribute.answers)
        if (truth == k).any()
    }
    drawings = [
        (f"precision-recall-{name}", draw.draw_precision_recall(curves), "precision over recall of each answer"),
        (f"reliability-{name}", draw.draw_reliability(columns.max(1), is_right), "share that is right over confidence"),
    ]
    if confusion is not None:
        drawings.insert(0, (f"confusion-{name}", draw.draw_confusion(confusion, attribute.answers), "confusion matrix"))
    return drawings


def _add_worst(page: Page, pictures: _Pictures, name: str, tiles: Sequence[Tile]) -> None:
    mistakes = worst(tiles)
    if not mistakes:
        page.text(f"No mistakes in {len(tiles)}.", kind="good")
        return
    wrong = sum(tile.is_right is False for tile in tiles)
    if wrong:
        page.text(f"{wrong} of {len(tiles)} are wrong. The worst mistakes first; some may be wrong labels.")
    else:
        page.text("The largest errors first.")
    pictures.add((f"worst-{name}", worst_sheet(mistakes), f"worst mistakes of {name}"))
    page.table(("picture", "said", "error"), [(t.sample.name, t.caption, f"{t.error:.3f}") for t in mistakes[:12]])


# --------------------------------------------------------------------------------------------------------------------- cost


def energy_kwh(cpu_seconds: float, watts_per_core: float = WATTS_PER_CORE) -> float:
    """Energy of so many seconds of one busy core, in kWh."""
    return cpu_seconds * watts_per_core / 3.6e6


def _add_cost(page: Page, facts: Mapping[str, Any]) -> None:
    page.heading("What it cost")
    seconds, threads = facts.get("seconds"), facts.get("threads", 1)
    if not isinstance(seconds, int | float):
        page.text(f"No times: {FACTS} is not there or does not say the seconds.", kind="note")
        return
    is_measured = isinstance(facts.get("cpu_seconds"), int | float)
    busy = float(facts["cpu_seconds"]) if is_measured else float(seconds) * (threads if isinstance(threads, int) else 1)
    how = "measured" if is_measured else f"at most: {threads} threads all the time"
    page.table(
        ("", ""),
        [
            ("training took", _duration(float(seconds))),
            (f"processor time, {how}", _duration(busy)),
            ("energy, estimated", f"{energy_kwh(busy) * 1000:.2f} Wh"),
        ],
    )
    page.text(
        f"The estimate takes {WATTS_PER_CORE:g} W for each busy core; memory, cooling and losses come on top.", kind="note"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _add_facts(page: Page, facts: Mapping[str, Any], card: ModelCard | None) -> None:
    if facts:
        page.heading("Data and options")
        page.table(("", ""), _flat({key: value for key, value in facts.items() if key not in ("seconds", "cpu_seconds")}))
    if card is not None:
        page.heading("The model's card")
        told: dict[str, Any] = {"name": f"{card.name} {card.version}", "task": card.task, "summary": card.summary}
        told |= {"licence": card.licence, "created": card.created, "intended use": card.intended_use}
        told |= {"thresholds": dict(card.thresholds), "training": dict(card.training)}
        told["known failures"] = "; ".join(card.known_failures)
        told["data"] = "; ".join(f"{one.get('name')}: {one.get('pictures')} ({one.get('terms')})" for one in card.data)
        page.table(("", ""), _flat({key: value for key, value in told.items() if value}))


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in values.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}: ")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(map(str, value))))
        else:
            rows.append((name, f"{value:g}" if isinstance(value, float) else str(value)))
    return rows
