"""How long a run will take and how much memory, from its own batches, before the first step.

The longest batch that can come goes through forward and backward once, so that a run that does not fit says so, or
halves its pieces, before anything is lost; then a middling one, which is timed. Nothing is changed by it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from stages.processor import peak_resident
from stages.train.clips import Take
from stages.train.order import Order
from stages.train.step import Stepper

LEAST = 20
"""Steps left below which an estimate costs more than it tells."""
MOMENTS = 2
"""Numbers that Adam keeps of every trained one, made at its first step."""


class Estimate(NamedTuple):
    """seconds: for all steps that are left. memory: bytes at the worst. clips, length: of the longest batch, in s."""

    seconds: float
    memory: int
    clips: int
    length: float


def estimate(stepper: Stepper, order: Order, epoch: int, steps: int) -> Estimate:
    """For `steps` steps from `epoch` on; validation is not counted."""
    longest, middling = extremes(order, epoch)
    stepper.rehearse(longest)
    memory = peak_memory(stepper.device) + moments(stepper.optimiser)
    began = time.monotonic()
    stepper.rehearse(middling)
    # Reading was in line here, which it is not in training: an upper bound.
    spent = time.monotonic() - began
    batches = sum(len(work.batches) for work in order.epoch(epoch)) / max(1, order.steps)
    frames = max(stepper.clips.data.entry(take.name).frames for take in longest)
    return Estimate(spent * batches * steps, memory, len(longest), frames / stepper.clips.data.fps)


def extremes(order: Order, epoch: int) -> tuple[list[Take], list[Take]]:
    """The longest clips of all as one batch, which any order may bring together, and a batch of the middle size."""
    length = {take: int(frames) for take, frames in zip(order.takes, order.lengths, strict=True)}
    longest = sorted(order.takes, key=lambda take: -length[take])[: order.options.batch_size]
    batches = sorted(order.batches(epoch), key=lambda batch: len(batch) * max(length[take] for take in batch))
    return longest, batches[len(batches) // 2]


def moments(optimiser: torch.optim.Optimizer) -> int:
    """Bytes that the optimiser will take at its first step; 0 after it."""
    if optimiser.state:
        return 0
    learned: Sequence[torch.Tensor] = [tensor for group in optimiser.param_groups for tensor in group["params"]]
    return MOMENTS * sum(tensor.numel() * tensor.element_size() for tensor in learned)


def peak_memory(device: str) -> int:
    """Bytes at the worst so far: of the GPU where there is one, else of this process."""
    kind = torch.device(device)
    if kind.type == "cuda":
        return torch.cuda.max_memory_allocated(kind)
    if kind.type == "mps":
        return torch.mps.driver_allocated_memory()
    return peak_resident()
