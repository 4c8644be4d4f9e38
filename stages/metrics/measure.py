"""Measures predictions and baselines against the truth, block by block of one sequence, several sequences at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces import metrics, metrics_measures
from faces.errors import DataError
from faces.metrics_parts import Parts
from faces.metrics_stream import Apart, Moving, Stills, block_frames
from faces.visemes import Visemes
from pipeline.errors import StageError
from stages.kinds.predictions import vertices_of
from stages.kinds.readings import Reading, digest_of
from stages.kinds.sequences import Sequences
from stages.kinds.synchrony import Score
from stages.metrics.choose import AGAINST, MEAN_MOTION, MODEL, NEUTRAL, TRUTH, Case, Take
from stages.metrics.surface import Surface, surface_of

Motion = NDArray[Any]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One sequence in one row. counted: the row's mean holds it. values: measure → number, NaN where undefined. seed:
    the number of a sample."""

    row: str
    id: str
    subject: str
    condition: str
    split: str
    counted: bool
    frames: int
    values: Mapping[str, float]
    seed: int | None = None


@dataclass(frozen=True)
class Found:
    """All of one sequence: its numbers, and what its surface did, where there is one."""

    measured: Sequence[Measured]
    surface: Surface | None


@dataclass(frozen=True)
class Measurer:
    """Measures one case at a time; threads may share it. mean_motion: (V, 3) offsets, or None without a train split.
    threshold: of lip readability, in the data's unit, or 0. visemes: of texts, where an expert has read."""

    data: Sequences
    parts: Parts
    mean_motion: Array | None
    diverse: bool
    threshold: float = 0.0
    visemes: Visemes | None = None

    def files(self, case: Case) -> list[Path]:
        """The motion that is read."""
        return [self.data.vertex_file(case.id), *(take.predictions.file(take.name) for take in case.takes)]

    def measure(self, case: Case) -> Found:
        """Predictions that share a length with the truth are measured together, so that it is read once."""
        template = self.data.template_of(case.id).astype(np.float64)
        first = next(take for take in case.takes if take.counted)
        lengths = dict.fromkeys([first.frames, *(take.frames for take in case.takes)])
        walks = {}
        for frames in lengths:
            takes = [take for take in case.takes if take.frames == frames]
            faces = self._still_faces(template) if frames == first.frames else {}
            walks[frames] = Walk(self, case, template, takes, faces)
            walks[frames].go(frames)
        spread = {row: self._diversity(case, row) for row in (MODEL, AGAINST)} if self.diverse else {}
        measured = [walks[take.frames].of_take(take, spread.get(take.row, {})) for take in case.takes]
        moved = [walks[take.frames].surface(take) for take in case.of(MODEL) if take.counted]
        still = walks[first.frames].of_still_faces(first.frames)
        return Found([*measured, *still, *self._of_truth(case)], Surface.mean(moved))

    def _of_truth(self, case: Case) -> list[Measured]:
        file = self.data.vertex_file(case.id)
        values = self.read_off(case.reading, file) | in_time(case.synchrony, file)
        return [Measured(TRUTH, case.id, case.subject, "", case.split, True, case.frames, values)] if values else []

    def read_off(self, reading: Reading | None, motion: Path) -> dict[str, float]:
        """The errors of what an expert read off a motion, none where it did not. StageError where that was another."""
        if reading is None or self.visemes is None:
            return {}
        if reading.motion != digest_of(motion):
            raise StageError(
                f"{motion} is not what the expert looked at: give what lipread makes of these very predictions and data"
            )
        return metrics_measures.of_reading(reading.said, reading.read, self.visemes)

    def _still_faces(self, template: Array) -> dict[str, Array]:
        return {NEUTRAL: template} | ({} if self.mean_motion is None else {MEAN_MOTION: template + self.mean_motion})

    def _diversity(self, case: Case, row: str) -> dict[str, float]:
        """Of whole predictions, uncut, as published; undefined where they are not of one length."""
        takes = case.of(row)
        if len(takes) < 2 or len({take.item.frames for take in takes}) > 1:
            return {}
        motions = [vertices_of(take.predictions, take.name, self.data) for take in takes]
        return {f"diversity{of_samples(takes)}": metrics.diversity(motions)}


