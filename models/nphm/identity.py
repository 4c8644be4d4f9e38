"""NPHM's identity network: a head at rest as a signed distance (Giebenhain et al., CVPR 2023, section 3.2).

Departure from the published evaluation: that sets all members to 1 at the last point of every chunk, by a slip of an
index. Here the member of the whole head takes part everywhere, with its weight of about e^-20 beside an anchor.

Far from all anchors the value shrinks to nothing (`FADE`), so that it is no distance there; its sign is sound.
Shapes: B heads, N points, S slots (anchors and the whole head).
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.nphm.layers import Anchors, SkipEnsemble, divided
from models.nphm.sizes import IdentitySizes

VARIANCE = 0.01
"""A member's weight is exp(−distance²/VARIANCE), distances in NPHM units."""
WHOLE = 0.2
"""Squared distance that the member of the whole head counts as."""
FADE = 1e-6
"""What is added to the sum of the weights."""


class Identity(Anchors):
    """The canonical field of NPHM. Codes (B, identity), points (B, N, 3)."""

    def __init__(self, sizes: IdentitySizes) -> None:
        super().__init__(sizes, sizes.place)
        self.sizes = sizes
        self.ensembled_deep_sdf = SkipEnsemble(sizes.members, sizes.inputs, sizes.width, sizes.layers, 1)

    def forward(self, points: Tensor, code: Tensor) -> Tensor:
        """Signed distances (B, N), outside positive."""
        anchors = self.place(code)
        values = self.members(points, code, anchors)
        return (blend_weights(points, anchors) * values).sum(-1)

    def members(self, points: Tensor, code: Tensor, anchors: Tensor) -> Tensor:
        """What every slot's member says, (B, N, S)."""
        batch, count, _ = points.shape
        whole, local = divided(code, self.sizes.global_code, self.sizes.local_code)
        centres = torch.cat((anchors, torch.zeros_like(anchors[:, :1])), 1)
        seen = points[:, None] - centres[:, :, None]  # (B, S, N, 3)
        mirror = torch.stack((self.signs, *[torch.ones_like(self.signs)] * 2), -1)  # (S, 3)
        parts = (
            seen * mirror[:, None],
            whole[:, None, None].expand(-1, seen.shape[1], count, -1),
            local[:, :, None].expand(-1, -1, count, -1),
        )
        u = torch.cat(parts, -1).transpose(0, 1).flatten(1, 2)  # (S, B·N, inputs)
        values: Tensor = self.ensembled_deep_sdf(u, self.sets)
        return values.unflatten(1, (batch, count))[..., 0].permute(1, 2, 0)


def blend_weights(points: Tensor, anchors: Tensor) -> Tensor:
    """Weights (…, N, S) of the slots at points (…, N, 3) around anchors (…, S − 1, 3); sum to 1 only near them."""
    apart = (points[..., :, None, :] - anchors[..., None, :, :]).norm(dim=-1)
    near = torch.exp(-((apart + 1e-5) ** 2) / VARIANCE)
    whole = torch.full_like(near[..., :1], -WHOLE / VARIANCE).exp()
    weights = torch.cat((near, whole), -1)
    return weights / (weights.sum(-1, keepdim=True) + FADE)
