"""Where the processes that train together find each other, and how each sees that the others live.

A small table of keys, torch's TCPStore, that process 0 or the launcher holds and all reach. Keys of ours:

    orders                   how many there were
    order/N                  the text of order N, see `stages.train.sharing`; empty: there will be no more
    N/ready/R, N/failed/R    process R is about to train; or a sentence on why it cannot, or could not go on
    N/over                   process 0 has left the training of order N
    beat/R, N/beat           counters that grow while process R, and the one that leads order N, live
    left                     how many processes have gone home

What travels is text and numbers, never a pickle: whoever can reach the store can stop a training, not run code.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import NamedTuple

from torch.distributed import DistStoreError, PrefixStore, Store, TCPStore

from pipeline.errors import StageError
from pipeline.launched import Place

LOOK_S = 0.3
BEAT_S = 5.0
PATIENCE_S = 120.0
"""Without a beat, a process counts as gone. Long: whoever is killed or closes its connections is noticed at once."""
FAREWELL_S = 5.0


class Address(NamedTuple):
    host: str
    port: int


def launchers_address() -> Address:
    """Where a launcher says that the store is, or is to be."""
    return Address(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))


def connect(address: Address) -> Store:
    """A connection of the caller's own: one that waits keeps others from using it. StageError where nobody answers."""
    try:
        return PrefixStore("facepipe", TCPStore(address.host, address.port, is_master=False))
    except RuntimeError as error:
        raise StageError(f"process 0 does not answer at {address.host}:{address.port}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """torch's errors end in a trace of its own."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class Pulse:
    """A thread that lets a process's counter grow, and looks after others until something is wrong.

    mine: the counter, "" for none. theirs: counters of others and who they are. trouble: says what else is wrong, ""
    for nothing. alarm: called once, in the thread, with what was found.
    """

    def __init__(
        self,
        address: Address,
        mine: str = "",
        theirs: Mapping[str, str] | None = None,
        trouble: Callable[[Store], str] = lambda store: "",
        alarm: Callable[[str], None] = lambda found: None,
    ) -> None:
        self.found = ""
        self._mine, self._theirs, self._trouble, self._alarm = mine, theirs or {}, trouble, alarm
        self._seen: dict[str, tuple[int, float]] = {}
        self._ended, self._raised = threading.Event(), threading.Event()
        self._store = connect(address)
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2 * LOOK_S)  # one that raises the alarm may last

    def wait(self, seconds: float) -> str:
        """What is wrong, waiting for it to be found if need be."""
        self._raised.wait(seconds)
        return self.found

    def _watch(self) -> None:
        beaten = -BEAT_S
        while not self._ended.is_set():
            try:
                if self._mine and time.monotonic() - beaten >= BEAT_S:
                    self._store.add(self._mine, 1)
                    beaten = time.monotonic()
                found = self._trouble(self._store) or self._silent()
            except RuntimeError as error:
                found = f"process 0 is gone ({first_line(error)})"
            if found:
                self.found = found
                self._raised.set()
                return self._alarm(found)
            self._ended.wait(LOOK_S)

    def _silent(self) -> str:
        for key, who in self._theirs.items():
            count, now = self._store.add(key, 0), time.monotonic()
            if key not in self._seen or self._seen[key][0] != count:
                self._seen[key] = (count, now)
            elif now - self._seen[key][1] > PATIENCE_S:
                return f"{who} has not been heard of for {PATIENCE_S:.0f} s"
        return ""


@contextmanager
def leading(address: Address, others: int) -> Iterator[None]:
    """Process 0 is at work; at its end all go home. Others are waited for, since the table may end with us."""
    with Pulse(address, mine="beat/0"):
        try:
            yield
        finally:
            with suppress(RuntimeError):  # whoever held the table is gone, and so are they
                store = connect(address)
                give(store, "")
                until = time.monotonic() + FAREWELL_S
                while store.add("left", 0) < others and time.monotonic() < until:
                    time.sleep(LOOK_S / 10)


def give(store: Store, order: str) -> int:
    """Send an order to all; its number."""
    number = store.add("orders", 1)
    store.set(f"order/{number}", order)
    return number


def next_order(store: Store, number: int, look: Callable[[], None] = lambda: None) -> str:
    """Wait for it, with a `look` now and then. DistNetworkError where the table is gone."""
    while True:
        look()
        with suppress(DistStoreError):  # nothing yet; signals are heard in between
            store.wait([f"order/{number}"], timedelta(seconds=1))
            return store.get(f"order/{number}").decode()


@contextmanager
def hosted() -> Iterator[Address]:
    """A table on this machine, for processes of this machine alone, at a port that the system chooses."""
    held = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    yield Address("127.0.0.1", held.port)
    del held


@contextmanager
def lead(place: Place) -> Iterator[None]:
    """Process 0 of a launcher, around the command that it runs: the others wait for what it shares."""
    address = launchers_address()
    held = None
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True):
        try:
            held = TCPStore(address.host, address.port, is_master=True, wait_for_workers=False)
        except RuntimeError as error:
            raise StageError(
                f"MASTER_PORT={address.port} cannot be used ({first_line(error)}): start with another one"
            ) from error
    with leading(address, place.size - 1):
        yield
    del held
