"""What a training run tells while it runs: an estimate, a line for an epoch now and then and one that changes all the
time; the history so far, as a file; numbers for other programs.
"""

from __future__ import annotations

import json
import time

from pipeline.stage import Job
from stages.kinds.checkpoint import HISTORY
from stages.train.estimate import Estimate
from stages.train.sinks import Sinks
from stages.train.state import Progress
from stages.train.watch import live_line, memory, scalars

WARM_UP = 3
"""Steps that no rate counts; the first ones are slower than the rest."""
SECONDS_BETWEEN = 5.0
BLINK_S = 0.3
"""Between two changes of the line that changes."""
LONG_S = 60.0
"""A training that takes longer is worth following."""


class Reporter:
    """Watches a `Progress`. `step` and `epoch` are called after each; `epochs`, `steps` are the totals."""

    def __init__(self, job: Job, progress: Progress, *, epochs: int, steps: int, sinks: Sinks | None = None) -> None:
        self.job = job
        self.progress = progress
        self.epochs = epochs
        self.total = epochs * steps
        self.sinks = sinks or Sinks({}, job.say)
        self.first = progress.step
        self.began = self.said = time.monotonic()
        self.watched = 0.0
        if progress.step:
            job.say(f"going on after step {progress.step} of {self.total}, epoch {progress.epoch + 1} of {epochs}")
        self.file = job.state / HISTORY
        lines = [json.dumps(record) + "\n" for record in progress.history]
        self.file.write_text("".join(lines), encoding="utf-8")  # an attempt that was killed may have told more

    def estimate(self, found: Estimate) -> None:
        clips = f"{found.clips} clips of" if found.clips > 1 else "one clip of"
        batch = f"longest batch: {clips} {found.length:.1f} s"
        steps = f"{self.total - self.progress.step:,} steps, validation not counted"
        self.job.say(f"about {duration(found.seconds)} for {steps}, about {found.memory / 1e9:.2g} GB ({batch})")
        if found.seconds > LONG_S:
            self.job.say(f"to follow it: tail -f {self.file}")

    def step(self) -> None:
        if self.progress.step - self.first == WARM_UP:
            self.began = time.monotonic()
        if time.monotonic() - self.watched >= BLINK_S:
            self.watched = time.monotonic()
            self.job.watch(live_line(self.progress, self.epochs, self.job.device))

    def epoch(self) -> None:
        """Add the epoch to the history's file and the sinks, and say its losses, unless a line has just been said.

        The last epoch is always said.
        """
        record = self.progress.history[-1]
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        more = {"time/seconds": self.progress.seconds} | {
            f"memory/{name}": value for name, value in memory(self.job.device).items()
        }
        if self.progress.step - self.first > WARM_UP:
            more["time/steps_per_second"] = self._rate()
        self.sinks.write(record["step"], scalars(record) | more)
        final = self.progress.epoch == self.epochs
        if final or time.monotonic() - self.said >= SECONDS_BETWEEN:
            self.said = time.monotonic()
            self.job.say(self._line(final))

    def _line(self, final: bool) -> str:
        record = self.progress.history[-1]
        text = f"epoch {record['epoch']}/{self.epochs}: loss {record['train']['loss']:.4g}"
        if "val" in record:
            best = " (best)" if self.progress.best_epoch == record["epoch"] else ""
            text += f", validation {record['val']['loss']:.4g}{best}"
        if self.progress.step - self.first > WARM_UP:
            text += f", {self._rate():.3g} steps/s" + ("" if final else f", {self._left()} left")
        return text

    def _rate(self) -> float:
        done = self.progress.step - self.first - WARM_UP
        return done / max(time.monotonic() - self.began, 1e-9)

    def _left(self) -> str:
        return duration((self.total - self.progress.step) / self._rate())


def duration(seconds: float) -> str:
    """ "42 s", "7 min", "3.5 h" """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
