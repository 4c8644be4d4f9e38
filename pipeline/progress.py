"""What the user sees while steps run: a live bar in a terminal, plain lines elsewhere (logs, CI, pipes)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

PLAIN_INTERVAL_S = 10.0
WIDE = 80
"""Columns of a terminal from which on rates and times fit beside a bar."""


class Reporter:
    """Plain lines: a step's start and end, at most one line of progress in ten seconds."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._quiet = quiet
        self.width = 10

    def line(self, text: str) -> None:
        """A line of its own."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def step(self, name: str, state: str, text: str = "") -> None:
        """What became of a step."""
        self.line(f"{name:<{self.width}}  {state:<8}  {text}".rstrip())

    def track(self, step: str, things: Iterable[T], total: int | None, unit: str) -> Iterator[T]:
        """Iterate, telling how far it is."""
        started = last = time.monotonic()
        for done, thing in enumerate(things, start=1):
            yield thing
            now = time.monotonic()
            if now - last >= PLAIN_INTERVAL_S:
                last = now
                self.step(step, "", rate_text(done, total, unit, now - started))

    def close(self) -> None:
        """Leave the terminal as it was."""


class LiveReporter(Reporter):
    """Rich progress bars, gone when their work is done."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._console = Console(highlight=False)
        columns = [
            TextColumn("{task.description}"),
            BarColumn(None if self._console.width < WIDE else 40),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
        ]
        if self._console.width >= WIDE:
            columns += [
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            ]
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._started = False

    def line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def track(self, step: str, things: Iterable[T], total: int | None, unit: str) -> Iterator[T]:
        self._start()
        task = self._progress.add_task(step, total=total, unit=unit, rate="")
        started = time.monotonic()
        try:
            for done, thing in enumerate(things, start=1):
                yield thing
                rate = done / max(time.monotonic() - started, 1e-9)
                self._progress.update(
                    task, completed=done, rate=f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
                )
        finally:
            self._progress.remove_task(task)

    def close(self) -> None:
        if self._started:
            self._progress.stop()
            self._started = False

    def _start(self) -> None:
        if not self._started:
            self._progress.start()
            self._started = True


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
    """Live in a terminal, plain elsewhere."""
    return LiveReporter() if sys.stdout.isatty() and not quiet else Reporter(quiet=quiet)


def table(rows: Iterable[tuple[Any, ...]], head: tuple[str, ...] = ()) -> str:
    """Rows in aligned columns, as plain text."""
    cells = [tuple(str(cell) for cell in row) for row in ([head] if head else []) + list(rows)]
    if not cells:
        return ""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
