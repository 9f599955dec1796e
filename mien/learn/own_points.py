"""Where the heads of points start from: the mean places, and on known features the best linear guess at them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from mien.learn.attribute_network import AttributeNetwork
from mien.learn.own_views import Seen

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of a ridge regression, in units of the features' mean square."""


def in_crop(places: Tensor, frames: Tensor) -> Tensor:
    """Points (N, 2 P) in pixels in units of their crops, (N, 2 P): the way back from `in_picture`."""
    return ((places.unflatten(1, (-1, 2)) - frames[:, :1]) @ torch.linalg.inv(frames[:, 1:])).flatten(1)


@torch.no_grad()
def start_points(network: AttributeNetwork, faces: Seen | Iterable[Any]) -> None:
    """Let the heads of points begin at the mean places of training faces; of `Seen` ones, each (N, V, ...), at what their
    features tell of the places.
    """
    for attribute, part, head in zip(network.attributes, network.slices.values(), network.heads, strict=True):
        if not attribute.points:
            continue
        if isinstance(faces, Seen):
            frames, targets = faces.frames.flatten(0, 1), faces.targets[..., part].flatten(0, 1)
        else:
            batches = list(faces)
            frames = torch.cat([network.crops.frames(batch.box, batch.keypoints) for batch in batches])
            targets = torch.cat([batch.targets[:, part] for batch in batches])
        wanted = in_crop(targets, frames)
        mean = wanted.nanmean(0).nan_to_num(0.5)
        head.linear.bias.copy_(mean)
        if isinstance(faces, Seen):
            aways = torch.where(wanted.isfinite(), wanted - mean, 0)
            _fit(head.linear, faces.places, aways.unflatten(0, faces.places.shape[:2]))


def _fit(linear: Any, features: Tensor, aways: Tensor) -> None:
    """A ridge regression of aways (N, V, K) on features (N, V, F), its penalty chosen on every third face."""
    held = torch.arange(len(features)) % 3 == 0
    if held.sum() < 2 or (~held).sum() < 2:
        return
    errors = []
    for penalty in _PENALTIES:
        weight, bias = _ridge(features[~held].flatten(0, 1), aways[~held].flatten(0, 1), penalty)
        errors.append(float((features[held] @ weight + bias - aways[held]).square().mean()))
    best = min(range(len(errors)), key=errors.__getitem__)
    if errors[best] >= float(aways[held].square().mean()):
        return  # the features tell less than the mean does
    weight, bias = _ridge(features.flatten(0, 1), aways.flatten(0, 1), _PENALTIES[best])
    linear.weight.copy_(weight.T)
    linear.bias.add_(bias)


def _ridge(features: Tensor, aways: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    x, y = features.double(), aways.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    if len(x) >= x.shape[1]:
        gram = x.T @ x
        gram.diagonal().add_(penalty * float(x.square().mean()) * len(x))
        weight = torch.linalg.solve(gram, x.T @ y)
    else:
        gram = x @ x.T
        gram.diagonal().add_(penalty * float(x.square().mean()) * len(x))
        weight = x.T @ torch.linalg.solve(gram, y)
    return weight.float(), (mean_y - mean_x @ weight).float()
