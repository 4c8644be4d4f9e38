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
from pipeline.stage import Job
from stages.kinds import sequences as kind
from stages.kinds.card import Card, Check, Source, write_card
from stages.kinds.sequences import Entry, Info, sequence_id
from stages.preprocess.region_files import Regions
from stages.preprocess.sound import Clip, Unusable, write_wav
from stages.preprocess.split_file import Splits

Name = tuple[str, str]
"""(subject, sentence)"""

WITHOUT = {"train": "nothing can be trained on it", "val": "the last weights are taken for the best"}
"""What an empty split means; all others are for testing."""
MOST_LINES = 5
"""Of one kind of remark about single sequences; the rest is counted."""


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
        """A sequence's sound. Unusable where the sequence is to be skipped; DataError where it is damaged."""
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
class Weighted(Protocol):
    """What `Recordings` whose motion was made from blendshapes offer too. shapes: their names."""

    shapes: Sequence[str]

    def weights(self, name: Name, step: int) -> NDArray[np.float32]:
        """Of every `step`-th frame, (T, S)."""
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
    sounds, skipped = _choose(data, choice.skip)
    chosen = {sequence_id(*name): name for name in _limited(sounds, choice.splits, choice.limit)}
    _tell(job, len(sounds), skipped, choice.limit, len(chosen))
    card = Card(choice.source, list(data.checks(sounds)), list(data.remarks(sounds)))
    for line in [*card.remarks, *(f"warning: {check}" for check in card.checks if check.passed is False)]:
        job.say(line)
    entries = {key: _entry(data, choice, name, sounds[name]) for key, name in chosen.items()}
    _tell_splits(job, choice.splits, entries)
    for folder in (kind.VERTICES, kind.SOUND):
        (job.out / folder).mkdir(exist_ok=True)
    job.each(list(chosen), lambda key: _write_sequence(job.out, key, data, chosen[key], choice.step), threads=threads)
    _write_shared(job.out, data, choice.splits)
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


def _choose(data: Recordings, skip: Sequence[str]) -> tuple[dict[Name, Sound], dict[str, str]]:
    """The sequences that can be used, with their sound, sorted; and why the others cannot."""
    sounds, skipped = dict[Name, Sound](), dict[str, str]()
    unknown = set(skip) - {sequence_id(*name) for name in data.names}
    if unknown:
        raise DataError(f"skip names {', '.join(sorted(unknown))}, which the data do not have; check the spelling")
    for name in data.names:
        try:
            if sequence_id(*name) in skip:
                raise Unusable("left out by the parameter skip")
            clip = data.clip(name)
            sounds[name] = Sound(len(clip.samples), clip.rate)
        except Unusable as reason:
            skipped[sequence_id(*name)] = str(reason)
    if not sounds:
        raise DataError(f"{data.root} holds no sequence that can be used; {_count(skipped) or 'none was found'}")
    return sounds, skipped


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
    written = [
        _write_npy(out / kind.VERTICES / f"{key}.npy", frames.reshape(len(frames), -1)),
        write_wav(out / kind.SOUND / f"{key}.wav", data.clip(name)),
    ]
    if isinstance(data, Weighted):
        written.append(kind.write_weights(out, key, data.shapes, data.weights(name, step)))
    return written


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
