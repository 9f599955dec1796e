"""The shipped models, and models by path: finding, opening, describing and checking them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from mien.errors import ModelError
from mien.models.onnx_file import read_onnx
from mien.models.session import ModelSession

WEIGHTS = Path(str(resources.files("mien.models"))) / "weights"
"""Folder of the shipped models; its ``SHA256SUMS`` (as the tool of that name writes it) says what they must be."""


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list of models."""

    name: str
    task: str
    version: str
    summary: str
    licence: str
    size_bytes: int
    sha256: str
    path: Path


@dataclass(frozen=True)
class GoldenResult:
    """How far one output is from its golden vector. difference: the largest, infinite where the shapes differ."""

    name: str
    vector: int
    output: str
    difference: float
    tolerance: float
    is_ok: bool


def shipped() -> dict[str, Path]:
    """Name to file of the models that come with mien."""
    return {path.stem: path for path in sorted(WEIGHTS.glob("*.onnx"))}


def model_path(name_or_path: str | Path) -> Path:
    """The file of a shipped model, or the path itself: a `Path`, or a text that ends in ``.onnx`` or names a folder.

    Raises `ModelError` for an unknown name, with the nearest one.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".onnx") or "/" in text or "\\" in text:
        return Path(name_or_path)
    models = shipped()
    if text not in models:
        near = difflib.get_close_matches(text, models, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else "or give the path of an ONNX file"
        raise ModelError(f"model: no shipped model is called {text!r}; shipped: {', '.join(models) or 'none'}; {hint}")
    return models[text]


def _shipped_sha256(path: Path) -> str | None:
    """What the SHA-256 of a shipped model must be; None for other files."""
    sums = WEIGHTS / "SHA256SUMS"
    if path.parent != WEIGHTS or not sums.is_file():
        return None
    pairs = (line.split(maxsplit=1) for line in sums.read_text("utf-8").splitlines() if line.strip())
    return {name.strip().lstrip("*"): digest for digest, name in pairs}.get(path.name)


def open_model(
    name_or_path: str | Path,
    *,
    task: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    inputs: tuple[str, ...] = ("image",),
    outputs: tuple[str, ...] = (),
) -> ModelSession:
    """A session of a shipped model or of a model file.

    task: what its card must say; None for any model, even one without a card. inputs, outputs: those that it must have.

    Raises `ModelError` when there is no such model, it has another task or was altered, `InputError` for a missing device.
    """
    path = model_path(name_or_path)
    session = ModelSession(path, device=device, threads=threads, sha256=_shipped_sha256(path))
    if task is None:
        return session
    card = session.file.card
    if card.task != task:
        raise ModelError(f"{path}: expected a model for {task!r}, got one for {card.task!r}")
    if set(session.input_names) != set(inputs) or not set(outputs) <= set(session.output_names):
        got = f"{', '.join(session.input_names)} to {', '.join(session.output_names)}"
        raise ModelError(f"{path}: expected a model from {', '.join(inputs)} to {', '.join(outputs)}, got {got}")
    return session


def summary(name_or_path: str | Path) -> ModelSummary:
    """What the card and the file say, without running the model. Raises `ModelError`."""
    path = model_path(name_or_path)
    file = read_onnx(path, sha256=_shipped_sha256(path))
    card, size = file.card, len(file.content)
    return ModelSummary(card.name, card.task, card.version, card.summary, card.licence, size, file.sha256, path)


def golden_results(name_or_path: str | Path, *, device: str = "cpu", threads: int = 1) -> list[GoldenResult]:
    """Run the golden vectors of a model: one row for each output of each. Raises `ModelError` when it has none."""
    session = open_model(name_or_path, device=device, threads=threads)
    file = session.file
    if not file.golden:
        raise ModelError(f"{file.path}: expected golden vectors in the model, found none; export it with mien")
    rows = []
    for number, vector in enumerate(file.golden):
        answers = session.run({"image": vector.image, **vector.inputs})
        for output, expected in vector.outputs.items():
            got = np.asarray(answers.get(output, np.empty(0)))
            is_comparable = output in answers and (got.shape == expected.shape or got.size == expected.size == 0)
            difference = float(np.abs(got - expected).max(initial=0)) if is_comparable else float("inf")
            tolerance = vector.tolerance[output]
            rows.append(GoldenResult(file.card.name, number, output, difference, tolerance, difference <= tolerance))
    return rows


def check(name_or_path: str | Path, *, device: str = "cpu", threads: int = 1) -> list[GoldenResult]:
    """The rows of `golden_results`, all of them right. Raises `ModelError` naming the worst one that is not."""
    rows = golden_results(name_or_path, device=device, threads=threads)
    wrong = [row for row in rows if not row.is_ok]
    if wrong:
        worst = max(wrong, key=lambda row: row.difference)
        raise ModelError(
            f"{worst.name}: {len(wrong)} of {len(rows)} golden answers are wrong: {worst.output} of picture {worst.vector} "
            f"differs by {worst.difference:.3g}, allowed {worst.tolerance:g}; get a whole copy of the model"
        )
    return rows
