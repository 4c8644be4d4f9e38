"""Who speaks what: subjects and clips fall into splits, a clip's sentences go round the subjects of its split.

So test subjects are in no other split, and neither are test sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.preprocess.ict_facegood import Settings
from stages.preprocess.prepare import Name
from stages.preprocess.split_file import Split, Splits

Span = tuple[int, int]
"""First frame of a sentence in its clip, and the frame after its last."""


@dataclass(frozen=True)
class Line:
    """A sentence of a clip."""

    clip: str
    span: Span


@dataclass(frozen=True)
class Cast:
    """lines: (subject, sentence) → what is spoken, sorted by name."""

    lines: Mapping[Name, Line]
    splits: Splits


def subject_names(count: int) -> list[str]:
    return [f"ICT{number:02d}" for number in range(1, count + 1)]


def draw_identity(seed: int, number: int, modes: int) -> NDArray[np.float64]:
    """(modes,): a subject's coefficients, from the standard normal distribution for which the kit's modes are scaled.

    They hang on the seed and the subject's number alone; further modes add to a subject and change none of the others.
    """
    return np.random.default_rng([seed, number]).standard_normal(modes)


def assign(settings: Settings, spans: Mapping[str, Sequence[Span]]) -> Cast:
    """spans: clip → its sentences. DataError where a clip that should validate or test is not there."""
    clips = _clips(settings, sorted(spans))
    subjects = _subjects(settings.subjects)
    numbers = frozenset(range(1, 1 + max(len(found) for found in spans.values())))
    lines: dict[Name, Line] = {}
    for split, chosen in clips.items():
        spoken = [(f"{clip}_{k:03d}", Line(clip, span)) for clip in chosen for k, span in enumerate(spans[clip], 1)]
        people = subjects[split]
        for turn, (sentence, line) in enumerate(spoken):
            for take in range(min(settings.takes, len(people))):
                lines[people[(turn + take) % len(people)], sentence] = line
    parts = {
        split: Split(tuple(subjects[split]), numbers, tuple(f"{clip}_" for clip in chosen))
        for split, chosen in clips.items()
    }
    return Cast(dict(sorted(lines.items())), Splits(parts))


def _subjects(count: int) -> dict[str, list[str]]:
    names, held = subject_names(count), max(1, count // 6)
    return {"train": names[: -2 * held], "val": names[-2 * held : -held], "test": names[-held:]}


def _clips(settings: Settings, there: Sequence[str]) -> dict[str, list[str]]:
    held = {"val": settings.val_clips, "test": settings.test_clips}
    for split, clips in held.items():
        if absent := sorted(set(clips) - set(there)):
            raise DataError(
                f"{split}_clips names {', '.join(absent)}, of which FACEGOOD's folder has not both sound and curves; "
                f"it has: {', '.join(there)}"
            )
    train = [clip for clip in there if not any(clip in clips for clips in held.values())]
    return {"train": train} | {split: sorted(clips) for split, clips in held.items()}
