"""The network that somebody's own data trains: the shipped one, an empty one like it, or any torch module."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.attributes import Attribute, from_card
from mien.errors import DataError
from mien.learn.attribute_network import AttributeNetwork
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.own_options import BACKBONES
from mien.learn.pose import lift_of
from mien.learn.warm_start import constant_of, network_settings, warm_start
from mien.models.onnx_file import read_onnx
from mien.models.store import model_path

_START_BATCHES = 8
_MOST_CELLS = 6
_SHARED = ("backbone", "narrow", "contour", "features")
"""What an own attribute network takes over from the shipped one: all but the heads. Its ``features`` are trained
on, also on a frozen backbone, where the rest is kept as it is.
"""


class Foreign(nn.Module):
    """Any torch module as a backbone: crops (N, 3, S, S) with values 0 to 255 go in as -1 to 1, a list of maps comes out."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> list[Tensor]:
        answer = self.module(image / 127.5 - 1)
        maps = list(answer) if isinstance(answer, list | tuple) else [answer]
        return [_small(one[:, :, None, None] if one.dim() == 2 else one) for one in maps[-2:]]


def _small(one: Tensor) -> Tensor:
    """A map of few cells, so that a layer over all of them stays small."""
    step = -(-one.shape[2] // _MOST_CELLS)
    return nn.functional.avg_pool2d(one, step, ceil_mode=False) if step > 1 else one


def foreign_backbone(place: str) -> Foreign:
    """The module that ``package.module:Class`` names, made without arguments. Raises `DataError` where there is none."""
    module_name, _, name = place.partition(":")
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        made = getattr(importlib.import_module(module_name), name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"backbone: expected {', '.join(BACKBONES)} or package.module:Class of a torch module that takes no arguments, "
            f"got {place!r} ({error})"
        ) from None
    finally:
        sys.path.remove(here)
    if not isinstance(made, nn.Module):
        raise DataError(f"backbone: expected a torch module, got {place!r}, which makes a {type(made).__name__}")
    return Foreign(made)


def attribute_network(attributes: Sequence[Attribute], backbone: str, seed: int, *, side: int = 96) -> AttributeNetwork:
    """An untrained network for some attributes, its weights decided by the seed; see `OwnOptions` for the backbones.

    One on the shipped backbone holds all the shipped network holds but its heads, and goes on telling contour and pose. A
    head starts from the shipped one where that answers the same question in the same words. Of a model file whose features
    are of another shape, those and the heads start afresh.
    """
    torch.manual_seed(seed)
    if ":" in backbone:
        module = foreign_backbone(backbone)
        try:
            return AttributeNetwork(attributes, side=side, backbone=module, has_contour=False)
        except (RuntimeError, AttributeError, IndexError, TypeError) as error:
            raise DataError(
                f"backbone: {backbone} was expected to take (1, 3, {side}, {side}) and give (1, C) or maps (1, C, H, W), "
                f"got: {str(error).splitlines()[0]}"
            ) from None
    settings = network_settings("attributes")
    if backbone == "scratch":
        return AttributeNetwork(attributes, side=side, has_contour=False, **settings)
    network = AttributeNetwork(attributes, side=side, **settings)
    taken = warm_start(network, "attributes", (), names=_SHARED)
    network.face.copy_(lift_of(constant_of("attributes", "lift")))
    if "features.0" in taken:  # a head says nothing of other features than those it was trained on
        _start_heads(network)
    return network


@torch.no_grad()
def _start_heads(network: AttributeNetwork) -> None:
    """What the shipped network answers too, in the same words, starts from its head."""
    path = model_path("attributes")
    known = from_card(read_onnx(path).card.attributes)
    for attribute, head in zip(network.attributes, network.heads, strict=True):
        shipped = known.get(attribute.name)
        if shipped is None or attribute.points or (shipped.answers, shipped.span) != (attribute.answers, attribute.span):
            continue
        row = list(known).index(attribute.name)
        for name, weight in head.named_parameters():
            weight.copy_(constant_of(path, f"network.heads.{row}.{name}"))


def unfold(network: AttributeNetwork, batches: Iterable[Any]) -> None:
    """Make the norms of a network on the shipped backbone count for something, see `warm_start`."""

    def forward(network: Any, batch: Any) -> Any:
        return network(batch.patch.float(), batch.box, batch.keypoints)

    warm_start(network, "attributes", itertools.islice(batches, _START_BATCHES), forward, _SHARED)


def canvas_network(task: str, backbone: str, seed: int, batches: Iterable[Any]) -> nn.Module:
    """The shipped network for faces or mattes, to be trained on; or an untrained one like it. Raises `DataError`."""
    if ":" in backbone:
        raise DataError(f"backbone: expected {', '.join(BACKBONES)} for {task}, got {backbone!r}")
    torch.manual_seed(seed)
    made: Callable[..., nn.Module] = FaceNetwork if task == "faces" else MatteNetwork
    network = made(**network_settings(task))
    if backbone != "scratch":
        pictures = (batch[0].float() for batch in itertools.islice(batches, _START_BATCHES))
        warm_start(network, task, pictures)
    return network
