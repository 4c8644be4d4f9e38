"""A program that is killed, or whose disk fills, at the n-th call that changes the disk.

    points = kill_points(action, folder)          # how many such calls an undisturbed run makes
    run_until(action, folder, n=17)               # killed with SIGKILL at the 17th, in the middle of it if it writes
    run_until(action, folder, n=17, how="full")   # from the 17th on the disk is full; removing still works
    run_until(action, folder, n=1, how="read-only")

An action is a function of a module, its arguments can be pickled. It runs in a child forked from a clean server process
that has the engine imported: a few milliseconds each, and no threads of the test's own process are in the way. The
environment is the server's; what an action needs it must be told.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Action = Callable[..., None]

GROWING = ("link", "rename", "replace", "mkdir", "symlink", "fsync", "write", "truncate")
OTHERS = ("unlink", "remove", "rmdir", "chmod", "utime")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.cache.faults", "tests.cache.fault_actions", "pipeline.execute"])


@dataclass(frozen=True)
class Outcome:
    """calls: how many there were. error: what the action raised, "" for nothing. killed: it did not live to say."""

    calls: int
    error: str
    killed: bool


def kill_points(action: Action, *arguments: Any) -> int:
    """How many calls that change the disk an undisturbed run of an action makes."""
    outcome = run_until(action, *arguments)
    assert not outcome.killed, outcome
    assert not outcome.error, outcome
    return outcome.calls


def run_until(action: Action, *arguments: Any, n: int = 0, how: str = "kill") -> Outcome:
    """Run an action in a process of its own; 0 is never. how: "kill", "full", "broken" (once) or "read-only"."""
    with contextlib.chdir(ROOT):  # where the server finds what it imports
        forkserver.ensure_running()
    ours, theirs = _context.Pipe(duplex=False)
    child = _context.Process(target=_child, args=(theirs, action, arguments, n, how))
    child.start()
    theirs.close()
    try:
        calls, error = ours.recv()
    except EOFError:
        calls, error = n, ""
    ours.close()
    child.join()
    killed = child.exitcode == -signal.SIGKILL
    assert killed or child.exitcode == 0, f"{action.__name__} left with {child.exitcode}"
    child.close()
    return Outcome(calls, error, killed)


@contextlib.contextmanager
def without_sync() -> Iterator[None]:
    """The block's own runs leave it to the system when their bytes reach the disk; most of their time goes there."""
    real, os.fsync = os.fsync, lambda number: None
    try:
        yield
    finally:
        os.fsync = real


def _child(answer: Connection, action: Action, arguments: tuple[Any, ...], n: int, how: str) -> None:
    disk = _Disk(n, how)
    with disk.watched():
        try:
            action(*arguments)
            error = ""
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
    answer.send((disk.calls, error))


class _Disk:
    """Counts the calls, and acts at one of them."""

    def __init__(self, n: int, how: str) -> None:
        self.calls = 0
        self._n, self._how = n, how

    @contextlib.contextmanager
    def watched(self) -> Any:
        real = {name: getattr(os, name) for name in (*GROWING, *OTHERS, "open")}
        opened = io.open
        for name in (*GROWING, *OTHERS):
            setattr(os, name, self._wrapped(real[name], grows=name in GROWING))
        os.fsync = self._wrapped(lambda number: None, grows=True)  # what is killed is a process, not the machine
        os.open = self._wrapped_open(real["open"])
        io.open = builtins.open = self._wrapped_file_open(opened)
        try:
            yield
        finally:
            io.open = builtins.open = opened
            for name, function in real.items():
                setattr(os, name, function)

    def step(self, *, grows: bool, halfway: Callable[[], None] = lambda: None) -> None:
        """One call: passes, kills or raises."""
        self.calls += 1
        if not self._n or self.calls < self._n:
            return
        if self._how == "kill":
            halfway()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._how == "broken" and self.calls == self._n:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        elif self._how == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        elif self._how == "full" and grows:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _wrapped(self, function: Any, *, grows: bool) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.step(grows=grows)
            return function(*arguments, **named)

        return call

    def _wrapped_open(self, function: Any) -> Any:
        def call(path: Any, flags: int, *arguments: Any, **named: Any) -> Any:
            if flags & WRITES:
                self.step(grows=True)
            return function(path, flags, *arguments, **named)

        return call

    def _wrapped_file_open(self, function: Any) -> Any:
        def call(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+"):
                return function(file, mode, *arguments, **named)
            self.step(grows=True)
            return _File(function(file, mode, *arguments, **named), self)

        return call


class _File:
    """A file open for writing; each write is a call, and a kill leaves half of it on the disk."""

    def __init__(self, stream: Any, disk: _Disk) -> None:
        self._stream, self._disk = stream, disk

    def write(self, data: Any) -> int:
        def half() -> None:
            self._stream.write(data[: len(data) // 2])
            self._stream.flush()

        self._disk.step(grows=True, halfway=half)
        return int(self._stream.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
