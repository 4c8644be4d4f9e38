"""Sinusoids of positions (Vaswani et al., NeurIPS 2017) and of signed distances (Transformer-XL, ACL 2019)."""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoids(places: Tensor, like: Tensor) -> Tensor:
    """Whole numbers (N,), of either sign → (N, D): sin in even channels, cos in odd ones, of place · 10000^(−2c/D).

    like: a tensor (…, D) that tells D, type and device. Angles are taken in float64, so that no length is too long.
    """
    width = like.shape[-1]
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = places.double()[:, None] * rate
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width].to(like)
