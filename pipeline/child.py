"""`python -m pipeline.child PIPE LABEL`: makes one artifact for a run that makes several at once.

It reads its order from standard input and tells all that happens to the pipe, a JSON list a line. It stops when the
parent says so or is gone, as a run does at Ctrl-C: when its work is safe.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any

from pipeline.errors import PipeError
from pipeline.exchange import Exchange
from pipeline.execute import Means, Runner
from pipeline.job import Stop
from pipeline.plan import Planned
from pipeline.progress import Progress, Reporter
from pipeline.provenance import know_git
from pipeline.recipe import Recipe
from pipeline.workspace import Workspace

_INTERVAL_S = 0.1
_STDIN = 0


@dataclass(frozen=True)
class Order:
    """What a `Runner` is made of, a step, the steps that it reads, and the commit, which the parent knows already."""

    recipe: Recipe
    workspace: Workspace
    means: Means
    label: str
    entry: Planned
    before: Mapping[str, Planned]
    git: str


class _Upward(Reporter):
    """Tells the parent. What changes quickly at most ten times a second: it may be counted in microseconds."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__()
        self._pipe, self._lock = pipe, threading.Lock()
        self._last = self._watched = 0.0

    def tell(self, *words: Any) -> None:
        with self._lock, suppress(OSError):  # a parent that is gone; the work is brought to safety all the same
            self._pipe.write(json.dumps(words, default=str) + "\n")
            self._pipe.flush()

    def line(self, text: str) -> None:
        self.tell("line", text)

    def warn(self, text: str) -> None:
        self.tell("warn", text)

    def step(self, name: str, state: str, text: str = "", **facts: Any) -> None:
        self.tell("step", state, text, facts)

    def progress(self, step: str, progress: Progress | None) -> None:
        now = time.monotonic()
        if progress is None:
            self.tell("progress")
        elif progress.done in (0, progress.total) or now - self._last >= _INTERVAL_S:
            self._last = now
            self.tell("progress", progress.done, progress.total, progress.unit, progress.seconds)

    def watch(self, step: str, text: str) -> None:
        now = time.monotonic()
        if now - self._watched >= _INTERVAL_S:
            self._watched = now
            self.tell("watch", text)


class _ParentsStop(Stop):
    """The parent's word, or its end, in the place of signals. SIGTERM may come from outside, to all at once."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self._now = False

    def __enter__(self) -> _ParentsStop:
        signal.signal(signal.SIGINT, self._heard)
        signal.signal(signal.SIGTERM, self._heard)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.wished = self.wished or number == signal.SIGTERM
        if self._now:
            raise KeyboardInterrupt

    def _listen(self) -> None:
        while words := os.read(_STDIN, 100):
            self.wished = True
            if b"now" in words:
                self._now = True
                os.kill(os.getpid(), signal.SIGINT)  # the main thread hears it
        self.wished = True


def main() -> None:
    """Make what the order says."""
    sys.path[:] = pickle.loads(_read())
    order: Order = pickle.loads(_read())
    know_git(order.git)
    with open(int(sys.argv[1]), "w", encoding="utf-8") as pipe:
        upward = _Upward(pipe)
        with _ParentsStop(upward) as stop:
            try:
                exchange = Exchange(order.workspace, upward, lambda: stop.wished)
                runner = Runner(order.recipe, order.workspace, upward, order.means, stop, order.label, exchange)
                words = ["made", runner.make(order.entry, order.before).name]
            except PipeError as error:
                words = ["error", type(error).__name__, str(error), traceback.format_exc()]
        upward.tell(*words)


def _read() -> bytes:
    """A block from standard input. Unbuffered: a thread that waits in a buffer's lock cannot be left at the end."""
    return _exactly(int.from_bytes(_exactly(8), "big"))


def _exactly(count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = os.read(_STDIN, count - len(found))
        if not part:
            raise EOFError("the parent is gone")
        found += part
    return found


if __name__ == "__main__":
    main()
