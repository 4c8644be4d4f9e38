"""The compiled loops over samples and cells. All are in this file, see `faces.raster.numba_kernels`.

`state` (R, R, R) uint8 says what is known of each sample, in bits. A cell has the place of its lowest corner; it is
*mixed* where one corner is above zero and another is not, as marching cubes see it: only such cells hold triangles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from faces.raster.numba_kernels import EXACT as OPTIONS
from faces.raster.numba_kernels import exact_kernel

SIGNED, EVALUATED, QUEUED, LISTED = (np.uint8(bit) for bit in (1, 2, 4, 8))
"""The sign is known, which then is that of `values`; the value is, too; it will be evaluated next; it is in a list."""
part = njit(**OPTIONS)


@part
def _added(found: Any, count: int, number: int) -> Any:
    """The list with a number more, in twice the memory where it is full."""
    if count == len(found):
        longer = np.empty(2 * count + 64, np.int64)
        longer[:count] = found
        found = longer
    found[count] = number
    return found


@exact_kernel
def claim(state: Any, numbers: Any) -> Any:
    """Those of the samples that are neither evaluated nor queued, each once; queues them."""
    flat, found, count = state.ravel(), np.empty(len(numbers), np.int64), 0
    for number in numbers:
        if flat[number] & (EVALUATED | QUEUED) == 0:
            flat[number] |= QUEUED
            found[count] = number
            count += 1
    return found[:count].copy()


@exact_kernel
def samples_of_blocks(state: Any, starts: Any, size: int) -> Any:
    """Numbers of all samples of blocks of size³ cells that begin at (N, 3) places, each once."""
    last, found, count = state.shape[0] - 1, np.empty(64, np.int64), 0
    for n in range(len(starts)):
        x, y, z = starts[n]
        for i in range(x, min(x + size, last) + 1):
            for j in range(y, min(y + size, last) + 1):
                for k in range(z, min(z + size, last) + 1):
                    if state[i, j, k] & LISTED == 0:
                        state[i, j, k] |= LISTED
                        found = _added(found, count, (i * (last + 1) + j) * (last + 1) + k)
                        count += 1
    found = found[:count].copy()
    flat = state.ravel()
    for number in found:
        flat[number] &= ~LISTED
    return found


@exact_kernel
def infer(values: Any, state: Any, numbers: Any, far: Any) -> Any:
    """Give samples their sign where an evaluated neighbour's value leaves no other; queue and return the rest.

    far (3, 3, 3): how much the field can change on the way to the neighbour at these steps plus one.
    """
    side, found, count = state.shape[0], np.empty(len(numbers), np.int64), 0
    for number in numbers:
        x, y, z = number // (side * side), number // side % side, number % side
        if state[x, y, z] & (EVALUATED | QUEUED):
            continue
        for i in range(max(x - 1, 0), min(x + 2, side)):
            for j in range(max(y - 1, 0), min(y + 2, side)):
                for k in range(max(z - 1, 0), min(z + 2, side)):
                    if state[i, j, k] & EVALUATED and abs(values[i, j, k]) > far[i - x + 1, j - y + 1, k - z + 1]:
                        values[x, y, z] = np.float32(1) if values[i, j, k] > 0 else np.float32(-1)
                        state[x, y, z] |= SIGNED
        if state[x, y, z] & SIGNED == 0:
            state[x, y, z] |= QUEUED
            found[count] = number
            count += 1
    return found[:count].copy()


@part
def _mixed(values: Any, state: Any, x: int, y: int, z: int) -> bool:
    """Whether corners of a cell whose signs are known differ in them."""
    above = below = False
    for i in range(x, x + 2):
        for j in range(y, y + 2):
            for k in range(z, z + 2):
                if state[i, j, k] & SIGNED:
                    if values[i, j, k] > 0:
                        above = True
                    else:
                        below = True
    return above and below


@exact_kernel
def rim(values: Any, state: Any, numbers: Any) -> Any:
    """Queue and return what is not evaluated yet of the mixed cells around these samples."""
    side, found, count = state.shape[0], np.empty(64, np.int64), 0
    for number in numbers:
        x, y, z = number // (side * side), number // side % side, number % side
        for cx in range(max(x - 1, 0), min(x + 1, side - 1)):
            for cy in range(max(y - 1, 0), min(y + 1, side - 1)):
                for cz in range(max(z - 1, 0), min(z + 1, side - 1)):
                    if not _mixed(values, state, cx, cy, cz):
                        continue
                    for i in range(cx, cx + 2):
                        for j in range(cy, cy + 2):
                            for k in range(cz, cz + 2):
                                if state[i, j, k] & (EVALUATED | QUEUED) == 0:
                                    state[i, j, k] |= QUEUED
                                    found = _added(found, count, (i * side + j) * side + k)
                                    count += 1
    return found[:count].copy()


@part
def _evaluated(state: Any, x: int, y: int, z: int) -> bool:
    for i in range(x, x + 2):
        for j in range(y, y + 2):
            for k in range(z, z + 2):
                if state[i, j, k] & EVALUATED == 0:
                    return False
    return True


@exact_kernel
def cut_cells(values: Any, state: Any, mask: Any) -> Any:
    """Numbers of the mixed cells whose corners are all evaluated. mask (R, R, R): True at their *highest* corners,
    which is where scikit-image looks; False elsewhere."""
    side, found, count = state.shape[0], np.empty(64, np.int64), 0
    mask[:] = False
    for x in range(side - 1):
        for y in range(side - 1):
            for z in range(side - 1):
                if state[x, y, z] & EVALUATED and _evaluated(state, x, y, z) and _mixed(values, state, x, y, z):
                    mask[x + 1, y + 1, z + 1] = True
                    found = _added(found, count, (x * side + y) * side + z)
                    count += 1
    return found[:count].copy()


@exact_kernel
def corners_of_cells(state: Any, cells: Any) -> Any:
    """Queue and return the corners of cells that are not evaluated, each once."""
    side, found, count = state.shape[0], np.empty(64, np.int64), 0
    for cell in cells:
        x, y, z = cell // (side * side), cell // side % side, cell % side
        for i in range(x, x + 2):
            for j in range(y, y + 2):
                for k in range(z, z + 2):
                    if state[i, j, k] & (EVALUATED | QUEUED) == 0:
                        state[i, j, k] |= QUEUED
                        found = _added(found, count, (i * side + j) * side + k)
                        count += 1
    return found[:count].copy()


@exact_kernel
def neighbours(state: Any, numbers: Any) -> Any:
    """Queue and return the samples next to these, along an axis, that are neither evaluated nor queued."""
    side, found, count = state.shape[0], np.empty(64, np.int64), 0
    flat = state.ravel()
    for number in numbers:
        step = 1
        for _ in range(3):
            place = number // step % side
            for to in (-1, 1):
                if 0 <= place + to < side and flat[number + to * step] & (EVALUATED | QUEUED) == 0:
                    flat[number + to * step] |= QUEUED
                    found = _added(found, count, number + to * step)
                    count += 1
            step *= side
    return found[:count].copy()
