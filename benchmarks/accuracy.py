"""Accuracy on the held-out parts, beside peers, in one run; needs the training data and says so where it is absent.

    python -m benchmarks.accuracy [--only faces|attributes|matte] [--no-write]

The held-out parts are those of the recipes: whole near-duplicate groups, taken before any training.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import cv2

from benchmarks.peers import YUNET_SCORE, face_peers
from benchmarks.tables import ROOT, put, table
from mien.data.sample import Sample, read_samples, write_imagefolder
from mien.learn.calibrate import is_calibrating
from mien.learn.evaluate import evaluate, judge
from mien.learn.evaluate_attributes import attribute_rows
from mien.learn.evaluate_faces import LOWEST_SCORE, detections_of, judge_detector
from mien.learn.gather import gather
from mien.learn.judged import Judged, group_of
from mien.learn.recipe import read_recipe
from mien.learn.scores import Report, Rows
from mien.models.faces import FaceModel
from mien.models.settings import FAST_LONG_SIDE

FACES = ("ap50", "best_f1", "recall", "precision", "nme", "false_faces")
SLICES = ("all", "16 to 32 px", "32 to 96 px", "96 px and more", "mask: mask", "mask: no_mask", "mask: bad_mask")
LEAST_SET = 100
MATTE = ("iou", "boundary_f", "mae", "false_person")


DATA = ROOT.parent / "shared" / "data"


def is_data_there(benchmark: str) -> bool:
    """Whether the training data is; says that the benchmark is left out where not."""
    if not DATA.is_dir():
        print(f"{benchmark}: left out, the training data (../shared/data) is not there")
    return DATA.is_dir()


def held_out_part(recipe_name: str) -> Path:
    """The validation folder of a recipe, made anew from the data."""
    recipe = read_recipe(ROOT / "recipes" / f"{recipe_name}.toml")
    folder = ROOT / "runs" / recipe_name / "validation"
    write_imagefolder(gather(recipe, ROOT / "runs" / "cache").validation, folder)
    return folder


def shown(report: Report, metric: str, slice_: str = "all") -> str:
    """A value with its interval, or a dash where the data did not allow it."""
    for row in report.rows:
        if row["metric"] == metric and row["slice"] == slice_:
            has_interval = row["low"] is not None
            return f"{row['value']:.3f}" + (f" ({row['low']:.3f} to {row['high']:.3f})" if has_interval else "")
    return "-"


def is_drawn(sample: Sample) -> bool:
    """Whether people drew the boxes of a picture's faces: those of one set are YuNet's own, with its scores."""
    return not any(face.score is not None and not face.is_ignored for face in sample.faces or ())


def drawn_by_people(judged: Judged) -> str:
    """AP of a detector on the pictures whose boxes people drew."""
    seen = [one for one in judged.seen if is_drawn(one.sample)]
    whole, rows = detections_of(seen), Rows()
    rows.estimate("ap50", whole.average_precision, [group_of(one.sample) for one in seen], int(whole.face_counts.sum()))
    return shown(replace(judged.report, rows=rows), "ap50")


def face_tables() -> list[str]:
    """Ours at both settings and every peer, on the whole held-out part and on slices of it."""
    part = held_out_part("faces")
    samples = read_samples(part)
    thresholds = FaceModel().card.thresholds
    peers, missing = face_peers()
    for reason in missing:
        print(reason)
    fast = FaceModel(long_side=FAST_LONG_SIDE, min_score=LOWEST_SCORE)
    judged = {
        "mien faces": judge("faces", samples, str(part)),
        f"mien faces at {FAST_LONG_SIDE}": judge_detector(fast, "fast", thresholds["fast"], samples, str(part)),
        # 0.7 is what the samples of Ultra-Light use; Haar has no threshold of its own.
        **{
            name: judge_detector(
                find, name, YUNET_SCORE if "YuNet" in name else 0.7 if "Ultra" in name else LOWEST_SCORE, samples, str(part)
            )
            for name, find in peers.items()
        },
    }
    reports = {name: one.report for name, one in judged.items()}
    known = [row for row in reports["mien faces"].rows if row["metric"] == "ap50" and row["slice"] not in SLICES]
    sets = [row["slice"] for row in known if row["count"] >= LEAST_SET]
    return [
        f"Faces: {len(samples)} held-out pictures, 95 % intervals in brackets, bootstrapped over pictures.",
        table(["detector", *FACES], [[name, *(shown(report, m) for m in FACES)] for name, report in reports.items()]),
        "AP at IoU 0.5 by size of the face, and recall at the default threshold by mask:",
        table(
            ["detector", *SLICES[1:]],
            [
                [name, *(shown(report, "recall" if "mask" in s else "ap50", s) for s in SLICES[1:])]
                for name, report in reports.items()
            ],
        ),
        f"AP at IoU 0.5 where people drew the boxes, and by set, of those with {LEAST_SET} faces and more. The boxes of "
        "KaranFriends/Mask-Dataset (photos of groups, no masks) are YuNet's own:",
        table(
            ["detector", "drawn by people", *sets],
            [
                [name, drawn_by_people(judged[name]), *(shown(report, "ap50", s) for s in sets)]
                for name, report in reports.items()
            ],
        ),
    ]


def matte_tables() -> list[str]:
    """The matte on the whole held-out part and by source, and what the model file gives by itself."""
    part = held_out_part("matte")
    report = evaluate("matte", part)
    with patch("mien.models.matte.decided", lambda matte: matte):
        raw = evaluate("matte", part)
    slices = list(dict.fromkeys(row["slice"] for row in report.rows))
    rows = [[one, *(shown(report, metric, one) for metric in MATTE)] for one in slices]
    rows += [[f"{one}, doubt left in", *(shown(raw, m, one) for m in MATTE)] for one in ("all", "portrait", "fullbody")]
    return [f"Matte: {report.pictures} held-out pictures.", table(["slice", *MATTE], rows)]


def attribute_tables() -> list[str]:
    """Every attribute on the whole held-out part, and on those of its faces that did not calibrate the model."""
    part = held_out_part("attributes")
    judged = judge("attributes", read_samples(part), str(part))
    fresh = {
        name: read.part([row for row, group in enumerate(read.groups) if not is_calibrating(group)])
        for name, read in judged.read.items()
    }
    rows, _, _ = attribute_rows(judged.attributes, fresh, str(part))
    unused = replace(judged.report, rows=rows)
    values = [
        [row["metric"], shown(judged.report, row["metric"]), row["count"], shown(unused, row["metric"])]
        for row in judged.report.rows
        if row["slice"] == "all"
    ]
    return [
        f"Attributes: {judged.report.pictures} held-out pictures and crops. Half of them, by group, calibrated the answers "
        "(`mien/learn/calibrate.py`); the last column is the other half alone.",
        table(["measure", "value", "faces", "faces that did not calibrate it"], values),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--only", choices=("faces", "matte", "attributes"), help="judge one model only")
    options = parser.parse_args()
    if not is_data_there("accuracy"):
        return
    cv2.setNumThreads(1)
    for name, tables in (("faces", face_tables), ("attributes", attribute_tables), ("matte", matte_tables)):
        if options.only in (None, name):
            text = "\n\n".join(tables())
            print(text)
            if not options.no_write:
                put(f"accuracy-{name}", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
