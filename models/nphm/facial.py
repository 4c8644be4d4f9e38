"""`faces.implicit.weight.FacialWeight` for tensors, so that slopes go through it."""

from __future__ import annotations

import torch
from torch import Tensor

from faces.implicit.weight import FacialWeight


def facial_weight(weight: FacialWeight, points: Tensor) -> Tensor:
    """How much of a deformation counts at points (N, 3), (N, 1) in [0, 1]."""
    away = (points - points.new_tensor(weight.centre)).norm(dim=-1, keepdim=True)
    return torch.exp(-(away - weight.radius).clamp(min=0).square() / (2 * weight.sigma**2))


def weakened(weight: FacialWeight | None, points: Tensor, moved: Tensor) -> Tensor:
    """Where points (N, 3) go, (N, 3 + hyper), if only so much of their way counts; hyper coordinates alike."""
    if weight is None:
        return moved
    share = facial_weight(weight, points)
    return torch.cat((torch.lerp(points, moved[:, :3], share), share * moved[:, 3:]), -1)
