"""Batches that are read while the network computes: a thread of its own keeps the next ones ready.

Nothing in it is drawn at random, so reading ahead changes no stream and no order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Generic, TypeVar

import torch

from models.talking_face import Clips

T = TypeVar("T")

AHEAD, AHEAD_ON_CPU = 2, 1
"""Batches that lie ready. More would only take memory, of which a CPU's network has the same."""
COUNTS = ("feature_lengths", "frames", "text_lengths", "sound_lengths")
"""Read as numbers by every network: on the GPU, each look at them would wait for all that it has still to do."""


class Loader(Generic[T]):
    """Iterates over `read(thing)` of all things, in their order. What reading raises is raised where it is wanted.

    As a context manager it ends its thread, whatever ended the block. device: a CUDA one gets pinned memory.
    """

    def __init__(self, read: Callable[[T], Clips], things: Iterable[T], device: str) -> None:
        self._read = read
        self._things = iter(things)
        kind = torch.device(device).type
        self._pinned = kind == "cuda"
        self._ahead = AHEAD_ON_CPU if kind == "cpu" else AHEAD
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clips")
        self._ready: deque[Future[Clips]] = deque()

    def __iter__(self) -> Iterator[Clips]:
        return self

    def __next__(self) -> Clips:
        self._fill()
        if not self._ready:
            raise StopIteration
        clips = self._ready.popleft().result()
        self._fill()
        return clips

    def restart(self, things: Iterable[T]) -> None:
        """Forget what was read ahead and go on with others."""
        self._drop()
        self._things = iter(things)

    def __enter__(self) -> Loader[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._drop()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        while len(self._ready) < self._ahead:
            try:
                thing = next(self._things)
            except StopIteration:
                return
            self._ready.append(self._thread.submit(self._get, thing))

    def _drop(self) -> None:
        for waiting in self._ready:
            waiting.cancel()
        self._ready.clear()

    def _get(self, thing: T) -> Clips:
        clips = self._read(thing)
        return pinned(clips) if self._pinned else clips


def pinned(clips: Clips) -> Clips:
    """In memory that a GPU copies from while the program goes on."""
    return replace(clips, **{name: value.pin_memory() for name, value in _heavy(clips).items()})


def moved(clips: Clips, device: str) -> Clips:
    """On a device, but for the counts, without waiting for the copies."""
    return replace(clips, **{name: value.to(device, non_blocking=True) for name, value in _heavy(clips).items()})


def _heavy(clips: Clips) -> dict[str, torch.Tensor]:
    return {name: value for name, value in vars(clips).items() if value is not None and name not in COUNTS}