def in_time(score: Score | None, motion: Path) -> dict[str, float]:
    """How a motion's lips go with the sound, nothing where that was not scored. StageError where it was of another."""
    if score is None:
        return {}
    if score.motion != digest_of(motion):
        raise StageError(f"{motion} is not what was scored: give what lipsync makes of these very predictions and data")
    return metrics_measures.of_synchrony(score.lse_d, score.lse_c)


def of_samples(takes: Sequence[Take]) -> str:
    """The end of a measure's name: predictions of one sentence are styles, or samples."""
    return "_samples" if all(take.item.seed is not None for take in takes) else ""


class Walk:
    """One pass over the first frames of a truth and of all that is held against it."""

    def __init__(
        self, owner: Measurer, case: Case, template: Array, takes: Sequence[Take], faces: Mapping[str, Array]
    ) -> None:
        self.case, self.parts, self.fps, self.threshold = case, owner.parts, owner.data.fps, owner.threshold
        self.truth = Moving(template, self.parts)
        self.pairs = {take: (Moving(template, self.parts), Apart(self.parts)) for take in takes}
        self.stills = Stills(faces, self.parts)
        self._data = owner.data
        self._read_off = owner.read_off

    def go(self, frames: int) -> None:
        truth = self._data.vertices(self.case.id)
        made = [vertices_of(take.predictions, take.name, self._data) for take in self.pairs]
        step = block_frames(self.parts.vertices)
        for start in range(0, frames, step):
            here = slice(start, min(start + step, frames))
            self.truth.add(truth[here])
            self.stills.add(truth[here])
            for motion, (moving, apart) in zip(made, self.pairs.values(), strict=True):
                moving.add(motion[here])
                apart.add(truth[here], motion[here])
        for take, (_, apart) in self.pairs.items():
            self._check_finite(take, apart)

    def of_take(self, take: Take, more: Mapping[str, float]) -> Measured:
        found = metrics_measures.of_prediction(self.parts, self.truth, *self.pairs[take], self.fps, self.threshold)
        if (text := take.predictions.text(take.name)) is not None:
            found |= metrics_measures.of_texts(text.heard, text.lip_read)
        file = take.predictions.file(take.name)
        found |= self._read_off(take.reading, file) | in_time(take.synchrony, file)
        measured = self._measured(take.row, take.item.condition, take.counted, take.frames, found | dict(more))
        return replace(measured, seed=take.item.seed)

    def of_still_faces(self, frames: int) -> list[Measured]:
        found = {
            row: metrics_measures.of_still(self.parts, self.truth, self.stills[row], self.fps, self.threshold)
            for row in self.stills
        }
        if NEUTRAL in found and (still := self.case.still) is not None:
            found[NEUTRAL] |= metrics_measures.of_synchrony(still.lse_d, still.lse_c)
        return [self._measured(row, "", True, frames, values) for row, values in found.items()]

    def surface(self, take: Take) -> Surface:
        return surface_of(self.truth, *self.pairs[take])

    def _measured(self, row: str, condition: str, counted: bool, frames: int, values: Mapping[str, float]) -> Measured:
        case = self.case
        return Measured(row, case.id, case.subject, condition, case.split, counted, frames, values)

    def _check_finite(self, take: Take, apart: Apart) -> None:
        """NaN and infinity pass through every sum, so that looking for them costs nothing."""
        bad = np.flatnonzero(~np.isfinite(apart.sums).all(axis=1))
        if not len(bad):
            return
        frame = int(bad[0])
        in_truth = not np.isfinite(self._data.vertices(self.case.id)[frame]).all()
        where = f"the truth of {self.case.id}" if in_truth else str(take.predictions.file(take.name))
        remedy = "run preprocess again" if in_truth else "the network that made it diverged; train it again"
        raise DataError(f"{where} holds NaN or infinity, first in frame {frame}: {remedy}")
