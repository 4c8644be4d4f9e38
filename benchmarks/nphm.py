"""`python -m benchmarks.nphm`: surfaces of neural heads, dense as published against ours, in seconds a frame.

Published sizes, one thread, processor time. No weights may be had, so the heads are those of `benchmarks.nphm_head`:
ellipsoids with the anchors, members and blends of a head. Ways of a frame of MonoNPHM, each all that a frame takes:

* dense: every sample of the grid through the network as published, 20,000 at a time, then marching cubes;
* folded: the same through `HeadAt`, which is as near as rounding;
* searched: `HeadAt` where the search from coarse to fine asks; the same surface to the bit as folded;
* followed: `HeadAt` in a band around the last frame's surface;
* tracked: the first frame's vertices followed through the warp and put back onto the surface, so that all frames have
  its triangles.

With `--least-weight`, searched and followed do without members of at most that weight, and their meshes' distance to
dense says what for. NPHM's surface is made once a head, and a frame moves its vertices. Dense and folded are timed on a
share of the grid's chunks, evenly over it, in turns with ours, so that other work on the machine disturbs ratios
little.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks import nphm_head
from faces.implicit.follow import Follower
from faces.implicit.grid import Grid
from faces.implicit.settings import Extraction
from faces.implicit.surface import Surface, extract, march
from faces.implicit.tracking import Tracker
from faces.ply import Mesh
from models.nphm.arrays import HeadArrays
from models.nphm.frozen import EXACT, HeadAt, Quick
from models.nphm.head import HeadModel
from models.nphm.sizes import MONO_CANONICAL, MONO_DEFORMATION, CanonicalSizes, DeformationSizes, IdentitySizes

CHUNK, VERTICES = 20_000, 5_000
"""Points that go through the published networks at a time: of a grid, and of a mesh."""
NEAR = 0.05
"""Within this of the surface, values are compared; 12.5 mm."""
Array = NDArray[np.float32]
WARM = 24
"""A grid that nothing is said of: kernels are compiled, and memory is taken, before anything is timed."""
T = TypeVar("T")


@dataclass
class Timer:
    """Time of all that ran in it: of the processor, or of the clock where a GPU works."""

    clock: ClassVar[Callable[[], float]] = time.process_time
    seconds: float = 0.0

    def __call__(self, run: Callable[..., T], *given: Any) -> T:
        began = Timer.clock()
        found = run(*given)
        self.seconds += Timer.clock() - began
        return found


class Dense:
    """The published form of a head, as functions of arrays."""

    def __init__(self, model: HeadModel, *codes: Tensor) -> None:
        self.model, self.codes = model, [code[None] for code in codes]

    def field(self, points: Array) -> Array:
        return self._asked(self.model.field, points, CHUNK)

    def posed(self, points: Array) -> Array:
        return self._asked(self.model.posed, points, VERTICES)

    def _asked(self, ask: Callable[..., Tensor], points: Array, count: int) -> Array:
        with torch.inference_mode():
            given = torch.from_numpy(points).to(self.codes[0].device)
            parts = [ask(part[None], *self.codes)[0] for part in given.split(count)]
            found: Array = torch.cat(parts).cpu().numpy()
        return found


class Ways:
    """Times of the ways, and how far ours are from dense, on a share of a grid's chunks."""

    def __init__(self, grid: Grid, share: float) -> None:
        self.grid, self.times = grid, defaultdict[str, Timer](Timer)
        starts = np.arange(0, grid.size, CHUNK)
        count = max(1, round(share * len(starts)))
        kept = starts[((np.arange(count) + 0.5) / count * len(starts)).astype(int)]
        self.chunks = [grid.points(np.arange(start, min(start + CHUNK, grid.size))) for start in kept]
        self.rounding, self.left_out = 0.0, 0.0

    def compare(self, dense: Dense, exact: HeadAt, ours: HeadAt) -> None:
        """Time a share of a frame, dense and folded, and look how far they, and ours near the surface, are apart."""
        for points in self.chunks:
            true = self.times["dense"](dense.field, points)
            told = self.times["folded"](HeadArrays(exact).field, points)
            near = np.abs(true) < NEAR
            self.rounding = max(self.rounding, float(np.abs(true - told).max()))
            self.left_out = max(
                self.left_out, float(np.abs(true - HeadArrays(ours).field(points))[near].max(initial=0))
            )

    def seconds(self, frames: int) -> dict[str, float]:
        """Of a whole frame: way → seconds. What was timed on a share counts for all, and is then cut."""
        cut, share = Timer(), sum(map(len, self.chunks)) / self.grid.size
        cut(
            march,
            nphm_head.distance(torch.from_numpy(self.grid.points(np.arange(self.grid.size))))
            .numpy()
            .reshape(self.grid.shape),
            self.grid,
        )
        found = {name: timer.seconds / frames for name, timer in self.times.items()}
        return {n: s / share + cut.seconds if n in ("dense", "folded") else s for n, s in found.items()}

    def lines(self, frames: int) -> Iterator[str]:
        seconds = self.seconds(frames)
        for name in ("dense", "folded", "searched", "followed", "tracked"):
            if name in seconds:
                yield f"  {name:8} {seconds[name]:8.2f} s, {seconds['dense'] / seconds[name]:6.1f}×"
        yield f"  largest difference to dense: folded {self.rounding:.1e}, ours near the surface {self.left_out:.1e}"

    def apart(self, true: Mesh, made: Mesh) -> str:
        """How far the vertices of two meshes of the grid are from each other."""
        there, back = (cKDTree(b.vertices).query(a.vertices)[0] for a, b in ((true, made), (made, true)))
        voxel = float(self.grid.spacing.min())
        mean, most = (there.mean() + back.mean()) / 2 / voxel, max(there.max(), back.max()) / voxel
        return f"  mesh to that of the dense network: Chamfer {mean:.1e} voxels, at most {most:.1e}"


