"""Error measures of facial animation, as the published evaluations compute them.

Motion is (T, V, 3) absolute positions, templates are (V, 3), regions are vertex indices; arithmetic is float64
whatever comes in, but for `diversity` and `channel_fdd`, which keep the precision they are given as published.
Functions measure one sequence; `Mean` averages over sequences. Distances are squared only where the name's definition
says so, and every unit is that of the data.

Sources: Xing et al., CodeTalker, CVPR 2023 (LVE, FDD); Stan et al., FaceDiffuser, MIG 2023 (MVE, |FDD|, diversity); Fan
et al., UniTalker, ECCV 2024 (LVD).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Motion = NDArray[np.floating]
Region = NDArray[np.integer]

BLOCK = 256
"""Frames that are in float64 at once: a clip of any length costs little memory."""


@dataclass(frozen=True)
class Definition:
    """What a number means. power: of the data's unit of length. region: the role of the region it looks at, or ""."""

    id: str
    name: str
    formula: str
    power: int
    region: str
    per_frame: bool


LVE = Definition(
    "lve",
    "lip vertex error",
    "per frame the largest squared distance between truth and prediction over the region's vertices; mean over frames",
    power=2,
    region="lips",
    per_frame=True,
)
LVD = Definition(
    "lvd",
    "lip vertex distance",
    "per frame the largest distance (not squared) over the region's vertices; mean over frames",
    power=1,
    region="lips",
    per_frame=True,
)
MVE = Definition(
    "mve",
    "mean vertex error",
    "per frame the mean distance (not squared) over all vertices; mean over frames",
    power=1,
    region="",
    per_frame=True,
)
FDD = Definition(
    "fdd",
    "upper-face dynamics deviation",
    "per sequence the mean over the region's vertices of the standard deviation over time (population) of the squared "
    "distance from the template, truth minus prediction; mean over sequences; positive: the prediction is too still",
    power=2,
    region="upper_face",
    per_frame=False,
)
ABS_FDD = Definition(
    "abs_fdd",
    "absolute upper-face dynamics deviation",
    "per sequence the absolute value of FDD's difference; mean over sequences",
    power=2,
    region="upper_face",
    per_frame=False,
)
OPENING_CORRELATION = Definition(
    "opening_correlation",
    "lip opening correlation",
    "per sequence Pearson's correlation over frames of truth's and prediction's lip opening, the distance between the "
    "means of the upper and of the lower lip's vertices; mean over sequences in which both move",
    power=0,
    region="opening",
    per_frame=False,
)
DEFINITIONS = {item.id: item for item in (LVE, LVD, MVE, FDD, ABS_FDD, OPENING_CORRELATION)}


def lve_per_frame(truth: Motion, prediction: Motion, lips: Region) -> Array:
    """(T,): the largest squared distance over the lips of each frame."""
    return _per_frame(truth, prediction, lambda a, b: _squared(a[:, lips] - b[:, lips]).max(axis=1))


def mve_per_frame(truth: Motion, prediction: Motion) -> Array:
    """(T,): the mean distance over all vertices of each frame."""
    return _per_frame(truth, prediction, lambda a, b: np.sqrt(_squared(a - b)).mean(axis=1))


def dynamics(motion: Motion, template: ArrayLike, region: Region) -> float:
    """Mean over the region of the standard deviation over time of the squared distance from the template."""
    neutral = np.asarray(template, dtype=np.float64)[region]
    displacement = np.concatenate([_squared(block[:, region] - neutral) for block in _blocks(motion)])
    return float(displacement.std(axis=0).mean())


def fdd(truth: Motion, prediction: Motion, template: ArrayLike, upper_face: Region) -> float:
    """One sequence's signed dynamics deviation: truth minus prediction."""
    _check_lengths(truth, prediction)
    return dynamics(truth, template, upper_face) - dynamics(prediction, template, upper_face)


def opening(motion: Motion, upper_lip: Region, lower_lip: Region) -> Array:
    """(T,): how far the mean of the upper lip's vertices is from the mean of the lower lip's."""
    upper, lower = (motion[:, lip].astype(np.float64).mean(axis=1) for lip in (upper_lip, lower_lip))
    return np.sqrt(_squared(upper - lower))


def correlation(a: Array, b: Array) -> float:
    """Pearson's r; NaN where either does not change (by more than rounding)."""
    if any(np.ptp(series) <= 1e-9 * np.abs(series).max() for series in (a, b)):
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def diversity(predictions: Sequence[Motion]) -> float:
    """Mean over all pairs of one sequence's predictions of their mean vertex distance. NaN for fewer than two.

    A pair's distance is in the precision the two come in, as the published numbers were made: predictions are float32
    and are compared with each other alone. The mean over pairs is in float64. Lengths must agree.
    """
    pairs = [_mean_distance(a, b) for a, b in itertools.combinations(predictions, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def _mean_distance(a: Motion, b: Motion) -> float:
    """Mean over frames of the mean over vertices of the distance, in the precision of what comes in."""
    _check_lengths(a, b)
    return float(np.mean([np.mean(np.linalg.norm(x - y, axis=1)) for x, y in zip(a, b, strict=True)]))


def channel_error(truth: Motion, prediction: Motion) -> float:
    """Blendshapes, (T, C) each: mean over frames of the length of the difference (FaceDiffuser's MVE and LVE)."""
    _check_lengths(truth, prediction)
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


def region_digest(region: Region) -> str:
    """Tells regions apart: the first 12 digits of the SHA-256 of their indices, one per line."""
    text = "".join(f"{int(index)}\n" for index in region)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Mean:
    """A mean over sequences.

    average: "frames" pools all frames, so that a longer sequence weighs more (CodeTalker, FaceDiffuser); "sequences"
    averages each sequence first (UniTalker). Values that are NaN are left out; `value` is NaN where none is left.
    """

    average: str = "frames"
    sum: float = field(default=0.0, init=False)
    weight: float = field(default=0.0, init=False)

    def add(self, value: float, frames: int) -> None:
        """One sequence's mean over its frames, and how many those are."""
        if not np.isnan(value):
            share = frames if self.average == "frames" else 1
            self.sum += value * share
            self.weight += share

    @property
    def value(self) -> float:
        return self.sum / self.weight if self.weight else float("nan")


def _squared(difference: Array) -> Array:
    """(…, 3) → (…): squared length."""
    length: Array = np.einsum("...i,...i->...", difference, difference)
    return length


def _blocks(motion: Motion) -> Iterator[Array]:
    return (motion[i : i + BLOCK].astype(np.float64) for i in range(0, len(motion), BLOCK))


def _per_frame(truth: Motion, prediction: Motion, measure: Callable[[Array, Array], Array]) -> Array:
    _check_lengths(truth, prediction)
    starts = range(0, len(truth), BLOCK)
    blocks = [(truth[i : i + BLOCK], prediction[i : i + BLOCK]) for i in starts]
    return np.concatenate([measure(a.astype(np.float64), b.astype(np.float64)) for a, b in blocks])


def _check_lengths(truth: Motion, prediction: Motion) -> None:
    if truth.shape != prediction.shape or len(truth) == 0:
        raise ValueError(f"shapes {truth.shape} and {prediction.shape} differ or are empty; see to_shorter")
