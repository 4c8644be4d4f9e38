"""The compiled loops of the metrics: one pass over float32 motion, all arithmetic and all sums in float64.

Motion is (T, 3 V), x y z of each vertex in turn. Loops go over tiles of vertices, within a tile over frames. All that a
tile needs stands in one scratch array, a row of TILE numbers for each quantity at a place known when compiling, x, y
and z apart: only then does the compiler see that rows do not overlap, and makes vector instructions of the inner loops.
They hold no lock, so threads overlap. NaN and infinity pass through all sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from faces.raster.numba_kernels import OPTIONS, kernel

Floats = NDArray[np.float64]
Motion = NDArray[np.floating]
Indices = NDArray[np.int64]

TILE = 256
"""Vertices of a tile: its scratch is at most 34 kB."""
ALL, LIPS, UPPER, STEPS, LIP_STEPS = range(5)
"""Columns of `differences`' sums: distance over all, lips and upper face; velocity over all and lips."""
part = njit(**OPTIONS)

# Where rows of the scratch begin. A vector takes three, x y z.
_HERE, _THERE, _BEFORE = 0, 3 * TILE, 6 * TILE
_Y, _Z = TILE, 2 * TILE
_ON_LIPS, _ON_UPPER, _HEAT, _FIRST = (row * TILE for row in range(9, 13))
_OFFSET, _STEPS = 13 * TILE, 15 * TILE  # two rows each
_SQUARE, _INSIDE = 17 * TILE, 18 * TILE
_SCRATCH = 19 * TILE


@part
def _split(row: Any, scratch: Any, at: int, count: int) -> None:
    for v in range(count):
        scratch[at + v] = row[3 * v]
        scratch[at + _Y + v] = row[3 * v + 1]
        scratch[at + _Z + v] = row[3 * v + 2]


@part
def _join(scratch: Any, at: int, row: Any, count: int) -> None:
    for v in range(count):
        row[3 * v] = scratch[at + v]
        row[3 * v + 1] = scratch[at + _Y + v]
        row[3 * v + 2] = scratch[at + _Z + v]


@part
def _take(row: Any, scratch: Any, at: int, count: int) -> None:
    for v in range(count):
        scratch[at + v] = row[v]


@part
def _give(scratch: Any, at: int, row: Any, count: int) -> None:
    for v in range(count):
        row[v] = scratch[at + v]


@part
def _mark(lips: Any, scratch: Any, bits: Any, count: int) -> None:
    """The lips as a factor, and as a mask of bits."""
    for v in range(count):
        scratch[_ON_LIPS + v] = lips[v]
    for v in range(count):
        bits[_INSIDE + v] = -1 if lips[v] > 0 else 0


@part
def _largest(bits: Any, count: int) -> Any:
    """Bits of the largest square on the lips. Numbers that are not negative are ordered as their bits are, with NaN
    above all; so taken, their maximum compiles to vector instructions and loses no NaN."""
    most = np.int64(0)
    for v in range(count):
        most = max(most, bits[_SQUARE + v] & bits[_INSIDE + v])
    return most


@part
def _compare(scratch: Any, count: int) -> Any:
    """Distances of here from there, and how much the difference has changed since before."""
    everywhere = over_lips = over_upper = steps = lip_steps = 0.0
    for v in range(count):
        x = scratch[_HERE + v] - scratch[_THERE + v]
        y = scratch[_HERE + _Y + v] - scratch[_THERE + _Y + v]
        z = scratch[_HERE + _Z + v] - scratch[_THERE + _Z + v]
        dx, dy, dz = x - scratch[_BEFORE + v], y - scratch[_BEFORE + _Y + v], z - scratch[_BEFORE + _Z + v]
        scratch[_BEFORE + v], scratch[_BEFORE + _Y + v], scratch[_BEFORE + _Z + v] = x, y, z
        square = x * x + y * y + z * z
        distance = np.sqrt(square)
        step = np.sqrt(dx * dx + dy * dy + dz * dz)
        scratch[_SQUARE + v] = square
        scratch[_HEAT + v] += distance
        everywhere += distance
        over_lips += scratch[_ON_LIPS + v] * distance
        over_upper += scratch[_ON_UPPER + v] * distance
        steps += step
        lip_steps += scratch[_ON_LIPS + v] * step
    return everywhere, over_lips, over_upper, steps, lip_steps


