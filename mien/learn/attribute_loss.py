"""What training the attribute network minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.attributes import Attribute
from mien.learn.attribute_network import expected_number, five_of, in_picture, logits_of
from mien.learn.face_patches import FacePatch

_LEAST_SHARE = 0.05


class AttributeLoss:
    """Cross-entropy with soft targets for each attribute, skipped where unknown; for numbers also the distance of the mean
    (DLDL-v2, Gao et al. 2018); smooth L1 of points in units of the crop's side: one's own, the 68 and five of them.
    """

    def __init__(
        self,
        attributes: Sequence[Attribute],
        number_weight: float = 0.15,
        point_weight: float = 25.0,
        smoothing: float = 0.05,
    ) -> None:
        self.attributes, self.number_weight, self.point_weight = list(attributes), number_weight, point_weight
        self.smoothing = smoothing

    def __call__(self, logits: Tensor, points: Tensor | None, frames: Tensor, batch: FacePatch) -> dict[str, Tensor]:
        """``logits`` (B, K), ``points`` (B, 68, 2) in pixels of the patch or None, ``frames`` (B, 3, 2) of the crops."""
        side = frames[:, 1].norm(dim=1)
        losses: dict[str, Tensor] = {}
        total = logits.new_zeros(())
        start = 0
        for column, attribute in enumerate(self.attributes):
            part = slice(start, start + logits_of(attribute))
            start = part.stop
            weight = batch.weights[:, column]
            wanted = batch.targets[:, part]
            if attribute.points:
                places = wanted.unflatten(1, (-1, 2))
                loss = self._distance(in_picture(logits[:, part], frames), places, side, weight)
                losses[attribute.name] = loss
                total = total + self.point_weight * loss
                continue
            if attribute.answers:
                wanted = (1 - self.smoothing) * wanted + self.smoothing / wanted.shape[1]
            each = -(wanted * logits[:, part].log_softmax(1)).sum(1)
            if not attribute.answers:
                steps = torch.linspace(*attribute.span, wanted.shape[1])
                mean = expected_number(logits[:, part].softmax(1), attribute)[:, 0]
                each = each + 0.1 * (mean - wanted @ steps).abs()
            loss = (each * weight).sum() / weight.sum().clamp(_LEAST_SHARE * len(weight))
            losses[attribute.name] = loss
            total = total + loss * (1.0 if attribute.answers else self.number_weight)
        if points is None:
            return {"total": total, **losses}
        contour = self._distance(points, batch.points, side, torch.ones_like(batch.trust))
        five = self._distance(five_of(points), batch.five, side, batch.trust)
        losses |= {"contour": contour, "five": five}
        total = total + self.point_weight * (contour + 0.5 * five)
        return {"total": total, **losses}

    @staticmethod
    def _distance(points: Tensor, wanted: Tensor, side: Tensor, trust: Tensor) -> Tensor:
        known = wanted.isfinite()
        scale = side[:, None, None]
        error = F.smooth_l1_loss(points / scale, torch.where(known, wanted, 0) / scale, beta=0.01, reduction="none")
        weight = trust * known.flatten(1).any(1)
        each = (error * known).sum((1, 2)) / known.sum((1, 2)).clamp(1)
        return (each * weight).sum() / weight.sum().clamp(_LEAST_SHARE * len(weight))
