"""How far a long reading of bytes is: a bar in a terminal, else a line now and then; nothing for what takes no second.

All of it goes to the standard error stream, so that results can be piped on. May be told from several threads.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from pipeline.progress import PLAIN_INTERVAL_S, duration, size_text

PATIENCE_S = 1.0


class Meter:
    """Counts bytes while the block lasts. total: how many there will be."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._lock = threading.Lock()
        self._started = self._last = time.monotonic()
        self._live: Any = None
        self.done = 0

    def tell(self, count: int) -> None:
        """So many bytes more are done."""
        with self._lock:
            self.done += count
            now = time.monotonic()
            if self._live is not None:
                self._live.update(self._live.task_ids[0], completed=self.done)
            elif sys.stderr.isatty():
                if now - self._started > PATIENCE_S:
                    self._live = self._bar()
            elif now - self._last > PLAIN_INTERVAL_S:
                self._last = now
                print(self._line(now - self._started), file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _line(self, seconds: float) -> str:
        rate = self.done / seconds
        left = f", {duration((self._total - self.done) / rate)} left" if self.done < self._total else ""
        return f"{self._what} {size_text(self.done)} of {size_text(self._total)}, {size_text(rate)}/s{left}"

    def _bar(self) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (TextColumn(self._what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        bar = Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
        bar.add_task(self._what, total=max(self._total, self.done), completed=self.done)
        bar.start()
        return bar
