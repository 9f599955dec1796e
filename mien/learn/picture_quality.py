"""How well a face can be seen."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def picture_quality(crops: Tensor, frames: Tensor) -> Tensor:
    """How well a face can be seen, (N, 3): its mean lightness 0 to 1; the spread of its Laplacian over that of its
    lightness (after Pech-Pacheco et al. 2000), low for a blurred one; its width in pixels of the picture.
    """
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    edge = crops.shape[2] // 5
    grey = (crops * weights).sum(1, keepdim=True)[:, :, edge:-edge, edge:-edge] / 255
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).reshape(1, 1, 3, 3)
    curved = F.conv2d(grey, kernel)
    sharpness = _spread(curved) / (_spread(grey) + 0.01)
    width = frames[:, 1].norm(dim=1) * FACE_SHARE
    return torch.stack([grey.mean((1, 2, 3)), sharpness, width], 1)


def _spread(planes: Tensor) -> Tensor:
    return (planes - planes.mean((1, 2, 3), keepdim=True)).square().mean((1, 2, 3)).sqrt()


FACE_SHARE = 0.68
"""Width of a face over the side of its crop."""
