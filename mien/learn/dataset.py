"""Training pictures, made on the fly. Each one depends only on the seed, the epoch and its place, so a resumed run
sees the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from mien.data.augment import FaceRows, Looks, brightened, in_low_light, random_square, similarity, warp_faces, warp_image
from mien.data.sample import FaceLabel, Sample
from mien.filters.foreground import blend, split_layers
from mien.learn.cache import PictureCache
from mien.learn.graph import GRAPHS
from mien.learn.graph_steps import MOST_GAIN
from mien.learn.losses import FaceTargets

_DARK_SHARE = {"faces": 0.06, "matte": 0.08}
"""How many training pictures of each task are taken to low light."""
_NEAR_SHARE = 0.45
"""How many pictures of people are looked at near one face; the others are shown whole or nearly so, as in use."""
_LOOKS = 0.6
"""How strongly the looks of face canvases are changed. Stronger changes teach less of what pictures are really like."""
_SURE = 0.7
"""The score from which a face that only a teacher saw is taught as a face; below, it is neither face nor background."""
_FILLED_SHARE = 0.45


class Draw(NamedTuple):
    """One training picture to make: the sample to start from and the canvas size in pixels."""

    epoch: int
    place: int
    row: int
    size: int


class Draws(Sampler[list[Draw]]):
    """Batches of draws: samples by weight, with replacement; one canvas size a batch, the batch smaller as the
    canvas grows.
    """

    def __init__(self, weights: Sequence[float], pictures: int, batch: int, sizes: Sequence[int], seed: int) -> None:
        self.weights = np.asarray(weights, float) / np.sum(weights)
        self.pictures, self.batch, self.sizes, self.seed = pictures, batch, list(sizes), seed
        self.epoch = 0
        self.sampler = self  # Lightning sets the epoch on a batch sampler's sampler

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[Draw]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        rows = rng.choice(len(self.weights), self.pictures, p=self.weights)
        place = 0
        for number in range(len(self)):
            size = self.sizes[int(rng.integers(len(self.sizes)))]
            count = max(2, round(self.batch * (self.sizes[0] / size) ** 2))
            picks = [(place + i) % self.pictures for i in range(count)]
            place += count
            yield [Draw(self.epoch, number * 1000 + i, int(rows[pick]), size) for i, pick in enumerate(picks)]

    def __len__(self) -> int:
        return self.pictures // self.batch


def face_rows(faces: Sequence[FaceLabel], scale: float, is_loose: bool) -> FaceRows:
    """Labels as columns, scaled. Loose boxes run from brow to chin: they are raised to the hairline. Ignored faces of which
    a teacher was sure are taught.
    """
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4) * scale
    if is_loose:
        boxes[:, 1] -= 0.2 * (boxes[:, 3] - boxes[:, 1])
    return FaceRows(
        boxes,
        np.array([face.keypoints for face in faces], np.float32).reshape(-1, 5, 2) * scale,
        np.array([face.is_ignored and not (face.is_taught and (face.score or 0) >= _SURE) for face in faces], bool),
        np.array([face.is_taught for face in faces], bool),
        np.full(len(faces), is_loose),
    )


def _turn(rng: np.random.Generator) -> float:
    """An in-plane angle in degrees: mostly upright, some tilted, few any way round, which a second look is for."""
    kind = rng.random()
    if kind < 0.82:
        return float(rng.normal(0, 8))
    return float(rng.uniform(-50, 50) if kind < 0.97 else rng.uniform(-180, 180))


class FaceCanvases(Dataset[tuple[Tensor, FaceTargets]]):
    """Canvases with faces of all sizes and turns: one picture, or a mosaic of four."""

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: PictureCache,
        seed: int,
        weights: Sequence[float] = (),
        mosaic: float = 0.15,
    ) -> None:
        self.cache, self.seed, self.mosaic = cache, seed, mosaic
        self.weights = list(weights) or [1.0] * len(samples)
        self._shares = np.cumsum(self.weights) / np.sum(self.weights)
        self.faces = [face_rows(s.faces or (), cache[i][1], s.is_crop) for i, s in enumerate(samples)]
        self.empty = [row for row, sample in enumerate(samples) if sample.is_empty]
        self.looks = Looks(_LOOKS)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, FaceTargets]:
        rng = np.random.default_rng((self.seed, draw.epoch, draw.place))
        size = draw.size
        canvas = np.empty((size, size, 3), np.uint8)
        tiles = [(0, 0, size, size)]
        if rng.random() < self.mosaic:
            x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
            tiles = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
        parts = []
        for number, (left, top, right, bottom) in enumerate(tiles):
            row = draw.row if number == 0 else self._other(rng)
            wh = (right - left, bottom - top)
            image, faces = self._tile(row, wh, rng)
            canvas[top:bottom, left:right] = image
            shift = np.array([[1, 0, left], [0, 1, top]], np.float32)
            parts.append(warp_faces(faces, shift, (size, size)))
        canvas = self.looks(canvas, int(rng.integers(2**31)))
        if rng.random() < _DARK_SHARE["faces"]:
            canvas = in_low_light(canvas, rng)
        canvas = brightened(canvas, GRAPHS["faces"].least_light, MOST_GAIN)  # as the model file does
        faces = FaceRows.join(parts)
        real = faces[~faces.is_ignored]
        return torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1))), FaceTargets(
            torch.from_numpy(real.boxes),
            torch.from_numpy(real.keypoints),
            torch.from_numpy(real.is_loose),
            torch.from_numpy(real.is_taught),
            torch.from_numpy(faces[faces.is_ignored].boxes),
        )

    def _other(self, rng: np.random.Generator) -> int:
        """The row of one more sample of a mosaic, drawn by weight."""
        return min(int(np.searchsorted(self._shares, rng.random(), side="right")), len(self._shares) - 1)

    def _tile(self, row: int, size_wh: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.uint8], FaceRows]:
        image, faces = self.cache[row][0][..., :3], self.faces[row]
        height, width = image.shape[:2]
        tile = min(size_wh)
        real = faces[~faces.is_ignored]
        if len(real) and rng.random() < _NEAR_SHARE:  # look at one face, at a size drawn evenly over octaves
            box = real.boxes[int(rng.integers(len(real)))]
            side = max(1.0, float(np.sqrt((box[2] - box[0]) * (box[3] - box[1]))))
            wanted = float(np.exp(rng.uniform(np.log(10), np.log(0.85 * tile))))
            scale = float(np.clip(wanted / side, 0.4 * tile / max(height, width), 4.0))
            spread = max(0.0, tile - wanted) / 2
            centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        else:  # the whole picture, as the detector will see it, nearer or farther
            scale = tile / max(height, width) * float(np.exp(rng.uniform(np.log(0.8), np.log(2.0))))
            spread = 0.3 * tile
            centre = (width / 2, height / 2)
        to = (size_wh[0] / 2 + rng.uniform(-1, 1) * spread, size_wh[1] / 2 + rng.uniform(-1, 1) * spread)
        matrix = similarity(rng, scale, centre, to, _turn(rng), bool(rng.random() < 0.5))
        return warp_image(image, matrix, size_wh, self._under(size_wh, rng)), warp_faces(faces, matrix, size_wh)

    def _under(self, size_wh: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8] | tuple[float, ...]:
        """What shows where the picture ends: a plain colour, or a picture without faces."""
        if not self.empty or rng.random() < 0.5:
            return tuple(rng.integers(0, 256, 3))
        behind = self.cache[self.empty[int(rng.integers(len(self.empty)))]][0][..., :3]
        return np.ascontiguousarray(random_square(behind, max(size_wh), rng)[: size_wh[1], : size_wh[0]])


def collate_faces(items: list[tuple[Tensor, FaceTargets]]) -> tuple[Tensor, list[FaceTargets]]:
    """A batch: (B, 3, S, S) uint8 and the faces of each picture."""
    return torch.stack([image for image, _ in items]), [faces for _, faces in items]


class MatteCanvases(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Canvases of people on their own and on other backgrounds, and of nobody, with mattes and a plane of what counts.

    always_composite: for each sample, whether its people are only shown on other backgrounds. Those backgrounds are the
    samples that show nobody; has_backdrops: whether there are any to be used.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: PictureCache,
        seed: int,
        weights: Sequence[float],
        always_composite: Sequence[bool],
        has_backdrops: bool = True,
    ) -> None:
        self.cache, self.seed, self.has_backdrops = cache, seed, has_backdrops
        self.weights = list(weights)
        self.always = list(always_composite)
        self.has_far_people = ["fullbody" in s.kind and "clothing" in s.source for s in samples]
        self.empty = [row for row, sample in enumerate(samples) if sample.is_empty]
        self.people = [row for row, sample in enumerate(samples) if not sample.is_empty]
        self.is_empty = [sample.is_empty for sample in samples]
        self.looks = Looks(has_patches=False)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, draw.epoch, draw.place))
        canvas, matte, counted = self._layer(draw.row, draw.size, rng)
        is_moved = not self.is_empty[draw.row] and (self.always[draw.row] or rng.random() < 0.3)
        if is_moved and self.has_backdrops:
            behind = self._backdrop(draw.size, rng)
            canvas, counted = self._composite(canvas, matte, behind), np.ones_like(matte)
            if rng.random() < 0.2:
                other, other_matte, _ = self._layer(self.people[int(rng.integers(len(self.people)))], draw.size, rng)
                canvas = self._composite(other, other_matte, canvas)
                matte = np.maximum(matte, other_matte)
        canvas = self.looks(canvas, int(rng.integers(2**31)))
        if rng.random() < _DARK_SHARE["matte"]:
            canvas = in_low_light(canvas, rng)
        return (
            torch.from_numpy(np.ascontiguousarray(canvas.transpose(2, 0, 1))),
            torch.from_numpy(matte)[None],
            torch.from_numpy(counted)[None],
        )

    def _layer(
        self, row: int, size: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        picture = self.cache[row][0]
        height, width = picture.shape[:2]
        turn = float(rng.normal(0, 8)) if rng.random() < 0.9 else float(rng.choice([-90, 90, 180]) + rng.normal(0, 8))
        if rng.random() < _FILLED_SHARE:  # as the network will see it: what the border cuts, it cuts there
            scale = size / min(height, width) * float(np.exp(rng.uniform(0, np.log(1.5))))
            room = np.maximum(0, np.array([width, height]) * scale - size) / 2
            to = size / 2 + rng.uniform(-1, 1, 2) * (room[::-1] if abs(turn) > 45 and abs(turn) < 135 else room)
        else:
            scale = size / max(height, width) * float(np.exp(rng.uniform(np.log(0.75), np.log(1.7))))
            to = size / 2 + rng.uniform(-1, 1, 2) * 0.18 * size
        matrix = similarity(rng, scale, (width / 2, height / 2), (to[0], to[1]), turn, bool(rng.random() < 0.5))
        fill = tuple(rng.integers(0, 256, 3)) if rng.random() < 0.5 else cv2.mean(picture)[:3]
        image = warp_image(np.ascontiguousarray(picture[..., :3]), matrix, (size, size), fill)
        matte = warp_image(np.ascontiguousarray(picture[..., 3]), matrix, (size, size), 0)
        counted = np.full_like(matte, 1)
        if self.has_far_people[row]:
            reach = int(0.15 * size)
            counted = cv2.dilate((matte > 127).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        return image, matte, counted

    def _backdrop(self, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        picture = self.cache[self.empty[int(rng.integers(len(self.empty)))]][0][..., :3]
        cut = random_square(picture, size, rng)
        if rng.random() < 0.25:
            cut = cv2.GaussianBlur(cut, (0, 0), float(rng.uniform(1, size / 60)))
        return cut

    @staticmethod
    def _composite(front: NDArray[np.uint8], matte: NDArray[np.uint8], behind: NDArray[np.uint8]) -> NDArray[np.uint8]:
        alpha = matte.astype(np.float32) / np.float32(255)
        return blend(split_layers(front, alpha)[0], behind, alpha)


def collate_mattes(items: list[tuple[Tensor, Tensor, Tensor]]) -> Any:
    """A batch: pictures (B, 3, S, S), mattes and counted planes (B, 1, S, S), all uint8."""
    return tuple(torch.stack(planes) for planes in zip(*items, strict=True))
