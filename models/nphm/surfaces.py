"""Meshes of a speaking head: the surface of every row of expression codes, in free or in fixed topology.

A backward model (MonoNPHM, FaceTalk's own) is extracted in every frame: near the last frame's surface, as far as that
has moved, and as a whole now and then. In a fixed topology a head is extracted once, and its vertices go the way from
that code to every other. So a mesh hangs on head and code alone, on no other frame, and all that a head ever says is in
one topology. It is extracted with its mouth open: at rest lips are closed, and the surface knows neither a cavity nor
where it parts, so that an opening mouth is webbed. A forward model (NPHM) is extracted once, at rest, and moves those
vertices, so that its topology is fixed in any case.

Meshes are in the model's space. What is counted are points that the network was asked for, whatever of it was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.follow import Follower
from faces.implicit.grid import Grid
from faces.implicit.settings import Extraction, Point
from faces.implicit.surface import Surface, extract
from faces.implicit.throat import above_throat, cut
from faces.implicit.tracking import Tracked, Tracker, Tracking
from faces.implicit.weight import FacialWeight
from faces.ply import Mesh
from models.nphm.arrays import HeadArrays
from models.nphm.astray import Bounds, led_back, neighbours
from models.nphm.frozen import ROUNDING, HeadAt, Quick
from models.nphm.head import FORWARD, NOWHERE, HeadModel

FREE, FIXED = "free", "fixed"
TOPOLOGIES = (FREE, FIXED)
OPEN, REST, WIDEST = "open", "rest", "widest"
REFERENCES = (OPEN, REST, WIDEST)
LOOKED_AT = 2000
"""Vertices of the last surface that tell how far it has moved."""
AWAY, AROUND, STEPS = 0.08, 0.06, 5
"""Balls below and above the mouth tell how open that is: how far off they are, their radius, points along an axis."""
FAR = 2.5
"""Deviations of the known codes from their mean at which a mouth counts as open. Of 1.5, 2, 2.5 and 3 the one whose
frames are nearest to extracted ones, on a head fitted to the synthetic data."""
PACE = 0.5
"""In fixed topology: how far a code goes at once from the reference's, in length."""
ASTRAY = Bounds(least=0.01, spread=4.0)
"""In fixed topology: whose way is another than its neighbours'."""
Codes = NDArray[np.float32]


@dataclass(frozen=True)
class Making:
    """How meshes are made.

    extraction: where and how surfaces are sought. quick: what of the network is left out. mouth: where it is, in the
    model's space. facial: where how much of an expression counts, None: all of it everywhere. topology: "free" or
    "fixed". reference: of which code the fixed one is: "open", where the mouth is open as far as known codes go;
    "rest", zero; "widest", of each sentence the frame with the widest mouth. spread: mean and deviation (E,) of known
    codes; None, or zeros, where none are known. tracking: how vertices are followed. throat: (3, 3) points of the
    model's space, below whose plane nothing is kept (`faces.implicit.throat`); None: all is.
    """

    extraction: Extraction = field(default_factory=Extraction)
    quick: Quick = ROUNDING
    mouth: Point = FacialWeight.centre
    facial: FacialWeight | None = None
    topology: str = FREE
    reference: str = OPEN
    spread: tuple[Codes, Codes] | None = None
    tracking: Tracking = field(default_factory=Tracking)
    throat: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Frame:
    """One frame's mesh. asked: points that the network was asked for. whole: it was searched for everywhere. unsolved:
    vertices in fixed topology whose place was not found."""

    number: int
    mesh: Mesh
    asked: int
    whole: bool = False
    unsolved: int = 0


