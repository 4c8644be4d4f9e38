"""The training loop: Adam over shuffled clips, validation, the best and the last weights.

The order of an epoch's clips is a function of (seed, epoch), and state is saved only between steps of the optimiser,
so a resumed run repeats nothing and skips nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from faces.errors import DataError
from models.motion_prior import MotionPrior
from models.quantiser import health
from models.talking_face import TalkingFace
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Job
from stages.train import Params
from stages.train.clips import ClipReader, Take
from stages.train.health import HEALTH, examine, verdict
from stages.train.report import Reporter
from stages.train.sinks import Sinks
from stages.train.state import Progress, StateFile

T = TypeVar("T")

CODES = "codes"
"""Among the losses of a motion prior, but none: how often each code was chosen."""


class Work(NamedTuple):
    """One step of the optimiser: its batches of takes, and whether it ends the epoch."""

    batches: Sequence[Sequence[Take]]
    last: bool


class Trainer:
    """Fits `network` to the train split of `clips`. `fit` returns where it ended; the state folder holds the best."""

    def __init__(
        self,
        job: Job,
        network: TalkingFace | MotionPrior,
        clips: ClipReader,
        options: Params,
        sinks: Sinks | None = None,
    ) -> None:
        self.job = job
        self.sinks = sinks
        self.network = network
        self.module = cast("torch.nn.Module", network)
        self.clips = clips
        self.options = options
        self.optimiser = make_optimiser(self.module, options)
        self.train_takes = [take for takes in clips.takes("train") for take in takes]
        self.val_takes = clips.takes("val")
        self.files = StateFile(job.state, job.say)
        self.progress = self.files.restore(self.module, self.optimiser) or Progress()
        self.saved_at = time.monotonic()

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_takes) / (self.options.batch_size * self.options.accumulate))

    def fit(self) -> Progress:
        """Run all epochs. Interrupted after a saved state when the user asked to stop; StageError on a loss of NaN."""
        if not self.train_takes:
            raise StageError(f"{self.clips.data.path} has no sequence in its train split: there is nothing to train on")
        total = self.options.epochs * self.steps_per_epoch
        steps = self.steps_per_epoch
        reporter = Reporter(self.job, self.progress, epochs=self.options.epochs, steps=steps, sinks=self.sinks)
        self.module.train()
        for work in self.job.track(self._remaining(), total=total - self.progress.step, unit="steps"):
            began = time.monotonic()
            self._step(work)
            if work.last:
                self._end_epoch()
                reporter.epoch()
            self.progress.seconds += time.monotonic() - began
            reporter.step()
            self._save_if_due()
        return self.progress

    def _remaining(self) -> Iterator[Work]:
        """What is left to do, from where the progress stands."""
        while self.progress.epoch < self.options.epochs and not self._out_of_patience():
            groups = self._groups(self.progress.epoch)
            for index in range(self.progress.position, len(groups)):
                yield Work(groups[index], last=index == len(groups) - 1)

    def _groups(self, epoch: int) -> list[list[list[Take]]]:
        """An epoch's shuffled takes: steps of batches of takes. The last of each may be smaller; nothing is dropped."""
        order = np.random.default_rng([self.job.seed, epoch]).permutation(len(self.train_takes))
        batches = chunks([self.train_takes[i] for i in order], self.options.batch_size)
        return chunks(batches, self.options.accumulate)

    def _step(self, work: Work) -> None:
        """One step down the gradient of the mean loss of all clips in `work`, however they are batched."""
        clips = sum(len(batch) for batch in work.batches)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.optimiser.zero_grad()
        for batch in work.batches:
            losses = self._losses(batch)
            torch.autograd.backward(losses["loss"] * (len(batch) / clips))
            self.progress.codes = count(self.progress.codes, losses)
            add(self.progress.sums, losses, len(batch))
        if self.options.grad_clip > 0:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.options.grad_clip)
        self.optimiser.step()
        self.progress.clips += clips
        self.progress.step += 1
        self.progress.position += 1

    @property
    def rate(self) -> float:
        """The learning rate of the epoch under way."""
        steps = self.progress.epoch // self.options.lr_step if self.options.lr_step else 0
        return float(self.options.lr * self.options.lr_factor**steps)

    def _losses(self, batch: Sequence[Take]) -> dict[str, Tensor]:
        clips = self.clips.batch(batch).to(self.job.device)
        with self._precision(), naming(batch):
            losses = self.network.losses(clips)
        if not torch.isfinite(losses["loss"]):
            names = ", ".join(take.name for take in batch)
            where = f"in epoch {self.progress.epoch + 1}, step {self.progress.position + 1} ({names})"
            what = f"the loss is {losses['loss'].item()} {where}"
            raise diverged(what, self.options.lr, "and check the data of these sequences")
        return losses

    def _end_epoch(self) -> None:
        progress = self.progress
        record: dict[str, Any] = {"epoch": progress.epoch + 1, "step": progress.step, "lr": self.rate}
        record["train"] = means(progress.sums, progress.clips, progress.codes)
        final = progress.epoch + 1 == self.options.epochs
        if self.val_takes and (final or (progress.epoch + 1) % self.options.validate_every == 0):
            record["val"] = self.validate()
            if not all(math.isfinite(value) for value in record["val"].values()):
                raise diverged(f"the validation loss of epoch {progress.epoch + 1} is no number", self.options.lr)
            if (found := examine(self.network, self.clips, self.job.device)) is not None:
                record[HEALTH] = found.record()
            if reason := verdict([*progress.history, record], self.options.frozen_patience):
                raise StageError(f"training was stopped after epoch {record['epoch']}: {reason}")
            self._judge(record["val"]["loss"])
        progress.history.append(record)
        progress.sums, progress.clips, progress.codes, progress.position = {}, 0, [], 0
        progress.epoch += 1

    def _judge(self, loss: float) -> None:
        progress = self.progress
        if loss < progress.best_loss:
            progress.best_loss, progress.best_epoch, progress.stale = loss, progress.epoch + 1, 0
            progress.best_file = self.files.save_best(self.module, progress.best_epoch)
        else:
            progress.stale += 1

    def validate(self) -> dict[str, float]:
        """Mean validation losses over all (sequence, condition) pairs of the val split, each counted once."""
        sums: dict[str, float] = {}
        codes: list[int] = []
        self.module.eval()
        with torch.no_grad(), self._precision():
            for takes in self.val_takes:
                clips = self.clips.in_styles(takes).to(self.job.device)
                with naming(takes):
                    losses = self.network.validation_losses(clips)
                codes = count(codes, losses)
                add(sums, losses, len(takes))
        self.module.train()
        return means(sums, sum(len(takes) for takes in self.val_takes), codes)

    def _save_if_due(self) -> None:
        stopping = self.job.stopping()
        if not stopping and time.monotonic() - self.saved_at < self.options.save_every:
            return
        self.files.save(self.module, self.optimiser, self.progress)
        self.saved_at = time.monotonic()
        if stopping:
            raise Interrupted(
                f"training was stopped in epoch {self.progress.epoch + 1} of {self.options.epochs}, after step "
                f"{self.progress.step}; run the same command again to go on from there"
            )

    def _out_of_patience(self) -> bool:
        return 0 < self.options.patience <= self.progress.stale

    def _precision(self) -> AbstractContextManager[Any]:
        kind = torch.device(self.job.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.options.precision == "bf16")


