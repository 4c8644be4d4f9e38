"""An opened data set → the kind `sequences`, one sequence at a time, so that memory does not grow with the data.

What a data set's own module offers is a `Recordings`; choosing, splits, and writing stand here, once. A sequence that
cannot be used is skipped, counted and listed with its reason; what is damaged stops the stage with the sequence and
the way to leave it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.ply import write_ply
from faces.region_registry import remarks as remarks_on_regions
from faces.regions import Regions
from pipeline.stage import Job
from stages.kinds import sequences as kind
from stages.kinds.card import Card, Check, Source, write_card
from stages.kinds.sequences import Entry, Info, sequence_id
from stages.kinds.tracks import Track, write_rows
from stages.kinds.tracks import write_index as write_track_index
from stages.preprocess.overlapping import overlapping
from stages.preprocess.sound import Clip, Unusable, write_wav
from stages.preprocess.split_file import Splits

Name = tuple[str, str]
"""(subject, sentence)"""

WITHOUT = {"train": "nothing can be trained on it", "val": "the last weights are taken for the best"}
"""What an empty split means; all others are for testing."""
MOST_LINES = 5
"""Of one kind of remark about single sequences, or of sequences that one check names; the rest is counted."""


@dataclass(frozen=True)
class Sound:
    """What is kept of a sequence's sound until it is written: how many samples, at how many a second."""

    samples: int
    rate: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


class Recordings(Protocol):
    """A data set, opened and checked as far as that is cheap.

    root: where it lies. fps: as recorded. units, up: as in `Info`. templates: subject → (V, 3) float32. faces: (F, 3).
    names: sorted, all that the data know of, usable or not. regions: of the mesh.
    """

    root: Path
    fps: float
    units: str
    up: str
    templates: Mapping[str, NDArray[np.float32]]
    faces: NDArray[np.int32]
    names: Sequence[Name]
    regions: Regions

    def frames(self, name: Name) -> int:
        """As recorded."""
        ...

    def clip(self, name: Name) -> Clip:
        """A sequence's sound. Unusable where the sequence is to be skipped; DataError where it is damaged, to which the
        way to leave it out is added."""
        ...

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        """Every `step`-th frame, (T, V, 3). DataError where one is damaged or holds NaN."""
        ...

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        """What the user should know of the sequences that can be used, a line each."""
        ...

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterable[Check]:
        """What is known of this data set, and whether it is so, for its card."""
        ...


@runtime_checkable
class Tracked(Protocol):
    """What `Recordings` have beside, if they have more than vertices and sound.

    tracks: name → what it is, without size and lengths.
    """

    tracks: Mapping[str, Track]

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        """Track → (N, D), of those that the sequence has; of framewise ones every `step`-th row."""
        ...


@runtime_checkable
class Written(Protocol):
    """What `Recordings` have beside where somebody may have written down what is said."""

    def transcripts(self) -> Mapping[str, str]:
        """Id → text, of those sequences whose words are known. DataError where they cannot be read."""
        ...


@dataclass(frozen=True)
class Choice:
    """What is wanted of a data set. dataset: its name in the index. source: whose it is. skip: ids to leave out. step:
    every `step`-th frame is kept. limit: at most so many sequences of each subject in each split; 0: all.
    """

    dataset: str
    source: Source
    splits: Splits
    skip: Sequence[str]
    step: int
    limit: int


def prepare(data: Recordings, choice: Choice, job: Job, *, threads: int = 1) -> None:
    """Fill `job.out`. threads: how many sequences are in memory at a time."""
    sounds, skipped = _choose(data, choice.skip, job, threads)
    chosen = {sequence_id(*name): name for name in _limited(sounds, choice.splits, choice.limit)}
    _tell(job, len(sounds), skipped, choice.limit, len(chosen))
    texts = data.transcripts() if isinstance(data, Written) else {}
    told = [*data.remarks(sounds), *_on_regions(data)]
    card = Card(choice.source, list(data.checks(sounds)), told)
    for line in [*card.remarks, *(f"warning: {check}" for check in card.checks if check.passed is False)]:
        job.say(line)
    entries = {key: _entry(data, choice, name, sounds[name]) for key, name in chosen.items()}
    _tell_splits(job, choice.splits, entries)
    for folder in (kind.VERTICES, kind.SOUND):
        (job.out / folder).mkdir(exist_ok=True)
    job.each(list(chosen), lambda key: _write_sequence(job.out, key, data, chosen[key], choice.step), threads=threads)
    _write_shared(job.out, data, choice.splits)
    if written := {key: texts[key] for key in chosen if key in texts}:
        kind.write_transcripts(job.out, written)
    if isinstance(data, Tracked):
        write_track_index(job.out, data.tracks, chosen)
    fps, subjects = data.fps / choice.step, choice.splits.subjects
    info = Info(
        choice.dataset, fps, data.units, data.up, len(next(iter(data.templates.values()))), subjects, entries, skipped
    )
    kind.write_index(job.out, info)
    write_card(job.out, card, data.root)


def leave_out(name: Name) -> str:
    """The end of a sentence about a damaged sequence."""
    return f'repair it or leave it out with skip = ["{sequence_id(*name)}"]'


