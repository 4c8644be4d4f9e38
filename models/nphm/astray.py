"""Points that lost their way: followed alone, one of a lip may end on the other, and stay there.

What is behind an opening has several places at rest, so that a solver may be right of every equation and wrong of the
face. Skin moves with what it hangs on, so that a point whose way differs from all its neighbours' is astray.

Shapes: N points, K neighbours at most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Bounds(NamedTuple):
    """A point is astray where its way differs by more than `least`, in the model's units, from its neighbours' median,
    and by more than `spread` times what neighbours usually differ by."""

    least: float = 0.005
    spread: float = 3.0


def neighbours(faces: NDArray[np.integer], count: int, chosen: NDArray[np.integer], reach: int = 2) -> Tensor:
    """(N, K) int64: of every chosen vertex those chosen ones within so many edges, as numbers among the chosen; −1
    where there are fewer. count: vertices of the mesh."""
    from scipy.sparse import csr_array

    a, b, c = np.asarray(faces, np.int64).T
    rows, columns = np.concatenate([a, b, b, c, c, a]), np.concatenate([b, a, c, b, a, c])
    linked = csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(count, count))
    found = linked
    for _ in range(reach - 1):
        found = found @ linked + linked
    found = csr_array(found[chosen][:, chosen])
    parts = np.split(found.indices, found.indptr[1:-1])
    others = [np.sort(part[part != i]) for i, part in enumerate(parts)]
    table = np.full((len(chosen), max((len(part) for part in others), default=0)), -1, np.int64)
    for row, part in zip(table, others, strict=True):
        row[: len(part)] = part
    return torch.from_numpy(table)


def expected(moved: Tensor, around: Tensor) -> tuple[Tensor, Tensor]:
    """Of ways (N, 3): the median of the neighbours' ways (N, 3), and the median distance of these from it (N,). NaN
    of a point without neighbours, which is never astray."""
    theirs = torch.where((around >= 0)[..., None], moved[around.clamp(min=0)], torch.nan)
    middle = theirs.nanmedian(1).values
    return middle, (theirs - middle[:, None]).norm(dim=2).nanmedian(1).values


def astray(moved: Tensor, middle: Tensor, spread: Tensor, bounds: Bounds) -> Tensor:
    """(N,) bool"""
    return (moved - middle).norm(dim=1) > (bounds.spread * spread).clamp(min=bounds.least)


def led_back(
    ways: NDArray[np.float64],
    seek: Callable[[NDArray[np.integer], NDArray[np.float64]], NDArray[np.float64]],
    around: Tensor,
    bounds: Bounds,
    searches: int = 3,
) -> NDArray[np.float64]:
    """Ways (N, 3) of which nobody's is astray: who is, is sought from where its neighbours expect it (`seek`, of some
    points and the ways to begin at), and who goes astray again stays with them."""
    found = torch.from_numpy(ways.copy())
    for _ in range(searches):
        middle, spread = expected(found, around)
        lost = astray(found, middle, spread, bounds)
        if not bool(lost.any()):
            break
        middle, spread = middle[lost], spread[lost]
        sought = torch.from_numpy(seek(lost.nonzero()[:, 0].numpy(), middle.numpy()))
        found[lost] = torch.where(astray(sought, middle, spread, bounds)[:, None], middle, sought)
    return found.numpy()
