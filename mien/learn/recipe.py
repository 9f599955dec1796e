"""A recipe: everything that decides a trained model, in one TOML file. Unknown settings are errors."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from mien.errors import DataError

T = TypeVar("T")
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class DataSource:
    """One set of labelled pictures.

    path: folder or Parquet, from the recipe's ``root``. weight: how often a picture of it is drawn, 1 for once an
    epoch on average.
    held_out: share of its groups kept apart for validation; 1 keeps all. is_composited: its people are only shown on
    other backgrounds.
    trust: how far its labels count in the loss, 0 to 1. implied: answers to attributes that hold for all of it, though
    nobody was asked (``{mask = "no_mask"}`` for portraits from before masks).
    share: of its training groups, how many are used, always the same ones and those of a smaller share among them.
    terms: what its owners allow, for the card. sources: only rows whose source contains one of these words; empty for all.
    """

    path: str
    name: str
    terms: str
    weight: float = 1.0
    held_out: float = 0.0
    share: float = 1.0
    is_composited: bool = False
    sources: tuple[str, ...] = ()
    trust: float = 1.0
    implied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. sizes: canvas sides in pixels, the first with ``batch`` pictures, larger ones with fewer.
    optimizer: ``adamw`` or ``muon``, see `mien.learn.muon`. wakes_dead: whether units that no longer answer are drawn anew,
    see `mien.learn.units`.
    """

    epochs: int
    pictures_per_epoch: int
    batch: int
    sizes: tuple[int, ...]
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: float = 0.03
    average: float = 0.999
    evaluate_every: int = 10
    optimizer: str = "adamw"
    wakes_dead: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise DataError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")


@dataclass(frozen=True)
class Recipe:
    """A parsed recipe. start: model file whose weights training starts from, from the recipe's own folder; empty for none.
    ``hash`` is the SHA-256 of the recipe's text.
    """

    name: str
    task: str
    version: str
    summary: str
    seed: int
    root: Path
    network: Mapping[str, Any]
    schedule: Schedule
    data: tuple[DataSource, ...]
    long_side: int
    intended_use: str
    known_failures: tuple[str, ...] = ()
    start: str = ""
    hash: str = field(default="", compare=False)


def _fill(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected a table, got {values!r}")
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise DataError(f"{where}: unknown setting {name!r}; known: {', '.join(sorted(known))}")
    try:
        return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})
    except TypeError as error:
        raise DataError(f"{where}: {str(error).split('() ')[-1]}") from None


def read_recipe(path: Path, root: Path | None = None) -> Recipe:
    """The recipe in ``path``; ``root`` stands in for its data folder. Raises `DataError` naming what is wrong."""
    try:
        text = path.read_bytes()
        table = tomllib.loads(text.decode())
    except OSError as error:
        raise DataError(f"{path}: expected a recipe (TOML), cannot read it: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: expected a recipe (TOML), got: {error}") from None
    schedule = _fill(Schedule, table.pop("schedule", {}), f"{path}: [schedule]")
    data = tuple(_fill(DataSource, entry, f"{path}: [[data]]") for entry in table.pop("data", []))
    if not data:
        raise DataError(f"{path}: expected at least one [[data]] table, found none")
    folder = root or (path.parent / str(table.get("root", "."))).resolve()
    if table.get("start"):
        table["start"] = str((path.parent / str(table["start"])).resolve())
    table.update(schedule=schedule, data=data, root=folder, hash=hashlib.sha256(text).hexdigest())
    return _fill(Recipe, table, str(path))
