"""Meshes of a speaking head: the surface of every row of expression codes, in free or in fixed topology.

A backward model (MonoNPHM, FaceTalk's own) is extracted in every frame: near the last frame's surface, as far as that
has moved, and as a whole now and then. In a fixed topology one frame, the one with the mouth open
widest, is extracted, and its vertices follow through the others. A forward model (NPHM) is extracted once, at rest, and
moves those vertices, so that its topology is fixed in any case.

Meshes are in the model's space. What is counted are points that the network was asked for, whatever of it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.follow import Follower
from faces.implicit.grid import Grid
from faces.implicit.settings import Extraction, Point
from faces.implicit.surface import extract
from faces.implicit.tracking import Tracker, Tracking
from faces.implicit.weight import FacialWeight
from faces.ply import Mesh
from models.nphm.arrays import HeadArrays
from models.nphm.frozen import ROUNDING, HeadAt, Quick
from models.nphm.head import FORWARD, NOWHERE, HeadModel

FREE, FIXED = "free", "fixed"
TOPOLOGIES = (FREE, FIXED)
LOOKED_AT = 2000
"""Vertices of the last surface that tell how far it has moved."""
AWAY, AROUND, STEPS = 0.08, 0.06, 5
"""Balls below and above the mouth tell how open that is: how far off they are, their radius, points along an axis."""
Codes = NDArray[np.float32]


@dataclass(frozen=True)
class Making:
    """How meshes are made.

    extraction: where and how surfaces are sought. quick: what of the network is left out. mouth: where it is, in the
    model's space. facial: where how much of an expression counts, None: all of it everywhere. topology: "free" or
    "fixed". tracking: how vertices are followed. reference: the frame that is; None: the one with the widest mouth.
    """

    extraction: Extraction = field(default_factory=Extraction)
    quick: Quick = ROUNDING
    mouth: Point = FacialWeight.centre
    facial: FacialWeight | None = None
    topology: str = FREE
    tracking: Tracking = field(default_factory=Tracking)
    reference: int | None = None


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

    def frames(self, codes: Codes) -> Iterator[Frame]:
        """A mesh for every row of codes (T, E), not always in order. DataError for a frame without a surface."""
        ways = {FREE: self._free, FIXED: self._fixed}
        return (self._moved if self.forward else ways[self.making.topology])(codes)

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

    def reference(self, codes: Codes) -> int:
        """The frame whose topology all have."""
        wished = self.making.reference
        if wished is None:
            return int(self.openness(codes).argmax())
        if not 0 <= wished < len(codes):
            raise DataError(f"frame {wished} is to be the reference, and there are {len(codes)}, counted from 0")
        return wished

    def _free(self, codes: Codes) -> Iterator[Frame]:
        follower, last = Follower(self.making.extraction, self._anchors), None
        for number, code in enumerate(codes):
            head = self._saying(code)
            moved, looked = self._motion(head, last)
            with _of_frame(number):
                last = follower.frame(head.field, moved)
            yield Frame(number, last, last.effort.evaluations + looked, last.effort.refreshed)

    def _motion(self, head: HeadArrays, last: Mesh | None) -> tuple[float, int]:
        """How far the surface has gone beyond what the band leaves room for, and how many points it took to tell."""
        if last is None:
            return 0.0, 0
        points = last.vertices[:: -(-len(last.vertices) // LOOKED_AT)]
        settings = self.making.extraction
        room = (settings.band - 1) * float(Grid(settings).spacing.min())
        return max(0.0, float(np.abs(head.field(points)).max()) - room), len(points)

    def _fixed(self, codes: Codes) -> Iterator[Frame]:
        chosen = self.reference(codes)
        there = self._saying(codes[chosen])
        with _of_frame(chosen):
            mesh = extract(there.field, self.making.extraction, self._anchors)
        asked = mesh.effort.evaluations
        for order in (range(chosen, len(codes)), range(chosen - 1, -1, -1)):
            tracker = Tracker.of_frame(mesh, there.canonical, self.making.tracking)
            for number in order:
                head = self._saying(codes[number])
                with _of_frame(number):
                    found = tracker.frame(head.canonical, head.slope)
                asked += found.evaluations + self.making.tracking.newton * len(found.vertices)
                yield Frame(number, found, asked, number == chosen, found.unsolved)
                asked = 0

    def _moved(self, codes: Codes) -> Iterator[Frame]:
        rest = extract(HeadArrays(self._head).field, self.making.extraction, self._anchors)
        asked = rest.effort.evaluations
        for number, code in enumerate(codes):
            asked += len(rest.vertices)
            yield Frame(number, Mesh(self._saying(code).posed(rest.vertices), rest.faces), asked, whole=not number)
            asked = 0

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