def check_finite(frames: NDArray[np.floating], where: Callable[[int], str], name: Name) -> None:
    """DataError for NaN or infinity in (T, V, 3). where: row → the frame's place, for the sentence."""
    bad = ~np.isfinite(frames).all(axis=(1, 2))
    if bad.any():
        raise DataError(f"{where(int(np.argmax(bad)))}: NaN or infinite vertices; {leave_out(name)}")


def first_lines(lines: Sequence[str]) -> list[str]:
    """The first few remarks of one kind, and how many more there are."""
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"… and {more} more like these"] if more > 0 else [])]


def _on_regions(data: Recordings) -> Iterable[str]:
    """Which regions are published ones, and which only seem to be."""
    return remarks_on_regions(data.regions, len(next(iter(data.templates.values()))), data.faces)


def first_few(names: Sequence[str]) -> str:
    """The first few of many in one line, and how many more there are."""
    more = len(names) - MOST_LINES
    return ", ".join([*names[:MOST_LINES], *([f"and {more} more"] if more > 0 else [])])


def _choose(data: Recordings, skip: Sequence[str], job: Job, threads: int) -> tuple[dict[Name, Sound], dict[str, str]]:
    """The sequences that can be used, with their sound, sorted; and why the others cannot."""
    sounds, skipped = dict[Name, Sound](), dict[str, str]()
    unknown = set(skip) - {sequence_id(*name) for name in data.names}
    if unknown:
        raise DataError(f"skip names {', '.join(sorted(unknown))}, which the data do not have; check the spelling")
    found = overlapping(lambda name: _listen(data, name, skip), data.names, threads)
    for name, sound in zip(data.names, job.track(found, total=len(data.names), unit="sounds"), strict=True):
        if isinstance(sound, Sound):
            sounds[name] = sound
        else:
            skipped[sequence_id(*name)] = sound
    if not sounds:
        raise DataError(f"{data.root} holds no sequence that can be used; {_count(skipped) or 'none was found'}")
    return sounds, skipped


def _listen(data: Recordings, name: Name, skip: Sequence[str]) -> Sound | str:
    """Of a sequence's sound what is kept, or why the sequence is skipped."""
    if sequence_id(*name) in skip:
        return "left out by the parameter skip"
    try:
        clip = _clip(data, name)
    except Unusable as reason:
        return str(reason)
    return Sound(len(clip.samples), clip.rate)


def _clip(data: Recordings, name: Name) -> Clip:
    try:
        return data.clip(name)
    except DataError as error:
        raise DataError(f"{error}; {leave_out(name)}") from error


def _limited(names: Iterable[Name], splits: Splits, limit: int) -> list[Name]:
    """At most `limit` sequences of each subject in each split, in order; all where it is 0."""
    taken, chosen = Counter[tuple[str, str]](), list[Name]()
    for name in names:
        group = (name[0], splits.of(*name))
        taken[group] += 1
        if not limit or taken[group] <= limit:
            chosen.append(name)
    return chosen


def _entry(data: Recordings, choice: Choice, name: Name, sound: Sound) -> Entry:
    frames = len(range(0, data.frames(name), choice.step))
    return Entry(*name, choice.splits.of(*name), frames, sound.samples, sound.rate)


def _write_sequence(out: Path, key: str, data: Recordings, name: Name, step: int) -> list[Path]:
    frames = data.motion(name, step)
    beside = data.rows(name, step) if isinstance(data, Tracked) else {}
    return [
        _write_npy(out / kind.VERTICES / f"{key}.npy", frames.reshape(len(frames), -1)),
        write_wav(out / kind.SOUND / f"{key}.wav", _clip(data, name)),
        *(write_rows(out, track, key, rows) for track, rows in beside.items()),
    ]


def _write_npy(file: Path, array: NDArray[np.float32]) -> Path:
    np.save(file, array)
    return file


def _write_shared(out: Path, data: Recordings, splits: Splits) -> None:
    """Templates, topology (on the first training subject's template, where there is one) and regions."""
    tables: dict[str, Any] = dict(data.templates)
    np.savez(out / kind.TEMPLATES, **tables)
    first = next((s for s in splits.subjects["train"] if s in data.templates), min(data.templates))
    write_ply(out / kind.TOPOLOGY, data.templates[first], data.faces)
    for name, indices in data.regions.items():
        kind.write_region(out, name, indices)


def _tell(job: Job, usable: int, skipped: Mapping[str, str], limit: int, chosen: int) -> None:
    if skipped:
        job.say(f"skipped {len(skipped)} of {usable + len(skipped)} sequences: {_count(skipped)}; see {kind.INDEX}")
    if limit and chosen < usable:
        job.say(f"limit = {limit}: {chosen} of {usable} sequences taken")


def _count(skipped: Mapping[str, str]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in sorted(Counter(skipped.values()).items()))


def _tell_splits(job: Job, splits: Splits, entries: Mapping[str, Entry]) -> None:
    for split, subjects in splits.subjects.items():
        present = {entry.subject for entry in entries.values() if entry.split == split}
        missing = [subject for subject in subjects if subject not in present]
        if not present:
            job.say(
                f"warning: the split {split!r} has no sequence: {WITHOUT.get(split, 'nothing can be tested on it')}"
            )
        elif missing:
            job.say(f"the split {split!r} has no sequence of {', '.join(missing)}")
