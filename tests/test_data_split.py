from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.data.duplicates import hash_from_text, hash_text, near_duplicates, perceptual_hash
from mien.data.sample import FaceLabel, Sample
from mien.data.split import SPLITS, held_out, joined_groups, proofs, strata_of, stratified_split
from mien.errors import DataError


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 255, (9, 11, 3), np.uint8), (220, 180), interpolation=cv2.INTER_CUBIC)


def test_changed_copies_are_near_duplicates() -> None:
    one = picture(1)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    small = cv2.resize(one, (60, 50), interpolation=cv2.INTER_AREA)
    brighter = cv2.convertScaleAbs(one, alpha=0.8, beta=30)
    pictures = [one, jpeg, small, brighter, np.ascontiguousarray(one[:, ::-1]), *(picture(seed) for seed in range(2, 30))]
    groups = near_duplicates(np.array([perceptual_hash(p) for p in pictures]))
    assert len(set(groups[:5])) == 1
    assert len(set(groups)) == 29


def samples(groups: list[str], sources: list[str] | None = None) -> list[Sample]:
    sources = sources or ["a"] * len(groups)
    return [Sample(b"", f"{n}.png", group=g, source=s) for n, (g, s) in enumerate(zip(groups, sources, strict=True))]


def test_groups_join_people_and_near_duplicates() -> None:
    some = samples(["ann", "bob", "ann", "", ""])
    keys = joined_groups(some, np.array([0, 1, 2, 1, 4]))
    assert keys[0] == keys[2]
    assert keys[1] == keys[3]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_no_group_straddles_and_every_source_gives_its_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = [f"p{n}" for n in rng.integers(0, 120, 600)]
    some = samples(people, ["web" if int(p[1:]) % 3 else "studio" for p in people])
    keys = joined_groups(some, np.arange(600))
    apart = held_out(some, keys, 0.15, seed)
    assert not {keys[n] for n in np.flatnonzero(apart)} & {keys[n] for n in np.flatnonzero(~apart)}
    for source in ("web", "studio"):
        rows = [n for n, sample in enumerate(some) if sample.source == source]
        assert apart[rows].mean() == pytest.approx(0.15, abs=0.03)
    assert (held_out(some, keys, 0.15, seed) == apart).all()


def test_later_pictures_do_not_move_earlier_ones_of_other_sources() -> None:
    some = samples([""] * 100)
    keys = joined_groups(some, np.arange(100))
    before = held_out(some, keys, 0.2, 1)
    more = [*some, *(Sample(b"", f"new{n}.png", source="b") for n in range(50))]
    after = held_out(more, joined_groups(more, np.arange(150)), 0.2, 1)
    assert (after[:100] == before).all()


def near_by_comparing_all(hashes: np.ndarray, max_bits: int) -> list[frozenset[int]]:
    parents = list(range(len(hashes)))
    for row in range(len(hashes)):
        for other in range(row + 1, len(hashes)):
            if any(int(view ^ hashes[other, 0]).bit_count() <= max_bits for view in hashes[row]):
                old, new = parents[other], parents[row]
                parents = [new if p == old else p for p in parents]
    return groups_in(parents)


def groups_in(numbers: object) -> list[frozenset[int]]:
    members: dict[int, set[int]] = {}
    for row, number in enumerate(numbers):
        members.setdefault(int(number), set()).add(row)
    return sorted(map(frozenset, members.values()), key=min)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("max_bits", [0, 3, 6, 7])
def test_the_search_finds_what_comparing_all_finds(seed: int, max_bits: int) -> None:
    rng = np.random.default_rng(seed)
    seeds = rng.integers(0, 2**63, (12, 2), dtype=np.uint64)
    hashes = seeds[rng.integers(0, 12, 130)]
    for _ in range(int(rng.integers(1, 9))):
        hashes ^= np.uint64(1) << rng.integers(0, 64, hashes.shape, dtype=np.uint64)
    hashes[::9] = hashes[::9, ::-1]
    hashes[100:110] = hashes[100]
    assert groups_in(near_duplicates(hashes, max_bits)) == near_by_comparing_all(hashes, max_bits)


def test_nothing_and_one() -> None:
    assert near_duplicates(np.zeros((0, 2), np.uint64)).tolist() == []
    assert near_duplicates(np.zeros((3, 2), np.uint64)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["spread", "same", "one long chain", "smooth pictures"])
