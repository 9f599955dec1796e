"""The last steps of a training: thresholds and scores from the held-out part, the parity gate, golden vectors, the card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mien.attributes import Attribute, from_card
from mien.card import CARD_KEY, GOLDEN_KEY, GoldenVector, golden_to_json
from mien.data.sample import Sample
from mien.errors import ModelError
from mien.learn.attribute_network import AttributeNetwork
from mien.learn.cards import data_facts, draft_card, score_rows, today
from mien.learn.evaluate import evaluate, evaluate_detector
from mien.learn.evaluate_faces import LOWEST_SCORE
from mien.learn.export import feeds_of, lean, parity, save_model, set_default, set_weights, whole_model
from mien.learn.recipe import Recipe
from mien.learn.report import plot_curves
from mien.media.read import read
from mien.models.faces import FaceModel
from mien.models.session import ModelSession
from mien.models.settings import FAST_LONG_SIDE

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
    file_name: str = "",
) -> Path:
    """Write ``out/NAME.onnx`` (or ``file_name`` there), judged and carrying its card and golden vectors.

    The curves go beside it as ``curves.png``.

    facts: commit, seed, hours and the like, for the card. counts: training pictures of each data source.
    Raises `ModelError` when ONNX answers differ from torch by more than 1e-4.
    """
    network = lean(network)
    path = out / (file_name or f"{recipe.name}.onnx")
    model = whole_model(network, recipe.task, recipe.long_side)
    draft = save_model(model, out / "latest.onnx", {CARD_KEY: draft_card(recipe).to_json()})
    report = evaluate(draft, out / "validation")
    suggested = dict(report.thresholds)
    if recipe.task == "faces" and "default" in suggested:
        fast = FaceModel(draft, min_score=LOWEST_SCORE, long_side=FAST_LONG_SIDE)
        found = evaluate_detector(fast, recipe.name, suggested["default"], out / "validation").thresholds
        suggested["fast"] = found.get("default", suggested["default"])
    card = draft_card(recipe, suggested)
    if isinstance(network, AttributeNetwork):
        set_weights(model, _calibrate(network, suggested))
    if "default" in suggested:
        set_default(model, "min_score", suggested["default"])
        inputs = {**card.inputs, "min_score": {**card.inputs["min_score"], "default": suggested["default"]}}
        card = replace(card, thresholds=suggested, inputs=inputs)
    save_model(model, draft, {CARD_KEY: card.to_json()})
    report = evaluate(draft, out / "validation")

    samples = validation[:: max(1, len(validation) // GATE_PICTURES)][:GATE_PICTURES]
    difference = parity(network, model, recipe.task, (feeds_of(sample, recipe.task) for sample in samples))
    log.info("torch against ONNX on %d pictures: largest difference %.1e", len(samples), difference)
    if not difference < MAX_DIFFERENCE:
        raise ModelError(f"export: torch and ONNX may differ by {MAX_DIFFERENCE}, they do by {difference:.1e}")
    card = replace(
        card,
        training={**facts, "parity": f"{difference:.1e}"},
        data=data_facts(recipe, counts),
        scores=score_rows(report.rows, "held-out validation part"),
        created=today(),
        extra={"confusions": dict(report.confusions)} if report.confusions else {},
    )
    golden = _golden(draft, recipe.task, from_card(card.attributes))
    save_model(model, path, {CARD_KEY: card.to_json(), GOLDEN_KEY: golden_to_json([golden])})
    plot_curves(out / "tensorboard", out / "curves.png")
    return path


@torch.no_grad()
def _calibrate(network: AttributeNetwork, suggested: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """Calibrate each attribute's logits in its head, see `mien.learn.calibrate`; gives the heads' weights by name."""
    for attribute, head in zip(network.attributes, network.heads, strict=True):
        for weight in head.parameters():
            weight.div_(suggested.get(f"temperature_{attribute.name}", 1.0))
        for row, answer in enumerate(attribute.answers):
            head.linear.bias[row] += suggested.get(f"shift_{attribute.name}_{answer}", 0.0)
    return {f"heads.{name}": weight for name, weight in network.heads.named_parameters()}


def _golden(model: Path, task: str, known: Mapping[str, Attribute]) -> GoldenVector:
    image = read(GOLDEN_PICTURE).image
    inputs: dict[str, Any] = {}
    if task == "attributes":
        faces = FaceModel("faces")(image)[:1]
        inputs = {"boxes": np.round(faces.boxes).tolist(), "keypoints": np.round(faces.keypoints).tolist()}
    outputs = ModelSession(model).run({"image": image, **inputs})
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    tolerances = TOLERANCES.get(task) or {name: _tolerance(known.get(name)) for name in arrays}
    return GoldenVector(image, arrays, tolerances, inputs)


def _tolerance(attribute: Attribute | None) -> float:
    return 5e-3 if attribute is None or attribute.answers else 0.5
