"""The record of a run: what was asked, how each epoch went, and the few lines that tell a person of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.media.write import whole_file
from mien.models.onnx_file import read_onnx

MODEL = "model.onnx"
RECORD = "run.json"
HISTORY = "history.jsonl"
_TOLD = ("balanced_accuracy", "mean_error", "rmse", "ap50", "nme", "iou")


def write_record(run: Path, record: dict[str, Any]) -> None:
    """Put a record into the folder of its run."""
    with whole_file(run / RECORD) as file:
        file.write(json.dumps(record, indent=1).encode() + b"\n")


def read_record(run: Path) -> dict[str, Any]:
    """What ``run.json`` says of a run. Raises `DataError`."""
    try:
        record = json.loads((run / RECORD).read_text("utf-8"))
        if not {"options", "data_hash"} <= record.keys():
            raise ValueError("options or data_hash are missing")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{run}: expected the folder of a run with {RECORD} in it, got: {error}") from None
    return dict(record)


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``history.jsonl``; none where there is none. Raises `DataError`."""
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected one JSON object a line, got: {error}") from None


def run_lines(run: Path) -> list[str]:
    """A finished run in a few lines: what it saw, how long it took, how good it is. Raises `DataError` and `ModelError`."""
    record, card = read_record(run), read_onnx(run / MODEL).card
    lines = [f"note: {note}" for note in record.get("notes", ())]
    for part, counts in record["counts"].items():
        lines.append(f"{part}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if "suggested_lr" in record:
        lines.append(f"learning rate: {record['suggested_lr']:g}, see {run / 'find-lr.png'}")
    lines.append(
        f"{record['options']['backbone']} backbone, {record['epochs']} epochs, best {record['best_epoch']}, "
        f"{record['seconds']:.0f} s"
    )
    for row in card.scores:
        if row["slice"] == "all" and str(row["metric"]).split()[-1] in _TOLD:
            low, high = row.get("low"), row.get("high")
            between = f" (95 %: {low:.3f} to {high:.3f})" if low is not None and high is not None else ""
            lines.append(f"{str(row['metric']).replace('_', ' ')} {row['value']:.3f}{between} on {row['count']} held out")
    return lines
