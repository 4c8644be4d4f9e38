"""Measures predictions and baselines against the truth, one sequence in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces import metrics
from faces.errors import DataError
from faces.metrics import BLOCK, Mean
from stages.kinds.predictions import Item, Predictions
from stages.kinds.sequences import Sequences
from stages.metrics.regions import Regions

MODEL, NEUTRAL, MEAN_MOTION = "model", "neutral template", "mean motion"

Motion = NDArray[Any]


@dataclass(frozen=True)
class Measured:
    """One sequence in one row. counted: the row's mean holds it. values: metric → number, NaN where undefined."""

    row: str
    id: str
    subject: str
    condition: str
    split: str
    counted: bool
    frames: int
    values: Mapping[str, float]


def measure_all(
    data: Sequences, predictions: Predictions, by_sequence: Mapping[str, Sequence[str]], regions: Regions
) -> Iterator[list[Measured]]:
    """Per sequence: every prediction of it, then the baselines. by_sequence: id → names of its predictions."""
    mean_motion = training_mean(data)
    for name, made in by_sequence.items():
        entry, truth = data.entry(name), data.vertices(name)
        template = _template(data, entry.subject, name)
        items = [predictions.items[item] for item in made]
        counted = counted_conditions(items)
        found: list[Measured] = []
        for item, prediction in zip(items, made, strict=True):
            true, spoken = metrics.to_shorter(truth, _motion(predictions, prediction, data))
            values = measure(true, spoken, template, regions)
            place = (name, entry.subject, item.condition, entry.split, item.condition in counted)
            found.append(Measured(MODEL, *place, len(true), values))
        still = {NEUTRAL: template} | ({} if mean_motion is None else {MEAN_MOTION: template + mean_motion})
        frames = found[0].frames
        for row, face in still.items():
            values = measure(truth[:frames], np.broadcast_to(face, (frames, *face.shape)), template, regions)
            found.append(Measured(row, name, entry.subject, "", entry.split, True, frames, values))
        yield found


def counted_conditions(items: Sequence[Item]) -> list[str]:
    """The published rule: a subject that was trained on counts in its own style, anyone else in all that there are."""
    own = [item.condition for item in items if item.condition == item.subject]
    return own or [item.condition for item in items]


def measure(truth: Motion, prediction: Motion, template: Motion, regions: Regions) -> dict[str, float]:
    """Every metric whose regions there are, for one sequence; means over its frames."""
    values = {"mve": float(metrics.mve_per_frame(truth, prediction).mean())}
    if regions.has("lips"):
        squared = metrics.lve_per_frame(truth, prediction, regions["lips"])
        values |= {"lve": float(squared.mean()), "lvd": float(np.sqrt(squared).mean())}
    if regions.has("upper_face"):
        deviation = metrics.fdd(truth, prediction, template, regions["upper_face"])
        values |= {"fdd": deviation, "abs_fdd": abs(deviation)}
    if regions.has("opening"):
        a, b = (lip_opening(motion, regions) for motion in (truth, prediction))
        values["opening_correlation"] = metrics.correlation(a, b)
    return values


def lip_opening(motion: Motion, regions: Regions) -> NDArray[np.float64]:
    """(T,) in the data's unit."""
    return metrics.opening(motion, regions["lip_upper"], regions["lip_lower"])


def training_mean(data: Sequences) -> NDArray[np.float64] | None:
    """(V, 3): mean over all frames of the train split of vertices minus their subject's template; None without one."""
    total = np.zeros((data.info.vertices, 3))
    frames = 0
    for name in data.ids("train"):
        motion = data.vertices(name)
        for start in range(0, len(motion), BLOCK):
            total += motion[start : start + BLOCK].sum(axis=0, dtype=np.float64)
        total -= len(motion) * _template(data, data.entry(name).subject, name)
        frames += len(motion)
    return total / frames if frames else None


class Row:
    """The means of one row over all sequences."""

    def __init__(self, average: str) -> None:
        self.average = average
        self.means: dict[str, Mean] = {}
        self.sequences = 0
        self.frames = 0

    def add(self, measured: Sequence[Measured]) -> None:
        """One sequence in its counted conditions, which weigh the same and together as much as one."""
        self.sequences += 1
        self.frames += measured[0].frames
        for name in measured[0].values:
            # FDD and correlations are numbers of whole sequences: there are no frames to pool.
            average = self.average if metrics.DEFINITIONS[name].per_frame else "sequences"
            value = float(np.mean([item.values[name] for item in measured]))
            self.means.setdefault(name, Mean(average)).add(value, measured[0].frames)


def _template(data: Sequences, subject: str, name: str) -> NDArray[np.float64]:
    if subject not in data.templates:
        raise DataError(f"{data.path} has no template of {subject}, whom {name} shows: run preprocess again")
    return data.templates[subject].astype(np.float64)


def _motion(predictions: Predictions, name: str, data: Sequences) -> Motion:
    motion = predictions.motion(name)
    if motion.shape[1] != data.info.vertices:
        raise DataError(
            f"{predictions.path} predicts {motion.shape[1]} vertices for {name} and the data have "
            f"{data.info.vertices}: give predictions of the same topology"
        )
    return motion
