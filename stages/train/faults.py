"""What can befall a training run, and the sentence that it is told in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from faces.errors import DataError
from pipeline.errors import StageError
from stages.train.clips import ClipReader, Take

NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
LOST = ("CUDA error", "HIP error", "CUBLAS_STATUS", "CUDNN_STATUS", "cuDNN error")


def ran_out(error: RuntimeError) -> bool:
    """Whether memory was wanting, whatever the library that asked for it."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)


def is_lost(error: RuntimeError) -> bool:
    """Whether the device does not answer any more."""
    newer = getattr(torch, "AcceleratorError", ())  # not in the oldest torch of our range
    return isinstance(error, newer) or any(words in str(error) for words in LOST)


@contextmanager
def naming(takes: Sequence[Take]) -> Iterator[None]:
    """What a network refuses about clips is told with their names."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error} (among {names(takes)}; skip in the preprocess step leaves a sequence out)") from None


@contextmanager
def telling_of(device: str) -> Iterator[None]:
    """A device that disappears is told in a sentence; what was saved before stays."""
    try:
        yield
    except RuntimeError as error:
        if ran_out(error) or not is_lost(error):
            raise
        raise StageError(
            f"the device {device} stopped answering ({first_line(error)}); what was saved is kept: see that it works "
            f"(nvidia-smi), then run the same command again to go on from there"
        ) from error


def diverged(what: str, lr: float, *more: str) -> StageError:
    """The error of a training that left the numbers."""
    return StageError(f"training diverged: {', '.join((f'{what}; lower lr (now {lr:g}) or set grad_clip', *more))}")


def too_large(takes: Sequence[Take], clips: ClipReader, device: str) -> StageError:
    """The error of clips that do not fit, one at a time, into a device's memory."""
    fps = clips.data.fps
    lengths = {take.name: clips.data.entry(take.name).frames for take in takes}
    what = ", ".join(f"{name} ({frames / fps:.1f} s, {frames} frames)" for name, frames in lengths.items())
    return StageError(
        f"out of memory on {device}: {what} does not fit even alone; leave it out (skip in the preprocess step) or cut "
        "it into shorter clips, set precision = 'bf16', or take a device with more memory"
    )


def names(takes: Sequence[Take]) -> str:
    return ", ".join(dict.fromkeys(take.name for take in takes))


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
