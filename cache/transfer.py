"""Many transfers side by side, told byte by byte, that can be stopped and that never hang.

The workers are daemon threads: a library that waits for a dead server must not hold up the end of the process. The
first error ends the whole; so does silence, as RemoteDown: nothing moved for `STALL_S` seconds.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from cache.errors import RemoteDown
from cache.transport import Tell

T = TypeVar("T")
Task = Callable[[Tell], None]

PATIENCE_S = 10.0
"""How long a remote may take to answer one small question."""
STALL_S = 60.0
_TICK_S = 0.5
_FAREWELL_S = 1.0


class _Stopped(Exception):
    """Raised inside a worker whose result nobody wants any more."""


def side_by_side(tasks: Sequence[Task], threads: int, address: str) -> Iterator[int]:
    """Run tasks on a few threads; yields how many bytes have moved, 0 now and then so that the caller may stop."""
    news: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()
    stopped = threading.Event()
    waiting = iter(tasks)
    lock = threading.Lock()

    def tell(count: int) -> None:
        if stopped.is_set():
            raise _Stopped
        news.put(count)

    def work() -> None:
        try:
            while not stopped.is_set():
                with lock:
                    task = next(waiting, None)
                if task is None:
                    break
                task(tell)
            news.put(None)
        except _Stopped:
            pass
        except Exception as error:
            news.put(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(tasks)))]
    for worker in workers:
        worker.start()
    try:
        yield from _followed(news, len(workers), address)
    finally:
        stopped.set()
        deadline = time.monotonic() + _FAREWELL_S
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))


def _followed(news: queue.SimpleQueue[int | Exception | None], workers: int, address: str) -> Iterator[int]:
    moved = time.monotonic()
    while workers:
        try:
            found = news.get(timeout=_TICK_S)
        except queue.Empty:
            if time.monotonic() - moved > STALL_S:
                raise RemoteDown(f"remote {address} stopped answering: nothing moved for {STALL_S:.0f} s") from None
            yield 0
            continue
        moved = time.monotonic()
        if isinstance(found, Exception):
            raise found
        if found is None:
            workers -= 1
        else:
            yield found


def answer(question: Callable[[], T], address: str) -> T:
    """What a small question to a remote gives. RemoteDown where no answer comes within `PATIENCE_S` seconds."""
    answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((question(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        found, error = answers.get(timeout=PATIENCE_S)
    except queue.Empty:
        raise RemoteDown(f"remote {address} did not answer within {PATIENCE_S:.0f} s") from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]
