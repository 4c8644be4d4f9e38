"""One sequence, gathered block by block, so that a clip of any length costs little memory.

`Moving` follows one motion, `Apart` the differences of two, `Stills` those from faces that do not move; each takes
consecutive blocks (B, V, 3) and gives numbers per frame and per vertex. Positions are in any unit; arithmetic is
float64 whatever comes in. NaN in a block is NaN in the sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces import metrics_kernels as kernels
from faces.metrics_definitions import LIPS
from faces.metrics_parts import Lips, Parts

Array = NDArray[np.float64]
Motion = NDArray[np.floating]

_NOTHING = np.empty(0)
BLOCK_BYTES = 8 << 20
"""Of float32 vertices in one block: small enough to stay in cache while several predictions are held against it."""


def block_frames(vertices: int) -> int:
    """How many frames a block has."""
    return max(1, BLOCK_BYTES // (12 * vertices))


def flat(motion: Motion) -> Motion:
    """(T, V, 3) → (T, 3 V), read-only, so that memory maps and arrays share one compiled kernel."""
    rows = np.ascontiguousarray(motion).reshape(len(motion), -1)
    rows.flags.writeable = False
    return rows


class Moving:
    """One motion: its lips, how far it moves from frame to frame, how its distance from the template varies."""

    def __init__(self, template: ArrayLike, parts: Parts) -> None:
        self.lips = Lips(parts)
        self.frames = 0
        self._parts = parts
        self._template = np.ascontiguousarray(template, np.float64).reshape(-1)
        self._before = self._first = np.empty(0)
        self._offset, self._steps = np.zeros((2, parts.vertices)), np.zeros((2, parts.vertices))
        self._sums: list[Array] = []

    def add(self, block: Motion) -> None:
        rows = flat(block)
        if not self.frames:
            self._before = rows[0].astype(np.float64)
            self._first = np.square(self._before - self._template).reshape(-1, 3).sum(axis=1)
        sums, extents, parts = np.zeros((len(rows), 2)), np.tile((np.inf, -np.inf, 0.0), (len(rows), 1)), self._parts
        kernels.moments(
            rows, self._before, self._template, self._first, parts.lip_mask, parts.lip_vertices, parts.up,
            self._offset, self._steps, sums, extents,
        )  # fmt: skip
        self._sums.append(sums)
        low, high, broken = extents.T
        self.lips.add(rows, high - low + broken)
        self.frames += len(rows)

    @property
    def deviation(self) -> Array:
        """(V,): standard deviation over time (population) of the squared distance from the template."""
        mean, square = self._offset / self.frames
        return np.sqrt(np.maximum(square - mean * mean, 0))

    @property
    def dynamics(self) -> float:
        """The mean of `deviation` over the upper face."""
        return float(self.deviation[self._parts.upper_face].mean())

    @property
    def steps(self) -> tuple[Array, Array]:
        """(V,) each: mean and standard deviation over time of the distance between neighbouring frames."""
        mean, square = self._steps / max(self.frames - 1, 1)
        return mean, np.sqrt(np.maximum(square - mean * mean, 0))

    @property
    def speeds(self) -> tuple[float, float]:
        """Mean distance between neighbouring frames of all vertices and of the lips; NaN for a single frame."""
        everywhere, lips = np.concatenate(self._sums).sum(axis=0)
        return _per_pair(everywhere, lips, self.frames, self._parts)


class Apart:
    """How far a prediction is from the truth."""

    def __init__(self, parts: Parts) -> None:
        self.heat = np.zeros(parts.vertices)
        """(V,): the distances of all frames, added up."""
        self._parts = parts
        self._before = np.empty(0)
        self._sums: list[Array] = []
        self._largest: list[Array] = []

    def add(self, truth: Motion, prediction: Motion) -> None:
        a, b, parts = flat(truth), flat(prediction), self._parts
        if not self._sums:
            self._before = a[0].astype(np.float64) - b[0]
        sums, largest = np.zeros((len(a), 5)), np.zeros(len(a))
        kernels.differences(a, b, self._before, parts.lip_mask, parts.upper_mask, sums, largest, self.heat)
        self._sums.append(sums)
        self._largest.append(largest)

    @property
    def sums(self) -> Array:
        """(T, 5), see `metrics_kernels.differences`."""
        return np.concatenate(self._sums)

    @property
    def lips_squared(self) -> Array:
        """(T,): the largest squared distance over the lips."""
        return np.concatenate(self._largest)

    @property
    def speeds(self) -> tuple[float, float]:
        """Mean distance between the two's displacements since the frame before, of all vertices and of the lips."""
        sums = self.sums
        everywhere, lips = sums[:, [kernels.STEPS, kernels.LIP_STEPS]].sum(axis=0)
        return _per_pair(everywhere, lips, len(sums), self._parts)


class Stills:
    """How far faces (V, 3) that do not move are from the truth."""

    def __init__(self, faces: Mapping[str, ArrayLike], parts: Parts) -> None:
        self._parts = parts
        self._rows = list(faces)
        self._faces = np.array(list(faces.values()), np.float64).reshape(len(faces), 3 * parts.vertices)
        self._sums: list[Array] = []
        self._largest: list[Array] = []

    def add(self, truth: Motion) -> None:
        rows, parts = flat(truth), self._parts
        sums, largest = np.zeros((len(self._rows), len(rows), 3)), np.zeros((len(self._rows), len(rows)))
        kernels.distances_from(rows, self._faces, parts.lip_mask, parts.upper_mask, sums, largest)
        self._sums.append(sums)
        self._largest.append(largest)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __getitem__(self, row: str) -> Still:
        number, parts = self._rows.index(row), self._parts
        face, lips = self._faces[number], Lips(parts)
        lips.add(
            flat(face[None]), np.ptp(face[3 * parts.lips + parts.up], keepdims=True) if parts.has(LIPS) else _NOTHING
        )
        sums, largest = (np.concatenate(blocks, axis=1)[number] for blocks in (self._sums, self._largest))
        return Still(sums, largest, lips)


@dataclass(frozen=True, eq=False)
class Still:
    """One face. sums (T, 3): see `metrics_kernels.distances_from`. lips_squared (T,): the largest squared distance over
    the lips. lips: curves of a single frame."""

    sums: Array
    lips_squared: Array
    lips: Lips


def _per_pair(everywhere: float, lips: float, frames: int, parts: Parts) -> tuple[float, float]:
    """Sums over all pairs of neighbouring frames as means over pairs and vertices."""
    pairs = frames - 1
    return _ratio(everywhere, pairs * parts.vertices), _ratio(lips, pairs * parts.lip_mask.sum())


def _ratio(total: float, count: float) -> float:
    return float(total / count) if count else float("nan")
