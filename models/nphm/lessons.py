"""Learning a small head model from meshes: an auto-decoder, codes of identity and expression beside the weights.

The joint training of MonoNPHM (section 3.4 there), for data that are meshes of one topology. Departures: distances
about a mesh are known, so that they are learnt as such, where scans leave only |f| = 0, normals and an eikonal term,
which cost a second derivative; and correspondences are exact. The mesh at rest is the canonical one, of which the hyper
coordinates are zero (`rest`): what opens, opens in them.

Shapes: B heads, N points of each. Lengths in the model's units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.nphm.head import HeadModel


@dataclass(frozen=True)
class Weights:
    """Of the parts of the loss. clamp: distances beyond count as this one."""

    distance: float = 1.0
    follow: float = 200.0
    away: float = 0.05
    anchors: float = 5.0
    rest: float = 0.5
    hyper: float = 1e-4
    identity: float = 1e-4
    expression: float = 1e-4
    clamp: float = 0.05


class Lesson(NamedTuple):
    """Points about B posed heads; fields as of `faces.skin.About`, masks as numbers."""

    points: Tensor
    rest: Tensor
    distances: Tensor
    known: Tensor
    followed: Tensor
    away: Tensor


class Marks(NamedTuple):
    """How well a lesson is known, in the model's units: mean error of distances, root mean square of places at rest."""

    distance: float
    follow: float


def loss(
    model: HeadModel, lesson: Lesson, identity: Tensor, expression: Tensor, anchors: Tensor, weights: Weights
) -> tuple[Tensor, Marks]:
    """The loss of a lesson. identity (B, D), expression (B, E), anchors (B, K, 3): where the heads have them."""
    assert model.deformation is not None
    placed = model.identity.place(identity)
    seen = model.canonical(lesson.points, identity, expression)
    found, limit = model.identity(seen, identity), weights.clamp
    hyper, apart = seen[..., 3:].square().sum(-1), seen[..., :3] - lesson.rest
    wrong = (found.clamp(-limit, limit) - lesson.distances.clamp(-limit, limit)).abs()
    distance = _mean(wrong, lesson.known)
    follow = _mean(apart.square().sum(-1), lesson.followed)
    still = lesson.known * (lesson.distances <= 0)
    total = (
        weights.distance * distance
        + weights.follow * follow
        + weights.away * (apart.square().sum(-1) * lesson.away).mean()
        + weights.anchors * (placed - anchors).square().mean()
        + weights.rest * _mean(hyper, still)
        + weights.hyper * hyper.mean()
        + weights.identity * identity.square().sum(-1).mean()
        + weights.expression * expression.square().sum(-1).mean()
    )
    return total, Marks(float(distance.detach()), float(follow.detach()) ** 0.5)


def begin(model: HeadModel, mean_anchors: Tensor, generator: torch.Generator) -> None:
    """Draw weights as PyTorch's layers do, but of a deformation that hardly moves at first; set the anchors (K, 3)."""
    assert model.deformation is not None
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
        last = model.deformation.defDeepSDF.get_submodule(f"lin{model.deformation.sizes.layers}")
        assert isinstance(last, torch.nn.Linear)
        last.weight.mul_(0.1)
        last.bias.zero_()
        model.identity.mean_anchors.copy_(mean_anchors)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
