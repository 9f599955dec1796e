from __future__ import annotations

import numpy as np
import pytest

from mien.errors import InputError
from mien.types import Faces, Frame


def three() -> Faces:
    boxes = np.arange(12, dtype=float).reshape(3, 4)
    return Faces(boxes, np.array([0.9, 0.8, 0.7]), np.zeros((3, 5, 2)), attributes={"smile": np.eye(3, 2)})


def test_a_mask_keeps_the_columns_together() -> None:
    some = three()[np.array([True, False, True])]
    assert len(some) == 2
    assert some.boxes[1].tolist() == [8, 9, 10, 11]
    assert some.scores.tolist() == pytest.approx([0.9, 0.7])
    assert some.attributes["smile"].shape == (2, 2)
    assert some.ids.tolist() == [-1, -1]


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"scores: expected 3 rows"):
        Faces(np.zeros((3, 4)), np.zeros(2), np.zeros((3, 5, 2)))
    with pytest.raises(InputError, match=r"smile: expected 3 rows"):
        three().with_attributes(smile=np.zeros((2, 2), np.float32))
    with pytest.raises(InputError, match=r"boxes: expected shape \(N, 4\), got \(3, 5\)"):
        Faces(np.zeros((3, 5)), np.zeros(3), np.zeros((3, 5, 2)))


def test_one_number_is_no_selection() -> None:
    with pytest.raises(InputError, match=r"faces\[\[1\]\]"):
        three()[1]


def test_iteration_gives_single_faces() -> None:
    assert [len(face) for face in three()] == [1, 1, 1]
    assert len(Faces.none()) == 0
    assert list(Faces.none()) == []


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), "photo.jpg"])
def test_a_frame_holds_rgb_bytes(image: object) -> None:
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) uint8"):
        Frame(image)  # type: ignore[arg-type]


def test_planes_must_fit_the_picture() -> None:
    with pytest.raises(InputError, match="matte"):
        Frame(np.zeros((4, 6, 3), np.uint8), matte=np.zeros((6, 4), np.float32))
    frame = Frame(np.zeros((4, 6, 3), np.uint8))
    assert (frame.width, frame.height) == (6, 4)
