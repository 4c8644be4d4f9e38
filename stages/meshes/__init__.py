"""The stage `meshes`: surfaces of a head model, one mesh a frame, from rows of its expression codes.

FaceTalk's way from codes to what can be looked at (section 3.4): the implicit surface of every frame, extracted by
marching cubes. Without predictions the sequences' own codes are taken: what the head model and the tracking make of the
truth, which is the best that any prediction of codes can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, param
from stages.kinds.expressions import SLOTS, code_items, reads_codes

OWN, ZERO = "own", "zero"
IDENTITY_FILE = "identity_file"
AUTO = "auto"


@dataclass(frozen=True)
class Params:
    splits: list[str] = param(
        ["test"], selects=True, help="without predictions: whose sentences are made of their own codes"
    )
    limit: int = param(
        0,
        low=0,
        selects=True,
        help="how many sentences, or samples of them, spread over subjects, then sentences; 0: all",
    )
    topology: str = param(
        "free",
        choices=("free", "fixed"),
        help="free: each frame is extracted; fixed: the head is once, and its vertices follow through all sentences",
    )
    identity: str = param(
        OWN,
        help="whose head speaks: own, the subject's; zero, a code of zeros; or a row of the head model's table of "
        "identities, by subject or by number from 0",
    )
    identity_file: str | None = param(None, path=True, help="file (.npy) of one identity code, which speaks instead")
    resolution: int = param(
        128, low=2, high=1024, help="samples a side of the grid: 64 for a quick look, 256 published"
    )
    low: list[float] = param(
        [-0.55, -0.5, -0.95], help="corner of the box in NPHM's units of 25 cm; empty: about the subject's neutral face"
    )
    high: list[float] = param([0.55, 0.75, 0.4], help="the opposite corner; empty where low is")
    search: str = param(
        AUTO,
        choices=(AUTO, "dense", "lipschitz", "signs"),
        help="what is evaluated: dense, all samples; lipschitz, blocks that may hold the surface as values are nearly "
        "distances; signs, blocks whose corners differ in sign; auto: lipschitz, signs for NPHM's fixed widths",
    )
    lipschitz: float = param(1.5, low=0.1, help="lipschitz: how fast values may change with distance")
    coarsest: int = param(16, low=2, help="lipschitz: cells a side of the first blocks, a power of two")
    stride: int = param(8, low=2, help="signs: cells between samples of the first grid, a power of two")
    margin: int = param(1, low=0, help="signs: blocks beside one that changes sign that are looked at, too")
    reach: float = param(
        0.0, low=0.0, help="signs: blocks this near to an anchor are always looked at, in NPHM's units"
    )
    band: int = param(2, low=1, help="voxels about the last frame's surface that are evaluated in the next")
    refresh: int = param(24, low=1, help="each frame of this number is searched everywhere; 1: all are")
    rim: str = param(
        "extend", choices=("extend", "refresh"), help="where a surface leaves the band: extend it, or search everywhere"
    )
    chunk: int = param(20_000, low=1, help="points that the head model is asked for at once")
    least_weight: float = param(
        1e-6, low=0.0, high=0.1, help="members of at most this weight are left out; up to 1e-6 that is rounding"
    )
    half: bool = param(False, help="hidden layers multiply in bfloat16: quicker on processors that have it, less exact")
    radius: float = param(
        0.40, low=0.0, help="facial smoothing: about the mouth all of a motion counts up to here, in NPHM's units"
    )
    sigma: float = param(
        0.15, low=0.0, help="facial smoothing: of the Gaussian that begins there; 0: all counts everywhere"
    )
    reference: str = param(
        "open",
        choices=("open", "rest", "widest"),
        help="fixed: what is extracted; open: the head with its mouth open, as its known codes say, and rest: at rest, "
        "so that all its sentences have one mesh; widest: each sentence's frame with the widest mouth",
    )
    newton: int = param(1, low=0, help="fixed: Newton's steps that put vertices back onto the surface")
    relax: float = param(
        0.0,
        low=0.0,
        high=1.0,
        help="fixed: share of the neighbours' displacement in a vertex's own; 0.1 to 0.3 is light",
    )

    throat: list[int] = param(
        [],
        help="three vertices of the data's topology, seen counter-clockwise from above: what lies below their plane is "
        "cut off; 3276, 3207, 3310 of FLAME's as published; empty: nothing",
    )

    @property
    def own(self) -> bool:
        """Whether everybody speaks with the own head."""
        return self.identity == OWN and not self.identity_file

    @property
    def boxed(self) -> bool:
        """Whether the box is given."""
        return bool(self.low)


class Meshes(Stage):
    """`predictions` of a track, or the track itself, with a `head` and `sequences` → `surfaces`."""

    name = "meshes"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = SLOTS
    output = "surfaces"
    libraries = ("numpy", "numba", "scipy", "torch", "scikit-image")

    def check(self) -> Iterable[str]:
        params = self.params
        if not params.splits:
            yield "splits is empty: name at least one of the data set's"
        if len(params.low) != len(params.high) or len(params.low) not in (0, 3):
            yield "low and high must have three numbers each, or none"
        elif any(low >= high for low, high in zip(params.low, params.high, strict=True)):
            yield "low must be below high along each axis"
        if len(params.throat) not in (0, 3) or len(set(params.throat)) != len(params.throat):
            yield "throat must name three vertices, or none"
        for name in ("coarsest", "stride"):
            if (size := getattr(params, name)) & (size - 1):
                yield f"{name} = {size} must be a power of two"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        whose = upstream.get("predictions")
        made = whose.label if whose else f"{upstream['data'].label}-{'-'.join(self.params.splits)}"
        return f"{made}-meshes{self.params.resolution}"

    def sources(self) -> Sources:
        file = self.params.identity_file
        return Sources(files={IDENTITY_FILE: Path(file)} if file else {})

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        return reads_codes(given)

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sentence's meshes: of its codes, and of whose head speaks it."""
        each, shared = code_items(given, self.params.splits, self.params.limit)
        return Items(each, [*shared, sources.get(IDENTITY_FILE)])

    def run(self, job: Job) -> None:
        from stages.meshes.make import make

        make(job, self.params)
