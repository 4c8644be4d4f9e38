"""MonoNPHM's canonical field: signed distance, and colour where asked (Giebenhain et al., CVPR 2024, section 3.1).

A point in canonical and hyper coordinates hears the members of its nearest anchors and that of the whole head. The
published wrapper computes colour always; here a field of geometry does not hold it.
Shapes: B heads, N points, K anchors that a point hears, H = K + 1 slots, C = 3 + hyper coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.nphm.layers import Anchors, Ensemble, divided
from models.nphm.sizes import CanonicalSizes

WIDTH_OF = 8
"""The nearest anchor, counted from 1, whose distance sets the weights' width: published so, although 12 are heard."""
WHOLE = 0.75
"""Distance that the slot of the whole head counts as."""


@dataclass(frozen=True)
class Heard:
    """Which slots each of P = B·N·H hearings is of, ordered by member. slots, weights: (B, N, H)."""

    slots: Tensor
    weights: Tensor
    order: Tensor
    counts: list[int]

    @property
    def rows(self) -> Tensor:
        """The point of every hearing in order, of B·N."""
        return self.order // self.slots.shape[-1]

    def put_back(self, values: Tensor) -> Tensor:
        """(P, …) in order → (B, N, H, …)"""
        back = torch.empty_like(self.order)
        back[self.order] = torch.arange(len(back), device=back.device)
        return values[back].unflatten(0, self.slots.shape)


class Canonical(Anchors):
    """The canonical field of MonoNPHM. Codes (B, identity), points (B, N, C)."""

    def __init__(self, sizes: CanonicalSizes) -> None:
        super().__init__(sizes, sizes.place)
        self.sizes = sizes
        self.deepSDFensemble = Ensemble(sizes.members, sizes.inputs, sizes.width, sizes.layers, 1)
        if sizes.colour:
            given = sizes.global_code + sizes.colour_local + sizes.bottleneck
            self.communcation_bottleneck1 = nn.Linear(sizes.width, sizes.bottleneck)  # the files' spelling
            self.communcation_bottleneck2 = nn.Linear(sizes.bottleneck, sizes.bottleneck)
            self.aggr_app = Ensemble(sizes.members, given, sizes.colour, sizes.colour_layers, 3, nn.ReLU)

    def forward(self, points: Tensor, code: Tensor) -> Tensor:
        """Signed distances (B, N), outside positive."""
        heard = self.hear(points, anchors := self.place(code))
        values = self.deepSDFensemble(self._seen(points, code, anchors, heard), heard.counts)
        return (heard.weights * heard.put_back(values)[..., 0]).sum(-1)

    def colours(self, points: Tensor, code: Tensor, appearance: Tensor) -> Tensor:
        """(B, N, 3), −1 to 1 is black to white. appearance: (B, appearance). Needs a field with colour."""
        sizes = self.sizes
        heard = self.hear(points, anchors := self.place(code))
        _, before = self.deepSDFensemble.stages(self._seen(points, code, anchors, heard), heard.counts)
        told = self.communcation_bottleneck2(self.communcation_bottleneck1(before).relu())
        codes = self._codes(appearance, heard, sizes.colour_local)
        values = self.aggr_app(torch.cat((codes, told), -1), heard.counts)
        return (heard.weights[..., None] * heard.put_back(values)).sum(-2)

    def near(self, points: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """The slots that points hear, from near to far, then that of the whole head; their weights. (B, N, H) each."""
        with torch.no_grad():
            apart = torch.cdist(points[..., :3], anchors, compute_mode="donot_use_mm_for_euclid_dist")
            nearest = apart.topk(self.sizes.neighbours, largest=False).indices
        slots = torch.cat((nearest, nearest.new_full((*nearest.shape[:-1], 1), self.sizes.anchors)), -1)
        return slots, nearest_weights(points, anchors, nearest, self.sizes.spread)

    def hear(self, points: Tensor, anchors: Tensor) -> Heard:
        """The same, in the order that members are asked in."""
        slots, weights = self.near(points, anchors)
        members = self.sets[slots].flatten()
        counts = torch.bincount(members, minlength=self.sizes.members).tolist()
        return Heard(slots, weights, members.argsort(stable=True), counts)

    def _seen(self, points: Tensor, code: Tensor, anchors: Tensor, heard: Heard) -> Tensor:
        """What the members see, (P, inputs)."""
        centres = torch.cat((anchors, torch.zeros_like(anchors[:, :1])), 1)
        slots = heard.slots.flatten()[heard.order]
        first = (heard.rows // points.shape[1]) * centres.shape[1]  # of a head's slots among all heads'
        seen = points.flatten(0, 1)[heard.rows]
        seen_from = seen[:, :3] - centres.flatten(0, 1)[first + slots]
        mirrored = torch.cat((self.signs[slots][:, None] * seen_from[:, :1], seen_from[:, 1:], seen[:, 3:]), -1)
        return torch.cat((self._codes(code, heard, self.sizes.local_code), mirrored), -1)

    def _codes(self, code: Tensor, heard: Heard, local_code: int) -> Tensor:
        """Global and local code of every hearing, (P, G + L)."""
        whole, local = divided(code, self.sizes.global_code, local_code)
        heads = heard.rows // heard.slots.shape[1]
        return torch.cat((whole[heads], local[heads, heard.slots.flatten()[heard.order]]), -1)


def nearest_weights(points: Tensor, anchors: Tensor, nearest: Tensor, spread: float) -> Tensor:
    """Weights (B, N, K + 1) of the nearest anchors, numbers (B, N, K) from near to far, and of the whole head."""
    heads = torch.arange(len(anchors), device=anchors.device)[:, None, None]
    apart = (points[..., None, :3] - anchors[heads, nearest]).norm(dim=-1)
    width = apart[..., min(WIDTH_OF, apart.shape[-1]) - 1, None] / spread
    apart = torch.cat((apart, torch.full_like(apart[..., :1], WHOLE)), -1)
    weights = torch.exp(-0.5 * (apart / width) ** 2)
    return weights / (weights.sum(-1, keepdim=True) + 1e-8)
