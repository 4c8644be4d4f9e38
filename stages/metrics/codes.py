"""Measures predictions that are rows of a track against the rows of the truth, with two codes that never listen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces import metrics_codes, metrics_measures
from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Rows, read_tracks
from stages.metrics.choose import AGAINST, MEAN_CODE, MODEL, NEUTRAL_CODE, TRUTH, Case, Take
from stages.metrics.measure import Found, Measured

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CodeMeasurer:
    """Measures one case at a time; threads may share it. mean: (D,), or None without a train split. diverse: whether
    samples are held against each other."""

    data: Sequences
    rows: Rows
    mean: Array | None
    diverse: bool

    def files(self, case: Case) -> list[Path]:
        """The rows that are read."""
        truth = self.rows.folder / f"{case.id}.npy"
        return [truth, *(take.predictions.file(take.name) for take in case.takes)]

    def measure(self, case: Case) -> Found:
        """Its predictions and both still codes; no surface."""
        truth = self.rows[case.id]
        made = {take: self._made(take) for take in case.takes}
        spread = {row: self._diversity(case, row, made) for row in (MODEL, AGAINST)} if self.diverse else {}
        first = next(take for take in case.takes if take.counted)
        measured = [
            Measured(
                take.row, case.id, case.subject, take.item.condition, case.split, take.counted, take.frames,
                self._apart(truth, rows, take.frames) | spread.get(take.row, {}) | _in_time(take), take.item.seed,
            )
            for take, rows in made.items()
        ]  # fmt: skip
        size = self.rows.track.size
        still = {NEUTRAL_CODE: np.zeros(size)} | ({} if self.mean is None else {MEAN_CODE: self.mean})
        for row, code in still.items():
            held = np.broadcast_to(code, (first.frames, size))
            values = self._apart(truth, held, first.frames)
            measured.append(Measured(row, case.id, case.subject, "", case.split, True, first.frames, values))
        if (true := case.synchrony) is not None:
            values = metrics_measures.of_synchrony(true.lse_d, true.lse_c)
            measured.append(Measured(TRUTH, case.id, case.subject, "", case.split, True, case.frames, values))
        return Found(measured, None)

    def _made(self, take: Take) -> NDArray[np.float32]:
        rows, file, size = take.predictions.rows(take.name), take.predictions.file(take.name), self.rows.track.size
        if rows.shape[1] != size:
            raise DataError(
                f"{file} has {rows.shape[1]} numbers a frame and the track in {self.data.path} {size}: use the "
                "sequences that the network was trained on"
            )
        if not np.isfinite(rows).all():
            raise DataError(f"{file} holds NaN or infinity: the network that made it diverged; train it again")
        return rows

    def _apart(self, truth: NDArray[np.floating], made: NDArray[np.floating], frames: int) -> dict[str, float]:
        return metrics_codes.of_codes(truth[:frames], made[:frames], self.data.fps)

    def _diversity(self, case: Case, row: str, made: dict[Take, NDArray[np.float32]]) -> dict[str, float]:
        """Of whole samples, uncut; undefined where they are not of one length."""
        drawn = [made[take] for take in case.of(row) if take.item.seed is not None]
        if len(drawn) < 2 or len({len(rows) for rows in drawn}) > 1:
            return {}
        return {"diversity_codes": metrics_codes.diversity(drawn)}


def _in_time(take: Take) -> dict[str, float]:
    """How the surfaces of a prediction's rows go with the sound. StageError where these are of other rows, as far as
    can be told."""
    if (score := take.synchrony) is None:
        return {}
    if score.frames != take.item.frames:
        raise StageError(
            f"{take.predictions.file(take.name)} has {take.item.frames} frames, and its surfaces {score.frames} when "
            "they were scored: give what lipsync makes of surfaces of these very predictions"
        )
    return metrics_measures.of_synchrony(score.lse_d, score.lse_c)


def rows_of(data: Sequences, track: str) -> Rows:
    """What predictions of a track are held against. DataError where the data have no such track, or not by frames."""
    there = read_tracks(data.path)
    if track not in there or not there[track].track.framewise:
        held = ", ".join(name for name, rows in there.items() if rows.track.framewise) or "none"
        raise DataError(
            f"{data.path} has no framewise track {track!r}, of which the predictions are rows; it has {held}: use the "
            "sequences that the network was trained on"
        )
    return there[track]


def check_heads(rows: Rows, predictions: Iterable[Predictions]) -> None:
    """DataError where predicted codes are known to be of another head model than those that they are held against."""
    for made in predictions:
        ours, theirs = made.info.head, rows.track.head
        if ours and theirs and ours != theirs:
            raise DataError(
                f"{made.path} holds codes of the head model {ours}, and {rows.folder} those of {theirs}: use the "
                "sequences that the network was trained on"
            )


def mean_code(data: Sequences, rows: Rows) -> Array | None:
    """(D,): mean over all frames of the train split that have rows; None without one."""
    total, frames = np.zeros(rows.track.size), 0
    for name in (name for name in data.ids("train") if name in rows):
        total += rows[name].sum(axis=0, dtype=np.float64)
        frames += len(rows[name])
    return total / frames if frames else None
