"""From the quantities of sequences to numbers: means as each definition takes them, with intervals and by subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.metrics_definitions import DEFINITIONS, EVERY_SAMPLE, TO_TRUTH, UNCUT, Definition, find
from faces.metrics_parts import Parts
from faces.metrics_statistics import bootstrap_interval, weighted_mean
from pipeline.errors import StageError
from stages.kinds.tracks import EXPRESSION
from stages.metrics import Params
from stages.metrics.choose import AGAINST, MODEL, Case, shorter
from stages.metrics.measure import Measured

Array = NDArray[np.float64]
NOT_SCORED = "lips and sound were not compared: give what the stage lipsync makes of these predictions as lipsync"
NOT_READ = "no expert has read the lips: give what the stage lipread makes of these predictions as lipread"


@dataclass(frozen=True, eq=False)
class Score:
    """One definition in one row. Per sequence in which it is defined: ids, subjects, values, weights, frames."""

    definition: Definition
    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    values: Array
    weights: Array
    frames: int

    @property
    def value(self) -> float:
        return weighted_mean(self.values, self.weights)

    @property
    def interval(self) -> tuple[float, float] | None:
        return bootstrap_interval(self.values, self.weights)

    @property
    def by_subject(self) -> dict[str, float]:
        """Subject → the mean over its sequences alone."""
        found = {}
        for subject in sorted(set(self.subjects)):
            mine = np.array([name == subject for name in self.subjects])
            found[subject] = weighted_mean(self.values[mine], self.weights[mine])
        return found


Scores = Mapping[str, Score]
"""Definition id → score."""


def score(measured: Iterable[Measured], row: str, definitions: Sequence[Definition]) -> dict[str, Score]:
    """A row's scores. A sequence's counted styles weigh the same, and together as much as one."""
    by_sequence: dict[str, list[Measured]] = {}
    for item in measured:
        if item.row == row and item.counted:
            by_sequence.setdefault(item.id, []).append(item)
    known = {name for items in by_sequence.values() for item in items for name in item.values}
    return {item.id: _score(by_sequence, item) for item in definitions if item.measure in known}


def _score(by_sequence: Mapping[str, Sequence[Measured]], definition: Definition) -> Score:
    kept = []
    for name, items in by_sequence.items():
        value = np.mean([item.values.get(definition.measure, np.nan) for item in items])
        weight = definition.weight(items[0].frames, round(items[0].values.get(definition.tokens, 0)))
        if np.isfinite(value) and weight:
            kept.append((name, items[0].subject, float(value), weight, items[0].frames))
    ids, subjects, values, weights, frames = zip(*kept, strict=True) if kept else ((), (), (), (), ())
    return Score(definition, ids, subjects, np.array(values, float), np.array(weights, float), sum(frames))


def choose_definitions(
    params: Params, parts: Parts, cases: Sequence[Case], track: str = ""
) -> tuple[list[Definition], list[str]]:
    """All definitions that are wanted and that the data allow, in the order of the table, and notes on the others.
    track: whose rows the predictions are, "" for vertices.

    What is asked for by its own name and cannot be had is an error; of a family, or of all, the rest is made.
    """
    names = params.definitions or list(DEFINITIONS)
    wanted = {item.id for name in names for item in find(name)}
    exact = {item.id for name in params.definitions for item in find(name) if name != item.family}
    found, early, notes, problems = [], _ending_early(cases), [], []
    for item in DEFINITIONS.values():
        if item.id not in wanted:
            continue
        problem = _of_other_motion(item, track) or _problem(item, parts, cases, early, params.lip_threshold)
        if problem and item.id in exact:
            raise StageError(f"{item.id} cannot be had: {problem}")
        if problem:
            problems.append(problem)
        else:
            found.append(item)
    if track:
        notes.append(f"only the numbers themselves are measured: {of_track(track)}")
    elif early and (left := [name for name in wanted if DEFINITIONS[name].lengths == TO_TRUTH]):
        notes.append(f"left out: {', '.join(sorted(left))}; {early}")
    if not found:
        why = "; ".join(dict.fromkeys(problems))
        raise StageError(f"none of {', '.join(names)} can be had of these data: {why}")
    return found, notes


def of_track(track: str) -> str:
    """Why numbers of vertices are left out of predictions of a track, and what gives them."""
    told = f"the predictions are rows of the track {track!r}"
    if track != EXPRESSION:
        return f"{told}, of which nothing makes faces"
    return (
        f"{told}; make faces of them with the stage drive, and measure these, too, or surfaces with meshes, and "
        "measure them with geometry"
    )


def _of_other_motion(item: Definition, track: str) -> str:
    if item.synchrony:
        return ""
    if track and not item.codes:
        return of_track(track)
    return "the predictions are of vertices, and it is of the rows of a track" if item.codes and not track else ""


def _problem(item: Definition, parts: Parts, cases: Sequence[Case], early: str, threshold: float) -> str:
    if not parts.has(item.role):
        return f"the data have no {item.role.replace('_', ' ')} (see the regions in docs/metrics.md)"
    if item.lengths == TO_TRUTH:
        return early
    if item.threshold and not threshold:
        return "no threshold is published: set lip_threshold, in the data's unit of length"
    if item.synchrony:
        return "" if any(take.synchrony for case in cases for take in case.of(MODEL)) else NOT_SCORED
    if item.expert:
        return "" if any(take.reading for case in cases for take in case.of(MODEL)) else NOT_READ
    if item.reads and not any(map(_is_read, cases)):
        return (
            "no text was heard in the sound and read off the lips: it takes a network that reads lips, and features "
            "made with text = true"
        )
    if item.lengths == UNCUT:
        drawn = item.styles == EVERY_SAMPLE
        what = "samples" if drawn else "styles"
        there = any(_comparable(case, drawn) for case in cases)
        return "" if there else f"no sequence is predicted in several {what} of equal length"
    return ""


def _is_read(case: Case) -> bool:
    texts = (take.predictions.text(take.name) for take in case.of(MODEL))
    return any(text is not None and text.heard is not None and text.lip_read is not None for text in texts)


def _comparable(case: Case, drawn: bool) -> bool:
    takes = case.of(MODEL)
    several = len(takes) > 1 and len({take.item.frames for take in takes}) == 1
    return several and drawn == all(take.item.seed is not None for take in takes)


def _ending_early(cases: Sequence[Case]) -> str:
    """Why definitions that cut predictions to the truth cannot be had, or "". One rule for both sets of predictions."""
    names = sorted({*shorter(cases, MODEL), *shorter(cases, AGAINST)})
    if not names:
        return ""
    return (
        f"predictions of {len(names)} of {len(cases)} sequences end before the truth (the first: {names[0]}), where "
        "the published script stops; the facediffuser variants cut both to the shorter"
    )
