"""What flows through mien: a `Frame` with its `Faces`, and the `Stage` that looks at it or changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

KEYPOINT_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The five keypoints of a face in the order of every keypoint array. Left and right are the subject's own."""

LANDMARKS = "landmarks68"
"""The column of `Faces.attributes` with 68 contour points, (N, 136) pixels ``x y x y ...``, iBUG order, image-left first."""


def _column(name: str, values: object, dtype: type, shape: tuple[int | None, ...]) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(values, dtype)
    if array.size == 0 and array.ndim != len(shape):
        array = array.reshape([0 if size is None else size for size in shape])
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True)):
        wanted = "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"
        raise InputError(f"{name}: expected shape {wanted}, got {array.shape}; give one row per face")
    return array


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of one picture as columns of equal length, checked once, here.

    boxes: (N, 4) float32, ``x1 y1 x2 y2`` in pixels of the picture.
    scores: (N,) float32 in [0, 1].
    keypoints: (N, 5, 2) float32 pixels in the order of `KEYPOINT_NAMES`.
    ids: (N,) int64, the track of each face, -1 where there is none.
    attributes: name to a column whose first axis is N (see `mien.attributes`).

    Raises `InputError` when a column has another length or shape.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    ids: NDArray[np.int64] = None  # type: ignore[assignment]  # filled in when left out
    attributes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "boxes", _column("boxes", self.boxes, np.float32, (None, 4)))
        put(self, "scores", _column("scores", self.scores, np.float32, (None,)))
        put(self, "keypoints", _column("keypoints", self.keypoints, np.float32, (None, len(KEYPOINT_NAMES), 2)))
        ids: object = np.full(len(self), -1) if self.ids is None else self.ids
        put(self, "ids", _column("ids", ids, np.int64, (None,)))
        own: dict[str, NDArray[Any]] = {"scores": self.scores, "keypoints": self.keypoints, "ids": self.ids}
        columns = {**own, **self.attributes}
        for name, column in columns.items():
            if len(column) != len(self):
                raise InputError(f"{name}: expected {len(self)} rows, one per box, got {len(column)}")

    @classmethod
    def none(cls) -> Faces:
        """A picture without faces."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, len(KEYPOINT_NAMES), 2), np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: slice | NDArray[Any] | list[int] | int) -> Faces:
        """The faces picked by a slice, a boolean mask or row numbers, all columns together."""
        if isinstance(rows, int | np.integer):
            raise InputError(f"faces[{rows}]: expected a slice, a mask or a list of rows; use faces[[{rows}]] for one face")
        return Faces(
            self.boxes[rows],
            self.scores[rows],
            self.keypoints[rows],
            self.ids[rows],
            {name: column[rows] for name, column in self.attributes.items()},
        )

    def __iter__(self) -> Iterator[Faces]:
        return (self[[row]] for row in range(len(self)))

    def moved(self, scale: float, shift: tuple[float, float]) -> Faces:
        """The faces of a picture that was scaled and then shifted by pixels (x, y)."""
        offset = np.array(shift, np.float32)
        columns = dict(self.attributes)
        if LANDMARKS in columns:
            columns[LANDMARKS] = (columns[LANDMARKS].reshape(len(self), 68, 2) * scale + offset).reshape(len(self), 136)
        boxes = self.boxes * scale + np.tile(offset, 2)
        return replace(self, boxes=boxes, keypoints=self.keypoints * scale + offset, attributes=columns)

    def with_attributes(self, **columns: NDArray[np.float32]) -> Faces:
        """A copy that also carries these columns."""
        return replace(self, attributes={**self.attributes, **columns})


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture on its way through the stages, with what is known of it.

    image: (H, W, 3) uint8 RGB.
    alpha: (H, W) uint8 or None: the transparency that the picture came with or that a filter gave it.
    source: where it came from (path, address), as shown to people.
    index, time_s: position in its source; both 0 for a photo.
    faces: None until a stage has looked for them.
    matte: (H, W) float32 in [0, 1], how much of each pixel is person; None until a stage made it.
    notes: what people should know of it: what could not be done, and why. One line each.
    """

    image: NDArray[np.uint8]
    source: str = ""
    index: int = 0
    time_s: float = 0.0
    alpha: NDArray[np.uint8] | None = None
    faces: Faces | None = None
    matte: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, dtype = np.shape(self.image), getattr(self.image, "dtype", type(self.image))
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
            raise InputError(f"image: expected (H, W, 3) uint8 RGB, got {shape} {dtype}; read files with mien.read")
        for name in ("alpha", "matte"):
            plane = getattr(self, name)
            if plane is not None and plane.shape != shape[:2]:
                raise InputError(f"{name}: expected the picture's {shape[:2]}, got {plane.shape}")

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])


@dataclass(frozen=True)
class Failure:
    """A picture that could not be done, kept in its place so that the others go on."""

    source: str
    kind: str
    message: str


Stage: TypeAlias = Callable[[Frame], Frame]
