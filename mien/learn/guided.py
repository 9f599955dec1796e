"""Mattes that take their outline from the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blended(image: Tensor, blend: Tensor) -> Tensor:
    """The matte (B, 1, H, W) that a picture (B, 3, H, W), 0 to 255, and its `guided_blend` make, in [0, 1]."""
    return ((image * blend[:, :3]).sum(1, keepdim=True) + blend[:, 3:]).clamp(0, 1)


_THIRD, _HALF, _SIXTH = 3**-0.5, 2**-0.5, 6**-0.5
_GREY_RED_GREEN = ((_THIRD, _THIRD, _THIRD), (_HALF, 0.0, -_HALF), (_SIXTH, -2 * _SIXTH, _SIXTH))
"""Orthonormal axes of colour: from black to white, from blue to red, from green to the two."""


def guided_blend(image: Tensor, matte: Tensor, radius: int = 4, smoothness: float = 1e-3, contrast: float = 1.5) -> Tensor:
    """How the matte follows from the colours near each place, (B, 4, H, W): gains of red, green and blue, and an offset.

    Their sum with a picture of any size gives a matte whose edges are that picture's: the fast guided filter in colour (He
    and Sun 2015, arXiv:1505.00996). image: (B, 3, H, W), 0 to 255; matte: (B, 1, H, W) in [0, 1]. radius: of the
    neighbourhood, in half pixels; smoothness: variance of colours, 0 to 1, that is taken for noise; contrast: how many times
    further a value lies from 0.5 than the filter says, because mean and network blur the outline.
    """

    def mean(planes: Tensor) -> Tensor:  # as convolutions: runtimes are slow at pooling over large windows
        count, side = planes.shape[1], 2 * radius + 1
        wide = F.pad(planes, (radius, radius, radius, radius), mode="replicate")
        lines = F.conv2d(wide, torch.full((count, 1, 1, side), 1 / side), groups=count)
        return F.conv2d(lines, torch.full((count, 1, side, 1), 1 / side), groups=count)

    # Around 0, and grey apart from colour, where floats are fine; turning the axes of colour changes nothing else.
    axes = torch.tensor(_GREY_RED_GREEN).reshape(3, 3, 1, 1)
    colours, wanted = F.conv2d(F.avg_pool2d(image / 255 - 0.5, 2), axes), F.avg_pool2d(matte - 0.5, 2)
    r, g, b = colours.split(1, dim=1)
    # The neighbourhood's covariance of colours is symmetric: six entries, inverted by cofactors.
    squares = [r * r, r * g, r * b, g * g, g * b, b * b]
    means = mean(torch.cat([colours, wanted, *squares, colours * wanted], 1))
    middle, level, squares_mean, product = means.split([3, 1, 6, 3], dim=1)
    mean_r, mean_g, mean_b = middle.split(1, dim=1)
    rr, rg, rb, gg, gb, bb = squares_mean.split(1, dim=1)
    rr, gg, bb = (
        rr - mean_r * mean_r + smoothness,
        gg - mean_g * mean_g + smoothness,
        bb - mean_b * mean_b + smoothness,
    )
    rg, rb, gb = rg - mean_r * mean_g, rb - mean_r * mean_b, gb - mean_g * mean_b
    along = product - middle * level
    rows = [
        torch.cat([gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg], 1),
        torch.cat([rb * gb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb], 1),
        torch.cat([rg * gb - rb * gg, rb * rg - rr * gb, rr * gg - rg * rg], 1),
    ]
    size = (rows[0] * torch.cat([rr, rg, rb], 1)).sum(1, keepdim=True)
    gains = torch.cat([(row * along).sum(1, keepdim=True) for row in rows], 1) / size
    offset = level - (gains * middle).sum(1, keepdim=True)
    gains = F.conv2d(gains, axes.transpose(0, 1))
    offset = contrast * (offset - 0.5 * gains.sum(1, keepdim=True)) + 0.5
    gains = contrast * gains / 255
    return F.interpolate(mean(torch.cat([gains, offset], 1)), scale_factor=2.0, mode="bilinear", align_corners=False)
