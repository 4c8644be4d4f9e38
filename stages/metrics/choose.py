"""What is measured: which sequences, in which predictions, and whether these belong to the data at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.predictions import Item, Predictions, check_alike
from stages.kinds.readings import Reading, Readings
from stages.kinds.sequences import Sequences
from stages.kinds.synchrony import OF_SURFACES, OF_VERTICES, Score, Synchronies

MODEL, AGAINST, NEUTRAL, MEAN_MOTION, TRUTH = "model", "against", "neutral template", "mean motion", "truth"
"""The rows of a report; of the truth there is only what an expert reads off it, and how it goes with its sound."""
NEUTRAL_CODE, MEAN_CODE = "neutral code", "mean code"
"""What stands in the place of the two faces that never listen where a track is moved."""
NOT_READ: Mapping[str, Readings] = {}
NOT_SCORED: Mapping[str, Synchronies] = {}
FEW = 3
"""Frames by which lengths may differ without a word: rounding of the frame rates of sound and motion."""


@dataclass(frozen=True)
class Take:
    """One prediction. row: MODEL or AGAINST. counted: the row's mean holds it. frames: shared with the truth. reading:
    what an expert read off its lips. synchrony: how its lips go with the sound."""

    row: str
    name: str
    item: Item
    counted: bool
    frames: int
    predictions: Predictions
    reading: Reading | None = None
    synchrony: Score | None = None


@dataclass(frozen=True)
class Case:
    """One sequence with all that is held against it. frames: of the truth. reading: what an expert read off the true
    lips. synchrony, still: how these go with the sound, and a neutral face that does not move."""

    id: str
    subject: str
    split: str
    frames: int
    takes: tuple[Take, ...]
    reading: Reading | None = None
    synchrony: Score | None = None
    still: Score | None = None

    def of(self, row: str) -> list[Take]:
        return [take for take in self.takes if take.row == row]


def choose(
    data: Sequences,
    predictions: Predictions,
    against: Predictions | None,
    splits: Sequence[str],
    readings: Mapping[str, Readings] = NOT_READ,
    scored: Mapping[str, Synchronies] = NOT_SCORED,
) -> list[Case]:
    """The sequences to measure, sorted. readings: row → what an expert read off its lips. scored: row → how its lips go
    with the sound. DataError or StageError where predictions do not belong to the data, or these not to the
    predictions."""
    rows = {MODEL: predictions} | ({AGAINST: against} if against else {})
    if against and against.info.track != predictions.info.track:
        kinds = [f"rows of the track {one.info.track!r}" if one.info.track else "vertices" for one in rows.values()]
        raise StageError(
            f"{predictions.path} holds {kinds[0]} and {against.path} {kinds[1]}: what is compared must be of one kind"
        )
    chosen = {}
    for row, given in rows.items():
        check_alike(data, given)
        chosen[row] = _by_sequence(given, splits)
    if against:
        _check_same_sequences(predictions, chosen[MODEL], against, chosen[AGAINST])
    _check_readings(rows, readings)
    for row, read in readings.items():
        _check_read(rows[row], chosen[row], read)
    _check_scores(rows, scored)
    for row, found in scored.items():
        _check_scored(rows[row], chosen[row], found)
    cases = [
        _case(data, name, [take for row in rows for take in _takes(data, row, rows[row], chosen[row][name])])
        for name in chosen[MODEL]
    ]
    return [_with_scores(_with_readings(case, readings), scored) for case in cases]


def _check_readings(rows: Mapping[str, Predictions], readings: Mapping[str, Readings]) -> None:
    if AGAINST in readings and not (AGAINST in rows and MODEL in readings):
        raise StageError(
            f"{readings[AGAINST].path} is what was read off the predictions `against`, and is held against what was "
            "read off the others: give against and lipread, too, or leave lipread_against out"
        )
    if len({(one.info.expert, one.info.reader) for one in readings.values()}) > 1:
        raise StageError(
            f"{readings[MODEL].path} and {readings[AGAINST].path} were not read by one expert in one way, so that "
            "their errors cannot be compared: read both with the same expert, beam, ctc_weight and silent"
        )


def _check_read(predictions: Predictions, chosen: Mapping[str, Sequence[str]], read: Readings) -> None:
    missing = [name for names in chosen.values() for name in names if name not in read.info.predictions]
    if missing:
        raise StageError(
            f"{read.path} has no reading of {missing[0]}, which {predictions.path} holds: read these predictions with "
            "lipread"
        )


def _with_readings(case: Case, readings: Mapping[str, Readings]) -> Case:
    takes = [
        replace(take, reading=readings[take.row].text(take.name)) if take.row in readings else take
        for take in case.takes
    ]
    true = readings[MODEL].truth(case.id) if MODEL in readings else None
    return replace(case, takes=tuple(takes), reading=true)


def _check_scores(rows: Mapping[str, Predictions], scored: Mapping[str, Synchronies]) -> None:
    if AGAINST in scored and not (AGAINST in rows and MODEL in scored):
        raise StageError(
            f"{scored[AGAINST].path} is of the predictions `against`, and is held against what lipsync makes of the "
            "others: give against and lipsync, too, or leave lipsync_against out"
        )
    if len({(one.info.scorer, one.info.of) for one in scored.values()}) > 1:
        raise StageError(
            f"{scored[MODEL].path} and {scored[AGAINST].path} were not scored by one network on faces of one kind, so "
            "that they cannot be compared: score both with the same weights, both as vertices or both as surfaces"
        )


def _check_scored(predictions: Predictions, chosen: Mapping[str, Sequence[str]], scored: Synchronies) -> None:
    """Of a track it is the surfaces of its rows that were scored, which are called as they are."""
    if scored.info.of != (wanted := OF_SURFACES if predictions.info.track else OF_VERTICES):
        raise StageError(
            f"{scored.path} is of {scored.info.of}, and {predictions.path} goes with scores of {wanted}: give what "
            "lipsync makes of these very predictions"
        )
    missing = [name for names in chosen.values() for name in names if name not in scored.info.predictions]
    if missing:
        limited = " (all their surfaces: limit = 0 in meshes)" if predictions.info.track else ""
        raise StageError(
            f"{scored.path} has no score of {missing[0]}, which {predictions.path} holds: score these predictions with "
            f"lipsync{limited}"
        )


def _with_scores(case: Case, scored: Mapping[str, Synchronies]) -> Case:
    takes = [
        replace(take, synchrony=scored[take.row].predicted(take.name)) if take.row in scored else take
        for take in case.takes
    ]
    if MODEL not in scored:
        return replace(case, takes=tuple(takes))
    found = scored[MODEL]
    return replace(case, takes=tuple(takes), synchrony=found.truth(case.id), still=found.neutral(case.id))


def _by_sequence(predictions: Predictions, splits: Sequence[str]) -> dict[str, list[str]]:
    """id → names of its predictions, both sorted; of the wanted splits alone."""
    there = sorted({item.split for item in predictions.items.values()})
    absent = [split for split in splits if split not in there]
    if absent or not there:
        held = ", ".join(split or "sequences of no split" for split in there) or "nothing"
        raise StageError(
            f"{predictions.path} holds no prediction of {', '.join(absent) or 'anything'} (it holds: {held})"
        )
    found: dict[str, list[str]] = {}
    for name, item in sorted(predictions.items.items()):
        if not splits or item.split in splits:
            found.setdefault(item.id, []).append(name)
    return dict(sorted(found.items()))


def _check_same_sequences(
    first: Predictions, ours: Mapping[str, object], second: Predictions, theirs: Mapping[str, object]
) -> None:
    for here, there, one, other in ((first, second, ours, theirs), (second, first, theirs, ours)):
        if missing := sorted(set(one) - set(other)):
            raise StageError(
                f"{there.path} has no prediction of {_some(missing)}, which {here.path} holds: paired tests need the "
                "same sequences, so predict them with both models or set splits to what both have"
            )


def counted_conditions(items: Iterable[Item]) -> set[str]:
    """The published rule: a subject that was trained on counts in its own style, anyone else in all that there are."""
    items = list(items)
    return {item.condition for item in items if item.condition == item.subject} or {item.condition for item in items}


def _takes(data: Sequences, row: str, predictions: Predictions, names: Sequence[str]) -> list[Take]:
    items = [predictions.items[name] for name in names]
    counted = counted_conditions(items)
    found = []
    for name, item in zip(names, items, strict=True):
        entry = data.entry(item.id)
        if item.subject != entry.subject:
            raise DataError(
                f"{predictions.path} shows {item.subject} in {name} and {data.path} has {entry.subject} there: use the "
                "sequences that the predictions were made from"
            )
        data.check_motion(item.id)
        frames = min(entry.frames, item.frames)
        if not frames:
            raise DataError(
                f"{predictions.file(name)} has {item.frames} frames and the truth {entry.frames}: they have none in "
                "common; make the prediction again with infer"
            )
        found.append(Take(row, name, item, item.condition in counted, frames, predictions))
    return found


def _case(data: Sequences, name: str, takes: Sequence[Take]) -> Case:
    entry = data.entry(name)
    return Case(name, entry.subject, entry.split, entry.frames, tuple(takes))


def shorter(cases: Iterable[Case], row: str) -> list[str]:
    """Sequences of which a counted prediction ends before the truth."""
    return [case.id for case in cases if any(take.counted and take.item.frames < case.frames for take in case.of(row))]


def notes_on_lengths(cases: Sequence[Case]) -> list[str]:
    """A sentence where lengths differ by more than a few frames, one where two sets of predictions differ."""
    notes = []
    pairs = [(take, case.frames) for case in cases for take in case.takes]
    far = [(take, frames) for take, frames in pairs if abs(take.item.frames - frames) > FEW]
    if far:
        take, frames = max(far, key=lambda pair: abs(pair[0].item.frames - pair[1]))
        lost = sum(frames - take.frames for take, frames in far)
        extra = sum(take.item.frames - take.frames for take, _ in far)
        notes.append(
            f"{len(far)} of {len(pairs)} predictions differ in length from the truth by more than {FEW} frames (most: "
            f"{take.name}, {take.item.frames} frames, truth {frames}): cut were {lost} frames of the truth and {extra} "
            "of predictions"
        )
    uneven = [case.id for case in cases if case.of(AGAINST) and _lengths(case, MODEL) != _lengths(case, AGAINST)]
    if uneven:
        notes.append(
            f"the two sets of predictions differ in length in {len(uneven)} of {len(cases)} sequences "
            f"({_some(uneven)}): each is measured over the frames that it shares with the truth"
        )
    return notes


def _lengths(case: Case, row: str) -> set[int]:
    return {take.frames for take in case.of(row) if take.counted}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
