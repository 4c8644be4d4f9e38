"""What happens at each vertex, summed over sequences: where errors are, and how truth and prediction move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from faces.metrics_stream import Apart, Moving

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surface:
    """(V,) each, of one sequence or the mean over several, which weigh the same.

    error: mean over time of the distance between truth and prediction. deviation: the standard deviation over time of
    the squared distance from the template, FDD's. step, step_deviation: mean and standard deviation over time of the
    distance between neighbouring frames; of truth and prediction.
    """

    error: Array
    truth_deviation: Array
    deviation: Array
    truth_step: Array
    step: Array
    truth_step_deviation: Array
    step_deviation: Array

    @classmethod
    def mean(cls, several: Sequence[Surface]) -> Surface:
        """Of one sequence's counted predictions."""
        return several[0] if len(several) == 1 else mean_surface(several)


def surface_of(truth: Moving, prediction: Moving, apart: Apart) -> Surface:
    """One sequence in one prediction."""
    (true_step, true_spread), (step, spread) = truth.steps, prediction.steps
    deviations = truth.deviation, prediction.deviation
    return Surface(apart.heat / truth.frames, *deviations, true_step, step, true_spread, spread)


def mean_surface(surfaces: Iterable[Surface]) -> Surface:
    """The mean over sequences, one of which is in memory at a time."""
    names = [field.name for field in fields(Surface)]
    totals: list[Array] = []
    count = 0
    for count, surface in enumerate(surfaces, 1):  # noqa: B007
        arrays = [getattr(surface, name) for name in names]
        totals = [total + array for total, array in zip(totals, arrays, strict=True)] if totals else arrays
    return Surface(*(total / np.float64(count) for total in totals))
