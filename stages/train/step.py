"""One step of the optimiser: the gradient of all its clips, in pieces that fit, agreed on by all processes.

A step that runs out of memory is done again in pieces of half the size, with the random streams and the statistics of
batch norms that it began with: gradients are sums over clips, so nothing but rounding, and what a network draws for
each clip, depends on the pieces.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from models.motion_prior import MotionPrior
from models.talking_face import Clips, TalkingFace
from pipeline.errors import StageError
from stages.train import Params
from stages.train.clips import ClipReader, Take
from stages.train.compiling import compile_blocks, telling_of_compiler
from stages.train.faults import naming, ran_out, too_large
from stages.train.group import Group
from stages.train.loader import moved
from stages.train.order import Piece, Work
from stages.train.state import random_state, set_random_state
from stages.train.tally import Adding, Meeting, Tally

LARGE, PIECE_ON_CPU = 30_000_000, 2
"""Parameters from which on a CPU takes no longer for so many clips at once than for more, in a quarter less memory."""
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Stepper:
    """Steps down the gradient of `network`'s losses. bound: most clips of a piece that memory holds, 0: all.
    bad, failed: takes of this process whose loss was no number, or that did not fit, in the last attempt.

    `gradients` leaves the summed gradient of all processes in the parameters; `move` lets the optimiser use it.
    """

    def __init__(
        self,
        network: TalkingFace | MotionPrior,
        clips: ClipReader,
        optimiser: torch.optim.Optimizer,
        options: Params,
        *,
        device: str,
        group: Group,
        say: Callable[[str], None],
    ) -> None:
        self.module = cast("torch.nn.Module", network)
        self.clips = clips
        self.optimiser = optimiser
        self.options = options
        self.device = device
        self.group = group
        self.say = say
        self.bound = 0
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=options.precision == "fp16")
        self.bad: list[Take] = []
        self.failed: list[Take] = []
        self.losses = network.losses
        norms = [module for module in self.module.modules() if isinstance(module, _BatchNorm)]
        self.statistics = [buffer for norm in norms for buffer in norm.buffers()]
        if options.compile:
            compile_blocks(self.module)
        self.meet = Meeting(group)
        _check_precision(self.precision)

    @property
    def micro(self) -> int:
        """Most clips of a piece; 0: all."""
        wished = self.options.micro_batch or usual(self.module, self.device)
        return min((most for most in (wished, self.bound) if most), default=0)

    def pieces(self, work: Work) -> Iterator[Piece]:
        """What this process computes of a step."""
        return work.pieces(self.group.rank, self.group.size, self.micro)

    def gradients(self, work: Work, read: Iterator[Clips], wishes: Callable[[], tuple[bool, bool]]) -> Tally:
        """What `work` adds up to over all processes. read: its pieces. wishes: whether this process wants to stop, and
        to save. StageError where a clip does not fit alone, or a loss is no number."""
        streams, counted = random_state(), [buffer.clone() for buffer in self.statistics]
        own = self._attempt(work, read)
        own.stop, own.due = wishes()
        while (found := self.meet(own)).short:
            self._halve(work)
            set_random_state(streams)
            for buffer, before in zip(self.statistics, counted, strict=True):
                buffer.copy_(before)
            stop, due = own.stop, own.due
            own = self._attempt(work, (self.clips.batch(piece.takes) for piece in self.pieces(work)))
            own.stop, own.due = stop, due
        return found

    def _attempt(self, work: Work, read: Iterator[Clips]) -> Tally:
        """The gradients of this process's share, on top of none; `short` where memory did not suffice."""
        self.optimiser.zero_grad()
        adding = Adding()
        self.bad = []
        for piece in self.pieces(work):
            self.failed = list(piece.takes)
            try:
                self._add(piece, next(read), adding, learn=work.moves)
            except RuntimeError as error:
                if not ran_out(error):
                    raise
                break
        else:
            self.failed = []
            return self._judged(work, adding)
        # Out here the error, whose frames hold the step's activations, is gone.
        self.optimiser.zero_grad()
        if torch.device(self.device).type == "cuda":
            torch.cuda.empty_cache()
        return Tally(short=True)

    def _add(self, piece: Piece, clips: Clips, adding: Adding, *, learn: bool) -> None:
        with naming(piece.takes), torch.set_grad_enabled(learn):
            losses = self._losses(moved(clips, self.device))
        if learn:
            self.scaler.scale(losses["loss"] * piece.weight).backward()
        adding.add(losses, len(piece.takes))

    def _losses(self, clips: Clips) -> dict[str, Tensor]:
        with self.precision(), telling_of_compiler(self.options.compile):
            return self.losses(clips)

    def _judged(self, work: Work, adding: Adding) -> Tally:
        tally = adding.tally()
        finite = [torch.tensor(value).isfinite().item() for value in adding.values()] if tally.clips else []
        for piece, good in zip(self.pieces(work), finite, strict=True):
            self.bad += [] if good else piece.takes
        tally.bad = bool(self.bad)
        return tally

    def _halve(self, work: Work) -> None:
        largest = min(self.micro or work.largest(self.group.size), work.largest(self.group.size))
        if largest == 1:
            raise too_large(self.of_all(self.failed), self.clips, self.device)
        self.bound = largest // 2
        self.say(
            f"out of memory on {self.device}: from here {self.bound} clips at a time instead of {largest}; "
            "a batch stays what it was"
        )

    def of_all(self, takes: Sequence[Take]) -> list[Take]:
        """What every process has of this; no more than plain values travel."""
        return [Take(*take) for some in self.group.gather([tuple(take) for take in takes]) for take in some]

    def move(self, rate: float) -> None:
        """One step of the optimiser at this rate, from the gradients of all processes."""
        for settings in self.optimiser.param_groups:
            settings["lr"] = rate
        self.group.sum_gradients(self.module.parameters())
        self.scaler.unscale_(self.optimiser)
        if self.options.grad_clip > 0:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.options.grad_clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def precision(self) -> AbstractContextManager[Any]:
        """Where networks compute, in training and validation."""
        kind, wanted = torch.device(self.device).type, TYPES.get(self.options.precision)
        return torch.autocast(kind, dtype=wanted or torch.bfloat16, enabled=wanted is not None)

    def rehearse(self, batch: Sequence[Take]) -> Tally:
        """Forward and backward of a batch, after which all is as before, but for what its memory taught."""
        streams, buffers = random_state(), [buffer.clone() for buffer in self.module.buffers()]
        work = Work([batch])
        read = (self.clips.batch(piece.takes) for piece in self.pieces(work))
        found = self.gradients(work, read, lambda: (False, False))
        self.optimiser.zero_grad()
        with torch.no_grad():
            for buffer, before in zip(self.module.buffers(), buffers, strict=True):
                buffer.copy_(before)
        set_random_state(streams)
        return found


def usual(module: torch.nn.Module, device: str) -> int:
    """Clips of a piece where nobody says: all, but on a CPU a few already fill the products of a large network."""
    large = sum(parameter.numel() for parameter in module.parameters()) >= LARGE
    return PIECE_ON_CPU if large and torch.device(device).type == "cpu" else 0


def _check_precision(precision: Callable[[], AbstractContextManager[Any]]) -> None:
    """StageError where this torch cannot compute so on this device, which it would only warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with precision():
                return
        except (RuntimeError, UserWarning) as error:
            raise StageError(f"this precision cannot be had here: {error}; set precision = 'float32'") from None
