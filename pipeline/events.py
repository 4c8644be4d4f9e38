"""The record of a run: `<store>/runs/<id>.jsonl`, an event a line, and `<id>.log`, what the user was told.

Every line is written at once, so that a killed run leaves all that it did; that it was killed shows by the missing last
event and the dead process. The record is for people and never read to decide what runs: where it cannot be written, one
warning is given and the run goes on. The newest `KEPT` runs are kept.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.progress import Progress, Reporter

FOLDER = "runs"
KEPT = 300
PROGRESS_INTERVAL_S = 1.0
WATCH_INTERVAL_S = 5.0
ENDS = ("done", "failed")
_PRUNED_AT = KEPT + 50


class Record:
    """The two files of one run, made with the first event."""

    def __init__(self, folder: Path, name: str) -> None:
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}"
        self.name = f"{stamp}-{name}-{os.urandom(2).hex()}"
        self.problem = ""
        self._folder = folder
        self._files: dict[str, int] = {}

    def event(self, event: str, **facts: Any) -> None:
        """Add an event."""
        self._write(
            ".jsonl", json.dumps({"t": round(time.time(), 3), "event": event} | facts, default=str, ensure_ascii=False)
        )

    def log(self, text: str) -> None:
        """Add what the user was told."""
        stamp = time.strftime("%H:%M:%S")
        self._write(".log", "\n".join(f"{stamp}  {line}" for line in text.splitlines() or [""]))

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files = {}

    def _write(self, kind: str, text: str) -> None:
        if self.problem:
            return
        try:
            if kind not in self._files:
                self._folder.mkdir(parents=True, exist_ok=True)
                path = self._folder / (self.name + kind)
                self._files[kind] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            os.write(self._files[kind], f"{text}\n".encode(errors="replace"))
        except OSError as error:
            self.problem = f"no record of this run is kept: {self._folder} cannot be written to ({error.strerror})"


class Told(Reporter):
    """A reporter that tells the screen and keeps the record. `labels`: label → what its events name."""

    def __init__(self, screen: Reporter, record: Record, labels: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__()
        self._screen, self._record, self._labels = screen, record, labels
        self._noted: dict[str, float] = {}
        self._watched: dict[str, float] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._lines = _Lines(record)

    def outline(self, steps: Mapping[str, Sequence[str]]) -> None:
        self._lines.outline(steps)
        self._screen.outline(steps)

    def line(self, text: str) -> None:
        self._lines.line(text)
        self._screen.line(text)

    def warn(self, text: str) -> None:
        self._record.event("warning", text=text)
        self._lines.warn(text)
        self._screen.warn(text)

    def step(self, name: str, state: str, text: str = "", **facts: Any) -> None:
        if state in ENDS and (counts := self._counts.pop(name, None)):
            facts["counts"] = counts
        event = state or ("warning" if text.startswith("warning: ") else "said")
        self._record.event(event, **self._name(name), text=text, **facts)
        self._lines.step(name, state, text)
        self._screen.step(name, state, text)
        self._told_problem()

    def progress(self, step: str, progress: Progress | None) -> None:
        self._screen.progress(step, progress)
        self._lines.progress(step, progress)
        if progress is None:
            return
        self._counts.setdefault(step, {})[progress.unit] = progress.done
        now = time.monotonic()
        if now - self._noted.setdefault(step, now) >= PROGRESS_INTERVAL_S:
            self._noted[step] = now
            facts = {"done": progress.done, "total": progress.total, "unit": progress.unit}
            self._record.event("progress", **self._name(step), **facts)

    def watch(self, step: str, text: str) -> None:
        self._screen.watch(step, text)
        now = time.monotonic()
        if now - self._watched.get(step, -WATCH_INTERVAL_S) >= WATCH_INTERVAL_S:
            self._watched[step] = now
            self._record.event("watch", **self._name(step), text=text)

    def ended(self, error: str) -> None:
        """What ended the run; the command line tells the user itself."""
        self._record.event("error", text=error)
        self._record.log(f"error: {error}")

    def close(self) -> None:
        self._screen.close()

    def _name(self, label: str) -> Mapping[str, str]:
        return self._labels.get(label, {"step": label})

    def _told_problem(self) -> None:
        if self._record.problem:
            self._screen.warn(self._record.problem)
            self._record = _NoRecord(self._record)
            self._lines = _Lines(self._record)


class _NoRecord(Record):
    """Takes the place of one that could not be written."""

    def __init__(self, lost: Record) -> None:
        self.name, self.problem = lost.name, ""

    def _write(self, kind: str, text: str) -> None:
        """Nowhere."""


class _Lines(Reporter):
    """Plain lines into the log."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def line(self, text: str) -> None:
        self._record.log(text)


def command() -> list[str]:
    """The words of this command line."""
    return ["pipe", *sys.argv[1:]]


def prune(folder: Path, kept: int = KEPT) -> None:
    """Remove the oldest records, once there are a good many more than are kept."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
    except OSError:
        return
    if len(names) < kept + _PRUNED_AT - KEPT:
        return
    for name in names[:-kept]:
        for path in (folder / name, (folder / name).with_suffix(".log")):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                return
