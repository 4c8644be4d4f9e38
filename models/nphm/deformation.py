"""How an expression moves a head: NPHM's forward deformation and MonoNPHM's backward one are the same network.

Forward (Giebenhain et al., CVPR 2023, section 3.3, mode "compress"): a canonical point goes to its posed place.
Backward (Giebenhain et al., CVPR 2024, section 3.1): a posed point goes back to its canonical place and gets hyper
coordinates, which make room for what opens and closes. FaceTalk's own head model is a backward one over 39 anchors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.nphm.layers import SkipMlp
from models.nphm.sizes import DeformationSizes

NOISE = 1 / 200
"""Standard deviation of what NPHM adds to the compressed identity in training."""


class Deformation(nn.Module):
    """Offsets of points. noise: what is added to the compressed identity in training; 0 of MonoNPHM."""

    def __init__(self, sizes: DeformationSizes, noise: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.noise = sizes, noise
        self.compressor = nn.Sequential(nn.Linear(sizes.told, sizes.bottleneck))
        self.defDeepSDF = SkipMlp(sizes.inputs, sizes.width, sizes.layers, 3 + sizes.hyper, sizes.skip)

    def forward(self, points: Tensor, identity: Tensor, anchors: Tensor, expression: Tensor) -> Tensor:
        """points (B, N, 3), codes (B, D) and (B, E), anchors (B, K, 3) → (B, N, 3 + hyper): offsets, then the hyper
        coordinates."""
        told = self.compress(identity, anchors)
        if self.training and self.noise:
            told = told + self.noise * torch.randn_like(told)
        constant = torch.cat((told, expression), -1)[:, None].expand(-1, points.shape[1], -1)
        moved: Tensor = self.defDeepSDF(torch.cat((points, constant), -1))
        return moved

    def compress(self, identity: Tensor, anchors: Tensor) -> Tensor:
        """What is told of an identity, (B, bottleneck)."""
        told: Tensor = self.compressor(torch.cat((identity, anchors.flatten(1)), -1))
        return told


def moved(points: Tensor, offsets: Tensor) -> Tensor:
    """(…, 3) and (…, 3 + hyper) → where the points go, (…, 3 + hyper)."""
    return torch.cat((points + offsets[..., :3], offsets[..., 3:]), -1)
