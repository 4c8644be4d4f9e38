"""One head, quickly: what a `HeadModel` tells for one identity and one expression.

The dense form asks every member at every point, in chunks that fall out of a processor's caches, and multiplies codes
that are the same for all points. Here constants are folded (`models.nphm.folded`), a member is asked only where its
weight counts, and the points that hear it go through it together, as many at a time as stay in the cache.

How near that is to the dense form is said by `Quick`: by default as near as rounding. Shapes: N points, S slots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from faces.implicit.weight import FacialWeight
from models.nphm.canonical import Canonical
from models.nphm.deformation import moved
from models.nphm.facial import weakened
from models.nphm.folded import Folded, fold_deformation, fold_members
from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.identity import Identity, blend_weights

EXACT = 1e-6
"""A weight that single precision does not feel."""


@dataclass(frozen=True)
class Quick:
    """What a frozen head leaves out.

    least_weight: a member of at most this weight at a point is not asked there, that of the whole head neither; the
    others make up for it. Up to `EXACT` that is rounding. Beyond, the value is off by no more than what is left out
    times how far the members disagree.
    half: hidden layers multiply in bfloat16. For processors that have it: others are slower with it.
    rows: points that go through a network at a time; 0: 1,024, all of them on a GPU.
    points: how many are sorted by member at a time.
    """

    least_weight: float = EXACT
    half: bool = False
    rows: int = 0
    points: int = 1 << 15


ROUNDING = Quick()


class HeadAt:
    """A head model frozen at an identity, and at an expression where it moves. What is constant is made here."""

    def __init__(
        self,
        model: HeadModel,
        identity: Tensor,
        expression: Tensor | None = None,
        quick: Quick = ROUNDING,
        facial: FacialWeight | None = None,
    ) -> None:
        """identity: (D,). expression: (E,); None for a head that is to get one by `speaking`, or is at rest. facial:
        where how much of the expression counts; None: all of it everywhere."""
        self.model, self.quick, self.facial = model, quick, facial
        with torch.no_grad():
            self.anchors = model.identity.place(identity[None])[0]
            self.members = fold_members(model.identity, identity[None], self.anchors, quick.half)
            moves = model.deformation
            self.told = moves.compress(identity[None], self.anchors[None])[0] if moves is not None else None
        self.deformation: Folded | None = None
        if expression is not None:
            self._turn_to(expression)

    def speaking(self, expression: Tensor) -> HeadAt:
        """The same head with another expression (E,); nothing of the identity's is made again."""
        made = object.__new__(HeadAt)
        made.__dict__.update(self.__dict__)
        made._turn_to(expression)
        return made

    def field(self, points: Tensor) -> Tensor:
        """Signed distances (N,) of points (N, 3), outside positive: of the posed head where the model moves points
        backward, of the head at rest else."""
        seen = self.canonical(points) if self.model.moves == BACKWARD else points
        return self.canonical_field(seen)

    def canonical_field(self, points: Tensor) -> Tensor:
        """Signed distances (N,) of points of the head at rest, (N, 3 + hyper)."""

        def ask(part: Tensor) -> Tensor:
            return blended(self.members, part, weigh(self.model.identity, part, self.anchors), self.quick)

        return _in_parts(ask, points, self.quick.points)

    def canonical(self, points: Tensor) -> Tensor:
        """Where posed points (N, 3) lie in the head at rest, (N, 3 + hyper); of a backward model."""
        return self._move(points, BACKWARD)

    def posed(self, points: Tensor) -> Tensor:
        """Where the expression moves points (N, 3) of the head at rest, (N, 3); of a forward model."""
        return self._move(points, FORWARD)

    def _turn_to(self, expression: Tensor) -> None:
        if self.model.deformation is None or self.told is None:
            raise ValueError("a head at rest takes no expression")
        with torch.no_grad():
            self.deformation = fold_deformation(self.model.deformation, self.told, expression, self.quick.half)

    def _move(self, points: Tensor, way: str) -> Tensor:
        network = self.deformation
        if self.model.moves != way:
            raise ValueError(f"a model that moves points {self.model.moves} cannot move them {way}")
        if network is None:
            raise ValueError("points move with an expression, and none is given")

        def move(part: Tensor) -> Tensor:
            return weakened(self.facial, part, moved(part, network(part)))

        return _in_parts(move, points, _rows(points, self.quick))


def weigh(identity: Identity | Canonical, points: Tensor, anchors: Tensor) -> Tensor:
    """Weights (N, S) of all slots; of MonoNPHM those of the nearest and of the whole head, and zeros."""
    if isinstance(identity, Identity):
        return blend_weights(points, anchors)
    slots, weights = identity.near(points[None], anchors[None])
    return points.new_zeros(len(points), len(anchors) + 1).scatter(1, slots[0], weights[0])


def blended(members: list[Folded], points: Tensor, weights: Tensor, quick: Quick) -> Tensor:
    """Σ weight · member of points (N, C), weights (N, S), each member asked only where its weight counts. → (N,)"""
    kept = weights > quick.least_weight
    heard = weights * kept
    most = heard.sum(1, keepdim=True)
    # Of weights that are all tiny, none is kept and the value is 0, as near as the threshold says.
    heard = heard * torch.where(most > 0, weights.sum(1, keepdim=True) / most, most)
    slots, rows = kept.T.nonzero(as_tuple=True)
    values, step = [points.new_zeros(0)], _rows(points, quick)
    for member, own in zip(members, rows.split(kept.sum(0).tolist()), strict=True):
        values += [member(points[part])[:, 0] for part in own.split(step) if len(part)]
    return points.new_zeros(len(points)).index_add(0, rows, heard[rows, slots] * torch.cat(values))


def _in_parts(ask: Callable[[Tensor], Tensor], points: Tensor, most: int) -> Tensor:
    return ask(points) if len(points) <= most else torch.cat([ask(part) for part in points.split(most)])


def _rows(points: Tensor, quick: Quick) -> int:
    return quick.rows or (1024 if points.device.type == "cpu" else max(1, len(points)))
