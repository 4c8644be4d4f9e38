"""How much there is to learn of each vertex's surroundings: lips and lids are small, and are what one looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.kinds.sequences import Sequences

FRONT = 2.0
"""Of the half of the head that looks ahead."""
FACTORS = {"mouth": 12.0, "lids": 12.0, "lips": 30.0}
"""Region → how many times as many points its vertices are given, where the data have it."""


def interest(data: Sequences, template: NDArray[np.floating]) -> NDArray[np.float64]:
    """(V,) factors of 1 and above."""
    middle = (template[:, 2].min() + template[:, 2].max()) / 2
    found = np.where(template[:, 2] > middle, FRONT, 1.0)
    for name, factor in FACTORS.items():
        region = data.region(name)
        if region is not None:
            found[region] = np.maximum(found[region], factor)
    return found