def quick_of(options: argparse.Namespace) -> Quick:
    return Quick(least_weight=options.least_weight, half=options.half, points=options.points)


def mono(model: HeadModel, settings: Extraction, options: argparse.Namespace) -> Iterator[str]:
    """Lines on MonoNPHM at one resolution."""
    ways, follower = Ways(Grid(settings), options.share), Follower(settings)
    identity, expression = nphm_head.codes(model)
    exact, ours = HeadAt(model, identity), HeadAt(model, identity, quick=quick_of(options))
    first = HeadArrays(ours.speaking(expression))
    last, asked, off = follower.frame(first.field), [], 0.0
    tracker = Tracker.of_frame(last, first.canonical)

    def found(way: Callable[[Any], Surface], code: Tensor) -> Surface:
        return way(HeadArrays(ours.speaking(code)).field)

    for number in range(1, options.frames + 1):
        _, expression = nphm_head.codes(model, number)
        searched = ways.times["searched"](found, lambda field: extract(field, settings), expression)
        last = ways.times["followed"](found, follower.frame, expression)
        now = HeadArrays(ours.speaking(expression))
        tracked = ways.times["tracked"](tracker.frame, now.canonical, now.slope)
        off = float(np.abs(now.field(tracked.vertices)).mean()) / float(ways.grid.spacing.min())
        asked.append((searched.effort.ratio, last.effort.ratio))
        ways.compare(Dense(model, identity, expression), exact.speaking(expression), ours.speaking(expression))
    yield f"MonoNPHM at {settings.resolution}³, a frame of {options.frames}:"
    yield from ways.lines(options.frames)
    yield "  samples asked: searched 1 of {:.1f}, followed 1 of {:.1f}".format(*np.mean(asked, axis=0))
    yield f"  tracked: {len(tracked.vertices):,} vertices, in the last frame {off:.1e} voxels off the surface"
    if not options.no_meshes:
        yield ways.apart(extract(Dense(model, identity, expression).field, settings), last)


def nphm(model: HeadModel, settings: Extraction, options: argparse.Namespace) -> Iterator[str]:
    """Lines on NPHM at one resolution."""
    settings = replace(settings, search="signs")
    ways, (identity, _) = Ways(Grid(settings), options.share), nphm_head.codes(model)
    exact, ours = HeadAt(model, identity), HeadAt(model, identity, quick=quick_of(options))
    made = ways.times["searched"](extract, HeadArrays(ours).field, settings)
    ways.compare(Dense(model, identity), exact, ours)
    yield f"NPHM at {settings.resolution}³, once a head:"
    yield from ways.lines(1)
    yield f"  samples asked: searched 1 of {made.effort.ratio:.1f}"
    if not options.no_meshes:
        yield ways.apart(extract(Dense(model, identity).field, settings), made)
    dense, folded, most = Timer(), Timer(), 0.0
    for number in range(1, options.frames + 1):
        _, expression = nphm_head.codes(model, number)
        true = dense(Dense(model, identity, expression).posed, made.vertices)
        told = folded(lambda code: HeadArrays(exact.speaking(code)).posed(made.vertices), expression)
        most = max(most, float(np.abs(true - told).max()))
    yield f"NPHM's {len(made.vertices):,} vertices moved, a frame of {options.frames}:"
    yield f"  dense    {dense.seconds / options.frames:8.2f} s"
    yield f"  folded   {folded.seconds / options.frames:8.2f} s, {dense.seconds / folded.seconds:6.1f}×"
    yield f"  largest difference {most:.1e}"


SIZES: dict[str, dict[str, tuple[Any, Any]]] = {
    "official": {"mono": (MONO_CANONICAL, MONO_DEFORMATION), "nphm": (IdentitySizes(), DeformationSizes())},
    "small": {
        "mono": (
            CanonicalSizes(width=40, global_code=8, local_code=4),
            DeformationSizes(global_code=8, local_code=4, hyper=2, width=40, bottleneck=8, expression=10),
        ),
        "nphm": (
            IdentitySizes(width=40, global_code=8, local_code=4),
            DeformationSizes(global_code=8, local_code=4, width=40, bottleneck=8, expression=10),
        ),
    },
}


def main() -> None:
    """Print the lines of each model and resolution."""
    options = _options().parse_args()
    torch.set_num_threads(1)
    if options.device != "cpu":
        Timer.clock = time.perf_counter
    for name in options.models:
        identity, deformation = SIZES[options.size][name]
        model = nphm_head.head(identity, deformation, "backward" if name == "mono" else "forward").to(options.device)
        lines = mono if name == "mono" else nphm
        for resolution in (WARM, *options.resolutions):
            settings = Extraction(resolution=resolution, chunk=options.points, lipschitz=options.lipschitz)
            if resolution == WARM:
                list(lines(model, settings, argparse.Namespace(**vars(options) | {"frames": 2})))
                continue
            for line in lines(model, settings, options):
                print(line, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", choices=("mono", "nphm"), default=["mono", "nphm"])
    parser.add_argument("--size", choices=tuple(SIZES), default="official")
    parser.add_argument("--resolutions", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--share", type=float, default=0.02, help="of the grid's chunks through the dense form")
    parser.add_argument("--least-weight", type=float, default=EXACT)
    parser.add_argument("--half", action="store_true", help="hidden layers multiply in bfloat16")
    parser.add_argument("--points", type=int, default=Quick().points, help="that ours is given at a time")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lipschitz", type=float, default=Extraction().lipschitz)
    parser.add_argument("--no-meshes", action="store_true", help="leave out the mesh of the dense network")
    return parser


if __name__ == "__main__":
    main()
