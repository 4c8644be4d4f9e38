"""The compiled loops of the metrics: one pass over float32 motion, all arithmetic and all sums in float64.

Motion is (T, 3 V), x y z of each vertex in turn. Loops go over tiles of vertices, within a tile over frames, so that
what is summed per vertex stays in the processor's nearest cache, and each inner loop is one that compiles to vector
instructions. They hold no lock, so threads overlap. NaN and infinity pass through all sums.
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
"""Vertices of a tile: its scratch and sums are about 20 kB."""
ALL, LIPS, UPPER, STEPS, LIP_STEPS = range(5)
"""Columns of `differences`' sums: distance over all, lips and upper face; velocity over all and lips."""
part = njit(**OPTIONS)


@part
def _split(truth: Any, prediction: Any, before: Any, squares: Any, changes: Any) -> None:
    """Squared difference, and squared change of it since the frame before, of each coordinate."""
    for i in range(truth.shape[0]):
        now = np.float64(truth[i]) - np.float64(prediction[i])
        change = now - before[i]
        squares[i], changes[i], before[i] = now * now, change * change, now


@part
def _add_differences(squares: Any, changes: Any, heat: Any, lips: Any, upper: Any) -> Any:
    everywhere = over_lips = over_upper = steps = lip_steps = 0.0
    for v in range(heat.shape[0]):
        distance = np.sqrt(squares[3 * v] + squares[3 * v + 1] + squares[3 * v + 2])
        step = np.sqrt(changes[3 * v] + changes[3 * v + 1] + changes[3 * v + 2])
        heat[v] += distance
        everywhere += distance
        over_lips += lips[v] * distance
        over_upper += upper[v] * distance
        steps += step
        lip_steps += lips[v] * step
    return everywhere, over_lips, over_upper, steps, lip_steps


@kernel
def differences(
    truth: Motion, prediction: Motion, before: Floats, lips: Floats, upper: Floats, sums: Floats, heat: Floats
) -> None:
    """Add up distances between two motions.

    before (3 V): the difference in the frame before, replaced by that in the last. lips, upper (V,): 1 inside, 0
    outside. sums (T, 5): per frame. heat (V,): per vertex, distances of all frames are added.
    """
    frames, count = truth.shape[0], truth.shape[1] // 3
    squares, changes = np.empty(3 * TILE), np.empty(3 * TILE)
    for a in range(0, count, TILE):
        b = min(count, a + TILE)
        for t in range(frames):
            _split(truth[t, 3 * a : 3 * b], prediction[t, 3 * a : 3 * b], before[3 * a : 3 * b], squares, changes)
            found = _add_differences(squares, changes, heat[a:b], lips[a:b], upper[a:b])
            for column in range(5):
                sums[t, column] += found[column]


@part
def _square(motion: Any, face: Any, squares: Any) -> None:
    for i in range(motion.shape[0]):
        offset = np.float64(motion[i]) - face[i]
        squares[i] = offset * offset


@part
def _add_distances(squares: Any, lips: Any, upper: Any) -> Any:
    everywhere = over_lips = over_upper = 0.0
    for v in range(lips.shape[0]):
        distance = np.sqrt(squares[3 * v] + squares[3 * v + 1] + squares[3 * v + 2])
        everywhere += distance
        over_lips += lips[v] * distance
        over_upper += upper[v] * distance
    return everywhere, over_lips, over_upper


@kernel
def distances_from(motion: Motion, face: Floats, lips: Floats, upper: Floats, sums: Floats) -> None:
    """sums (T, 3): distances of each frame from one still face (3 V), over all vertices, lips and upper face."""
    count = motion.shape[1] // 3
    squares = np.empty(3 * TILE)
    for t in range(motion.shape[0]):
        for a in range(0, count, TILE):
            b = min(count, a + TILE)
            _square(motion[t, 3 * a : 3 * b], face[3 * a : 3 * b], squares)
            found = _add_distances(squares, lips[a:b], upper[a:b])
            for column in range(3):
                sums[t, column] += found[column]


@part
def _offsets(motion: Any, before: Any, face: Any, squares: Any, changes: Any) -> None:
    for i in range(motion.shape[0]):
        offset, change = np.float64(motion[i]) - face[i], np.float64(motion[i]) - before[i]
        squares[i], changes[i], before[i] = offset * offset, change * change, np.float64(motion[i])


@part
def _add_moments(
    squares: Any, changes: Any, first: Any, sum_: Any, sum_2: Any, step_: Any, step_2: Any, lips: Any
) -> Any:
    everywhere = over_lips = 0.0
    for v in range(first.shape[0]):
        square = squares[3 * v] + squares[3 * v + 1] + squares[3 * v + 2] - first[v]
        sum_[v] += square
        sum_2[v] += square * square
        change = changes[3 * v] + changes[3 * v + 1] + changes[3 * v + 2]
        step = np.sqrt(change)
        step_[v] += step
        step_2[v] += change
        everywhere += step
        over_lips += lips[v] * step
    return everywhere, over_lips


@kernel
def moments(
    motion: Motion, before: Floats, face: Floats, first: Floats, lips: Floats,
    offset: Floats, steps: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Add up how one motion moves.

    before (3 V): the frame before, replaced by the last. face (3 V): the template. first (V,): a squared distance from
    it that is taken off all others, so that their variance is not the small difference of large numbers. offset
    (2, V): sums of squared distances from the template, and of their squares. steps (2, V): sums of distances between
    neighbouring frames, and of their squares. sums (T, 2): those distances per frame, over all vertices and lips.
    """
    frames, count = motion.shape[0], motion.shape[1] // 3
    squares, changes = np.empty(3 * TILE), np.empty(3 * TILE)
    for a in range(0, count, TILE):
        b = min(count, a + TILE)
        for t in range(frames):
            _offsets(motion[t, 3 * a : 3 * b], before[3 * a : 3 * b], face[3 * a : 3 * b], squares, changes)
            found = _add_moments(
                squares, changes, first[a:b], offset[0, a:b], offset[1, a:b], steps[0, a:b], steps[1, a:b], lips[a:b]
            )
            sums[t, 0] += found[0]
            sums[t, 1] += found[1]


@kernel
def largest_squares(truth: Motion, prediction: Motion, step: int, region: Indices, out: Floats) -> None:
    """out (T,): the largest squared distance over a region. step: 1, or 0 where the prediction is one still frame."""
    for t in range(truth.shape[0]):
        largest = 0.0
        for k in range(region.shape[0]):
            i = 3 * region[k]
            x = np.float64(truth[t, i]) - np.float64(prediction[t * step, i])
            y = np.float64(truth[t, i + 1]) - np.float64(prediction[t * step, i + 1])
            z = np.float64(truth[t, i + 2]) - np.float64(prediction[t * step, i + 2])
            square = x * x + y * y + z * z
            largest = max(largest, square)
            if np.isnan(square):
                largest = square
                break
        out[t] = largest


@kernel
def extents(motion: Motion, region: Indices, axis: int, out: Floats) -> None:
    """out (T,): the largest minus the smallest coordinate of a region along an axis."""
    for t in range(motion.shape[0]):
        low, high = np.inf, -np.inf
        for k in range(region.shape[0]):
            value = np.float64(motion[t, 3 * region[k] + axis])
            low, high = min(low, value), max(high, value)
            if np.isnan(value):
                low = high = value
                break
        out[t] = high - low


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
