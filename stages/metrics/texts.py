"""What was heard and what was read off the lips, beside each other: a few sentences in the terminal, all in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from faces.edits import aligned
from faces.metrics_measures import of_texts
from faces.text_errors import letters
from stages.kinds.predictions import Text
from stages.metrics.choose import MODEL, Case

FILE, EXPERT_FILE = "text.md", "lipread.md"
SHOWN = 4
"""Sentences in the terminal."""
WIDTH = 96
"""Letters of a line."""
NOTHING = "–"
GAP = "·"
"""Where one text has a letter and the other none."""


class Words(NamedTuple):
    """What the two texts are called, in words of one width."""

    true: str = "heard    "
    read: str = "lip-read "


class Reading(NamedTuple):
    """One prediction's."""

    name: str
    text: Text
    words: Words = Words()

    @property
    def error(self) -> float:
        return of_texts(self.text.heard, self.text.lip_read)["lip_reading_error"]

    @property
    def heading(self) -> str:
        return self.name if math.isnan(self.error) else f"{self.name}: {100 * self.error:.0f} % of the letters wrong"


def readings(cases: Sequence[Case]) -> list[Reading]:
    """Of the model's predictions, in the order of the report; none where its network reads no lips."""
    takes = [take for case in cases for take in case.of(MODEL)]
    found = [(take.name, take.predictions.text(take.name)) for take in takes]
    return [Reading(name, text) for name, text in found if text is not None]


def readings_of_expert(cases: Sequence[Case]) -> list[Reading]:
    """The same of what an expert read, of each sentence the true lips first."""
    words = Words("said     ", "lip-read ")
    found = []
    for case in cases:
        read = [(f"{case.id}, true lips", case.reading)] if case.reading else []
        read += [(take.name, take.reading) for take in case.of(MODEL) if take.reading]
        found += [Reading(name, Text(one.said, one.read), words) for name, one in read]
    return found


def excerpt(found: Sequence[Reading], file: str = FILE) -> str:
    """A few of them, spread over all, cut to a line each."""
    few = min(SHOWN, len(found))
    chosen = [found[place * (len(found) - 1) // max(few - 1, 1)] for place in range(few)]
    lines = [line for one in chosen for line in (one.heading, *(_cut(line) for line in _plain(one)))]
    rest = len(found) - few
    return "\n".join([*lines, *([f"{rest} more are in {file}"] if rest else [])])


def write(file: Path, found: Sequence[Reading]) -> None:
    """All of them, letter below letter."""
    about = "What the recogniser heard in the sound, above what the network read off the lips that it moved itself."
    _write(file, found, about)


def write_read(file: Path, found: Sequence[Reading], modality: str) -> None:
    """The same of what an expert read. modality: "video", "silent" or "audio-visual"."""
    about = f"What is said, above what a lip-reading expert read ({modality})."
    if modality == "audio-visual":
        about += " It hears the sound, too, so that it may read well whatever the lips do."
    _write(file, found, about)


def _write(file: Path, found: Sequence[Reading], about: str) -> None:
    marks = f"A {GAP} stands where one of them has a letter and the other none, a ^ below every letter that is wrong."
    parts = ["# What the lips say", f"{about} {marks}"]
    parts += [f"## {one.heading}\n\n{_indented(one)}" for one in found]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _plain(one: Reading) -> list[str]:
    return [f"  {one.words.true} {_said(one.text.heard)}", f"  {one.words.read} {_said(one.text.lip_read)}"]


def _said(text: str | None) -> str:
    return NOTHING if text is None else text or "(nothing)"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _indented(one: Reading) -> str:
    """As a block that Markdown leaves as it is."""
    return "\n".join(f"    {line}".rstrip() for line in _lines(one))


def _lines(one: Reading) -> Iterator[str]:
    if not one.text.heard or not one.text.lip_read:
        yield from (line.strip() for line in _plain(one))
        return
    true, read, wrong = _beside(one.text.heard, one.text.lip_read)
    for start in range(0, len(true), WIDTH):
        here = slice(start, start + WIDTH)
        yield f"{one.words.true} {true[here]}"
        yield f"{one.words.read} {read[here]}"
        if wrong[here].strip():
            yield f"          {wrong[here]}"


def _beside(heard: str, read: str) -> tuple[str, str, str]:
    """Both texts with gaps, so that letters that belong together stand in one column, and a mark for each edit."""
    pairs = aligned(letters(heard), letters(read))
    ours, theirs = iter(heard), iter(read)
    return (
        "".join(GAP if a is None else next(ours) for a, _ in pairs),
        "".join(GAP if b is None else next(theirs) for _, b in pairs),
        "".join(" " if a == b else "^" for a, b in pairs),
    )
