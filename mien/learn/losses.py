"""What training minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.learn.networks import FaceNetwork


@dataclass
class FaceTargets:
    """The faces of one training picture: boxes (N, 4) and keypoints (N, 5, 2) in pixels, NaN where unknown; flags (N,).

    is_loose: the box was derived from points, so its edges teach nothing. is_taught: the points are a model's.
    ignored: (M, 4) regions that count neither as face nor as background.
    """

    boxes: Tensor
    keypoints: Tensor
    is_loose: Tensor
    is_taught: Tensor
    ignored: Tensor


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """(N, 4) and (M, 4) give (N, M)."""
    size = (
        torch.minimum(boxes[:, None, 2:], others[None, :, 2:]) - torch.maximum(boxes[:, None, :2], others[None, :, :2])
    ).clamp(0)
    shared = size.prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).clamp(0).prod(-1) for b in (boxes, others)]
    return shared / (areas[0][:, None] + areas[1][None, :] - shared).clamp(1e-6)


def giou(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised IoU (Rezatofighi et al. 2019) and plain IoU of matching rows, each (N,)."""
    shared = (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])).clamp(0).prod(-1)
    union = sum((b[:, 2:] - b[:, :2]).clamp(0).prod(-1) for b in (boxes, others)) - shared
    hull = (torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])).prod(-1)
    overlap = shared / union.clamp(1e-6)
    return overlap - (hull - union) / hull.clamp(1e-6), overlap


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor, faces: Tensor, radius: float = 2.0) -> Tensor:
    """Which face each cell answers for: (A,), -1 for none. SimOTA (YOLOX, Ge et al. 2021): each face takes the few
    cells whose present answers cost least, as many as their overlaps add up to."""
    offset = centres[None] - (faces[:, None, :2] + faces[:, None, 2:]) / 2
    is_near = (offset.abs() < radius * strides[None]).all(-1)
    edges = torch.cat([centres[None] - faces[:, None, :2], faces[:, None, 2:] - centres[None]], -1)
    is_inside = edges.amin(-1) > 0
    (candidates,) = (is_near | is_inside).any(0).nonzero(as_tuple=True)
    overlap = pairwise_iou(faces, boxes[candidates])
    is_good = (is_near & is_inside)[:, candidates]
    cost = F.softplus(-logits[candidates])[None] - 3 * overlap.clamp(1e-6).log() + 1e4 * ~is_good
    counts = overlap.topk(min(10, len(candidates)), dim=1).values.sum(1).int().clamp(1)
    ranks = cost.argsort(1).argsort(1)
    is_match = ranks < counts[:, None]
    cost = cost.masked_fill(~is_match, float("inf"))
    best_cost, best = cost.min(0)
    chosen = torch.full((len(centres),), -1, dtype=torch.long)
    chosen[candidates] = torch.where(best_cost.isfinite(), best, -1)
    return chosen


class FaceLoss:
    """Varifocal loss on scores (Zhang et al. 2021), GIoU on boxes, smooth L1 on keypoints in units of the face's size.

    A face is worth a score from 0.5 up, by how well its box fits: with the overlap alone, small faces, whose labelled boxes
    are never exact, would rank behind what is no face.
    """

    def __init__(self, box_weight: float = 2.0, keypoint_weight: float = 4.0) -> None:
        self.box_weight, self.keypoint_weight = box_weight, keypoint_weight

    def __call__(self, raw: Tensor, size_hw: tuple[int, int], targets: list[FaceTargets]) -> dict[str, Tensor]:
        """Mean losses per face: ``total`` and its parts. ``raw`` is (B, A, 15) from `FaceNetwork`."""
        centres, strides = FaceNetwork.cells(*size_hw)
        _, boxes, keypoints = FaceNetwork.decode(raw, centres, strides)
        logits = raw[..., 0]
        quality = torch.zeros_like(logits)
        counted = torch.ones_like(logits)
        box_losses, keypoint_losses, weight = [], [], raw.new_zeros(())
        for row, target in enumerate(targets):
            chosen = torch.full((len(centres),), -1)
            if len(target.boxes):
                chosen = assign(logits[row].detach(), boxes[row].detach(), centres, strides, target.boxes)
            if len(target.ignored):
                reach = strides[None] / 2
                inside = (centres[None] > target.ignored[:, None, :2] - reach) & (
                    centres[None] < target.ignored[:, None, 2:] + reach
                )
                counted[row] = (~inside.all(-1).any(0) | (chosen >= 0)).float()
            (cells,) = (chosen >= 0).nonzero(as_tuple=True)
            if not len(cells):
                continue
            face = chosen[cells]
            generalised, overlap = giou(boxes[row, cells], target.boxes[face])
            is_loose = target.is_loose[face]
            quality[row, cells] = 0.5 + 0.5 * torch.where(is_loose, overlap.clamp(0.7), overlap).detach()
            box_losses.append(((1 - generalised) * ~is_loose).sum())
            size = (target.boxes[face, 2:] - target.boxes[face, :2]).prod(-1).sqrt()[:, None, None]
            wanted = target.keypoints[face]
            known = ~wanted.isnan()
            error = F.smooth_l1_loss(
                keypoints[row, cells] / size, torch.where(known, wanted, 0) / size, beta=0.05, reduction="none"
            )
            trust = torch.where(target.is_taught[face], 0.5, 1.0)
            keypoint_losses.append(((error * known).mean((1, 2)) * trust).sum())
            weight = weight + len(cells)
        weight = weight.clamp(1)
        focus = torch.where(quality > 0, quality, logits.detach().sigmoid().square())
        score_loss = (F.binary_cross_entropy_with_logits(logits, quality, reduction="none") * focus * counted).sum() / weight
        box_loss = sum(box_losses, raw.new_zeros(())) / weight
        keypoint_loss = sum(keypoint_losses, raw.new_zeros(())) / weight
        total = score_loss + self.box_weight * box_loss + self.keypoint_weight * keypoint_loss
        return {"total": total, "score": score_loss, "box": box_loss, "keypoint": keypoint_loss}


class MatteLoss:
    """Cross-entropy with more weight along the outline, soft IoU, and the difference of gradients."""

    def __init__(self, edge_weight: float = 4.0, gradient_weight: float = 1.0) -> None:
        self.edge_weight, self.gradient_weight = edge_weight, gradient_weight

    def __call__(self, logits: Tensor, matte: Tensor, counted: Tensor) -> dict[str, Tensor]:
        """``logits``, ``matte`` in [0, 1] and ``counted`` in {0, 1} are (B, 1, H, W)."""
        edge = (F.avg_pool2d(matte, 9, 1, 4, count_include_pad=False) - matte).abs() * 2
        weight = counted * (1 + self.edge_weight * edge.clamp(max=1))
        entropy = (F.binary_cross_entropy_with_logits(logits, matte, reduction="none") * weight).sum() / weight.sum().clamp(
            1
        )
        answer = logits.sigmoid()
        shared = (answer * matte * counted).sum((1, 2, 3))
        union = ((answer + matte - answer * matte) * counted).sum((1, 2, 3))
        soft_iou = 1 - ((shared + 64) / (union + 64)).mean()
        steps = [
            (torch.diff(answer, dim=dim) - torch.diff(matte, dim=dim)).abs() * counted.narrow(dim, 1, counted.shape[dim] - 1)
            for dim in (2, 3)
        ]
        gradient = sum(step.mean() for step in steps)
        total = entropy + 0.5 * soft_iou + self.gradient_weight * gradient
        return {"total": total, "entropy": entropy, "iou": soft_iou, "gradient": gradient}