class Talker:
    """The meshes of one head."""

    def __init__(self, model: HeadModel, identity: Codes, making: Making) -> None:
        """identity: (D,). ValueError for a head at rest, DataError for choices that cannot be."""
        if model.moves == NOWHERE:
            raise ValueError("a head at rest does not speak")
        making.extraction.check()
        self.making, self.forward = making, model.moves == FORWARD
        self._device = model.identity.mean_anchors.device
        self._head = HeadAt(model, self._tensor(identity), quick=making.quick, facial=making.facial)
        self._anchors = self._head.anchors.cpu().numpy()

    @property
    def topology(self) -> str:
        return FIXED if self.forward else self.making.topology

    @property
    def one_mesh(self) -> bool:
        """Whether all frames of all sentences are in the topology of `rest`."""
        return self.topology == FIXED and (self.forward or self.making.reference != WIDEST)

    @cached_property
    def rest(self) -> Mesh:
        """The head where its code is zero, in the topology of all frames; of a forward model where it has no code.
        DataError without a surface."""
        if self.forward:
            return self._unmoved
        code, mesh = self._head_alone
        return self._followed(*self._tracker(code, mesh), code, self._zero)[0]

    def frames(self, codes: Codes, first: int = 0) -> Iterator[Frame]:
        """A mesh for every row of codes (T, E), in order. first: of which on; what is made then is what would have been
        where it is one of `goes_on`. DataError for a frame without a surface."""
        ways = {FREE: self._free, FIXED: self._fixed}
        return (self._moved if self.forward else ways[self.making.topology])(codes, first)

    def goes_on(self, done: int) -> int:
        """The frame from which to go on where so many are made: where all is searched anew, or the next."""
        return done if self.topology == FIXED else done - done % self.making.extraction.refresh

    def openness(self, codes: Codes) -> NDArray[np.float64]:
        """(T,): a number that grows as the mouth opens, for every row of codes.

        How much farther down what is below the mouth has come than what is above it. On a head fitted to the synthetic
        data it goes along with the distance of the lips, r = 0.99; how much of the mouth lies outside of the head goes
        with it where lips part cleanly alone.
        """
        x, y, z = self.making.mouth
        below, above = (_ball((x, y + away, z)) for away in (-AWAY, AWAY))

        def came(head: HeadArrays, points: NDArray[np.float32]) -> float:
            moved = points - head.posed(points) if self.forward else head.canonical(points)[:, :3] - points
            return float(moved[:, 1].mean())

        heads = (self._saying(code) for code in codes)
        return np.array([came(head, below) - came(head, above) for head in heads], np.float64)

    def _free(self, codes: Codes, first: int) -> Iterator[Frame]:
        follower, last, refresh = Follower(self.making.extraction, self._anchors), None, self.making.extraction.refresh
        for number in range(first, len(codes)):
            if number > first and number % refresh == 0:
                # Frames are searched everywhere by their number, so that it is known where one can go on.
                follower, last = Follower(self.making.extraction, self._anchors), None
            head = self._saying(codes[number])
            moved, looked = self._motion(head, last)
            with _of_frame(number):
                last = follower.frame(head.field, moved)
                shown = self._above_throat(last)
            yield Frame(number, shown, last.effort.evaluations + looked, last.effort.refreshed)

    def _motion(self, head: HeadArrays, last: Mesh | None) -> tuple[float, int]:
        """How far the surface has gone beyond what the band leaves room for, and how many points it took to tell."""
        if last is None:
            return 0.0, 0
        points = last.vertices[:: -(-len(last.vertices) // LOOKED_AT)]
        settings = self.making.extraction
        room = (settings.band - 1) * float(Grid(settings).spacing.min())
        return max(0.0, float(np.abs(head.field(points)).max()) - room), len(points)

    def _fixed(self, codes: Codes, first: int) -> Iterator[Frame]:
        code, mesh = self._head_alone if self.one_mesh else self._widest(codes)
        tracker, around = self._tracker(code, mesh)
        for number in range(first, len(codes)):
            with _of_frame(number):
                found, asked = self._followed(tracker, around, code, codes[number])
            asked += 0 if number else mesh.effort.evaluations
            yield Frame(number, found, asked, not number, found.unsolved)

    @cached_property
    def _head_alone(self) -> tuple[Codes, Surface]:
        """The code (E,) whose surface all sentences follow, and that."""
        code = self._zero if self.making.reference == REST else self._open
        return code, self._extracted(self._saying(code))

    def _widest(self, codes: Codes) -> tuple[Codes, Surface]:
        number = int(self.openness(codes).argmax())
        with _of_frame(number):
            return codes[number], self._extracted(self._saying(codes[number]))

    @property
    def _open(self) -> Codes:
        """(E,): of all codes that are `FAR` from the mean of the known ones, the one that opens the mouth most, were
        that linear. Of no greater length than codes have."""
        mean, deviation = self.making.spread or (self._zero, self._zero)
        if not deviation.any():
            deviation = np.full_like(mean, len(mean) ** -0.5)
        ahead, back = (self.openness(mean + np.diag(step)) for step in (deviation, -deviation))
        opens = (ahead - back).astype(np.float32)
        length = float(np.linalg.norm(opens))
        code = mean + FAR * deviation * opens / np.float32(length or 1)
        return (code / max(1.0, float(np.linalg.norm(code)))).astype(np.float32)

    def _tracker(self, code: Codes, mesh: Surface) -> tuple[Tracker, torch.Tensor]:
        """What follows a code's surface, and every vertex's neighbours, (V, K)."""
        tracker = Tracker.of_frame(mesh, self._saying(code).canonical, self.making.tracking)
        return tracker, neighbours(mesh.faces, len(mesh.vertices), np.arange(len(mesh.vertices)))

    def _followed(self, tracker: Tracker, around: torch.Tensor, base: Codes, code: Codes) -> tuple[Tracked, int]:
        """The mesh of a code (E,), and the points that were asked for."""
        tracker.start()
        steps = math.ceil(float(np.linalg.norm(code - base)) / PACE)
        way = (self._saying(base + (code - base) * np.float32(step / steps)) for step in range(1, steps))
        asked = sum(tracker.pass_by(head.canonical) for head in way)
        head = self._saying(code)
        found = tracker.frame(head.canonical, head.slope, partial(led_back, around=around, bounds=ASTRAY))
        return found, asked + found.evaluations + self.making.tracking.newton * len(found.vertices)

    def _moved(self, codes: Codes, first: int) -> Iterator[Frame]:
        rest = self._unmoved
        for number in range(first, len(codes)):
            asked = len(rest.vertices) + (0 if number else rest.effort.evaluations)
            mesh = Mesh(self._saying(codes[number]).posed(rest.vertices), rest.faces)
            yield Frame(number, mesh, asked, whole=not number)

    @cached_property
    def _unmoved(self) -> Surface:
        return self._extracted(HeadArrays(self._head))

    def _extracted(self, head: HeadArrays) -> Surface:
        found = extract(head.field, self.making.extraction, self._anchors)
        kept = self._above_throat(found)
        return Surface(kept.vertices, kept.faces, found.effort)

    def _above_throat(self, mesh: Mesh) -> Mesh:
        plane = self.making.throat
        return mesh if plane is None else cut(mesh, above_throat(mesh.vertices, plane))

    @property
    def _zero(self) -> Codes:
        deformation = self._head.model.deformation
        assert deformation is not None, "else it would not speak"
        return np.zeros(deformation.sizes.expression, np.float32)

    def _saying(self, code: Codes) -> HeadArrays:
        return HeadArrays(self._head.speaking(self._tensor(code)))

    def _tensor(self, array: Codes) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self._device)


@contextmanager
def _of_frame(number: int) -> Iterator[None]:
    """A DataError with the number of the frame that it is about."""
    try:
        yield
    except DataError as error:
        raise DataError(f"frame {number}: {error}") from error


def _ball(centre: Point) -> NDArray[np.float32]:
    """(N, 3) points around a place."""
    along = np.linspace(-AROUND, AROUND, STEPS)
    places = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1).reshape(-1, 3)
    kept = places[np.linalg.norm(places, axis=1) <= AROUND * (1 + 1e-9)]
    return (kept + np.asarray(centre)).astype(np.float32)
