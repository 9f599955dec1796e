"""The folder that a training leaves: which file is its model, what it noted, how it went."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import DataError, ModelError
from mien.models.store import model_path

MODEL, HISTORY, FACTS, VALIDATION = "model.onnx", "history.jsonl", "run.json", "validation"
"""Names in the folder of a run."""


def model_file(model: str | Path) -> Path:
    """The ONNX file of a shipped model's name, of a file, or of a run's folder. Raises `ModelError`."""
    path = Path(model)
    if not path.is_dir():
        return model_path(model)
    for name in (MODEL, f"{path.resolve().name}.onnx", "latest.onnx"):
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path}: expected a model file or the folder of a run with {MODEL} in it, found none")


def read_history(run: Path) -> list[dict[str, float]]:
    """The rows of ``history.jsonl`` in order, numbers that are not finite left out; empty where there is no file.

    Raises `DataError` for a line that is no row.
    """
    path = run / HISTORY
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected a JSON object a line, got {line[:60]!r}")
        rows.append({str(key): float(value) for key, value in row.items() if _is_finite(value)})
    return rows


def read_facts(run: Path) -> dict[str, Any]:
    """What ``run.json`` says; empty where there is no file. Raises `DataError` for another JSON."""
    path = run / FACTS
    if not path.is_file():
        return {}
    try:
        facts = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got: {error}") from None
    if not isinstance(facts, dict):
        raise DataError(f"{path}: expected a JSON object, got {str(facts)[:60]!r}")
    return facts


def curves_of(history: Sequence[Mapping[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Curves by name, points (epoch, value); rows without an epoch count on from 1."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for number, row in enumerate(history, 1):
        for name, value in row.items():
            if name != "epoch":
                curves.setdefault(name, []).append((row.get("epoch", number), value))
    return curves


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
