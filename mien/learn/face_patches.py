"""Training pictures for the attribute network: one face a patch, moved, lit and blurred as faces really come."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mien.attributes import Attribute
from mien.data.augment import FaceRows, Looks, in_low_light, similarity, warp_faces, warp_image
from mien.data.sample import FaceLabel, Sample
from mien.geometry import transform_points
from mien.learn.attribute_network import POINTS, FaceCrops, logits_of
from mien.learn.attribute_targets import MIRRORED_POINTS, face_points, face_targets, mirrored_target
from mien.learn.cache import PictureCache
from mien.learn.dataset import Draw
from mien.learn.recipe import DataSource
from mien.media.write import whole_file
from mien.models.faces import FaceModel
from mien.models.store import model_path

log = logging.getLogger(__name__)

MIN_SIDE = 14.0
_ALIGNED_SHARE, _ALIGNED_CROPS = 0.8, 0.5
"""How many faces are shown turned upright by their keypoints; of crops, which are otherwise read as they are."""
_KEPT_SHARE = 0.35
"""How many are shown in the light and with the sharpness that they came with."""
_DARK_SHARE = 0.09
_MARGIN = 0.35
_VIEWS = (0.7, 1.6)
"""How many times its box's side a face without keypoints is shown: crops from elsewhere are cut anywhere between."""
_CROP_TRUST = 0.15
"""How much the keypoints count that the face model finds in a crop without labelled ones. Were they not to count at all,
nothing would hold the contour of such crops to the face.
"""
_SMALL = 80.0
_MOST_BALANCE = 4.0


class FacePatch(NamedTuple):
    """A batch, or one item before it is joined: patches (B, 3, P, P) uint8; boxes (B, 4) and keypoints (B, 5, 2) as the
    network
    gets them, in pixels of the patch; targets (B, K) and weights (B, A) of the attributes; true 68 points (B, 68, 2) and
    five keypoints (B, 5, 2), NaN where unknown; trust (B,) in the five.
    """

    patch: Tensor
    box: Tensor
    keypoints: Tensor
    targets: Tensor
    weights: Tensor
    points: Tensor
    five: Tensor
    trust: Tensor


class _Row(NamedTuple):
    picture: int
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    points: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    trust: float
    is_whole: bool


