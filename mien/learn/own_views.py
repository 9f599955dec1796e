"""What a frozen backbone sees in faces, kept: changed views of each and the plain one, so that heads train in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mien.errors import DataError
from mien.learn.attribute_network import AttributeNetwork
from mien.learn.dataset import Draw
from mien.learn.face_patches import FacePatch, FacePatches, collate_patches
from mien.media.write import whole_file

SIDE = 144
"""Side of a patch in pixels, as the shipped network was trained on."""
_BATCH = 48


class Seen(NamedTuple):
    """Faces as a backbone sees them: ``pooled`` (B, F) and ``places`` (B, G) as `AttributeNetwork.seen` gives them, the
    ``frames`` (B, 3, 2) of the crops, and ``targets`` (B, K) and ``weights`` (B, A) as `FacePatch` has them.
    """

    pooled: Tensor
    places: Tensor
    frames: Tensor
    targets: Tensor
    weights: Tensor


class SeenFaces(Dataset[Seen]):
    """Views of faces by `Draw`: a random changed one, or the plain one, which is the last. views: each (N, V, ...)."""

    def __init__(self, views: Seen, seed: int, *, is_plain: bool) -> None:
        self.views, self.seed, self.is_plain = views, seed, is_plain

    def __len__(self) -> int:
        return len(self.views.pooled)

    def __getitem__(self, draw: Draw) -> Seen:
        count = self.views.pooled.shape[1]
        rng = np.random.default_rng((self.seed, draw.epoch, draw.place))
        view = count - 1 if self.is_plain else int(rng.integers(count))
        return Seen(*(column[draw.row, view] for column in self.views))


class PlainFaces(Dataset[FacePatch]):
    """The faces of patches as they are in use, by `Draw`."""

    def __init__(self, patches: FacePatches) -> None:
        self.patches = patches

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, draw: Draw) -> FacePatch:
        return self.patches.plain(draw.row, SIDE)


def collate_seen(items: list[Seen]) -> Seen:
    """A batch of faces."""
    return Seen(*(torch.stack(parts) for parts in zip(*items, strict=True)))


@torch.no_grad()
def seen_faces(network: AttributeNetwork, patches: FacePatches, count: int, kept: Path, tell: Callable[[int], None]) -> Seen:
    """``count`` changed views of each face and then the plain one, each column (N, count + 1, ...).

    kept: file in which they are found again by a run that goes on. tell: called with the views done.
    """
    if kept.exists():
        try:
            with np.load(kept, allow_pickle=False) as table:
                return Seen(*(torch.from_numpy(table[name]) for name in Seen._fields))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{kept}: expected features of a run, got: {error}; start a new run") from None
    network.eval()
    views = []
    for view in range(count + 1):
        rows = []
        for start in range(0, len(patches), _BATCH):
            numbers = range(start, min(start + _BATCH, len(patches)))
            if view < count:
                batch = collate_patches([patches[Draw(view, number, number, SIDE)] for number in numbers])
            else:
                batch = collate_patches([patches.plain(number, SIDE) for number in numbers])
            crops, frames = network.crops(batch.patch.float(), batch.box, batch.keypoints)
            seen = network.seen(crops.contiguous(memory_format=torch.channels_last))
            rows.append(Seen(*seen, frames, batch.targets, batch.weights))
        views.append(Seen(*(torch.cat(parts) for parts in zip(*rows, strict=True))))
        tell(view + 1)
    joined = Seen(*(torch.stack(parts, 1) for parts in zip(*views, strict=True)))
    with whole_file(kept) as file:
        np.savez(file, **{name: column.numpy() for name, column in joined._asdict().items()})
    return joined
