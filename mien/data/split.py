"""Splitting without leaks: near-duplicates, people and sessions stay on one side, decided before any augmentation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.sample import Sample


def perceptual_hash(image: NDArray[np.uint8], cells: int = 8) -> NDArray[np.uint64]:
    """Difference hashes of a picture and of its mirror image: (2,) uint64 (dHash, Krawetz 2013, on 9 x 8 cells).

    cells: 16 gives (2, 4) words, which tell apart what is framed alike, such as crops of faces.
    """
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (cells + 1, cells), interpolation=cv2.INTER_AREA)
    bits = [np.packbits(plane[:, 1:] > plane[:, :-1]).view(">u8") for plane in (small, small[:, ::-1])]
    return np.array(bits, np.uint64).squeeze()


def near_duplicates(hashes: NDArray[np.uint64], max_bits: int = 6) -> NDArray[np.int64]:
    """Group number of each picture: (N, 2) or (N, 2, W) hashes of `perceptual_hash` give (N,).

    Two pictures are near-duplicates when the hash of one is within ``max_bits`` of the other's or of its mirror
    image's; groups are joined through common members.
    """
    hashes = hashes.reshape(len(hashes), 2, -1)
    parents = np.arange(len(hashes))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return int(item)

    for row in range(len(hashes) - 1):
        rest = hashes[row + 1 :, 0]
        near = np.zeros(len(rest), bool)
        for view in hashes[row]:
            (hopeful,) = np.nonzero(np.bitwise_count(rest[:, 0] ^ view[0]) <= max_bits)
            near[hopeful] |= np.bitwise_count(rest[hopeful] ^ view).sum(axis=1, dtype=np.int64) <= max_bits
        for other in np.flatnonzero(near):
            parents[root(row + 1 + int(other))] = root(row)
    return np.array([root(row) for row in range(len(hashes))])


def joined_groups(samples: Sequence[Sample], duplicates: NDArray[np.int64]) -> list[str]:
    """One key per sample so that near-duplicates and members of one labelled group share it."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    keys = [f"duplicates/{number}" for number in duplicates]
    for key, sample in zip(keys, samples, strict=True):
        if sample.group:
            parents[root(f"group/{sample.source}/{sample.group}")] = root(key)
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
