from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data.sample import Sample
from mien.data.split import held_out, joined_groups, near_duplicates, perceptual_hash


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
