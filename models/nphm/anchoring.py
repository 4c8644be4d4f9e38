"""Where the anchors of a small head model stand: vertices of a mean head, in mirrored pairs and along the middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIDDLE = 0.05
"""What counts as the middle: this share of the head's width to either side."""


def anchor_vertices(
    vertices: NDArray[np.floating], allowed: NDArray[np.bool_], interest: NDArray[np.floating], pairs: int, single: int
) -> NDArray[np.int64]:
    """Numbers (2·pairs + single,) of vertices that lie far from each other, in the order of the networks' slots.

    vertices: (V, 3) of a head that is as good as symmetric in x. allowed: (V,) which may be chosen. interest: (V,) how
    much nearer to each other anchors may stand there. Pairs are (negative x, positive x), the mirrored one being the
    nearest allowed vertex.
    """
    places = np.flatnonzero(allowed)
    x, width = vertices[places, 0], float(np.ptp(vertices[places, 0]))
    side, middle = places[x < -MIDDLE * width], places[np.abs(x) < MIDDLE * width]
    apart, paired, alone = np.full(len(vertices), width), list[int](), list[int]()

    def take(candidates: NDArray[np.int64]) -> int:
        chosen = int(candidates[np.argmax(apart[candidates] * interest[candidates])])
        np.minimum(apart, np.linalg.norm(vertices - vertices[chosen], axis=1), out=apart)
        return chosen

    for turn in range(max(pairs, single)):
        if turn < single:
            alone.append(take(middle))
        if turn < pairs:
            chosen = take(side)
            mirrored = np.linalg.norm(vertices[places] - vertices[chosen] * [-1, 1, 1], axis=1)
            paired += [chosen, take(places[[int(np.argmin(mirrored))]])]
    return np.array([*paired, *alone], np.int64)
