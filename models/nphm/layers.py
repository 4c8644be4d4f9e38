"""The networks that head models are made of: softplus throughout, no positional encoding.

`SkipMlp` is the deformation's, `SkipEnsemble` NPHM's members in one tensor a layer, `Ensemble` MonoNPHM's one by one.
Names of parameters are those of the published files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nphm.sizes import SHRUNK, Slots, layer_sizes

BETA = 100.0
"""Of every softplus: a rectifier that is round within a hundredth."""


def bend(x: Tensor) -> Tensor:
    return functional.softplus(x, beta=BETA)


class SkipMlp(nn.Module):
    """A network whose input comes in again half-way, behind what has become of it. (…, inputs) → (…, outputs)."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int, skip: str) -> None:
        super().__init__()
        self.layers, self.again = layers, layers // 2
        for i, (given, made) in enumerate(layer_sizes(inputs, width, layers, outputs, skip)):
            self.add_module(f"lin{i}", nn.Linear(given, made))

    def forward(self, u: Tensor) -> Tensor:
        h = u
        for i in range(self.layers + 1):
            if i == self.again:
                h = torch.cat((h, u), -1) / math.sqrt(2)
            h = self.get_submodule(f"lin{i}")(h)
            h = bend(h) if i < self.layers else h
        return h


class SkipEnsemble(nn.Module):
    """The same for M members at once, of which slot k uses number `sets[k]`. (S, P, inputs) → (S, P, outputs)."""

    def __init__(self, members: int, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.layers, self.again = layers, layers // 2
        for i, (given, made) in enumerate(layer_sizes(inputs, width, layers, outputs, SHRUNK)):
            self.add_module(f"lin{i}", _Linears(members, given, made))

    def forward(self, u: Tensor, sets: Tensor) -> Tensor:
        h = u
        for i in range(self.layers + 1):
            if i == self.again:
                h = torch.cat((h, u), -1) / math.sqrt(2)
            h = self.get_submodule(f"lin{i}")(h, sets)
            h = bend(h) if i < self.layers else h
        return h

    def layers_of(self, member: int) -> list[tuple[Tensor, Tensor]]:
        """Weight (out, in) and bias (out,) of one member's layers."""
        parts = [self.get_submodule(f"lin{i}") for i in range(self.layers + 1)]
        return [(part.weight[member].detach(), part.bias[member].detach()) for part in parts]  # type: ignore[index]


class _Linears(nn.Module):
    """weight (M, out, in), bias (M, out)."""

    def __init__(self, members: int, given: int, made: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(given)  # as nn.Linear starts
        self.weight = nn.Parameter(torch.empty(members, made, given).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, made).uniform_(-bound, bound))

    def forward(self, x: Tensor, sets: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[sets][:, None], x, self.weight[sets].mT)


class Member(nn.Module):
    """A plain network. (P, inputs) → (P, outputs)."""

    def __init__(self, inputs: int, width: int, layers: int, outputs: int, activation: type[nn.Module]) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers, outputs]
        parts: list[nn.Module] = []
        for given, made in pairwise(sizes):
            parts += [nn.Linear(given, made), activation()]
        self.layers = nn.Sequential(*parts[:-1])

    def forward(self, u: Tensor) -> Tensor:
        return self.layers(u)

    def stages(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and what the last hidden layer holds before its activation, (P, width)."""
        before = self.layers[:-2](u)
        return self.layers[-2:](before), before


class Bend(nn.Module):
    """`bend` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        return bend(x)


class Ensemble(nn.Module):
    """MonoNPHM's members, one by one: each runs on the points that hear it."""

    def __init__(
        self, members: int, inputs: int, width: int, layers: int, outputs: int, activation: type[nn.Module] = Bend
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Member(inputs, width, layers, outputs, activation) for _ in range(members))

    def forward(self, u: Tensor, counts: Sequence[int]) -> Tensor:
        """u: (P, inputs), ordered by member, of which member i has the next `counts[i]`. → (P, outputs)"""
        return torch.cat([member(part) for member, part in zip(self.layers, u.split(list(counts)), strict=True)])

    def members(self) -> list[Member]:
        return list(self.layers)  # type: ignore[arg-type]

    def stages(self, u: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """`Member.stages` of every member."""
        pairs = zip(self.members(), u.split(list(counts)), strict=True)
        parts = [member.stages(part) for member, part in pairs]
        return torch.cat([out for out, _ in parts]), torch.cat([before for _, before in parts])


class Anchors(nn.Module):
    """Where the anchors of a head stand: the mean ones, moved as its global code says. Base of both identity networks.

    `mean_anchors` (K, 3) is a buffer that no published file holds: it comes from the user's folder.
    """

    mean_anchors: Tensor
    sets: Tensor
    signs: Tensor

    def __init__(self, sizes: Slots, place: int) -> None:
        super().__init__()
        given, count = sizes.global_code, sizes.anchors
        self.mlp_pos = nn.Sequential(
            nn.Linear(given, place), nn.ReLU(), nn.Linear(place, place), nn.ReLU(), nn.Linear(place, 3 * count)
        )
        self.register_buffer("mean_anchors", torch.zeros(count, 3))
        paired = [k < 2 * sizes.pairs for k in range(count + 1)]
        sets = [k // 2 if mirrored else k - sizes.pairs for k, mirrored in enumerate(paired)]
        signs = [-1.0 if mirrored and k % 2 else 1.0 for k, mirrored in enumerate(paired)]
        self.register_buffer("sets", torch.tensor(sets), persistent=False)
        self.register_buffer("signs", torch.tensor(signs), persistent=False)

    def place(self, code: Tensor) -> Tensor:
        """code: (B, identity) → anchors (B, K, 3)"""
        moved = self.mlp_pos(code[:, : self.mlp_pos[0].in_features])
        return moved.unflatten(1, (-1, 3)) + self.mean_anchors


def divided(code: Tensor, global_code: int, local_code: int) -> tuple[Tensor, Tensor]:
    """A code (B, D) → its global part (B, G), and its local ones (B, slots, L)."""
    return code[:, :global_code], code[:, global_code:].unflatten(1, (-1, local_code))
