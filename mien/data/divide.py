"""Dividing a project's pictures into parts, and proving that nothing leaks from one into another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mien.data.check import hashes_of
from mien.data.duplicates import near_duplicates
from mien.data.project import Project
from mien.data.split import SPLITS, Proof, joined_groups, proofs, strata_of, stratified_split
from mien.errors import DataError

_MANY = 200
"""Pictures from which on a part is set apart for a test that training never sees."""


def usual_shares(pictures: int) -> dict[str, float]:
    """How so many pictures are divided where nobody says otherwise: the share of each part that is not trained on."""
    return {"validation": 0.15, "test": 0.15} if pictures >= _MANY else {"validation": 0.25}


@dataclass(frozen=True)
class Divided:
    """What `divide` did. classes: how often each is in each part. notes: what a person should know of it."""

    parts: tuple[str, ...]
    classes: dict[str, Counter[str]]
    proofs: list[Proof]
    notes: list[str]


def divide(
    project: Project,
    shares: Mapping[str, float],
    *,
    is_kept: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Divided:
    """Put every picture of a project into a part, see `stratified_split`. Raises `DataError`, also should anything leak."""
    samples = project.samples()
    if not samples:
        raise DataError(f"{project.root}: expected pictures to split, found none; add some first")
    near = near_duplicates(hashes_of(project, progress))
    groups = joined_groups(samples, near)
    attribute = project.settings.attribute
    splits = stratified_split(samples, groups, shares, attribute=attribute, seed=seed, is_kept=is_kept)
    found = proofs(samples, splits, near)
    if leaks := [proof for proof in found if proof.straddling]:
        raise DataError(f"{project.root}: {leaks[0].kind} {leaks[0].straddling[0]} would be on two sides; report this")
    project.assign_split({sample.name: part for sample, part in zip(samples, splits, strict=True)})
    project.close()
    classes: dict[str, Counter[str]] = {}
    for sample, part in zip(samples, splits, strict=True):
        for stratum in strata_of(sample, attribute):
            classes.setdefault(stratum, Counter())[part] += 1
    parts = tuple(part for part in SPLITS if part == "train" or shares.get(part, 0) > 0 or part in splits)
    notes = []
    for part in parts:
        lacking = [name for name, counts in sorted(classes.items()) if not counts[part]]
        if lacking:
            what, it = ("pictures", "them") if len(lacking) == len(classes) else (", ".join(lacking), "it")
            notes.append(f"{part} has no {what}: too few people and sessions show {it}; record {it} with others as well")
    size = max(Counter(groups).values())
    if size > 0.5 * len(samples):
        notes.append(
            f"{size} of {len(samples)} pictures belong together (one person or session, or they look the same), so the "
            "shares cannot be met"
        )
    moved = sum(bool(sample.split) and sample.split != part for sample, part in zip(samples, splits, strict=True))
    if moved and is_kept:
        notes.append(f"{moved} pictures changed sides, as their groups had grown together; figures of before do not compare")
    return Divided(parts, classes, found, notes)