@kernel
def differences(
    truth: Motion, prediction: Motion, before: Floats, lips: Floats, upper: Floats,
    sums: Floats, largest: Floats, heat: Floats,
) -> None:  # fmt: skip
    """Add up distances between two motions.

    before (3 V): the difference in the frame before, replaced by that in the last. lips, upper (V,): 1 inside, 0
    outside. sums (T, 5): per frame. largest (T,): zeros, replaced by the largest squared distance over the lips.
    heat (V,): per vertex, distances of all frames are added.
    """
    scratch = np.empty(_SCRATCH)
    bits, most = scratch.view(np.int64), largest.view(np.int64)
    for a in range(0, heat.shape[0], TILE):
        b = min(heat.shape[0], a + TILE)
        _split(before[3 * a : 3 * b], scratch, _BEFORE, b - a)
        _mark(lips[a:b], scratch, bits, b - a)
        _take(upper[a:b], scratch, _ON_UPPER, b - a)
        _take(heat[a:b], scratch, _HEAT, b - a)
        for t in range(truth.shape[0]):
            _split(truth[t, 3 * a : 3 * b], scratch, _HERE, b - a)
            _split(prediction[t, 3 * a : 3 * b], scratch, _THERE, b - a)
            found = _compare(scratch, b - a)
            for column in range(5):
                sums[t, column] += found[column]
            most[t] = max(most[t], _largest(bits, b - a))
        _join(scratch, _BEFORE, before[3 * a : 3 * b], b - a)
        _give(scratch, _HEAT, heat[a:b], b - a)


@part
def _keep_away(scratch: Any, there: Any, count: int) -> Any:
    """Distances of here from there."""
    everywhere = over_lips = over_upper = 0.0
    for v in range(count):
        x = scratch[_HERE + v] - there[v]
        y = scratch[_HERE + _Y + v] - there[_Y + v]
        z = scratch[_HERE + _Z + v] - there[_Z + v]
        square = x * x + y * y + z * z
        distance = np.sqrt(square)
        scratch[_SQUARE + v] = square
        everywhere += distance
        over_lips += scratch[_ON_LIPS + v] * distance
        over_upper += scratch[_ON_UPPER + v] * distance
    return everywhere, over_lips, over_upper


@kernel
def distances_from(motion: Motion, faces: Floats, lips: Floats, upper: Floats, sums: Floats, largest: Floats) -> None:
    """Add up the distances of one motion from each of F faces (F, 3 V) that stand still.

    sums (F, T, 3): per frame, over all vertices, lips and upper face. largest (F, T): as in `differences`.
    """
    scratch, there = np.empty(_SCRATCH), np.empty((faces.shape[0], 3 * TILE))
    bits, most = scratch.view(np.int64), largest.view(np.int64)
    for a in range(0, lips.shape[0], TILE):
        b = min(lips.shape[0], a + TILE)
        for f in range(faces.shape[0]):
            _split(faces[f, 3 * a : 3 * b], there[f], 0, b - a)
        _mark(lips[a:b], scratch, bits, b - a)
        _take(upper[a:b], scratch, _ON_UPPER, b - a)
        for t in range(motion.shape[0]):
            _split(motion[t, 3 * a : 3 * b], scratch, _HERE, b - a)
            for f in range(faces.shape[0]):
                found = _keep_away(scratch, there[f], b - a)
                for column in range(3):
                    sums[f, t, column] += found[column]
                most[f, t] = max(most[f, t], _largest(bits, b - a))


@part
def _follow(scratch: Any, count: int) -> Any:
    """How far here is from there, the template, and how far it has moved since before."""
    everywhere = over_lips = 0.0
    for v in range(count):
        x, y, z = scratch[_HERE + v], scratch[_HERE + _Y + v], scratch[_HERE + _Z + v]
        dx, dy, dz = x - scratch[_BEFORE + v], y - scratch[_BEFORE + _Y + v], z - scratch[_BEFORE + _Z + v]
        scratch[_BEFORE + v], scratch[_BEFORE + _Y + v], scratch[_BEFORE + _Z + v] = x, y, z
        x, y, z = x - scratch[_THERE + v], y - scratch[_THERE + _Y + v], z - scratch[_THERE + _Z + v]
        square = x * x + y * y + z * z - scratch[_FIRST + v]
        change = dx * dx + dy * dy + dz * dz
        step = np.sqrt(change)
        scratch[_OFFSET + v] += square
        scratch[_OFFSET + TILE + v] += square * square
        scratch[_STEPS + v] += step
        scratch[_STEPS + TILE + v] += change
        everywhere += step
        over_lips += scratch[_ON_LIPS + v] * step
    return everywhere, over_lips


