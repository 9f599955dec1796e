"""Cards for models that were trained here: what was done, with what, and how well it went."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from mien.attributes import Attribute
from mien.card import ModelCard
from mien.learn.attribute_network import known_attributes
from mien.learn.graph import GRAPHS, output_fact, outputs_of
from mien.learn.recipe import Recipe


def draft_card(recipe: Recipe, suggested: Mapping[str, float] | None = None) -> ModelCard:
    """A card with what the recipe alone decides, and what an evaluation suggested for its attributes."""
    graph = GRAPHS[recipe.task]
    asked = known_attributes(recipe.network.get("attributes", ()))
    read = outputs_of(asked, recipe.network.get("has_contour", True)) if asked else []
    outputs = {one.name: output_fact(one) for one in read} or graph.outputs
    return ModelCard(
        name=recipe.name,
        task=recipe.task,
        version=recipe.version,
        summary=recipe.summary,
        intended_use=recipe.intended_use,
        known_failures=recipe.known_failures,
        inputs=graph.inputs(recipe.long_side),
        outputs=outputs,
        attributes=[_attribute_entry(one, suggested or {}) for one in read],
        input_limits={"min_side": 1, "max_side": 65535},
    )


def _attribute_entry(attribute: Attribute, suggested: Mapping[str, float]) -> dict[str, Any]:
    """What the card says of an attribute: all that is not as `Attribute` has it by default."""
    below = suggested.get(f"abstain_{attribute.name}", 0.0)
    told = replace(attribute, abstain_below=below) if attribute.answers else attribute
    plain = Attribute("", "", unit="-")
    entry = {item.name: getattr(told, item.name) for item in fields(Attribute)}
    entry = {key: value for key, value in entry.items() if key in ("name", "question") or value != getattr(plain, key)}
    return {**entry, "unit": told.unit} if told.unit else {key: value for key, value in entry.items() if key != "unit"}


def training_facts(recipe: Recipe, data_hash: str, epochs: int, hours: float) -> dict[str, Any]:
    """What it takes to train the same again."""
    return {
        "recipe": f"recipes/{recipe.name}.toml",
        "recipe_hash": recipe.hash,
        "commit": commit(),
        "data_hash": data_hash,
        "seed": recipe.seed,
        "epochs": epochs,
        "hours": round(hours, 2),
        "torch": torch.__version__,
    }


def data_facts(recipe: Recipe, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Every training set with the pictures used of it and the terms of its owners."""
    return [{"name": one.name, "pictures": counts[one.name], "terms": one.terms} for one in recipe.data if counts[one.name]]


def score_rows(rows: Sequence[Mapping[str, Any]], data: str) -> list[dict[str, Any]]:
    """Rows of an evaluation as a card keeps them."""
    return [{**row, "data": data} for row in rows]


def commit() -> str:
    """The commit of the code that runs, with ``+changes`` where files differ from it; empty outside a git checkout."""
    folder = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = git("rev-parse", "HEAD")
    return revision + ("+changes" if revision and git("status", "--porcelain", "--untracked-files=no", ".") else "")


def today() -> str:
    """ISO date in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
