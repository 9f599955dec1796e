"""From a recipe to the pictures of a run: read, group, hold out, and keep what was decided beside the checkpoints."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.duplicates import near_duplicates, perceptual_hash
from mien.data.sample import Sample, read_samples
from mien.data.split import held_out, joined_groups
from mien.errors import DataError
from mien.learn.cache import PictureCache
from mien.learn.recipe import DataSource, Recipe

log = logging.getLogger(__name__)

_HASHES = {False: (8, 6), True: (16, 14)}
"""Cells of the perceptual hash and how many bits near-duplicates may differ in: finer for crops, which all look alike."""


@dataclass(frozen=True)
class Gathered:
    """The pictures of a run. weights: how often each training sample is drawn, relative. origin: the data source of each."""

    train: list[Sample]
    weights: list[float]
    origin: list[DataSource]
    cache: PictureCache
    validation: list[Sample]
    data_hash: str
    counts: dict[str, int]


def gather(recipe: Recipe, cache_folder: Path, max_side: int = 640) -> Gathered:
    """Read all data of the recipe and keep whole near-duplicate groups apart for validation.

    A training picture that is a near-duplicate of a held-out one, from whichever set, is left out. Raises `DataError`.
    """
    samples: list[Sample] = []
    origin: list[DataSource] = []
    for source in recipe.data:
        found = [
            sample
            for sample in read_samples(recipe.root / source.path)
            if not source.sources or any(word in sample.source for word in source.sources)
        ]
        if not found:
            raise DataError(
                f"{recipe.root / source.path}: expected rows whose source holds one of {source.sources}, found none"
            )
        samples += found
        origin += [source] * len(found)
    cache = PictureCache(samples, cache_folder, max_side, with_mattes=recipe.task == "matte")
    cells, max_bits = _HASHES[recipe.task == "attributes"]
    hashes = np.array([perceptual_hash(np.ascontiguousarray(cache[row][0][..., :3]), cells) for row in range(len(samples))])
    groups = joined_groups(samples, near_duplicates(hashes, max_bits))
    is_apart = _hold_out(samples, groups, origin, recipe.seed)
    apart_groups = {groups[row] for row in np.flatnonzero(is_apart)}
    rows = [
        row
        for row, group in enumerate(groups)
        if not is_apart[row] and group not in apart_groups and _lot(group, recipe.seed) < origin[row].share
    ]
    log.info(
        "%d training pictures, %d held out, %d left out as their near-duplicates or by share",
        len(rows),
        int(is_apart.sum()),
        len(samples) - len(rows) - int(is_apart.sum()),
    )
    digest = hashlib.sha256(json.dumps([(s.source, s.name, s.is_empty) for s in samples]).encode() + hashes.tobytes())
    counts = {source.name: sum(origin[row] is source for row in rows) for source in recipe.data}
    return Gathered(
        [samples[row] for row in rows],
        [origin[row].weight for row in rows],
        [origin[row] for row in rows],
        cache.subset(rows),
        [samples[row] for row in np.flatnonzero(is_apart)],
        digest.hexdigest(),
        counts,
    )


def _lot(group: str, seed: int) -> float:
    """A number from 0 to under 1 that depends on the group and the seed only."""
    return int.from_bytes(hashlib.sha256(f"{seed} {group}".encode()).digest()[:4], "big") / 2**32


def _hold_out(samples: Sequence[Sample], groups: Sequence[str], origin: Sequence[DataSource], seed: int) -> np.ndarray:
    is_apart = np.zeros(len(samples), bool)
    for source in {id(item): item for item in origin}.values():
        rows = [row for row, item in enumerate(origin) if item is source]
        if source.held_out >= 1:
            is_apart[rows] = True
        elif source.held_out > 0:
            is_apart[rows] = held_out([samples[row] for row in rows], [groups[row] for row in rows], source.held_out, seed)
    return is_apart
