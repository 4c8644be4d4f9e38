"""Points of a head at rest, carried along by expressions through a model that only knows the way back.

A backward model tells of a posed point x where it lies at rest, T(x) = x + δ(x), and its hyper coordinates ω(x). Here
the posed place of a point y is sought: x + δ(x) = y and ω(x) = 0, by Gauss and Newton from the last frame's place. The
second equation tells flesh from the opening beside it: behind open lips T is not one to one, since what opens has to
go somewhere, and it is there that ω is not zero. From frame to frame the code goes in small steps for the same reason,
and points that lose their way all the same are led back by their neighbours (`models.nphm.astray`).
`faces.implicit.tracking` follows points through any warp, and matches no hyper coordinates.

Shapes: T frames, N points, E numbers of a code.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.nphm.astray import Bounds, astray, expected
from models.nphm.head import HeadModel
from models.nphm.layers import BETA, SkipMlp
from models.nphm.rounding import bend_

AT_ONCE = 512
"""Points whose slopes are sought together."""


@dataclass(frozen=True)
class Pace:
    """step: how far a code goes at once, in length; a longer way is gone in several. rounds: of Gauss and Newton in a
    step. chords: after each, with the same Jacobian. hyper: what ω = 0 weighs on the way. last: in the last round of a
    frame, as the other equation is the exact one. longest: of a correction, in the model's units. searches: for points
    astray, in a frame. bounds: of who is.
    """

    step: float = 0.25
    rounds: int = 1
    chords: int = 1
    hyper: float = 1.0
    last: float = 0.1
    longest: float = 0.04
    searches: int = 3
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Carried:
    """places: (T, N, 3). turns: (T, N, 3, 3), the Jacobians of T there: a normal n at rest stands along turnsᵀ n.
    apart: (T,) mean distance of T(places) from the points at rest."""

    places: Tensor
    turns: Tensor
    apart: Tensor


def follow(
    model: HeadModel, identity: Tensor, points: Tensor, codes: Tensor, pace: Pace, around: Tensor | None = None
) -> Carried:
    """Where expressions (T, E) carry points (N, 3) of the head at rest. identity: (1, D). around: (N, K) neighbours of
    each, −1 where there are fewer; None leaves alone who is astray."""
    way = _Way(model, identity, points, pace, around)
    found = [way.go(code) for code in codes]
    places, turns, apart = (torch.stack(list(part)) for part in zip(*found, strict=True))
    return Carried(places, turns, apart)


class _Way:
    """Where the points are after the codes so far; it begins at rest, with the code zero."""

    @torch.no_grad()
    def __init__(self, model: HeadModel, identity: Tensor, points: Tensor, pace: Pace, around: Tensor | None) -> None:
        assert model.deformation is not None
        self.around = around
        self.network, self.points, self.pace = model.deformation, points, pace
        self.told = self.network.compress(identity, model.identity.place(identity))
        self.code = points.new_zeros(self.network.sizes.expression)
        self.places = points
        for _ in range(4):  # a model at rest nearly stays where it is
            self.correct(self.code, pace.hyper)

    @torch.no_grad()
    def go(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Places, turns and mean distance after the way to a code (E,)."""
        way = code - self.code
        steps = max(1, math.ceil(float(way.norm()) / self.pace.step))
        for step in range(1, steps):
            for _ in range(self.pace.rounds):
                self.correct(self.code + way * (step / steps), self.pace.hyper)
        for hyper in (self.pace.hyper, self.pace.last):
            turns, wrong = self.correct(code, hyper)
        if self.around is not None and bool((led := self.lead_back(code, self.around)).any()):
            some = self._of(led, self.places[led])
            turns[led] = some.sloped(code, self.pace.last)[1][:, :3]
        self.code = code
        return self.places, turns, wrong[:, :3].norm(dim=1).mean()

    def lead_back(self, code: Tensor, around: Tensor) -> Tensor:
        """Put points that are astray where their neighbours expect them, to seek their place from there; whoever goes
        astray again stays with the neighbours. (N,) bool, who was."""
        led = torch.zeros(len(self.points), dtype=torch.bool, device=self.points.device)
        for _ in range(self.pace.searches):
            middle, spread = expected(self.places - self.points, around)
            lost = astray(self.places - self.points, middle, spread, self.pace.bounds)
            if not bool(lost.any()):
                break
            led |= lost
            expecting = self.points[lost] + middle[lost]
            some = self._of(lost, expecting)
            some.correct(code, self.pace.hyper)
            again = astray(some.places - some.points, middle[lost], spread[lost], self.pace.bounds)
            self.places = self.places.masked_scatter(lost[:, None], torch.where(again[:, None], expecting, some.places))
        return led

    def _of(self, which: Tensor, places: Tensor) -> _Way:
        """Some of the points alone, and where they are for the time being."""
        some = copy(self)
        some.points, some.places = self.points[which], places
        return some

    def correct(self, code: Tensor, hyper: float) -> tuple[Tensor, Tensor]:
        """One round. Turns (N, 3, 3) where the points were, what is wrong (N, 3 + hyper) where they are before the last
        correction."""
        wrong, slopes = self.sloped(code, hyper)
        inverse = torch.linalg.solve(
            slopes.mT @ slopes + 1e-4 * torch.eye(3, dtype=slopes.dtype, device=slopes.device), slopes.mT
        )
        self.move(inverse, wrong)
        for _ in range(self.pace.chords):
            wrong = self.wrong(self.places, code, hyper)
            self.move(inverse, wrong)
        return slopes[:, :3], wrong

    def move(self, inverse: Tensor, wrong: Tensor) -> None:
        step = (inverse @ wrong[..., None])[..., 0]
        length = step.norm(dim=1, keepdim=True)
        self.places = self.places - step * (self.pace.longest / length.clamp(min=self.pace.longest))

    def wrong(self, places: Tensor, code: Tensor, hyper: float) -> Tensor:
        """(N, 3 + hyper): how far T misses the points, and hyper coordinates."""
        return self._missed(places, values(self.network.defDeepSDF, self._asked(places, code)), hyper)

    def sloped(self, code: Tensor, hyper: float) -> tuple[Tensor, Tensor]:
        """`wrong` of the places, and what it changes by with them, (N, 3 + hyper, 3)."""
        offsets, slopes = sloped(self.network.defDeepSDF, self._asked(self.places, code))
        slopes[:, :3] += torch.eye(3, dtype=slopes.dtype, device=slopes.device)
        slopes[:, 3:] *= hyper
        return self._missed(self.places, offsets, hyper), slopes

    def _asked(self, places: Tensor, code: Tensor) -> Tensor:
        return torch.cat((places, *(part.expand(len(places), -1) for part in (self.told, code))), -1)

    def _missed(self, places: Tensor, offsets: Tensor, hyper: float) -> Tensor:
        return torch.cat((places + offsets[:, :3] - self.points, hyper * offsets[:, 3:]), -1)


