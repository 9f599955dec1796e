"""Judging what cuts people out: soft mattes against the labelled ones, whole and in slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.data.sample import Sample
from mien.errors import DataError, InputError
from mien.learn.judged import Cut, Judged, Progress, group_of, images_of, slices_of
from mien.learn.scores import Report, Rows
from mien.models.matte import MatteModel

FALSE_AREA = 0.01
BYSTANDER_MARGIN = 0.15


def judge_mattes(
    model: str | Path, samples: Sequence[Sample], data: str, threads: int, progress: Progress | None = None
) -> Judged:
    """Judge a matte model on samples, see `mien.learn.evaluate.judge`."""
    usable = [sample for sample in samples if sample.matte is not None or sample.is_empty]
    if not usable:
        raise DataError(f"{data}: a matte model needs pictures with a matte or known to show nobody, found none")
    cut_out = MatteModel(model, threads=threads)
    shown: list[Sample] = []
    values: dict[str, list[float]] = {"iou": [], "boundary_f": [], "mae": []}
    empty: list[Sample] = []
    shares: list[float] = []
    partly = 0
    for sample, image in images_of(usable, data, progress):
        matte = cut_out(image)
        if sample.matte is None:
            empty.append(sample)
            shares.append(metrics.person_share(matte))
            continue
        truth = _truth(sample, matte.shape, data)
        counted = _near_person(truth) if sample.kind == "fullbody" else None
        partly += counted is not None
        shown.append(sample)
        values["iou"].append(metrics.matte_iou(matte, truth, counted))
        values["boundary_f"].append(metrics.boundary_f(matte, truth, counted))
        values["mae"].append(metrics.matte_error(matte, truth, counted))
    rows = Rows()
    _matte_rows(rows, values, np.array(shares) > FALSE_AREA, shown, empty)
    notes = []
    if partly:
        margin = f"{BYSTANDER_MARGIN:.0%} of the long side"
        notes.append(f"in {partly} full-body pictures only pixels within {margin} of the labelled person's box count")
    report = Report(f"{cut_out.card.name} {cut_out.card.version}", "matte", data, len(usable), rows, {}, notes)
    cuts = [Cut(sample, iou) for sample, iou in zip(shown, values["iou"], strict=True)]
    cuts += [Cut(sample, 1 - share, has_person=False) for sample, share in zip(empty, shares, strict=True)]
    return Judged(report, rows.measures, cuts=cuts)


def _matte_rows(
    rows: Rows, values: Mapping[str, list[float]], alarms: NDArray[np.bool_], shown: list[Sample], empty: list[Sample]
) -> None:
    def put(slice_: str, of_shown: Iterable[int], of_empty: Iterable[int]) -> None:
        picked, others = list(of_shown), list(of_empty)
        groups = [group_of(shown[row]) for row in picked]
        for metric, value in values.items():
            rows.estimate(metric, metrics.ratio([value[row] for row in picked]), groups, len(picked), slice_)
        rows.share("false_person", alarms[others], [group_of(empty[row]) for row in others], slice_)

    put("all", range(len(shown)), range(len(empty)))
    for slice_, members in slices_of([sample.kind for sample in shown]).items():
        put(slice_, members.tolist(), [])
    shown_sources, empty_sources = slices_of([one.source for one in shown]), slices_of([one.source for one in empty])
    nobody = np.zeros(0, np.int64)
    for source in dict.fromkeys([*shown_sources, *empty_sources]):
        put(source, shown_sources.get(source, nobody).tolist(), empty_sources.get(source, nobody).tolist())


def _truth(sample: Sample, shape: tuple[int, ...], data: str) -> NDArray[np.float32]:
    try:
        truth = sample.matte_image()
    except InputError as error:
        raise DataError(f"{data}: {sample.name}: matte: {error}") from None
    if truth.shape != shape:
        raise DataError(f"{data}: {sample.name}: expected a matte of the picture's {shape}, got {truth.shape}")
    return truth.astype(np.float32) / np.float32(255)


def _near_person(truth: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Pixels near the labelled person: bystanders further off are not labelled. None where no person is labelled."""
    ys, xs = np.nonzero(truth > 0.5)
    if not len(ys):
        return None
    margin = round(BYSTANDER_MARGIN * max(truth.shape))
    near = np.zeros(truth.shape, bool)
    near[max(0, ys.min() - margin) : ys.max() + margin + 1, max(0, xs.min() - margin) : xs.max() + margin + 1] = True
    return near
