"""One call for each of many things, several at a time, results in the order of the things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from joblib import Parallel, delayed

T = TypeVar("T")
R = TypeVar("R")


def overlapping(call: Callable[[T], R], things: Iterable[T], threads: int) -> Iterator[R]:
    """Calls overlap where they wait for files or hold no lock. The first error ends it, as it would a loop."""
    if threads <= 1:
        return map(call, things)
    results: Iterator[R] = Parallel(n_jobs=threads, backend="threading", return_as="generator")(
        delayed(call)(thing) for thing in things
    )
    return results
