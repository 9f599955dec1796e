"""The last steps of a training: thresholds and scores from the held-out part, the parity gate, golden vectors, the card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from mien.card import CARD_KEY, GOLDEN_KEY, GoldenVector, golden_to_json
from mien.data.sample import Sample
from mien.errors import ModelError
from mien.learn.cards import data_facts, draft_card, score_rows, today
from mien.learn.evaluate import evaluate
from mien.learn.export import parity, save_model, set_default, whole_model
from mien.learn.recipe import Recipe
from mien.learn.report import plot_curves
from mien.media.read import read
from mien.models.session import ModelSession

log = logging.getLogger(__name__)

MAX_DIFFERENCE = 1e-4
GATE_PICTURES = 100
TOLERANCES = {"faces": {"boxes": 0.5, "scores": 1e-3, "keypoints": 0.5}, "matte": {"matte": 5e-3}}
"""How far another build of the runtime may move the golden answers: pixels for places, else the answer's own unit."""
GOLDEN_PICTURE = Path(__file__).with_name("astronaut.png")


def release(
    network: nn.Module,
    recipe: Recipe,
    validation: list[Sample],
    facts: Mapping[str, object],
    counts: Mapping[str, int],
    out: Path,
) -> Path:
    """Write ``out/NAME.onnx``, judged and carrying its card and golden vectors; the curves go beside it as ``curves.png``.

    facts: commit, seed, hours and the like, for the card. counts: training pictures of each data source.
    Raises `ModelError` when ONNX answers differ from torch by more than 1e-4.
    """
    path = out / f"{recipe.name}.onnx"
    model = whole_model(network, recipe.task, recipe.long_side)
    images = [sample.image() for sample in validation[:: max(1, len(validation) // GATE_PICTURES)]][:GATE_PICTURES]
    difference = parity(network, model, recipe.task, images)
    log.info("torch against ONNX on %d pictures: largest difference %.1e", len(images), difference)
    if not difference < MAX_DIFFERENCE:
        raise ModelError(f"export: torch and ONNX may differ by {MAX_DIFFERENCE}, they do by {difference:.1e}")

    draft = save_model(model, out / "latest.onnx", {CARD_KEY: draft_card(recipe).to_json()})
    report = evaluate(draft, out / "validation")
    thresholds = dict(report.thresholds)
    if "default" in thresholds:
        set_default(model, "min_score", thresholds["default"])
        save_model(model, draft, {CARD_KEY: replace(draft_card(recipe), thresholds=thresholds).to_json()})
        report = evaluate(draft, out / "validation")
    draft_inputs = draft_card(recipe).inputs
    if "default" in thresholds:
        draft_inputs = {**draft_inputs, "min_score": {**draft_inputs["min_score"], "default": thresholds["default"]}}
    card = replace(
        draft_card(recipe),
        inputs=draft_inputs,
        thresholds=thresholds,
        training={**facts, "parity": f"{difference:.1e}"},
        data=data_facts(recipe, counts),
        scores=score_rows(report.rows, "held-out validation part"),
        created=today(),
    )
    save_model(model, path, {CARD_KEY: card.to_json(), GOLDEN_KEY: golden_to_json([_golden(draft, recipe.task)])})
    plot_curves(out / "tensorboard", out / "curves.png")
    return path


def _golden(model: Path, task: str) -> GoldenVector:
    image = read(GOLDEN_PICTURE).image
    outputs = ModelSession(model).run({"image": image})
    return GoldenVector(image, {name: np.asarray(value) for name, value in outputs.items()}, TOLERANCES[task])
