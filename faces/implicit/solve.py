"""Points that a warp takes to given places: fixed-point rounds, and Broyden's method where those do not contract.

All points at once, each on its own; only those that are not solved yet are asked for.
Source: Broyden, 1965 (the "good" update of the inverse Jacobian); used so by SNARF, 2021, and NPHM's fitting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.grid import Points

Array = NDArray[np.float64]
Warp = Callable[[Points], NDArray[np.floating]]
"""(N, 3) float32 posed points → (N, 3 or more) canonical ones. Columns from the fourth on, hyper coordinates, are not
matched."""


@dataclass(frozen=True)
class Solving:
    """How points are solved for. Lengths are in the warp's units, NPHM's in the defaults."""

    rounds: int = 8
    """Fixed-point rounds at most. Smooth networks need two to four from the frame before."""
    contraction: float = 0.7
    """A point that a round brings nearer by less than this factor is left to Broyden's method."""
    tolerance: float = 1e-6
    """A point this near to where it belongs is solved."""
    broyden: int = 15
    """Steps of Broyden's method at most; 0 for none."""
    give_up: float = 0.2
    """A point that a step takes this far from where it belongs is given up, and keeps its fixed-point estimate."""
    difference: float = 1e-3
    """How far to step for the first Jacobian."""
    chunk: int = 20_000
    """Points that the warp is given at once."""

    def problems(self) -> list[str]:
        """What is wrong with the choices, a sentence each."""
        found = []
        for name, least in (("rounds", 1), ("broyden", 0), ("chunk", 1)):
            if getattr(self, name) < least:
                found.append(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("contraction", "tolerance", "give_up", "difference"):
            if not getattr(self, name) > 0:
                found.append(f"{name} is {getattr(self, name)}; it must be above 0")
        return found


@dataclass(frozen=True)
class Solved:
    """points: (N, 3). apart: (N,) how far the warp then takes each from where it belongs. evaluations: of the warp."""

    points: Array
    apart: Array
    evaluations: int


def solve(warp: Warp, targets: Array, start: Array, settings: Solving) -> Solved:
    """Points (N, 3) near `start` that the warp takes to the targets (N, 3).

    Of each point the best that was met is returned, solved or not. DataError where the warp is not finite at the start.
    """
    for problem in settings.problems():
        raise DataError(problem)
    task = _Task(warp, np.asarray(targets, np.float64), settings)
    points, apart = task.fixed_point(np.array(start, np.float64))
    left = np.flatnonzero(apart > settings.tolerance)
    if len(left) and settings.broyden:
        found, nearer = task.broyden(points[left], left)
        better = nearer < apart[left]
        points[left[better]], apart[left[better]] = found[better], nearer[better]
    return Solved(points, apart, task.evaluations)


class _Task:
    def __init__(self, warp: Warp, targets: Array, settings: Solving) -> None:
        self.warp, self.targets, self.settings, self.evaluations = warp, targets, settings, 0

    def miss(self, points: Array, which: NDArray[np.integer]) -> Array:
        """(n, 3): from where they belong to where the warp takes them."""
        self.evaluations += len(points)
        chunk, parts = self.settings.chunk, [np.empty((0, 3))]
        for at in range(0, len(points), chunk):
            asked = points[at : at + chunk].astype(np.float32)
            warped = np.asarray(self.warp(asked), np.float64)
            if warped.ndim != 2 or len(warped) != len(asked) or warped.shape[1] < 3:
                raise ValueError(f"a warp must give ({len(asked)}, 3 or more) for as many points, not {warped.shape}")
            parts.append(warped[:, :3])
        return np.concatenate(parts) - self.targets[which]

    def fixed_point(self, points: Array) -> tuple[Array, Array]:
        """The best points met, and how far off they are. Points that do not come nearer are left where they are."""
        active = np.arange(len(points))
        miss = self.miss(points, active)
        apart = np.linalg.norm(miss, axis=1)
        if not np.isfinite(apart).all():
            bad = np.flatnonzero(~np.isfinite(apart))
            raise DataError(f"the warp is NaN or infinite at {len(bad)} of {len(points)} points, the first is {bad[0]}")
        for _ in range(self.settings.rounds):
            going = apart[active] > self.settings.tolerance
            active, miss = active[going], miss[going]
            if not len(active):
                break
            moved = points[active] - miss
            miss = self.miss(moved, active)
            now = np.linalg.norm(miss, axis=1)
            nearer, contracts = now < apart[active], now <= self.settings.contraction * apart[active]
            points[active[nearer]], apart[active[nearer]] = moved[nearer], now[nearer]
            active, miss = active[contracts], miss[contracts]
        return points, apart

    def broyden(self, points: Array, which: NDArray[np.integer]) -> tuple[Array, Array]:
        """The same, by steps with an inverse Jacobian of each point's own."""
        miss = self.miss(points, which)
        inverse = self._inverse_jacobians(points, miss, which)
        best, apart = points.copy(), np.linalg.norm(miss, axis=1)
        active = np.arange(len(points))
        for _ in range(self.settings.broyden):
            step = -np.einsum("nij,nj->ni", inverse, miss)
            points = points + step
            now = self.miss(points, which[active])
            change, miss = now - miss, now
            distance = np.linalg.norm(miss, axis=1)
            nearer = distance < apart[active]
            best[active[nearer]], apart[active[nearer]] = points[nearer], distance[nearer]
            going = (distance > self.settings.tolerance) & (distance <= self.settings.give_up)
            active, points, miss = active[going], points[going], miss[going]
            if not len(active):
                break
            inverse = _updated(inverse[going], step[going], change[going])
        return best, apart

    def _inverse_jacobians(self, points: Array, miss: Array, which: NDArray[np.integer]) -> Array:
        """(n, 3, 3), by differences; the unit matrix where a Jacobian has no inverse to speak of."""
        step = self.settings.difference
        columns = [(self.miss(points + step * axis, which) - miss) / step for axis in np.eye(3)]
        jacobians = np.stack(columns, axis=-1)
        jacobians[~np.isfinite(jacobians).all(axis=(1, 2))] = 0
        sound = np.abs(np.linalg.det(jacobians)) > 1e-6
        inverse = np.tile(np.eye(3), (len(points), 1, 1))
        inverse[sound] = np.linalg.inv(jacobians[sound])
        return inverse


def _updated(inverse: Array, step: Array, change: Array) -> Array:
    """Broyden's good update: the inverse now takes the change back to the step."""
    row = np.einsum("ni,nij->nj", step, inverse)
    scale = np.einsum("nj,nj->n", row, change)
    sound = np.abs(scale) > 1e-18
    ahead = step - np.einsum("nij,nj->ni", inverse, change)
    correction = np.einsum("ni,nj->nij", ahead, row) / np.where(sound, scale, 1.0)[:, None, None]
    return inverse + np.where(sound[:, None, None], correction, 0.0)
