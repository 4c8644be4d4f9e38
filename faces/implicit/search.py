"""Which samples are evaluated: all, or those of blocks of cells that may hold the surface, from coarse to fine.

Both searches end with the rim's check (`Samples.follow_rim`), so a surface that is met anywhere is found as a whole.
What they can miss are pieces of it that touch nothing found: none with "lipschitz" where the constant holds, those
between the samples of the coarse grid with "signs".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from faces.implicit import kernels
from faces.implicit.grid import Grid, Indices
from faces.implicit.samples import Samples
from faces.implicit.settings import Extraction

Anchors = NDArray[np.floating]
OFFSETS: Indices = np.array(list(np.ndindex(2, 2, 2)))


def search(samples: Samples, settings: Extraction, anchors: Anchors | None = None) -> None:
    """Evaluate what the settings say. anchors: (A, 3), read by "signs" alone."""
    searches: dict[str, Callable[[], None]] = {
        "dense": lambda: everything(samples),
        "lipschitz": lambda: by_distance(samples, settings),
        "signs": lambda: by_sign(samples, settings, anchors),
    }
    searches[settings.search]()


def everything(samples: Samples) -> None:
    """Evaluate all samples. Points of a chunk at a time, so that memory stays that of the samples."""
    for start in range(0, samples.grid.size, samples.chunk):
        samples.want(np.arange(start, min(start + samples.chunk, samples.grid.size)))


def by_distance(samples: Samples, settings: Extraction) -> None:
    """Keep blocks whose value in the middle is at most the constant times half their diagonal, halve, and again.

    A block's middle is a sample itself down to blocks of 2³ cells, so that no evaluation is lost. Samples of the last
    blocks are given their sign by the same bound where a neighbour allows, and evaluated otherwise.
    """
    grid, size = samples.grid, settings.coarsest
    starts = _first_blocks(grid, size)
    while True:
        middles = grid.numbers(np.minimum(starts + size // 2, grid.resolution - 1).T)
        samples.want(middles)
        most = settings.lipschitz * float(np.linalg.norm(size / 2 * grid.spacing))
        starts = starts[np.abs(samples.values.reshape(-1)[middles]) <= most]
        if size == 2:
            break
        starts, size = _halved(grid, starts, size // 2), size // 2
    _fill(samples, settings, kernels.samples_of_blocks(samples.state, starts, size))


def _fill(samples: Samples, settings: Extraction, numbers: Indices) -> None:
    """Know the sign of all these samples, corners of their blocks first, as those tell most of the others."""
    steps = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1) * samples.grid.spacing
    far = (settings.lipschitz * np.linalg.norm(steps, axis=-1)).astype(np.float32)
    odd = sum(place % 2 for place in np.unravel_index(numbers, samples.grid.shape))
    for count in range(4):
        samples.evaluate(kernels.infer(samples.values, samples.state, numbers[odd == count], far))
    samples.follow_rim(numbers)


def by_sign(samples: Samples, settings: Extraction, anchors: Anchors | None = None) -> None:
    """Keep blocks whose corners differ in sign (of the first grid also those around them, and at all times those near
    an anchor; all, where none differs), halve, and again; then walk along the surface from every edge on which the
    sign changes."""
    grid, size = samples.grid, settings.stride
    starts, margin = _first_blocks(grid, size), settings.margin
    while True:
        corners = _corners(grid, starts, size)
        samples.want(corners.ravel())
        above = samples.above(corners)
        mixed = above.any(axis=1) & ~above.all(axis=1)
        if size == 2:
            break
        kept = _widened(grid, starts[mixed], size, margin) if mixed.any() else starts
        kept = np.unique(np.concatenate([kept, starts[_near(grid, starts, size, anchors, settings.reach)]]), axis=0)
        starts, size, margin = _halved(grid, kept, size // 2), size // 2, 0
    middles = _crossed(grid, starts[mixed], above[mixed])
    samples.want(middles)
    samples.follow_rim(np.concatenate([middles, corners[mixed].ravel()]))


def _crossed(grid: Grid, starts: Indices, above: NDArray[np.bool_]) -> Indices:
    """Numbers of the samples in the middle of those edges of blocks of 2³ cells whose ends differ in sign."""
    found = []
    for axis in range(3):
        for low in np.flatnonzero(OFFSETS[:, axis] == 0):
            high = low + (4, 2, 1)[axis]
            places = starts[above[:, low] != above[:, high]] + OFFSETS[low] + OFFSETS[high]
            found.append(grid.numbers(np.minimum(places, grid.resolution - 1).T))
    return np.unique(np.concatenate(found))


def _first_blocks(grid: Grid, size: int) -> Indices:
    """(N, 3) places where blocks of size³ cells begin. Those at the far sides may stand out of the grid."""
    firsts = np.arange(0, grid.resolution - 1, size)
    return np.stack(np.meshgrid(firsts, firsts, firsts, indexing="ij"), axis=-1).reshape(-1, 3)


def _halved(grid: Grid, starts: Indices, size: int) -> Indices:
    """The eight blocks of `size` in each block twice as large, but for those out of the grid."""
    halves = (starts[:, None] + size * OFFSETS).reshape(-1, 3)
    return halves[(halves < grid.resolution - 1).all(axis=1)]


def _corners(grid: Grid, starts: Indices, size: int) -> Indices:
    """(N, 8) numbers of the blocks' corners."""
    places = np.minimum(starts[:, None] + size * OFFSETS, grid.resolution - 1)
    return grid.numbers(np.moveaxis(places, -1, 0))


def _widened(grid: Grid, starts: Indices, size: int, margin: int) -> Indices:
    """The blocks and those up to `margin` blocks away along each axis."""
    if not margin or not len(starts):
        return starts
    side = -(-(grid.resolution - 1) // size)
    kept = np.zeros((side,) * 3, np.bool_)
    kept[tuple((starts // size).T)] = True
    for axis in range(3):
        before = np.moveaxis(kept.copy(), axis, 0)
        after = np.moveaxis(kept, axis, 0)
        for step in range(1, min(margin, side - 1) + 1):
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
    return np.argwhere(kept) * size


def _near(grid: Grid, starts: Indices, size: int, anchors: Anchors | None, reach: float) -> NDArray[np.bool_]:
    """Which blocks are within reach of an anchor."""
    near = np.zeros(len(starts), np.bool_)
    if anchors is None or not reach:
        return near
    low = grid.low + starts * grid.spacing
    for anchor in np.asarray(anchors, np.float64):
        outside = np.maximum(0, np.maximum(low - anchor, anchor - (low + size * grid.spacing)))
        near |= np.linalg.norm(outside, axis=1) <= reach
    return near
