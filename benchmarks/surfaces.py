"""How much of a grid need not be evaluated: `python -m benchmarks.surfaces`.

A head that talks, by a formula, in the box of NPHM. Its surface is extracted by evaluating everything, from coarse to
fine by both criteria, and over a sequence in a band around the last frame's surface. To cost what a network costs,
each point also goes through layers of 256 × 256 products (`--mmac`, millions of multiplications a point; NPHM and
MonoNPHM have 2.7 to 6), whose results are dropped: then the time follows the evaluations, else what is around them.

Printed are points evaluated and seconds, both beside the dense form's; how far the surfaces are from the dense ones, in
voxels; and megabytes at the peak above what is held before. The stand-in's threads are OMP_NUM_THREADS'.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from faces.implicit.follow import Follower
from faces.implicit.grid import Grid, Points
from faces.implicit.samples import Field
from faces.implicit.settings import SEARCHES, Extraction
from faces.implicit.surface import Surface, extract, march, sample_all
from faces.ply import Mesh
from pipeline.progress import table
from stages.bench.memory import peaks, reset_peaks

WIDTH = 256
OPENINGS = (0.03, 0.034, 0.04, 0.046, 0.05)
"""The mouth in the frames: at 25 frames a second a jaw seldom moves faster. The first is not measured."""
Values = NDArray[np.float32]


def head(opening: float) -> Field:
    """Skull, jaw, neck and nose, and a mouth that is `opening` high. Near the surface nearly a distance."""
    skull, jaw = _ellipsoid((0, 0.1, -0.3), (0.36, 0.45, 0.45)), _ellipsoid((0, -0.2 - opening, -0.1), (0.26, 0.3, 0.3))
    mouth = _ellipsoid((0, -0.22 - opening / 2, 0.2), (0.1, opening, 0.08))

    def field(points: Points) -> Values:
        x, y, z = points.T
        neck = np.maximum(np.hypot(x, z + np.float32(0.35)) - np.float32(0.2), y - np.float32(0.1))
        nose = np.linalg.norm(points - np.float32([0, -0.05, 0.2]), axis=1) - np.float32(0.06)
        outside = _blend(_blend(_blend(skull(points), jaw(points), 0.1), neck, 0.1), nose, 0.06)
        return np.maximum(outside, -mouth(points)).astype(np.float32)

    return field


def _ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> Field:
    def field(points: Points) -> Values:
        away = (points - np.float32(centre)) / np.float32(radii)
        length = np.linalg.norm(away, axis=1)
        return length * (length - 1) / (np.linalg.norm(away / np.float32(radii), axis=1) + np.float32(1e-9))

    return field


def _blend(a: Values, b: Values, width: float) -> Values:
    """The lesser of both, rounded where they meet."""
    share = np.clip(0.5 + (b - a) / (2 * width), 0, 1)
    return b + share * (a - b) - width * share * (1 - share)


def costly(field: Field, mmac: float) -> Field:
    """The same values, after products that cost so many million multiplications a point."""
    layers = round(mmac * 1e6 / WIDTH**2)
    first, weights = np.ones((3, WIDTH), np.float32), np.full((WIDTH, WIDTH), 1 / WIDTH, np.float32)

    def dearer(points: Points) -> Values:
        if layers:
            hidden = points @ first
            for _ in range(layers):
                hidden = hidden @ weights
        return np.asarray(field(points), np.float32)

    return dearer


@dataclass
class Outcome:
    """points, seconds: of a frame on average. apart: voxels, the farthest vertex. memory: MB."""

    points: float
    seconds: float
    apart: float
    memory: float


Extract = Callable[[Field], Surface]


def contestants(settings: Extraction) -> dict[str, Callable[[], Extract]]:
    """Name → what gets ready for a sequence, and gives what makes a frame's surface."""

    def searched(search: str) -> Extract:
        return lambda field: extract(field, replace(settings, search=search))

    def followed(band: int) -> Extract:
        follower = Follower(replace(settings, band=band))
        follower.frame(head(OPENINGS[0]))  # a search, which the band rests on
        return follower.frame

    searches = {search: partial(searched, search) for search in SEARCHES}
    return searches | {f"band {band}": partial(followed, band) for band in (2, 1)}


def measure(settings: Extraction, mmac: float, frames: int) -> dict[str, Outcome]:
    """Each contestant on the same frames."""
    openings = OPENINGS[1 : 1 + frames]
    truths = [march(sample_all(head(opening), settings), Grid(settings)) for opening in openings]
    voxel = float(Grid(settings).spacing.min())
    outcomes = {}
    for name, ready in contestants(settings).items():
        reset_peaks("cpu")
        before, make = peaks("cpu")["peak_memory_mb"], ready()
        start = time.perf_counter()
        surfaces = [make(costly(head(opening), mmac)) for opening in openings]
        seconds = (time.perf_counter() - start) / frames
        outcomes[name] = Outcome(
            float(np.mean([surface.effort.evaluations for surface in surfaces])),
            seconds,
            max(farthest(surface, truth) / voxel for surface, truth in zip(surfaces, truths, strict=True)),
            peaks("cpu")["peak_memory_mb"] - before,
        )
    return outcomes


def farthest(mesh: Mesh, truth: Mesh) -> float:
    """The farthest vertex of either from the other's nearest; 0 only for equal vertices."""
    from scipy.spatial import cKDTree

    pairs = (mesh.vertices, truth.vertices), (truth.vertices, mesh.vertices)
    return max(float(cKDTree(there).query(here)[0].max()) for here, there in pairs)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 128], help="256 takes minutes")
    parser.add_argument("--frames", type=int, default=2, choices=range(1, len(OPENINGS)), help="measured of each")
    parser.add_argument("--mmac", type=float, default=0.26, help="what a point costs, in millions of multiplications")
    parser.add_argument("--chunk", type=int, default=Extraction.chunk, help="points at once")
    options = parser.parse_args()
    extract(head(0.03), Extraction(resolution=20))  # compiles
    Follower(Extraction(resolution=20)).frame(head(0.03))
    for resolution in options.resolutions:
        outcomes = measure(Extraction(resolution=resolution, chunk=options.chunk), options.mmac, options.frames)
        dense = outcomes["dense"]
        rows = [
            (name, f"{each.points:,.0f}", f"{dense.points / each.points:.1f}", f"{each.seconds:.2f}",
             f"{dense.seconds / each.seconds:.1f}", f"{each.apart:.2g}", f"{each.memory:.0f}")
            for name, each in outcomes.items()
        ]  # fmt: skip
        print(f"\n{resolution}³, {options.mmac:g} million multiplications a point")
        print(table(rows, ("", "points", "times fewer", "seconds", "times faster", "voxels apart", "MB")))


if __name__ == "__main__":
    main()
