"""What one task asks of a training on somebody's own data: network, pictures, losses, and figures on what is held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mien.attributes import Attribute
from mien.data.sample import Sample
from mien.errors import DataError
from mien.learn.attribute_loss import AttributeLoss
from mien.learn.attribute_network import AttributeNetwork, expected_number, in_picture
from mien.learn.cache import PictureCache
from mien.learn.dataset import Draw, FaceCanvases, MatteCanvases
from mien.learn.face_patches import FacePatches, collate_patches
from mien.learn.own_data import OwnData, face_cuts, seen_keypoints
from mien.learn.own_network import attribute_network, canvas_network, unfold
from mien.learn.own_options import OwnOptions
from mien.learn.own_points import start_points
from mien.learn.own_views import SIDE, PlainFaces, Seen, SeenFaces, collate_seen, seen_faces
from mien.learn.recipe import DataSource
from mien.learn.trainer import TASKS
from mien.metrics import confusion_matrix

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_CUT_SIDE, _CANVAS_SIDE = 256, 640
_CANVAS = {"faces": 320, "matte": 256}
_POINT_SHARE = 0.03
"""Rate of the heads of points over that of the others, see `AttributeNetwork.slow`."""
_BACKBONE = ("backbone", "narrow", "narrow_last", "contour", "module")


class Lesson(Protocol):
    """How one task is trained. It can be sent to another process.

    network: what is trained. train, held: pictures by `Draw`. weights: how often each is drawn. size: canvas side in pixels.
    views: how often each picture is seen in an epoch.
    kept: what the names of those parameters begin with that training never changes.
    """

    network: nn.Module
    train: Dataset[Any]
    held: Dataset[Any]
    weights: list[float]
    held_count: int
    size: int
    views: int
    kept: tuple[str, ...]

    @property
    def collate(self) -> Callable[[Any], Any]:
        """Joins pictures to a batch."""

    def losses(self, network: Any, batch: Any) -> dict[str, Tensor]:
        """Named losses of a batch with their ``total``."""

    def figures(self, network: Any, batches: Sequence[Any]) -> dict[str, float]:
        """Figures on what is held out: ``loss``, metrics, and ``goodness``, which is higher for a better network."""

    def share_of(self, name: str) -> float:
        """The rate of a parameter over that of the heads, before `OwnOptions.backbone_rate`."""

    def is_backbone(self, name: str) -> bool:
        """Whether a parameter belongs to what was there before."""


@dataclass
class AttributeLesson:
    """Attributes, points among them, on `FacePatch` or `Seen` batches. teacher: tells the contour that nobody labelled."""

    network: AttributeNetwork
    train: Dataset[Any]
    held: Dataset[Any]
    weights: list[float]
    held_count: int
    options: OwnOptions
    answer_weights: dict[str, Tensor]
    teacher: AttributeNetwork | None = None
    size: int = SIDE
    views: int = 1
    kept: tuple[str, ...] = ()

    @property
    def collate(self) -> Callable[[Any], Any]:
        return collate_seen if isinstance(self.train, SeenFaces) else collate_patches

    def losses(self, network: AttributeNetwork, batch: Any) -> dict[str, Tensor]:
        batch = self._weighted(batch)
        if isinstance(batch, Seen):
            if self.options.mixup:
                batch = self._mixed(batch, "pooled")
            return self._loss(network.told(batch.pooled, batch.places).float(), None, batch.frames, batch)
        crops, frames = network.crops(batch.patch.float(), batch.box, batch.keypoints)
        crops = crops.contiguous(memory_format=torch.channels_last)
        if self.teacher is not None:
            with torch.no_grad():
                batch = batch._replace(points=self.teacher.read(crops, frames)[1])
        if self.options.mixup:
            batch = self._mixed(batch._replace(patch=crops), "patch")
            crops = batch.patch
        logits, points = network.read(crops, frames)
        return self._loss(logits.float(), None if points is None else points.float(), frames, batch)

    def _loss(self, logits: Tensor, points: Tensor | None, frames: Tensor, batch: Any) -> dict[str, Tensor]:
        return AttributeLoss(self.network.attributes, smoothing=self.options.smoothing)(logits, points, frames, batch)

    def _weighted(self, batch: Any) -> Any:
        """The batch, rare answers counting more."""
        weights = batch.weights.clone()
        for column, (attribute, part) in enumerate(zip(self.network.attributes, self.network.slices.values(), strict=True)):
            if attribute.name in self.answer_weights:
                weights[:, column] *= batch.targets[:, part] @ self.answer_weights[attribute.name]
        return batch._replace(weights=weights)

    def _mixed(self, batch: Any, what: str) -> Any:
        """Each face mixed with another of the batch, targets too (mixup, Zhang et al. 2018); points cannot be mixed."""
        if any(one.points for one in self.network.attributes):
            return batch
        alpha = torch.tensor(self.options.mixup)
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        order = torch.randperm(len(batch.weights))
        values = getattr(batch, what)
        changed = {what: share * values + (1 - share) * values[order]}
        changed["targets"] = share * batch.targets + (1 - share) * batch.targets[order]
        return batch._replace(**changed, weights=torch.minimum(batch.weights, batch.weights[order]))

    @torch.no_grad()
    def figures(self, network: AttributeNetwork, batches: Sequence[Any]) -> dict[str, float]:
        losses, told, rows = [], [], []
        for batch in batches:
            if isinstance(batch, Seen):
                logits, frames = network.told(batch.pooled, batch.places), batch.frames
            else:
                crops, frames = network.crops(batch.patch.float(), batch.box, batch.keypoints)
                logits, _ = network.read(crops.contiguous(memory_format=torch.channels_last), frames)
            # The contour of a held-out face is nobody's label.
            losses.append(float(self._loss(logits, None, frames, batch)["total"]) * len(frames))
            told.append(logits)
            rows.append((frames, batch.targets, batch.weights))
        logits = torch.cat(told)
        frames, targets, weights = (torch.cat(parts) for parts in zip(*rows, strict=True))
        figures = {"loss": sum(losses) / max(1, len(logits))}
        merits = []
        for column, (attribute, part) in enumerate(zip(network.attributes, network.slices.values(), strict=True)):
            known = weights[:, column] > 0
            if known.any():
                name, value, merit = _figure(attribute, logits[known, part], targets[known, part], frames[known])
                figures[name if len(network.attributes) == 1 else f"{attribute.name} {name}"] = value
                merits.append(merit)
        goodness = float(np.mean(merits)) if merits else 0.0
        return {**figures, "goodness": goodness - 0.01 * figures["loss"]}

    def share_of(self, name: str) -> float:
        top, _, rest = name.partition(".")
        if top == "heads" and self.network.attributes[int(rest.split(".")[0])].points:
            return _POINT_SHARE
        return AttributeNetwork.slow.get(top, 1.0)

    def is_backbone(self, name: str) -> bool:
        return name.split(".")[0] in _BACKBONE


def _figure(attribute: Attribute, logits: Tensor, targets: Tensor, frames: Tensor) -> tuple[str, float, float]:
    """Name and value of the figure of one attribute, and what it is worth between 0 and 1."""
    if attribute.points:
        wanted = targets.unflatten(1, (-1, 2))
        known = wanted.isfinite().all(2)
        away = (in_picture(logits, frames) - wanted).norm(dim=2) / frames[:, 1].norm(dim=1)[:, None]
        error = float(away[known].mean())
        return "point_error", error, 1 - error
    if attribute.answers:
        labels, answers = targets.argmax(1).numpy(), logits.argmax(1).numpy()
        table = confusion_matrix(labels, answers, len(attribute.answers))
        present = table.sum(1) > 0
        value = float((np.diag(table)[present] / table.sum(1)[present]).mean())
        return "balanced_accuracy", value, value
    steps = torch.linspace(*attribute.span, targets.shape[1])
    away = (expected_number(logits.softmax(1), attribute)[:, 0] - targets @ steps).abs()
    low, high = attribute.span
    return "mean_error", float(away.mean()), 1 - float(away.mean()) / (high - low)


@dataclass
class CanvasLesson:
    """Faces in pictures, or mattes: what recipes train, on own pictures."""

    task: str
    network: nn.Module
    train: Any
    held: Any
    weights: list[float]
    held_count: int
    size: int
    views: int = 1
    kept: tuple[str, ...] = ()

    @property
    def collate(self) -> Callable[[Any], Any]:
        return TASKS[self.task].collate

    def losses(self, network: Any, batch: Any) -> dict[str, Tensor]:
        image = batch[0].float().contiguous(memory_format=torch.channels_last)
        return TASKS[self.task].losses(network, image, batch)

    @torch.no_grad()
    def figures(self, network: Any, batches: Sequence[Any]) -> dict[str, float]:
        losses = [self.losses(network, batch) for batch in batches]
        means = {name: float(np.mean([float(one[name]) for one in losses])) for name in losses[0]}
        total = means.pop("total")
        return {"loss": total, **{f"{name}_loss": value for name, value in means.items()}, "goodness": -total}

    def share_of(self, name: str) -> float:
        slow: dict[str, float] = getattr(self.network, "slow", {})
        return slow.get(name.split(".")[0], 1.0)

    def is_backbone(self, name: str) -> bool:
        return name.split(".")[0] == "backbone"


def build_lesson(data: OwnData, options: OwnOptions, cache: Path, tell: Tell) -> Lesson:
    """What is to be trained, its pictures decoded into ``cache``. options: with nothing left open. Raises `DataError`."""
    if data.task != "attributes":
        return _canvas_lesson(data, options, cache)
    backbone = str(options.backbone)
    patches = [_patches(data, members, options, cache) for members in (data.train, data.validation)]
    network = attribute_network(data.attributes, backbone, options.seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train, held = patches
    teacher = None
    if backbone == "frozen":
        tables = []
        for part, one, views in (("train", train, options.views), ("validation", held, 0)):
            table = seen_faces(
                network,
                one,
                views,
                cache / f"{part}.npz",
                lambda done, part=part, views=views: tell(f"looking at {part} pictures", done, views + 1),  # type: ignore[misc]
            )
            tables.append(table)
        start_points(network, tables[0])
        sets: list[Dataset[Any]] = [SeenFaces(tables[0], options.seed, is_plain=False)]
        sets.append(SeenFaces(tables[1], options.seed, is_plain=True))
    else:
        sets = [train, PlainFaces(held)]
        start_points(network, _plain_batches(train, options.seed))
        if backbone == "unfrozen":
            unfold(network, _plain_batches(train, options.seed))
            teacher = attribute_network(data.attributes, backbone, options.seed).eval().requires_grad_(False)
    return AttributeLesson(
        network,
        sets[0],
        sets[1],
        _draw_weights(train, options),
        len(held),
        options,
        _answer_weights(train, options),
        teacher,
        views=options.views if backbone == "frozen" else 1,
        kept=_BACKBONE if backbone == "frozen" else (),
    )


def _patches(data: OwnData, members: list[Sample], options: OwnOptions, cache: Path) -> FacePatches:
    cuts = face_cuts(members, data.attributes)
    pictures = PictureCache(cuts, cache, _CUT_SIDE)
    keypoints = seen_keypoints(cuts, pictures, are_labels_used=not any(one.points for one in data.attributes))
    source = DataSource("", data.name, "your own")
    patches = FacePatches(cuts, pictures, [source] * len(cuts), data.attributes, options.seed, keypoints)
    if not len(patches):
        raise DataError(f"{data.root}: expected faces of 14 px or more, found only smaller ones; use larger pictures")
    return patches


def _plain_batches(patches: FacePatches, seed: int) -> DataLoader[Any]:
    rows = np.random.default_rng(seed).permutation(len(patches))
    batches = [[Draw(0, int(row), int(row), SIDE) for row in rows[start : start + 32]] for start in range(0, len(rows), 32)]
    return DataLoader(patches, batch_sampler=batches, collate_fn=collate_patches)


def _shares(patches: FacePatches) -> list[tuple[Attribute, NDArray[np.int64], NDArray[np.float64]]]:
    """For each attribute with answers: the answer of each face (-1 for none) and how many have each answer."""
    found = []
    for column, attribute in enumerate(patches.attributes):
        if attribute.answers:
            labels = np.array(patches.answers(column))
            counts = np.bincount(labels[labels >= 0], minlength=len(attribute.answers)).astype(float)
            found.append((attribute, labels, counts))
    return found


def _draw_weights(patches: FacePatches, options: OwnOptions) -> list[float]:
    weights = np.ones(len(patches))
    if options.balance == "sampler":
        for _, labels, counts in _shares(patches):
            most = counts.max()
            wanted = np.array([most / counts[label] if label >= 0 else 1.0 for label in labels])
            weights = np.maximum(weights, wanted)
    return weights.tolist()


def _answer_weights(patches: FacePatches, options: OwnOptions) -> dict[str, Tensor]:
    if options.balance != "weights":
        return {}
    found = {}
    for attribute, _, counts in _shares(patches):
        share = np.where(counts > 0, counts.sum() / np.maximum(counts, 1) / max(1, (counts > 0).sum()), 0)
        found[attribute.name] = torch.from_numpy(share.astype(np.float32))
    return found


def _canvas_lesson(data: OwnData, options: OwnOptions, cache: Path) -> CanvasLesson:
    is_matte = data.task == "matte"
    sets: list[Any] = []
    for members in (data.train, data.validation):
        pictures = PictureCache(members, cache, _CANVAS_SIDE, with_mattes=is_matte)
        ones = [1.0] * len(members)
        if is_matte:
            has_backdrops = any(sample.is_empty for sample in members)
            sets.append(MatteCanvases(members, pictures, options.seed, ones, [False] * len(members), has_backdrops))
        else:
            sets.append(FaceCanvases(members, pictures, options.seed, ones))
    size = _CANVAS[data.task]
    rows = np.random.default_rng(options.seed).permutation(len(data.train))
    batches = [[Draw(0, int(row), int(row), size) for row in rows[start : start + 4]] for start in range(0, len(rows), 4)]
    loader: DataLoader[Any] = DataLoader(sets[0], batch_sampler=batches, collate_fn=TASKS[data.task].collate)
    network = canvas_network(data.task, str(options.backbone), options.seed, loader)
    kept = ("backbone",) if options.backbone == "frozen" else ()
    return CanvasLesson(data.task, network, sets[0], sets[1], [1.0] * len(data.train), len(data.validation), size, kept=kept)
