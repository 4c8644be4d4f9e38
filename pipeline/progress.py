"""What the user sees while steps run: a live tree in a terminal (`pipeline.live`), plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

PLAIN_INTERVAL_S = 10.0


@dataclass(frozen=True)
class Progress:
    """How far a step is with one kind of thing. total: None where nobody knows."""

    done: int
    total: int | None
    unit: str
    seconds: float

    def __str__(self) -> str:
        return rate_text(self.done, self.total, self.unit, self.seconds)


class Reporter:
    """Plain lines: a step's start and end, at most one line of progress in ten seconds.

    Steps are called by labels: their names, after the recipe's where a run has several recipes.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._quiet = quiet
        self._width = 10
        self._told: dict[str, float] = {}

    def outline(self, steps: Mapping[str, Sequence[str]]) -> None:
        """Recipe → the labels of its steps, told once before the first of them."""
        self.expect(label for labels in steps.values() for label in labels)

    def expect(self, labels: Iterable[str]) -> None:
        """Names that lines will begin with, so that what follows them stands in one column."""
        self._width = max(map(columns, labels), default=self._width)

    def line(self, text: str) -> None:
        """A line of its own."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        """Something to be seen to that stops nothing."""
        self.line(f"warning: {text}")

    def step(self, name: str, state: str, text: str = "", **facts: Any) -> None:
        """What became of a step; with no state, something that it says. `facts` are for the record of the run."""
        self.line(f"{padded(name, self._width)}  {state:<8}  {text}".rstrip())

    def track(self, step: str, things: Iterable[T], total: int | None, unit: str) -> Iterator[T]:
        """Iterate, telling how far it is."""
        started = time.monotonic()
        self.progress(step, Progress(0, total, unit, 0.0))
        try:
            for done, thing in enumerate(things, start=1):
                yield thing
                self.progress(step, Progress(done, total, unit, time.monotonic() - started))
        finally:
            self.progress(step, None)

    def progress(self, step: str, progress: Progress | None) -> None:
        """How far a step is; None when it is through with what it counted."""
        now = time.monotonic()
        if progress is None or progress.done == 0:
            self._told[step] = now
        elif now - self._told.get(step, 0.0) >= PLAIN_INTERVAL_S:
            self._told[step] = now
            self.step(step, "", str(progress))

    def watch(self, step: str, text: str) -> None:
        """What goes on in a step right now; only a terminal has a place for a line that changes."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def rate_text(done: int, total: int | None, unit: str, seconds: float) -> str:
    """ "12 of 40 sequences, 3.1/s, 9 s left"."""
    rate = done / seconds if seconds else 0.0
    text = f"{done} of {total} {unit}" if total else f"{done} {unit}"
    text += f", {rate:.1f}/s" if rate >= 1 else f", {1 / rate:.1f} s each" if rate else ""
    return text + (f", {duration((total - done) / rate)} left" if total and rate and done < total else "")


def duration(seconds: float) -> str:
    """ "0.4 s", "12 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size_text(count: float) -> str:
    """Bytes in the unit that reads best."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def reporter(*, quiet: bool = False) -> Reporter:
    """Live in a terminal that can move its cursor, plain elsewhere."""
    if quiet or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Reporter(quiet=quiet)
    from pipeline.live import LiveReporter

    return LiveReporter()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def padded(text: str, width: int) -> str:
    """With spaces up to `width` columns."""
    return text + " " * (width - columns(text))


def table(rows: Iterable[tuple[Any, ...]], head: tuple[str, ...] = ()) -> str:
    """Rows in aligned columns, as plain text."""
    cells = [tuple(str(cell) for cell in row) for row in ([head] if head else []) + list(rows)]
    if not cells:
        return ""
    widths = [max(columns(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
