"""What many begin with: a small network that takes the whole picture and gives all points, in plain torch.

It shows a failure: trained on centred faces alone, it puts its points near the middle of whatever it is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Points = dict[str, tuple[float, float]]
Labelled = tuple[NDArray[np.uint8], Points]
"""A grey picture (H, W) and its points in pixels."""
_BATCH, _RATE = 32, 3e-3


def shifted(image: NDArray[np.uint8], points: Points, dx: int, dy: int) -> Labelled:
    """A picture moved by whole pixels, its border repeated, and its points."""
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8), {name: (x + dx, y + dy) for name, (x, y) in points.items()}


def network(points: int) -> nn.Module:
    """Grey pictures (N, 1, 96, 96) from -1 to 1 to points (N, 2 P) from -1 to 1."""
    widths = (1, 16, 32, 64, 64)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(widths[-1] * 36, 2 * points))


def _tensors(rows: Sequence[Labelled]) -> tuple[Tensor, Tensor]:
    side = rows[0][0].shape[0]
    pictures = torch.from_numpy(np.stack([image for image, _ in rows])).float()[:, None] / 127.5 - 1
    places = torch.tensor([[value for place in points.values() for value in place] for _, points in rows])
    return pictures, places.float() / (side / 2) - 1


def train(rows: Sequence[Labelled], epochs: int, most_shift: int, seed: int = 0) -> nn.Module:
    """The network after so many epochs; each picture is moved by up to ``most_shift`` pixels anew each time it is seen."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = network(len(rows[0][1])).train()
    optimizer = torch.optim.AdamW(net.parameters(), _RATE)
    steps = epochs * -(-len(rows) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=max(steps, 4))
    for _ in range(epochs):
        order = rng.permutation(len(rows))
        for start in range(0, len(rows), _BATCH):
            batch = []
            for number in order[start : start + _BATCH]:
                dx, dy = (int(v) for v in rng.integers(-most_shift, most_shift + 1, 2))
                batch.append(shifted(*rows[number], dx, dy))
            pictures, places = _tensors(batch)
            known = places.isfinite()
            loss = (net(pictures) - torch.where(known, places, 0)).square()[known].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def errors(net: nn.Module, rows: Sequence[Labelled]) -> NDArray[np.float64]:
    """The mean squared error of each picture in pixels, over x and y of the points that it has; (N,)."""
    side = rows[0][0].shape[0]
    pictures, places = _tensors(rows)
    away = ((net(pictures) - places) * (side / 2)).square()
    return np.asarray(torch.where(places.isfinite(), away, torch.nan).nanmean(1).numpy(), np.float64)
