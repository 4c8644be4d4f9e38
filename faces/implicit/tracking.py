"""One topology in all frames: vertices of a reference are followed through a warp from posed to canonical space.

A vertex keeps its canonical place y: in frame t it is where the warp T_t takes it there. T_t(x) = y is solved from the
last frame's solution, or from the reference by way of warps between (`start`, `pass_by`), so that a frame hangs on no
other. Hyper coordinates are not matched, so where lips or eyelids meet vertices may slide off the
surface: a Newton step puts them back on, and a light Laplacian on the displacement from the reference evens them out.

The reference is a frame's extracted mesh (`Tracker.of_frame`; one with an open mouth has its cavity), or canonical: the
surface of the identity, or a template registered onto it (`registration`), which gives a known topology.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.laplacian import averaging
from faces.implicit.newton import Slope, onto
from faces.implicit.solve import Array, Solved, Solving, Warp, solve
from faces.ply import Mesh

Seek = Callable[[NDArray[np.integer], Array], Array]
"""(n,) vertices and (n, 3) ways from the reference to begin at → the ways (n, 3) that lead to where they belong."""
Lead = Callable[[Array, Seek], Array]
"""(V, 3) ways → (V, 3), those of vertices that lost theirs put right."""


@dataclass(frozen=True)
class Tracking:
    """How vertices are followed."""

    solving: Solving = field(default_factory=Solving)
    """How the warp is inverted."""
    nearly: float = 1e-3
    """A point this near is near enough on the way to a frame, in the warp's units."""
    newton: int = 1
    """Newton's steps onto the surface, where its slope is given."""
    largest: float = 0.01
    """The longest such step, in the field's units."""
    smoothing: float = 0.0
    """Share of the neighbours' mean displacement in each vertex's, in [0, 1]. 0.1 to 0.3 is light."""

    def problems(self) -> list[str]:
        """What is wrong with the choices, a sentence each."""
        found = self.solving.problems()
        if not self.nearly > 0:
            found.append(f"nearly is {self.nearly}; it must be above 0")
        if self.newton < 0:
            found.append(f"newton is {self.newton}; it must be at least 0")
        if not self.largest > 0:
            found.append(f"largest is {self.largest}; it must be above 0")
        if not 0 <= self.smoothing <= 1:
            found.append(f"smoothing is {self.smoothing}; it must be between 0 and 1")
        return found


@dataclass(frozen=True)
class Tracked(Mesh):
    """A frame in the reference's topology.

    apart: (V,) how far the solution of each vertex is from its canonical place, before smoothing and Newton's steps.
    unsolved: how many are farther than the tolerance. evaluations: points that the warp was asked for.
    """

    apart: NDArray[np.float64]
    unsolved: int
    evaluations: int


class Tracker:
    """Follows one reference through the frames of a sequence, in order."""

    def __init__(
        self,
        reference: Mesh,
        settings: Tracking | None = None,
        *,
        canonical: NDArray[np.floating] | None = None,
        on_surface: NDArray[np.bool_] | None = None,
    ) -> None:
        """canonical: (V, 3) places of the reference's vertices, or None where it is canonical itself.

        on_surface: (V,) which vertices Newton's steps may move, or None for all; of a template those that its
        registration found a place for. DataError for settings or shapes that cannot be.
        """
        self.settings = settings or Tracking()
        for problem in self.settings.problems():
            raise DataError(problem)
        count = len(reference.vertices)
        self.faces, self._reference = reference.faces, np.asarray(reference.vertices, np.float64)
        self._places = self._reference if canonical is None else np.asarray(canonical, np.float64)
        if self._places.shape != (count, 3):
            raise DataError(f"{count} vertices need as many canonical places, not an array of {self._places.shape}")
        self._on_surface = np.arange(count) if on_surface is None else np.flatnonzero(on_surface)
        self._solution = self._reference
        self._averaging = averaging(self.faces, count) if self.settings.smoothing else None

    @classmethod
    def of_frame(cls, mesh: Mesh, warp: Warp, settings: Tracking | None = None) -> Tracker:
        """Follow a frame's extracted mesh, whose canonical places are where that frame's warp takes its vertices."""
        chunk = (settings or Tracking()).solving.chunk
        points = np.asarray(mesh.vertices, np.float32)
        places = [np.asarray(warp(points[at : at + chunk]))[:, :3] for at in range(0, len(points), chunk)]
        return cls(mesh, settings, canonical=np.concatenate(places))

    def start(self) -> None:
        """Back to the reference, whatever has been followed since."""
        self._solution = self._reference

    def pass_by(self, warp: Warp) -> int:
        """Follow a warp on the way to the next frame's, as near as is needed to go on from there. How many points it
        was asked for; DataError where it is NaN."""
        solving = self.settings.solving
        nearly = replace(solving, tolerance=max(solving.tolerance, self.settings.nearly))
        solved = solve(warp, self._places, self._solution, nearly)
        self._solution = solved.points
        return solved.evaluations

    def frame(self, warp: Warp, slope: Slope | None = None, lead: Lead | None = None) -> Tracked:
        """The next frame's mesh. slope: of the field in the frame's own, posed space. lead: what is made of the ways of
        vertices from the reference, given what seeks some of them anew. DataError where any is NaN."""
        settings = self.settings
        solved = solve(warp, self._places, self._solution, settings.solving)
        if lead is not None:
            solved = self._led(warp, solved, lead)
        self._solution = solved.points
        vertices = self._smoothed(solved.points)
        if slope is not None and settings.newton:
            on = self._on_surface
            vertices[on] = onto(slope, vertices[on], settings.newton, settings.largest, settings.solving.chunk)
        unsolved = int(np.count_nonzero(solved.apart > settings.solving.tolerance))
        return Tracked(vertices.astype(np.float32), self.faces, solved.apart, unsolved, solved.evaluations)

    def _led(self, warp: Warp, solved: Solved, lead: Lead) -> Solved:
        evaluations = solved.evaluations

        def seek(which: NDArray[np.integer], ways: Array) -> Array:
            nonlocal evaluations
            start = self._reference[which] + ways
            found = solve(warp, self._places[which], start, self.settings.solving)
            evaluations += found.evaluations
            return found.points - self._reference[which]

        before = solved.points - self._reference
        after = lead(before, seek)
        changed = np.flatnonzero((after != before).any(axis=1))
        points, apart = solved.points.copy(), solved.apart.copy()
        points[changed] = self._reference[changed] + after[changed]
        if len(changed):
            canonical = np.asarray(warp(points[changed].astype(np.float32)), np.float64)[:, :3]
            apart[changed] = np.linalg.norm(canonical - self._places[changed], axis=1)
        return Solved(points, apart, evaluations + len(changed))

    def _smoothed(self, points: Array) -> Array:
        if self._averaging is None:
            return points.copy()
        share, moved = self.settings.smoothing, points - self._reference
        return self._reference + (1 - share) * moved + share * (self._averaging @ moved)
