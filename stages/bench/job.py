"""A job without an engine, whose steps are timed: what the training loop is handed when it is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from pipeline.stage import Input

T = TypeVar("T")


@dataclass
class TimedJob:
    """Implements `pipeline.stage.Job`, as far as a training loop asks for it.

    marks: (wall clock, processor time) in seconds before the first step and after each.
    """

    out: Path
    state: Path
    device: str = "cpu"
    workers: int = 1
    seed: int = 0
    processes: int = 1
    inputs: Mapping[str, Input] = field(default_factory=dict)
    marks: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def under(cls, folder: Path, **options: Any) -> TimedJob:
        """With fresh folders below `folder`."""
        out, state = folder / "out", folder / "state"
        out.mkdir()
        state.mkdir()
        return cls(out, state, **options)

    def each(self, ids: Sequence[str], make: Callable[[str], Iterable[Path]], **_: Any) -> None:
        for name in ids:
            list(make(name))

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        return set()

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        self._mark()
        for thing in things:
            yield thing
            self._mark()

    def _mark(self) -> None:
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize(self.device)
        self.marks.append((time.perf_counter(), time.process_time()))

    def say(self, text: str) -> None:
        """Nobody listens."""

    def watch(self, text: str) -> None:
        """Nobody looks."""

    def note(self, **facts: Any) -> None:
        """Nothing is recorded."""

    def stopping(self) -> bool:
        return False
