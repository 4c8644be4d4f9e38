"""Measures the surfaces of one sentence, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.geometry_definitions import FSCORE, THRESHOLDS_MM
from faces.implicit.throat import cut
from faces.mesh_measures import compare
from faces.ply import Mesh
from stages.geometry.cases import Case, Take, Truth
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces, mesh_file
from stages.metrics.choose import MODEL, NEUTRAL
from stages.metrics.measure import Found, Measured

AGAIN = "truth drawn again"
"""The row of the truth against itself: points drawn twice from one surface are apart, too."""
Mask = NDArray[np.bool_]
Values = dict[str, float]


@dataclass(frozen=True)
class Measurer:
    """Threads may share it. region: (V,) which vertices of the data's topology are looked at, None: all. millimetres:
    of the data's unit."""

    data: Sequences
    surfaces: Surfaces
    truth: Truth
    points: int
    every: int
    region: Mask | None
    millimetres: float

    def measure(self, case: Case) -> Found:
        """All takes of a sentence, and the neutral template where the truth has its topology."""
        rows = [self._row(case, take) for take in case.takes]
        if self.truth.surfaces is None:
            rows.append(self._still(case, max(case.takes, key=lambda take: (take.counted, take.frames))))
        return Found([*rows, self._again(case)], None)

    def _row(self, case: Case, take: Take) -> Measured:
        frames = range(0, take.frames, self.every)
        if not frames:
            raise DataError(f"{self.surfaces.file(take.name)} and the truth have no frames in common")
        values = _mean(self._compared(case, take, number) for number in frames)
        return Measured(
            MODEL,
            case.id,
            case.subject,
            take.item.condition,
            case.split,
            take.counted,
            len(frames),
            values,
            take.item.seed,
        )

    def _still(self, case: Case, take: Take) -> Measured:
        still = Mesh(self.data.template_of(case.id), self.data.faces)
        frames = range(0, take.frames, self.every)
        values = _mean(self._values(self.truth.mesh(case.id, number), still) for number in frames)
        return Measured(NEUTRAL, case.id, case.subject, "", case.split, True, len(frames), values)

    def _again(self, case: Case) -> Measured:
        """The floor of the numbers: of one frame, since the distance between points hardly hangs on which."""
        truth = self.truth.mesh(case.id, 0)
        return Measured(AGAIN, case.id, case.subject, "", case.split, True, 1, self._values(truth, truth))

    def _compared(self, case: Case, take: Take, number: int) -> Values:
        made = self.surfaces.frame(take.name, number)
        try:
            return self._values(self.truth.mesh(case.id, number), made)
        except DataError as error:
            raise DataError(f"{mesh_file(self.surfaces.path, take.name, number)}: {error}") from error

    def _values(self, truth: Mesh, made: Mesh) -> Values:
        """In the data's unit."""
        if self.region is not None:
            truth, made = cut(truth, self.region), cut(made, nearest_in(truth, self.region, made))
        limits = [limit / self.millimetres for limit in THRESHOLDS_MM]
        found = compare(truth, made, samples=self.points, thresholds=limits)
        shares = {FSCORE.format(mm): found.fscore[own] for mm, own in zip(THRESHOLDS_MM, limits, strict=True)}
        names = ("chamfer_l1", "chamfer_l2", "completeness", "accuracy", "normal_consistency")
        return {name: getattr(found, name) for name in names} | shares


def nearest_in(truth: Mesh, region: Mask, made: Mesh) -> Mask:
    """(W,): of which vertices of a surface the nearest vertex of the truth is in a region (V,) of that."""
    from scipy.spatial import cKDTree  # slow to import, and of no use to who only plans

    inside: Mask = region[cKDTree(truth.vertices).query(made.vertices)[1]]
    return inside


def _mean(frames: Iterable[Values]) -> Mapping[str, float]:
    every = list(frames)
    return {name: float(np.mean([frame[name] for frame in every])) for name in every[0]}