def test_thirty_thousand_are_quick(kind: str) -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**63, (30_000, 2), dtype=np.uint64)
    if kind == "same":
        hashes[:] = 7
    elif kind == "one long chain":
        hashes[:] = np.uint64(1) << rng.integers(0, 64, hashes.shape, dtype=np.uint64)
        hashes ^= np.uint64(1) << rng.integers(0, 64, hashes.shape, dtype=np.uint64)
        hashes ^= np.uint64(1) << rng.integers(0, 64, hashes.shape, dtype=np.uint64)
    elif kind == "smooth pictures":  # neighbouring bits agree, as in photos
        coarse = rng.integers(0, 255, (len(hashes), 5, 5, 3), dtype=np.uint8)
        hashes = np.array([perceptual_hash(cv2.resize(cells, (32, 32))) for cells in coarse])
    started = time.process_time()
    groups = near_duplicates(hashes)
    assert time.process_time() - started < (8 if kind == "smooth pictures" else 20)
    assert (len(set(groups)) == 1) == (kind in ("same", "one long chain"))


def test_texts_of_hashes() -> None:
    one = perceptual_hash(picture(3))
    assert (hash_from_text(hash_text(one)) == one).all()
    with pytest.raises(ValueError, match="32 hexadecimal"):
        hash_from_text("12")


def labelled(rng: np.random.Generator, count: int) -> list[Sample]:
    made = []
    for number in range(count):
        answer = str(rng.choice(["mask", "no_mask", "bad_mask"], p=[0.6, 0.3, 0.1]))
        face = FaceLabel(
            np.array([0, 0, 9, 9], np.float32), np.full((5, 2), np.nan, np.float32), attributes={"mask": answer}
        )
        person = f"p{rng.integers(0, count // 6)}" if rng.random() < 0.7 else ""
        session = f"s{rng.integers(0, count // 4)}" if rng.random() < 0.3 else ""
        parent = f"{rng.integers(0, number)}.png" if number > 5 and rng.random() < 0.1 else ""
        made.append(Sample(b"", f"{number}.png", (face,), person=person, session=session, parent=parent))
    return made


@pytest.mark.parametrize("seed", range(6))
def test_a_split_is_stratified_and_leaks_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = labelled(rng, 900)
    if seed % 2:  # without sessions and copies the groups stay small
        some = [replace(sample, session="", parent="") for sample in some]
    near = np.arange(900)
    near[::50] = near[1::50]
    keys = joined_groups(some, near)
    parts = stratified_split(some, keys, {"validation": 0.15, "test": 0.1}, attribute="mask", seed=seed)
    assert all(not proof.straddling for proof in proofs(some, parts, near))
    if seed % 2:
        for answer in ("mask", "no_mask", "bad_mask"):
            of_it = [part for part, sample in zip(parts, some, strict=True) if strata_of(sample, "mask") == (answer,)]
            shares = [of_it.count(part) / len(of_it) for part in SPLITS]
            assert shares == pytest.approx([0.75, 0.15, 0.1], abs=0.03), answer
    again = stratified_split(some, keys, {"validation": 0.15, "test": 0.1}, attribute="mask", seed=seed)
    assert again == parts


def test_pictures_stay_where_they_are_when_more_come() -> None:
    some = labelled(np.random.default_rng(3), 200)
    some = [replace(sample, session="", parent="", person="") for sample in some]
    parts = stratified_split(some, joined_groups(some, np.arange(200)), {"validation": 0.2}, attribute="mask")
    kept = [replace(sample, split=part) for sample, part in zip(some, parts, strict=True)]
    more = [*kept, *(replace(sample, name=f"new{n}", split="") for n, sample in enumerate(some))]
    after = stratified_split(more, joined_groups(more, np.arange(400)), {"validation": 0.2}, attribute="mask")
    assert after[:200] == parts
    assert after.count("validation") == pytest.approx(80, abs=4)


def test_proofs_find_a_leak() -> None:
    some = [Sample(b"", f"{n}.png", person="ann", session=f"s{n}", parent="0.png" if n == 2 else "") for n in range(3)]
    found = {proof.kind: proof.straddling for proof in proofs(some, ["train", "test", "train"], np.array([0, 0, 2]))}
    assert found["person"] == ("ann",)
    assert found["near-duplicates"] == ("0",)
    assert found["session"] == found["original and its changed copies"] == ()


@pytest.mark.parametrize("shares", [{"validation": 0.6, "test": 0.4}, {"test": -0.1}, {"train": 0.5}, {"test": 1}])
def test_shares_that_make_no_sense(shares: dict[str, float]) -> None:
    with pytest.raises(DataError, match="split: expected shares"):
        stratified_split([], [], shares)