class FacePatches(Dataset[FacePatch]):
    """One patch for each labelled face of the samples. ``weights`` says how often each is drawn: by its set, and more often
    where its answers are rare.

    keypoints: (N, 5, 2) in pixels of the samples' pictures, what a face is turned upright by instead of its labels (NaN: by
    its box); labelled ones are never shown to the network then, as they may be what it is to tell.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        cache: PictureCache,
        origin: Sequence[DataSource],
        attributes: Sequence[Attribute],
        seed: int,
        keypoints: NDArray[np.float32] | None = None,
    ) -> None:
        self.cache, self.seed, self.attributes = cache, seed, list(attributes)
        self.looks = Looks()
        self.crops = FaceCrops()
        self.is_shown_labels = keypoints is None
        found = taught_keypoints(samples, cache) if keypoints is None else keypoints
        self.rows: list[_Row] = []
        shares: list[float] = []
        for number, (sample, source) in enumerate(zip(samples, origin, strict=True)):
            scale = cache[number][1]
            for face in sample.faces if sample.faces else (None,) if sample.is_crop else ():
                row = self._row(number, sample, face, source, scale, found[number])
                if row is not None:
                    self.rows.append(row)
                    shares.append(source.weight)
        self.weights = (np.array(shares) * self._balance()).tolist()

    def _row(
        self,
        number: int,
        sample: Sample,
        face: FaceLabel | None,
        source: DataSource,
        scale: float,
        taught: NDArray[np.float32],
    ) -> _Row | None:
        if face is not None and (face.is_ignored or min(face.box[2:] - face.box[:2]) * scale < MIN_SIDE):
            return None
        targets, weights = face_targets(self.attributes, sample, face, source.trust, source.implied)
        points = face_points(sample) * np.float32(scale)
        for attribute, part in self._parts(targets):
            if attribute.points:
                part *= np.float32(scale)
        keypoints = face.keypoints * np.float32(scale) if face is not None else taught
        if not self.is_shown_labels:
            keypoints = taught * np.float32(scale)
        if not weights.any() and np.isnan(keypoints).any():
            return None
        height, width = self.cache[number][0].shape[:2]
        box = face.box * np.float32(scale) if face is not None else np.array([0, 0, width, height], np.float32)
        trust = _CROP_TRUST if face is None else 0.3 if face.is_taught else 1.0
        # As crops are read in use and in evaluation: without looking for keypoints in them, unless points are judged.
        is_whole = sample.is_crop and (face is None or np.isnan(face.keypoints).any())
        is_whole = is_whole and np.isnan(points).any() and not any(one.points for one in self.attributes)
        return _Row(number, box, keypoints, points, targets, weights, trust, bool(is_whole))

    def _balance(self) -> NDArray[np.float64]:
        """Rare answers are drawn more often: by the root of how many times rarer than the commonest they are."""
        factor = np.ones(len(self.rows))
        for column, attribute in enumerate(self.attributes):
            if attribute.answers:
                best = self.answers(column)
                counts = Counter(one for one in best if one >= 0)
                most = max(counts.values(), default=1)
                wanted = [min(_MOST_BALANCE, (most / counts[one]) ** 0.5) if one >= 0 else 1.0 for one in best]
                factor = np.maximum(factor, wanted)
        return factor

    def answers(self, column: int) -> list[int]:
        """Which answer each face is labelled with, by the number of the attribute; -1 where that is not known well."""
        start = sum(map(logits_of, self.attributes[:column]))
        part = slice(start, start + logits_of(self.attributes[column]))
        return [int(row.targets[part].argmax()) if row.weights[column] >= 0.5 else -1 for row in self.rows]

    def _parts(self, targets: NDArray[np.float32]) -> Iterator[tuple[Attribute, NDArray[np.float32]]]:
        """Each attribute and its part of the targets, a view."""
        start = 0
        for attribute in self.attributes:
            yield attribute, targets[start : start + logits_of(attribute)]
            start += logits_of(attribute)

    def contours(self) -> NDArray[np.float32]:
        """The 68 points of all faces that have them, (F, 68, 2) in pixels of their pictures."""
        return np.array([row.points for row in self.rows if np.isfinite(row.points).all()]).reshape(-1, POINTS, 2)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Draw) -> FacePatch:
        rng = np.random.default_rng((self.seed, draw.epoch, draw.place))
        row, side = self.rows[draw.row], draw.size
        share = _ALIGNED_CROPS if row.is_whole else _ALIGNED_SHARE
        is_aligned = bool(np.isfinite(row.keypoints).all()) and rng.random() < share
        box = row.box
        if is_aligned:
            frame = self._frame(row)
            centre, length = frame[0] + (frame[1] + frame[2]) / 2, float(np.hypot(*frame[1]))
            turn = float(rng.normal(0, 15) if rng.random() < 0.85 else rng.uniform(-180, 180))
        else:
            centre, length = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
            length *= 1.0 if row.is_whole else float(rng.uniform(*_VIEWS))
            turn = float(rng.normal(0, 8))
        is_mirrored = bool(rng.random() < 0.5)
        matrix = similarity(
            rng, side * (1 - _MARGIN) / max(length, 1.0), (centre[0], centre[1]), (side / 2, side / 2), turn, is_mirrored
        )
        image = np.ascontiguousarray(self.cache[row.picture][0][..., :3])
        fill = tuple(rng.integers(0, 256, 3)) if rng.random() < 0.3 else cv2.mean(image)[:3]
        is_small = length < _SMALL
        patch = warp_image(image, matrix, (side, side), fill)
        if rng.random() >= _KEPT_SHARE:
            patch = self._worse(patch, side * (1 - _MARGIN), is_small, rng)
            patch = self.looks(patch, int(rng.integers(2**31)))
            if rng.random() < _DARK_SHARE:
                patch = in_low_light(patch, rng)
        moved = self._moved(row, matrix, side)
        points = transform_points(matrix, row.points[None])[0]
        targets = self._moved_targets(row.targets, matrix, is_mirrored)
        if is_mirrored:
            points = points[MIRRORED_POINTS]
        shown, keypoints = self._as_found(moved, is_aligned, length * side * (1 - _MARGIN) / max(length, 1.0), rng)
        return FacePatch(
            torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))),
            torch.from_numpy(shown),
            torch.from_numpy(keypoints),
            torch.from_numpy(targets),
            torch.from_numpy(row.weights),
            torch.from_numpy(points.astype(np.float32)),
            torch.from_numpy(moved),
            torch.tensor(row.trust),
        )

    def _frame(self, row: _Row) -> NDArray[np.float32]:
        frame: NDArray[np.float32] = self.crops.frames(
            torch.from_numpy(row.box[None]), torch.from_numpy(row.keypoints[None])
        )[0].numpy()
        return frame

    @staticmethod
    def _moved(row: _Row, matrix: NDArray[np.float32], side: int) -> NDArray[np.float32]:
        """The five keypoints in the patch, (5, 2)."""
        no = np.zeros(1, bool)
        faces = FaceRows(row.box[None], row.keypoints[None], no, no, no)
        return (
            warp_faces(faces, matrix, (10**6, 10**6), 0.0, 0.0).keypoints[0]
            if np.isfinite(row.keypoints).any()
            else (np.full((5, 2), np.nan, np.float32))
        )

    def _moved_targets(
        self, targets: NDArray[np.float32], matrix: NDArray[np.float32], is_mirrored: bool
    ) -> NDArray[np.float32]:
        parts = []
        for attribute, part in self._parts(targets):
            if attribute.points:
                part = transform_points(matrix, part.reshape(1, -1, 2))[0].astype(np.float32).flatten()
            parts.append(mirrored_target(attribute, part) if is_mirrored else part)
        return np.concatenate(parts)

    def plain(self, number: int, side: int) -> FacePatch:
        """A face as it is in use: nothing changed, boxes and keypoints as they are. ``side``: of the patch in pixels."""
        row = self.rows[number]
        if row.is_whole:
            row = row._replace(keypoints=np.full_like(row.keypoints, np.nan))
        frame = self._frame(row)
        length = float(np.hypot(*frame[1]))
        centre = frame[0] + (frame[1] + frame[2]) / 2
        scale = side * (1 - _MARGIN) / max(length, 1.0)
        matrix = np.array([[scale, 0, side / 2 - scale * centre[0]], [0, scale, side / 2 - scale * centre[1]]], np.float32)
        image = np.ascontiguousarray(self.cache[row.picture][0][..., :3])
        patch = warp_image(image, matrix, (side, side), (127, 127, 127))
        return FacePatch(
            torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))),
            torch.from_numpy(transform_points(matrix, row.box.reshape(1, 2, 2)).astype(np.float32).reshape(4)),
            torch.from_numpy(transform_points(matrix, row.keypoints[None])[0].astype(np.float32)),
            torch.from_numpy(self._moved_targets(row.targets, matrix, False)),
            torch.from_numpy(row.weights),
            torch.from_numpy(transform_points(matrix, row.points[None])[0].astype(np.float32)),
            torch.from_numpy(self._moved(row, matrix, side)),
            torch.tensor(row.trust),
        )

    @staticmethod
    def _worse(patch: NDArray[np.uint8], length: float, is_small: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Some faces as small as far ones: shrunk so that the face's crop is 20 to 70 pixels, and enlarged. Fewer of those
        that came small.
        """
        if rng.random() > (0.15 if is_small else 0.35):
            return patch
        share = float(rng.uniform(20, 70)) / length
        if share >= 1:
            return patch
        size = max(8, round(len(patch) * share))
        small = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.3:
            ok, code = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
            small = cv2.imdecode(code, cv2.IMREAD_COLOR) if ok else small
        kind = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))]
        return cv2.resize(small, patch.shape[1::-1], interpolation=kind)

    @staticmethod
    def _as_found(
        keypoints: NDArray[np.float32], is_aligned: bool, length: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Box (4,) and keypoints (5, 2) as a detector would give them: off by what detectors are off."""
        middle = length / (1 - _MARGIN) / 2
        half = length / 2 * float(np.exp(rng.uniform(-0.12, 0.12)))
        x, y = middle + rng.normal(0, 0.04, 2) * length
        box = np.array([x - half, y - half, x + half, y + half], np.float32)
        if not is_aligned:
            return box, np.full((5, 2), np.nan, np.float32)
        centre = keypoints.mean(0)
        noisy = (keypoints - centre) * np.exp(rng.normal(0, 0.07)) + centre
        noisy = noisy + rng.normal(0, 0.02, 2) * length + rng.normal(0, 0.012, (5, 2)) * length
        return box, noisy.astype(np.float32)


def collate_patches(items: list[FacePatch]) -> FacePatch:
    """A batch of patches of one size."""
    return FacePatch(*(torch.stack(parts) for parts in zip(*items, strict=True)))


def taught_keypoints(samples: Sequence[Sample], cache: PictureCache, min_score: float = 0.3) -> NDArray[np.float32]:
    """Five keypoints of each sample's one face as the shipped face model sees them, (N, 5, 2) in pixels of the cached
    picture; NaN for pictures that are no crops, have labelled faces, or in which no face is found.

    Crops are looked at with a grey border, as the detector wants some. The answers are kept beside the cache.
    """
    model = model_path("faces")
    names = hashlib.sha256("\n".join(sample.name for sample in samples).encode() + model.read_bytes()).hexdigest()
    path = cache.path.with_name(f"keypoints-{names[:16]}.npy")
    if path.exists():
        return np.load(path, allow_pickle=False)
    find = FaceModel("faces", min_score=min_score)
    found = np.full((len(samples), 5, 2), np.nan, np.float32)
    for row, sample in enumerate(samples):
        if not sample.is_crop or sample.faces:
            continue
        image = np.ascontiguousarray(cache[row][0][..., :3])
        border = round(0.3 * max(image.shape[:2]))
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        faces = find(framed)
        if len(faces):
            found[row] = faces.keypoints[0] - border
    log.info("keypoints found in %d crops", int(np.isfinite(found[:, 0, 0]).sum()))
    with whole_file(path) as file:
        np.save(file, found)
    return found
