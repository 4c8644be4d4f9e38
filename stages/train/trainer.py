"""The training loop: steps over clips that are read ahead, validation, the best and the last weights.

The order of an epoch's clips is a function of (seed, epoch), the rate one of the step, and state is saved only between
steps of the optimiser, so a resumed run repeats nothing and skips nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from models.motion_prior import MotionPrior
from models.talking_face import TalkingFace
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Job
from stages.train import Params
from stages.train.clips import ClipReader, Take, telling_name
from stages.train.estimate import LEAST, estimate
from stages.train.faults import diverged, names, naming
from stages.train.group import Alone, Group
from stages.train.health import HEALTH, examine, verdict
from stages.train.loader import Loader, moved
from stages.train.looks import GRADIENTS, faintness, looks
from stages.train.optimisers import Average, make_optimiser
from stages.train.order import Order, Work
from stages.train.report import Reporter
from stages.train.schedule import rate
from stages.train.sinks import Sinks
from stages.train.state import Part, Progress, StateFile, random_state, seed_everything
from stages.train.step import Stepper
from stages.train.tally import Adding, Meeting, Tally

SEED_OF_RANK = 1_000_003
"""Far from the seeds that people take side by side."""


class Trainer:
    """Fits `network` to the train split of `clips`. `fit` returns where it ended; the state folder holds the best.

    Every process of `group` has a trainer of its own, upon equal networks, clips and options.
    """

    def __init__(
        self,
        job: Job,
        network: TalkingFace | MotionPrior,
        clips: ClipReader,
        options: Params,
        group: Group | None = None,
        sinks: Sinks | None = None,
    ) -> None:
        self.job, self.network, self.clips, self.options = job, network, clips, options
        self.sinks = sinks
        self.module = cast("torch.nn.Module", network)
        self.group = group or Alone()
        self.lead = self.group.rank == 0
        takes = [take for takes in clips.takes("train") for take in takes]
        self.val_takes = clips.takes("val")
        self._check(takes)
        self.order = Order(takes, clips.frames(takes), options, job.seed)
        self.optimiser = make_optimiser(self.module, options)
        self.average = Average(self.module, options.ema)
        self.stepper = Stepper(
            network, clips, self.optimiser, options, device=job.device, group=self.group, say=self._say
        )
        self._meet = Meeting(self.group)
        parts: dict[str, Part] = {"network": self.module, "optimiser": self.optimiser}
        parts |= {"average": self.average, "scaler": self.stepper.scaler}
        self.files = StateFile(job.state, parts, self._say)
        self.progress = self._restored()
        self.saved_at = time.monotonic()

    def _check(self, takes: Sequence[Take]) -> None:
        if not takes:
            raise StageError(f"{self.clips.data.path} has no sequence in its train split: there is nothing to train on")
        if (size := self.options.batch_size) < self.group.size:
            raise StageError(
                f"batch_size = {size} clips cannot be shared by {self.group.size} processes: set batch_size to "
                f"{self.group.size} or more, or use fewer"
            )

    def _restored(self) -> Progress:
        if not self.lead:
            seed_everything(self.job.seed + SEED_OF_RANK * self.group.rank)  # each draws for clips of its own
        progress = self.files.restore(self.group.rank)
        if progress is None:
            progress = Progress()
            self._study()
        if len(set(self.group.gather(progress.step))) > 1:
            raise StageError(f"the processes do not go on from the same step; remove {self.job.state} and begin anew")
        self.stepper.bound = progress.micro
        return progress

    def _study(self) -> None:
        """Shows a network that asks for it all that it is to learn, in every process alike. Weights that were given
        bring what they have learnt of their own data."""
        study = getattr(self.network, "study", None)
        if study is None or self.options.weights:
            return
        names = self.clips.data.ids("train")

        def motions() -> Iterator[tuple[Tensor, Tensor]]:
            for name in names:
                with telling_name(name):
                    motion = torch.from_numpy(self.clips.motion(name).copy())
                yield motion.to(self.job.device), self.clips.template(name).to(self.job.device)

        with torch.no_grad():
            study(motions)

    def fit(self) -> Progress:
        """Run all epochs; the network then holds what is to be published as the last weights. Interrupted after a saved
        state when the user asked to stop; StageError where training cannot go on."""
        reporter = self._reporter() if self.lead else None
        self.module.train()
        self._estimate(reporter)
        with Loader(self.clips.batch, self._ahead(), self.job.device) as loader:
            for work in self._tracked():
                self._work(work, loader, reporter)
        progress, epochs = self.progress, self.options.epochs
        if progress.epoch < epochs:
            why = f"{progress.stale} validations without a better loss than that of epoch {progress.best_epoch}"
            self._say(f"stopped after epoch {progress.epoch} of {epochs}: {why}")
        self.average.swap()
        return self.progress

    def _reporter(self) -> Reporter:
        epochs, steps = self.options.epochs, self.order.steps
        return Reporter(self.job, self.progress, epochs=epochs, steps=steps, sinks=self.sinks)

    def _estimate(self, reporter: Reporter | None) -> None:
        left = self.options.epochs * self.order.steps - self.progress.step
        if left >= LEAST and not self._over():
            found = estimate(self.stepper, self.order, self.progress.epoch, left)
            if reporter is not None:
                reporter.estimate(found)

    def _tracked(self) -> Iterator[Work]:
        total = sum(1 for _ in self.order.after(self.progress.epoch, self.progress.position))
        return self.job.track(self._remaining(), total=total, unit="steps") if self.lead else self._remaining()

    def _remaining(self) -> Iterator[Work]:
        """What is left to do, from where the progress stands."""
        for work in self.order.after(self.progress.epoch, self.progress.position):
            if self._over():
                return
            yield work

    def _ahead(self) -> Iterator[Sequence[Take]]:
        """What this process reads of it."""
        for work in self.order.after(self.progress.epoch, self.progress.position):
            yield from (piece.takes for piece in self.stepper.pieces(work))

    def _work(self, work: Work, loader: Loader[Sequence[Take]], reporter: Reporter | None) -> None:
        began, micro = time.monotonic(), self.stepper.micro
        found = self._step(work, loader)
        if self.stepper.micro != micro:
            loader.restart(self._ahead())
        if work.last:
            self._end_epoch()
            if reporter is not None:
                reporter.epoch()
            found = self._meet_wishes()
        self.progress.seconds += time.monotonic() - began
        if reporter is not None:
            reporter.step()
        self._save_if_wished(found)

    def _step(self, work: Work, loader: Loader[Sequence[Take]]) -> Tally:
        progress = self.progress
        found = self.stepper.gradients(work, loader, self._wishes)
        if found.bad:
            bad = self.stepper.of_all(self.stepper.bad)
            where = f"in epoch {progress.epoch + 1}, step {progress.position + 1} ({names(bad)})"
            raise self._diverged(f"the loss is not finite {where}", "and check the data of these sequences")
        if work.moves:
            self.stepper.move(self._rate(progress.step))
            progress.step += 1
            self.average.update(progress.step)
        progress.add(found)
        progress.position += 1
        progress.micro = self.stepper.bound
        return found

    def _rate(self, step: int) -> float:
        return rate(step, self.options, steps=self.order.steps)

    def _end_epoch(self) -> None:
        progress = self.progress
        record: dict[str, Any] = {"epoch": progress.epoch + 1, "step": progress.step}
        record |= {"lr": self._rate(progress.step - 1), "train": progress.tally().means()}
        final = progress.epoch + 1 == self.options.epochs
        if self.val_takes and (final or (progress.epoch + 1) % self.options.validate_every == 0):
            with self.average.shown():
                self._validated(record)
        progress.end_epoch(record)

    def _validated(self, record: dict[str, Any]) -> None:
        """Adds to the record. StageError where the network has lost its way."""
        record["val"] = self.validate()
        if not all(math.isfinite(value) for value in record["val"].values()):
            raise self._diverged(f"the validation loss of epoch {record['epoch']} is no number")
        health = examine(self.network, self.clips, self.job.device) if self.lead else None
        if (found := self.group.gather(health and health.record())[0]) is not None:
            record[HEALTH] = found
        self._looked_at(record)
        if reason := verdict([*self.progress.history, record], self.options.frozen_patience, self.clips.wants.track):
            raise StageError(f"training was stopped after epoch {record['epoch']}: {reason}{self._last_good()}")
        self._judge(record["val"]["loss"])

    def _looked_at(self, record: dict[str, Any]) -> None:
        norms = looks(self.network, self.clips, self.job, record["epoch"]) if self.lead else None
        if (found := self.group.gather(norms)[0]) is None:
            return
        record[GRADIENTS] = found
        first = not any(GRADIENTS in earlier for earlier in self.progress.history)
        if first and (warning := faintness(found)) is not None:
            self._say(warning)

    def _judge(self, loss: float) -> None:
        progress = self.progress
        if loss >= progress.best_loss:
            progress.stale += 1
            return
        progress.best_loss, progress.best_epoch, progress.stale = loss, progress.epoch + 1, 0
        progress.best_file = self.files.best_name(progress.best_epoch)
        if self.lead:
            self.files.save_best(self.module, progress.best_epoch)

    def validate(self) -> dict[str, float]:
        """Mean validation losses over all (sequence, condition) pairs of the val split, each counted once."""
        adding, own = Adding(), self.val_takes[self.group.rank :: self.group.size]
        self.module.eval()
        with Loader(self.clips.in_styles, own, self.job.device) as loader, torch.no_grad(), self.stepper.precision():
            for takes, clips in zip(own, loader, strict=True):
                with naming(takes):
                    adding.add(self.network.validation_losses(moved(clips, self.job.device)), len(takes))
        return self._meet(adding.tally()).means()

    def _wishes(self) -> tuple[bool, bool]:
        due = self.lead and time.monotonic() - self.saved_at >= self.options.save_every
        return self.job.stopping(), due

    def _meet_wishes(self) -> Tally:
        stop, due = self._wishes()
        return self.stepper.meet(Tally(stop=stop, due=due))

    def _save_if_wished(self, found: Tally) -> None:
        if not (found.stop or found.due):
            return
        streams = self.group.gather(random_state())
        if self.lead:
            self.files.save(self.progress, streams)
        self.saved_at = time.monotonic()
        if found.stop and not self._over():
            raise Interrupted(
                f"training was stopped in epoch {self.progress.epoch + 1} of {self.options.epochs}, after step "
                f"{self.progress.step}; run the same command again to go on from there"
            )

    def _over(self) -> bool:
        """All epochs done, or out of patience: what is left is to publish."""
        return self.progress.epoch == self.options.epochs or 0 < self.options.patience <= self.progress.stale

    def _diverged(self, what: str, *more: str) -> StageError:
        return StageError(f"{diverged(what, self.options.lr, *more)}{self._last_good()}")

    def _last_good(self) -> str:
        """Where the best weights so far lie, and how to begin with them."""
        if not self.progress.best_file:
            return ""
        file = self.job.state / self.progress.best_file
        return f". The best weights so far, of epoch {self.progress.best_epoch}: --set step.NAME.weights={file}"

    def _say(self, text: str) -> None:
        if self.lead:
            self.job.say(text)