def values(network: SkipMlp, u: Tensor) -> Tensor:
    """What a network makes of inputs (N, C), (N, outputs), without a graph."""
    return _walked(network, u, None)[0]


def sloped(network: SkipMlp, u: Tensor) -> tuple[Tensor, Tensor]:
    """`values`, and how they change with the first three inputs, (N, outputs, 3).

    Forwards through the layers, side by side, as many points at a time as a processor keeps near.
    """
    axes = torch.eye(u.shape[1], dtype=u.dtype, device=u.device)[:3, None]
    parts = [_walked(network, some, axes.expand(-1, len(some), -1)) for some in u.split(AT_ONCE)]
    made, slopes = zip(*parts, strict=True)
    return torch.cat(made), torch.cat(slopes, 1).permute(1, 2, 0).contiguous()


def _walked(network: SkipMlp, u: Tensor, along: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Values (N, outputs), and their slopes (A, N, outputs) along directions (A, N, C) of the input, if any."""
    h, slope = u, along
    for i in range(network.layers + 1):
        if i == network.again:
            h = torch.cat((h, u), -1) / math.sqrt(2)
            slope = None if slope is None or along is None else torch.cat((slope, along), -1) / math.sqrt(2)
        layer = network.get_submodule(f"lin{i}")
        assert isinstance(layer, nn.Linear)
        h, slope = layer(h), None if slope is None else slope @ layer.weight.mT
        if i < network.layers:
            slope = None if slope is None else slope.mul_(torch.sigmoid(BETA * h))
            h = bend_(h)
    return h, slope
