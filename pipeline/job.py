"""The `Job` that a running stage is handed: its folders, its inputs, its items and its voice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from cache.store import Work
from pipeline.errors import Interrupted, StageError
from pipeline.progress import Reporter
from pipeline.stage import Input

T = TypeVar("T")

_SYNC_INTERVAL_S = 1.0
AT_ITEM = "at item "
"""What begins the note, on an error that leaves an item, that names it."""


class Stop:
    """Turns Ctrl-C and SIGTERM into a wish to stop; the second Ctrl-C stops at once."""

    def __init__(self, reporter: Reporter) -> None:
        self.wished = False
        self._reporter = reporter
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.wished:
            raise KeyboardInterrupt
        self.wished = True
        self._reporter.line("stopping when the current piece of work is safe; Ctrl-C again stops at once")


class Journal:
    """Which items of a key are finished, one line each: `<unit>/<id>` and its files with their sizes.

    A line counts only while all its files are there with those sizes; a torn last line counts as absent.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._synced = 0.0
        self._lock = threading.Lock()
        self.finished = self._read()

    def done(self, name: str, files: Iterable[Path]) -> None:
        """Note an item as finished."""
        entry = {os.path.relpath(path, self._work.path): path.stat().st_size for path in files}
        if outside := next((file for file in entry if file.startswith("..")), ""):
            raise StageError(f"{name} was written outside its folder, to {outside}; is a name in the data a path?")
        with self._lock, self._work.journal.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([name, entry]) + "\n")
            stream.flush()
            if time.monotonic() - self._synced > _SYNC_INTERVAL_S:  # an fsync per item would cost more than most items
                os.fsync(stream.fileno())
                self._synced = time.monotonic()
            self.finished[name] = list(entry)

    def forget(self) -> None:
        """Start the key from nothing, the stage's own saved state included."""
        self._work.journal.unlink(missing_ok=True)
        shutil.rmtree(self._work.state)
        self._work.state.mkdir()
        self.finished = {}

    def items(self) -> dict[str, list[str]]:
        """Item id → its files below `out`, for the manifest."""
        found: dict[str, list[str]] = {}
        for name, files in self.finished.items():
            found.setdefault(name.partition("/")[2], []).extend(f[4:] for f in files if f.startswith("out/"))
        return found

    def _read(self) -> dict[str, list[str]]:
        finished: dict[str, list[str]] = {}
        try:
            lines = self._work.journal.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        for line in lines:
            try:
                name, entry = json.loads(line)
            except ValueError:
                continue
            if all(self._is_there(file, size) for file, size in entry.items()):
                finished[name] = list(entry)
        return finished

    def _is_there(self, file: str, size: int) -> bool:
        try:
            return (self._work.path / file).stat().st_size == size
        except OSError:
            return False


class RunningJob:
    """See `pipeline.stage.Job` for the contract."""

    def __init__(
        self,
        step: str,
        work: Work,
        inputs: Mapping[str, Input],
        *,
        seed: int,
        device: str,
        workers: int,
        reporter: Reporter,
        stop: Stop,
    ) -> None:
        self.out, self.state = work.out, work.state
        self.inputs, self.seed, self.workers = inputs, seed, workers
        self.notes: dict[str, Any] = {}
        self.used_device = "cpu"  # until the stage asks
        self.journal = Journal(work)
        self._step, self._device, self._reporter, self._stop = step, device, reporter, stop

    @property
    def device(self) -> str:
        self.used_device = self._found_device()
        return self.used_device

    def _found_device(self) -> str:
        import torch

        if self._device == "auto":
            return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        kind, _, index = self._device.partition(":")
        count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
        if int(index or 0) >= count:
            raise StageError(f"--device {self._device}: torch sees no such device on this machine; use auto or cpu")
        return self._device

    def each(
        self,
        ids: Sequence[str],
        make: Callable[[str], Iterable[Path]],
        *,
        unit: str = "sequences",
        threads: int = 1,
    ) -> None:
        waiting = [item for item in ids if f"{unit}/{item}" not in self.journal.finished]
        if len(waiting) < len(ids):
            self.say(f"{len(ids) - len(waiting)} of {len(ids)} {unit} were finished by an earlier attempt")

        def finish(item: str) -> None:
            if self.stopping():
                raise Interrupted(f"stopped by the user; finished {unit} are kept, run again to go on")
            try:
                self.journal.done(f"{unit}/{item}", list(make(item)))
            except Exception as error:
                error.add_note(f"{AT_ITEM}{item}")
                raise

        for _ in self.track(_calls(finish, waiting, threads), total=len(waiting), unit=unit):
            pass

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        if total is None and isinstance(things, Sequence):
            total = len(things)
        return self._reporter.track(self._step, things, total, unit)

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._reporter.step(self._step, "", line)

    def note(self, **facts: Any) -> None:
        self.notes |= facts

    def stopping(self) -> bool:
        return self._stop.wished


def _calls(call: Callable[[str], None], items: Sequence[str], threads: int) -> Iterator[None]:
    if threads <= 1 or len(items) <= 1:
        for item in items:
            call(item)
            yield
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=threads, backend="threading", return_as="generator_unordered")(
        delayed(call)(item) for item in items
    )