@contextmanager
def naming(takes: Sequence[Take]) -> Iterator[None]:
    """What a network refuses about clips is told with their names."""
    try:
        yield
    except DataError as error:
        names = ", ".join(dict.fromkeys(take.name for take in takes))
        raise DataError(f"{error} (among {names}; skip in the preprocess step leaves a sequence out)") from None


def diverged(what: str, lr: float, *more: str) -> StageError:
    """The error of a training that left the numbers."""
    return StageError(f"training diverged: {', '.join((f'{what}; lower lr (now {lr:g}) or set grad_clip', *more))}")


def chunks(things: Sequence[T], size: int) -> list[list[T]]:
    return [list(things[start : start + size]) for start in range(0, len(things), size)]


def add(sums: dict[str, float], losses: Mapping[str, Tensor], clips: int) -> None:
    """Add a batch's mean losses, weighted by its clips."""
    for name, value in losses.items():
        if name != CODES:
            sums[name] = sums.get(name, 0.0) + value.item() * clips


def count(codes: list[int], losses: Mapping[str, Tensor]) -> list[int]:
    """Codes chosen so far and in this batch; none where the network has no codebook."""
    if CODES not in losses:
        return codes
    found = losses[CODES].tolist()
    return [a + b for a, b in zip(codes, found, strict=True)] if codes else found


def means(sums: Mapping[str, float], clips: int, codes: Sequence[int]) -> dict[str, float]:
    """Of an epoch: mean losses over its clips, and how healthy the codebook was over all of them."""
    found = {name: total / clips for name, total in sums.items()}
    if codes:
        found |= {f"codebook_{name}": value for name, value in health(torch.tensor(codes)).items()}
    return found


def make_optimiser(module: torch.nn.Module, options: Params) -> torch.optim.Optimizer:
    """Over what is to be learned; the rest of the settings are PyTorch's own, as published."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if options.optimiser == "adamw":
        return torch.optim.AdamW(learned, lr=options.lr, weight_decay=options.weight_decay)
    return torch.optim.Adam(learned, lr=options.lr)