@part
def _reach(scratch: Any, axis: int, here: Any, extent: Any) -> None:
    """Widen an extent (low, high, 0 or NaN) by the coordinates of some vertices of the tile."""
    for k in range(here.shape[0]):
        value = scratch[_HERE + axis * TILE + here[k]]
        extent[0], extent[1] = min(extent[0], value), max(extent[1], value)
        extent[2] += 0 * value


@kernel
def moments(
    motion: Motion, before: Floats, face: Floats, first: Floats, lips: Floats, lip: Indices, axis: int,
    offset: Floats, steps: Floats, sums: Floats, extents: Floats,
) -> None:  # fmt: skip
    """Add up how one motion moves.

    before (3 V): the frame before, replaced by the last. face (3 V): the template. first (V,): a squared distance from
    it that is taken off all others, so that their variance is not the small difference of large numbers. lips (V,): 1
    inside, 0 outside; lip: the numbers of those inside, rising. axis: the vertical one. offset (2, V): sums of squared
    distances from the template, and of their squares. steps (2, V): sums of distances between neighbouring frames, and
    of their squares. sums (T, 2): those distances per frame, over all vertices and lips. extents (T, 3): infinity,
    minus infinity, 0; replaced by least and largest coordinate of the lips, and NaN where one is NaN.
    """
    scratch = np.empty(_SCRATCH)
    place = np.empty(TILE, np.int64)
    nearest = 0
    for a in range(0, lips.shape[0], TILE):
        b = min(lips.shape[0], a + TILE)
        _split(before[3 * a : 3 * b], scratch, _BEFORE, b - a)
        _split(face[3 * a : 3 * b], scratch, _THERE, b - a)
        _take(first[a:b], scratch, _FIRST, b - a)
        _take(lips[a:b], scratch, _ON_LIPS, b - a)
        for k in range(2):
            _take(offset[k, a:b], scratch, _OFFSET + k * TILE, b - a)
            _take(steps[k, a:b], scratch, _STEPS + k * TILE, b - a)
        found_lips = 0
        while nearest < lip.shape[0] and lip[nearest] < b:
            place[found_lips] = lip[nearest] - a
            found_lips, nearest = found_lips + 1, nearest + 1
        for t in range(motion.shape[0]):
            _split(motion[t, 3 * a : 3 * b], scratch, _HERE, b - a)
            _reach(scratch, axis, place[:found_lips], extents[t])
            found = _follow(scratch, b - a)
            sums[t, 0] += found[0]
            sums[t, 1] += found[1]
        _join(scratch, _BEFORE, before[3 * a : 3 * b], b - a)
        for k in range(2):
            _give(scratch, _OFFSET + k * TILE, offset[k, a:b], b - a)
            _give(scratch, _STEPS + k * TILE, steps[k, a:b], b - a)


@kernel
def add_frames(motion: Motion, total: Floats) -> None:
    """total (3 V): all frames are added to it."""
    for a in range(0, motion.shape[1], 12 * TILE):
        b = min(motion.shape[1], a + 12 * TILE)
        for t in range(motion.shape[0]):
            _add(motion[t, a:b], total[a:b])


@part
def _add(row: Any, total: Any) -> None:
    for i in range(row.shape[0]):
        total[i] += np.float64(row[i])


@njit(nogil=True, cache=True, error_model="numpy")
def plain_distances(a: Motion, b: Motion, out: Motion) -> None:
    """out (V,): distances between the vertices of two frames (3 V), in `out`'s precision, rounded as NumPy rounds."""
    for v in range(out.shape[0]):
        x, y, z = a[3 * v] - b[3 * v], a[3 * v + 1] - b[3 * v + 1], a[3 * v + 2] - b[3 * v + 2]
        out[v] = np.sqrt(x * x + y * y + z * z)
