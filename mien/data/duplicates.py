"""Near-duplicates: perceptual hashes, and finding those that lie close together without comparing each with each."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_BANDS = 8
_BAND_BITS = np.array([[8 * row + (band + 3 * row) % 8 for row in range(8)] for band in range(_BANDS)])
"""Which bits of a hash make each band. Neighbouring cells of a picture agree, so a band takes bits that lie far apart:
bands of whole rows leave 27 times as many pairs to compare."""
_SETTLED_EVERY = 32


def perceptual_hash(image: NDArray[np.uint8], cells: int = 8) -> NDArray[np.uint64]:
    """Difference hashes of a picture and of its mirror image: (2,) uint64 (dHash, Krawetz 2013, on 9 x 8 cells).

    cells: 16 gives (2, 4) words, which tell apart what is framed alike, such as crops of faces.
    """
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (cells + 1, cells), interpolation=cv2.INTER_AREA)
    bits = [np.packbits(plane[:, 1:] > plane[:, :-1]).view(">u8") for plane in (small, small[:, ::-1])]
    return np.array(bits, np.uint64).squeeze()


def hash_text(hashes: NDArray[np.uint64]) -> str:
    """The (2,) hashes of `perceptual_hash` as 32 hexadecimal digits."""
    return "".join(f"{int(value):016x}" for value in hashes)


def hash_from_text(text: str) -> NDArray[np.uint64]:
    """The way back from `hash_text`. Raises `ValueError` for another text."""
    if len(text) != 32:
        raise ValueError(f"expected 32 hexadecimal digits, got {text[:40]!r}")
    return np.array([int(text[:16], 16), int(text[16:], 16)], np.uint64)


def near_duplicates(hashes: NDArray[np.uint64], max_bits: int = 6) -> NDArray[np.int64]:
    """Group number of each picture: (N, 2) hashes of `perceptual_hash` give (N,); the number is a member's row.

    Two pictures are near-duplicates when the hash of one is within ``max_bits`` (at most 7) of the other's or of its mirror
    image's; groups are joined through common members. Nothing is missed: hashes cut into 8 bands that differ in 6 bits agree
    in two bands at least, so only those that agree in some two bands are compared. Hashes of more words, (N, 2, W), may
    differ in any number of bits, and are compared each with each.
    """
    if hashes.ndim == 3:
        return _compared_each(hashes, max_bits)
    if not 0 <= max_bits < _BANDS:
        raise ValueError(f"max_bits: expected 0 to {_BANDS - 1}, got {max_bits}")
    if not len(hashes):
        return np.zeros(0, np.int64)
    kinds, first, kind_of = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    kind_of = kind_of.reshape(-1)
    last = np.zeros(len(kinds), np.int64)
    np.maximum.at(last, kind_of, np.arange(len(hashes)))
    # Every kind of picture comes twice, as it is and mirrored; a mirror image is compared with later pictures as they are.
    entries = _Entries(
        np.concatenate([kinds[:, 0], kinds[:, 1]]),
        np.tile(np.arange(len(kinds)), 2),
        np.repeat([False, True], len(kinds)),
        first,
        last,
    )
    roots = np.arange(len(kinds))
    for bands in combinations(range(_BANDS), max(1, min(2, _BANDS - max_bits))):
        roots = entries.joined(roots, bands, max_bits)
    lowest = np.full(len(kinds), len(hashes), np.int64)
    np.minimum.at(lowest, roots, first)
    return lowest[roots][kind_of]


def _compared_each(hashes: NDArray[np.uint64], max_bits: int) -> NDArray[np.int64]:
    roots = np.arange(len(hashes))
    pairs = []
    for row in range(len(hashes) - 1):
        rest = hashes[row + 1 :, 0]
        for view in hashes[row]:
            (hopeful,) = np.nonzero(np.bitwise_count(rest[:, 0] ^ view[0]) <= max_bits)
            apart = np.bitwise_count(rest[hopeful] ^ view).sum(axis=1, dtype=np.int64)
            pairs += [(row, row + 1 + int(other)) for other in hopeful[apart <= max_bits]]
    return _joined(roots, np.array(pairs, np.int64).reshape(-1, 2))


class _Entries:
    """Hashes to search: ``value`` of each, the ``kind`` it is of, whether it is the mirror image; rows of each kind."""

    def __init__(self, value: Any, kind: Any, is_mirror: Any, first: Any, last: Any) -> None:
        self.value, self.kind, self.is_mirror, self.first, self.last = value, kind, is_mirror, first, last
        bits = np.unpackbits(value.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        self._bands = np.packbits(bits[:, _BAND_BITS], axis=2)[:, :, 0].T.astype(np.uint16)

    def joined(self, roots: NDArray[np.int64], bands: tuple[int, ...], max_bits: int) -> NDArray[np.int64]:
        """Roots after joining what lies close and agrees in these bands."""
        key = np.zeros(len(self.value), np.uint16)
        for band in bands:
            key = (key << 8) | self._bands[band]
        order = np.argsort(key, kind="stable")
        key = key[order]
        run = np.cumsum(np.concatenate([[0], key[1:] != key[:-1]]))
        at, shift = np.arange(len(key)), 0
        while len(at):
            if shift % _SETTLED_EVERY == 0:  # a run whose members are one group already has nothing left to find
                own = roots[self.kind[order]]
                low, high = np.full(run[-1] + 1, len(roots)), np.full(run[-1] + 1, -1)
                np.minimum.at(low, run, own)
                np.maximum.at(high, run, own)
                at = at[(low != high)[run[at]]]
            shift += 1
            at = at[at + shift < len(key)]
            at = at[key[at] == key[at + shift]]
            roots = self._joined_pairs(roots, order[at], order[at + shift], max_bits)
        return roots

    def _joined_pairs(
        self, roots: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64], max_bits: int
    ) -> NDArray[np.int64]:
        is_open = (roots[self.kind[one]] != roots[self.kind[other]]) & ~(self.is_mirror[one] & self.is_mirror[other])
        one, other = one[is_open], other[is_open]
        one, other = np.where(self.is_mirror[other], other, one), np.where(self.is_mirror[other], one, other)
        is_near = np.bitwise_count(self.value[one] ^ self.value[other]) <= max_bits
        is_near &= ~self.is_mirror[one] | (self.first[self.kind[one]] < self.last[self.kind[other]])
        if not is_near.any():
            return roots
        pairs = np.stack([roots[self.kind[one[is_near]]], roots[self.kind[other[is_near]]]], axis=1)
        return _joined(roots, np.unique(np.sort(pairs, axis=1), axis=0))


def _joined(roots: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Roots after joining the groups of each pair; every root keeps pointing at itself."""
    parents = roots.copy()
    for one, other in pairs.tolist():
        while parents[one] != one:
            one = int(parents[one])
        while parents[other] != other:
            other = int(parents[other])
        parents[max(one, other)] = min(one, other)
    while (parents[parents] != parents).any():
        parents = parents[parents]
    return parents
