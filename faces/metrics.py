"""Error measures of facial animation, as the published evaluations compute them, of one sequence that is in memory.

Motion is (T, V, 3) absolute positions, templates are (V, 3), regions are vertex indices; arithmetic is float64
whatever comes in, but for `diversity` and `channel_fdd`, which keep the precision they are given as published.
Distances are squared only where the name's definition says so, and every unit is that of the data. The definitions,
with what is averaged and how, stand in `metrics_definitions`; `metrics_stream` does the same for what is on disk.

Sources: Xing et al., CodeTalker, CVPR 2023 (LVE, FDD); Stan et al., FaceDiffuser, MIG 2023 (MVE, |FDD|, diversity).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faces import metrics_kernels as kernels
from faces.lips import check_lengths, correlation, lve_per_frame, opening
from faces.metrics_definitions import FRAMES
from faces.metrics_parts import Parts
from faces.metrics_stream import Apart, Moving, flat

__all__ = [
    "Mean", "channel_error", "channel_fdd", "correlation", "diversity", "dynamics", "fdd", "lve_per_frame",
    "mve_per_frame", "opening", "to_shorter",
]  # fmt: skip

Array = NDArray[np.float64]
Motion = NDArray[np.floating]
Region = NDArray[np.integer]


def mve_per_frame(truth: Motion, prediction: Motion) -> Array:
    """(T,): the mean distance over all vertices of each frame."""
    check_lengths(truth, prediction)
    apart = Apart(Parts(truth.shape[1]))
    apart.add(truth, prediction)
    return apart.sums[:, kernels.ALL] / truth.shape[1]


def dynamics(motion: Motion, template: ArrayLike, region: Region) -> float:
    """Mean over the region of the standard deviation over time of the squared distance from the template."""
    moving = Moving(template, Parts(motion.shape[1], upper_face=np.asarray(region, np.int64)))
    moving.add(motion)
    return moving.dynamics


def fdd(truth: Motion, prediction: Motion, template: ArrayLike, upper_face: Region) -> float:
    """One sequence's signed dynamics deviation: truth minus prediction."""
    check_lengths(truth, prediction)
    return dynamics(truth, template, upper_face) - dynamics(prediction, template, upper_face)


def diversity(predictions: Sequence[Motion]) -> float:
    """Mean over all pairs of one sequence's predictions of their mean vertex distance. NaN for fewer than two.

    A pair's distance is in the precision the two come in, as the published numbers were made: predictions are float32
    and are compared with each other alone. The mean over pairs is in float64. Lengths must agree.
    """
    pairs = [_mean_distance(a, b) for a, b in itertools.combinations(predictions, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def _mean_distance(a: Motion, b: Motion) -> float:
    """Mean over frames of the mean over vertices of the distance, in the precision of what comes in."""
    check_lengths(a, b)
    distances = np.empty(a.shape[1], np.result_type(a, b))
    found = []
    for x, y in zip(flat(a), flat(b), strict=True):
        kernels.plain_distances(x, y, distances)
        found.append(distances.mean())
    return float(np.mean(found))


def channel_error(truth: Motion, prediction: Motion) -> float:
    """Blendshapes, (T, C) each: mean over frames of the length of the difference (FaceDiffuser's MVE and LVE)."""
    check_lengths(truth, prediction)
    return float(np.linalg.norm(truth.astype(np.float64) - prediction.astype(np.float64), axis=1).mean())


def channel_fdd(truth: Motion, prediction: Motion) -> float:
    """Blendshapes, (T, C) each: deviation over time of the sum of squared channels, truth minus prediction.

    Each in the precision it comes in, as in `diversity`: the published numbers were made so.
    """
    spreads = [np.square(motion).sum(axis=1).std() for motion in (truth, prediction)]
    return float(spreads[0] - spreads[1])


def to_shorter(truth: Motion, prediction: Motion) -> tuple[Motion, Motion]:
    """Both cut to the shorter, as FaceDiffuser does; CodeTalker's evaluation stops where the prediction is shorter."""
    frames = min(len(truth), len(prediction))
    return truth[:frames], prediction[:frames]


@dataclass
class Mean:
    """A mean over sequences.

    average: "frames" pools all frames, so that a longer sequence weighs more (CodeTalker, FaceDiffuser); "sequences"
    averages each sequence first (UniTalker). Values that are NaN are left out; `value` is NaN where none is left.
    """

    average: str = FRAMES
    sum: float = field(default=0.0, init=False)
    weight: float = field(default=0.0, init=False)

    def add(self, value: float, frames: int) -> None:
        """One sequence's mean over its frames, and how many those are."""
        if not np.isnan(value):
            share = frames if self.average == FRAMES else 1
            self.sum += value * share
            self.weight += share

    @property
    def value(self) -> float:
        return self.sum / self.weight if self.weight else float("nan")
