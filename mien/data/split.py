"""Splitting without leaks: near-duplicates, people and sessions stay on one side, decided before any augmentation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.sample import Sample
from mien.errors import DataError

SPLITS = ("train", "validation", "test")


def joined_groups(samples: Sequence[Sample], duplicates: NDArray[np.int64]) -> list[str]:
    """One key per sample so that near-duplicates, members of one labelled group, pictures of one person or of one session,
    and changed copies of one picture share it.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    keys = [f"duplicates/{number}" for number in duplicates]
    for key, sample in zip(keys, samples, strict=True):
        if sample.group:
            parents[root(f"group/{sample.source}/{sample.group}")] = root(key)
    originals = {sample.parent for sample in samples if sample.parent}
    for key, sample in zip(keys, samples, strict=True):
        if sample.name in originals:
            parents[root(f"file/{sample.name}")] = root(key)
        for kind in ("person", "session"):
            if name := getattr(sample, kind):
                parents[root(f"{kind}/{name}")] = root(key)
        if sample.parent:
            parents[root(f"file/{sample.parent}")] = root(key)
    return [root(key) for key in keys]


def held_out(samples: Sequence[Sample], groups: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples are kept apart for validation: whole groups, about ``share`` of every source.

    Groups are taken in an order that depends only on the seed and on the names in them, so that pictures added later
    do not move the others across. Groups that span sources count for the source of their first member.
    """
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    by_source: dict[str, list[list[int]]] = {}
    for rows in members.values():
        by_source.setdefault(samples[rows[0]].source, []).append(rows)
    out = np.zeros(len(samples), bool)
    for pool in by_source.values():

        def order(rows: list[int]) -> str:
            return hashlib.sha256(f"{seed}/{min(samples[row].name for row in rows)}".encode()).hexdigest()

        wanted, taken = share * sum(map(len, pool)), 0
        for rows in sorted(pool, key=order):
            if taken + len(rows) / 2 > wanted:
                continue
            out[rows] = True
            taken += len(rows)
    return out


def strata_of(sample: Sample, attribute: str = "") -> tuple[str, ...]:
    """The classes that a picture counts for: the answers to ``attribute`` of its faces, else how many faces it has."""
    faces = [face for face in sample.faces or () if not face.is_ignored]
    if not attribute:
        return (("no face", "one face", "several faces")[min(len(faces), 2)],)
    answers = [str(face.attributes[attribute]) for face in faces if attribute in face.attributes]
    if not answers and attribute in sample.labels:
        answers = [str(sample.labels[attribute])]
    return tuple(answers) or ("not labelled",)


def stratified_split(
    samples: Sequence[Sample],
    groups: Sequence[str],
    shares: Mapping[str, float],
    *,
    attribute: str = "",
    seed: int = 0,
    is_kept: bool = True,
) -> list[str]:
    """The part of the set that each sample goes to, one of `SPLITS`: whole groups, each class divided like the whole.

    groups: a key for each sample, see `joined_groups`. shares: of ``validation`` and ``test``; the rest is ``train``.
    is_kept: samples that are in a part already stay there, and what joins their group follows; where a group has grown
        together out of several parts, it goes to the part that has most of it.

    The largest groups are placed first, each where it brings the counts of all classes closest to what is wanted; equal ones
    by a hash of the seed and their names. Raises `DataError` for shares that leave nothing to train on.
    """
    if any(name not in SPLITS[1:] for name in shares) or not all(0 <= share < 1 for share in shares.values()):
        raise DataError(f"split: expected shares of validation and test from 0 to 1, got {dict(shares)}")
    if (rest := 1 - sum(shares.values())) < 1e-9:
        given = " and ".join(f"{name} {share:g}" for name, share in shares.items())
        raise DataError(f"split: expected shares that leave something to train on, got {given}; give less than 1 together")
    wanted = np.array([rest, shares.get("validation", 0), shares.get("test", 0)])
    strata = [strata_of(sample, attribute) for sample in samples]
    columns = {name: number for number, name in enumerate(sorted({name for names in strata for name in names}))}
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    counts = {group: np.zeros(len(columns) + 1) for group in members}
    for group, rows in members.items():
        for row in rows:
            counts[group][-1] += 1
            for name in strata[row]:
                counts[group][columns[name]] += 1
    totals = np.maximum(sum(counts.values(), np.zeros(len(columns) + 1)), 1)
    have = np.zeros((len(SPLITS), len(totals)))
    parts: dict[str, int] = {}
    if is_kept:
        for group, rows in members.items():
            known = Counter(samples[row].split for row in rows if samples[row].split in SPLITS)
            if known:
                parts[group] = SPLITS.index(known.most_common(1)[0][0])
                have[parts[group]] += counts[group]

    def order(group: str) -> tuple[int, str]:
        name = min(samples[row].name for row in members[group])
        return -len(members[group]), hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()

    weight = 1 / (np.square(totals) * np.maximum(wanted, 1e-9)[:, None])
    for group in sorted(set(members) - set(parts), key=order):
        grown = counts[group]
        cost = ((2 * (have - wanted[:, None] * totals) * grown + np.square(grown)) * weight).sum(axis=1)
        parts[group] = int(np.where(wanted > 0, cost, np.inf).argmin())
        have[parts[group]] += grown
    return [SPLITS[parts[group]] for group in groups]


@dataclass(frozen=True)
class Proof:
    """That no group of one kind lies on two sides. groups: with two pictures or more. straddling: those on several sides."""

    kind: str
    groups: int
    pictures: int
    straddling: tuple[str, ...]


def proofs(samples: Sequence[Sample], splits: Sequence[str], duplicates: NDArray[np.int64]) -> list[Proof]:
    """One `Proof` a kind of group: person, session, labelled group, original with its changed copies, near-duplicates.

    Looked at afresh in the labels themselves, not in the joined groups that the split was made by. Samples without a part
    ("") count for none.
    """
    kinds = {
        "person": [sample.person for sample in samples],
        "session": [sample.session for sample in samples],
        "group": [sample.group and f"{sample.source}/{sample.group}" for sample in samples],
        "original and its changed copies": [sample.parent or sample.name for sample in samples],
        "near-duplicates": [str(number) for number in duplicates],
    }
    found = []
    for kind, names in kinds.items():
        sides: dict[str, set[str]] = {}
        sizes = Counter(name for name in names if name)
        for name, split in zip(names, splits, strict=True):
            if name and split:
                sides.setdefault(name, set()).add(split)
        several = [name for name, size in sizes.items() if size > 1]
        bad = tuple(sorted(name for name in several if len(sides.get(name, ())) > 1))
        found.append(Proof(kind, len(several), sum(sizes[name] for name in several), bad))
    return found
