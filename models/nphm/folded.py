"""Networks of a head model with all that is constant of a head multiplied out beforehand.

A network sees u = M·x + c, where x is a point and c everything that one head, slot or frame leaves as it is: codes,
anchors, mirroring. So its first layer, and the one where u comes in again, take x alone, with other weights and biases.
The same function to rounding; folded in double precision. Weights are those of the moment: folding is for networks that
stand still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.doubles import doubled
from models.nphm.canonical import Canonical
from models.nphm.deformation import Deformation
from models.nphm.identity import Identity
from models.nphm.layers import divided
from models.nphm.rounding import bend, bend_

Layer = tuple[Tensor, Tensor]
"""Weight (out, in) and bias (out,)."""


@dataclass(frozen=True)
class Seen:
    """What a network sees of points x (P, C): positions @ x + constant. positions: (inputs, C). constant: (inputs,)."""

    positions: Tensor
    constant: Tensor


class Folded:
    """A network of points (P, C) → (P, outputs).

    again: the layer where what is seen comes in again, behind the channels; None where it never does. half: hidden
    layers multiply in bfloat16; what sees positions, what is added up, and the last layer stay in single precision.
    """

    def __init__(self, layers: Sequence[Layer], again: int | None, seen: Seen, half: bool = False) -> None:
        self.again, self.seen_again, given = again, None, layers[0][0]
        last, inputs = len(layers) - 1, len(seen.constant)
        self.layers: list[Layer] = []  # weights lie (in, out)
        for i, (weight, bias) in enumerate((doubled(weight), doubled(bias)) for weight, bias in layers):
            if i == 0:
                weight, bias = weight @ seen.positions, bias + weight @ seen.constant
            elif i == again:
                weight = weight / math.sqrt(2)
                own, weight = weight[:, -inputs:], weight[:, :-inputs]
                self.seen_again = (own @ seen.positions).T.to(given).contiguous()
                bias = bias + own @ seen.constant
            low = torch.bfloat16 if half and 0 < i < last else given.dtype
            self.layers.append((weight.T.to(given.device, low).contiguous(), bias.to(given)))

    def __call__(self, x: Tensor) -> Tensor:
        h, in_place = x, not torch.is_grad_enabled()
        for i, (weight, bias) in enumerate(self.layers):
            same = weight.dtype == x.dtype
            h = torch.addmm(bias, h, weight) if same else (h.to(weight.dtype) @ weight).to(x.dtype) + bias
            if i == self.again and self.seen_again is not None:
                h = h.addmm_(x, self.seen_again) if in_place else torch.addmm(h, x, self.seen_again)
            if i < len(self.layers) - 1:
                h = bend_(h) if in_place else bend(h)
        return h


def fold_members(identity: Identity | Canonical, code: Tensor, anchors: Tensor, half: bool) -> list[Folded]:
    """The members of all slots, points (P, 3 + hyper) → (P, 1). code: (1, D). anchors: (K, 3)."""
    whole, local = divided(doubled(code), identity.sizes.global_code, identity.sizes.local_code)
    centres = doubled(torch.cat((anchors, torch.zeros_like(anchors[:1]))))
    made = []
    for slot, (member, sign) in enumerate(zip(identity.sets.tolist(), identity.signs.tolist(), strict=True)):
        codes = torch.cat((whole[0], local[0, slot]))
        if isinstance(identity, Canonical):
            layers, again = linears(identity.deepSDFensemble.members()[member]), None
            seen = _around(centres[slot], sign, 3 + identity.sizes.hyper, codes, first=False)
        else:
            layers, again = identity.ensembled_deep_sdf.layers_of(member), identity.ensembled_deep_sdf.again
            seen = _around(centres[slot], sign, 3, codes, first=True)
        made.append(Folded(layers, again, seen, half))
    return made


def fold_deformation(deformation: Deformation, told: Tensor, expression: Tensor, half: bool) -> Folded:
    """Points (P, 3) → (P, 3 + hyper). told: the compressed identity (bottleneck,). expression: (E,)."""
    constant = doubled(torch.cat((told.new_zeros(3), told, expression)))
    seen = Seen(torch.eye(len(constant), 3, dtype=constant.dtype, device=constant.device), constant)
    return Folded(linears(deformation.defDeepSDF), deformation.defDeepSDF.again, seen, half)


def linears(network: nn.Module) -> list[Layer]:
    """The layers of a network, in order."""
    return [(part.weight.detach(), part.bias.detach()) for part in network.modules() if isinstance(part, nn.Linear)]


def _around(centre: Tensor, sign: float, coordinates: int, codes: Tensor, first: bool) -> Seen:
    """Places around an anchor, mirrored in x where the sign is negative, and codes. first: places come first."""
    mirror = torch.eye(coordinates, dtype=codes.dtype, device=codes.device)
    mirror[0, 0] = sign
    blank = codes.new_zeros(len(codes), coordinates)
    from_centre = -mirror[:, :3] @ centre
    parts = ((mirror, from_centre), (blank, codes))
    positions, constant = zip(*(parts if first else parts[::-1]), strict=True)
    return Seen(torch.cat(positions), torch.cat(constant))
