"""What a training run tells its user while it runs: an estimate first, a line for an epoch now and then."""

from __future__ import annotations

import time

from pipeline.stage import Job
from stages.train.estimate import Estimate
from stages.train.state import Progress

WARM_UP = 3
"""Steps that no rate counts; the first ones are slower than the rest."""
SECONDS_BETWEEN = 5.0


class Reporter:
    """Watches a `Progress`. `step` and `epoch` are called after each; `epochs`, `steps` are the totals."""

    def __init__(self, job: Job, progress: Progress, *, epochs: int, steps: int) -> None:
        self.job = job
        self.progress = progress
        self.epochs = epochs
        self.total = epochs * steps
        self.first = progress.step
        self.began = self.said = time.monotonic()
        if progress.step:
            job.say(f"going on after step {progress.step} of {self.total}, epoch {progress.epoch + 1} of {epochs}")

    def estimate(self, found: Estimate) -> None:
        clips = f"{found.clips} clips of" if found.clips > 1 else "one clip of"
        batch = f"longest batch: {clips} {found.length:.1f} s"
        steps = f"{self.total - self.progress.step:,} steps, validation not counted"
        self.job.say(f"about {duration(found.seconds)} for {steps}, about {found.memory / 1e9:.2g} GB ({batch})")

    def step(self) -> None:
        if self.progress.step - self.first == WARM_UP:
            self.began = time.monotonic()

    def epoch(self) -> None:
        """Say the epoch's losses, unless a line has just been said; the last epoch is always said."""
        final = self.progress.epoch == self.epochs
        if not final and time.monotonic() - self.said < SECONDS_BETWEEN:
            return
        self.said = time.monotonic()
        record = self.progress.history[-1]
        text = f"epoch {record['epoch']}/{self.epochs}: loss {record['train']['loss']:.4g}"
        if "val" in record:
            best = " (best)" if self.progress.best_epoch == record["epoch"] else ""
            text += f", validation {record['val']['loss']:.4g}{best}"
        if self.progress.step - self.first > WARM_UP:
            text += f", {self._rate():.3g} steps/s" + ("" if final else f", {self._left()} left")
        self.job.say(text)

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
