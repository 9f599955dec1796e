"""The scores of an evaluation: what is measured, rows with intervals, the report.

Intervals are 95 %, bootstrapped over groups of pictures; those of shares of pictures are never narrower than Wilson's, which
stays honest where none or all of them count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.errors import DataError

METRICS: dict[str, tuple[str, str]] = {
    "ap50": ("higher", "average precision at IoU 0.5, faces whose shorter side is 16 px or more"),
    "best_f1": ("higher", "best F1 over all thresholds"),
    "recall": ("higher", "share of the faces found at the default threshold, or of those with an answer that get it"),
    "precision": ("higher", "share of the detections at the default threshold that are faces"),
    "nme": (
        "lower",
        "keypoint error over the distance of the eyes, of the faces found",
    ),
    "false_faces": ("lower", "share of the pictures without faces in which one is found at the default threshold"),
    "found": ("higher", "share of the face crops whose face is the best one found, at the default threshold"),
    "threshold_best_f1": ("", "score at which F1 is best"),
    "threshold_precision_99": ("", "lowest score from which on 99 % of the detections are faces"),
    "iou": ("higher", "intersection over union of person, mean over the pictures"),
    "boundary_f": ("higher", "F of the outlines within 3 px, mean over the pictures"),
    "mae": ("lower", "mean absolute error of the soft matte"),
    "accuracy": ("higher", "share of the faces whose answer is the labelled one"),
    "balanced_accuracy": ("higher", "mean over the answers of their recall"),
    "calibration_error": ("lower", "distance of scores and accuracy (ECE), on the half that did not calibrate it"),
    "mean_error": ("lower", "mean distance to the labelled number, in its unit"),
    "rmse": ("lower", "root mean square error of the coordinates of points, in pixels"),
    "distance": ("lower", "mean distance of a point to the labelled one, in pixels"),
    "false_person": ("lower", "share of the pictures without people with more than 1 % of person area"),
}
"""Every measure: which way is better ("" for a number that is no score), and what it is. Where several things are
measured, a
row's metric has what it is of before it (``smile accuracy``)."""


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    model, data: their names. task: of the model. pictures: how many were looked at.
    rows: ``metric`` (see `METRICS`), ``value``, ``low`` and ``high`` (95 %, None where there is no interval), ``count`` of
        the faces or pictures behind it, ``slice`` ("all" for the whole set), ``better``.
    thresholds: scores that this set suggests, for the card. notes: what a reader should know about the labels.
    confusions: for each attribute, faces with a label (row) and an answer (column), in the order of its answers.
    """

    model: str
    task: str
    data: str
    pictures: int
    rows: Sequence[Mapping[str, Any]]
    thresholds: Mapping[str, float]
    notes: list[str]
    confusions: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)

    def value(self, metric: str, slice_: str = "all") -> float:
        """One value. Raises `DataError` when the data did not allow it."""
        for row in self.rows:
            if row["metric"] == metric and row["slice"] == slice_:
                return float(row["value"])
        raise DataError(f"{self.data}: expected labels for {metric} on {slice_!r}, found none")

    def to_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps({"version": 1, **vars(self)}, allow_nan=False)

    def table(self) -> list[tuple[str, str, str, str, str]]:
        """Header and rows as texts: metric, slice, value, interval, count."""
        lines = [("metric", "slice", "value", "95 % interval", "count")]
        for row in self.rows:
            interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else ""
            lines.append((row["metric"], row["slice"], f"{row['value']:.3f}", interval, str(row["count"])))
        return lines

    def __str__(self) -> str:
        lines = self.table()
        widths = [max(len(line[column]) for line in lines) for column in range(5)]
        shown = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*shown, *(f"Note: {note}." for note in self.notes)])


@dataclass(frozen=True, eq=False)
class Measure:
    """A score of a report as a function of the pictures drawn. groups: of the pictures that ``statistic`` is about."""

    metric: str
    slice: str
    statistic: metrics.Statistic
    groups: Sequence[str]


class Rows(list[dict[str, Any]]):
    """Rows of a report in the making.

    measures: what those rows come from that pictures can be drawn again for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.measures: list[Measure] = []

    def put(
        self, metric: str, value: float, count: int, slice_: str = "all", interval: tuple[float, float] | None = None
    ) -> None:
        """Add a row, unless there was nothing to measure."""
        if count == 0 or not np.isfinite(value):
            return
        low, high = interval if interval is not None and np.isfinite(interval).all() else (None, None)
        better = METRICS[metric.split()[-1]][0]
        self.append(
            {"metric": metric, "value": value, "low": low, "high": high, "count": count, "slice": slice_, "better": better}
        )

    def estimate(
        self, metric: str, statistic: metrics.Statistic, groups: Sequence[str], count: int, slice_: str = "all"
    ) -> None:
        """Add a statistic of pictures with its bootstrap interval."""
        if count:
            value = float(statistic(np.ones((1, len(groups))))[0])
            self.measures.append(Measure(metric, slice_, statistic, groups))
            self.put(metric, value, count, slice_, metrics.bootstrap_interval(statistic, groups))

    def share(self, metric: str, hits: NDArray[np.bool_], groups: Sequence[str], slice_: str = "all") -> None:
        """Add a share of pictures, with the wider of the bootstrap and the Wilson interval."""
        if len(hits):
            self.measures.append(Measure(metric, slice_, metrics.ratio(hits), groups))
            low, high = metrics.wilson_interval(float(hits.sum()), len(hits))
            drawn_low, drawn_high = metrics.bootstrap_interval(metrics.ratio(hits), groups)
            interval = float(np.fmin(low, drawn_low)), float(np.fmax(high, drawn_high))
            self.put(metric, float(hits.mean()), len(hits), slice_, interval)
