"""One living worker per key, among processes, hosts and network file systems.

A lease is a *folder* with one file in it, the token, whose name is its owner's. It is taken by filling a folder under a
name of one's own and renaming it to the lease's name, which succeeds only while nothing, or an empty folder, has that
name. It is given back, and a dead owner's lease is ended, by unlinking *that* token. The argument:

* A token comes into a lease only by such a rename, never singly, and its name is never used twice. So a lease holds at
  most one token, and whoever's token is in it, is the holder: two processes cannot both be.
* Ending a dead owner's lease unlinks one name that can only be that owner's. However late a waiter does it, suspended
  for an hour between its judgement and the unlink, it cannot hit the lease of a successor; several doing it is as one.
* Nobody gains a lease by ending one: all waiters compete by the same rename afterwards, and one wins.

The token is touched every HEARTBEAT_S. An owner that this machine cannot judge (see `cache.owner`) counts as dead when
its token has stayed untouched for SILENCE_S. That is measured without the local clock: by the file server's, as the age
of the token against a file written now, and confirmed by watching the token stand still for two heartbeats; or by
watching it stand still for SILENCE_S. So neither a clock that jumps ahead ends a living lease, nor does one that jumps
back keep a dead one.

Silence is not proof: an owner may have been suspended. It keeps no lease by that; it can ask `Held.lost`, and the store
moves the work folder away from under it (see `cache.work`), so that it cannot publish over its successor.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.errors import CacheError, LeaseTaken
from cache.files import read_json
from cache.owner import Owner, this_process

HEARTBEAT_S = 15.0
SILENCE_S = 180.0
FIRST_LOOK_S = 0.05
LONGEST_LOOK_S = 3.0
_BLINK_S = 0.2

Wait = Callable[[str], None]
"""Called again and again while somebody else holds the lease, with who it is; ends the waiting by raising."""


@dataclass(frozen=True)
class Held:
    """A lease that this process holds. after: whose lease was ended for it, and by what evidence, or ""."""

    path: Path
    owner: Owner
    after: str = ""

    @property
    def token(self) -> Path:
        return self.path / self.owner.name

    def lost(self) -> bool:
        """Whether others took this process for dead and ended its lease."""
        try:
            os.close(os.open(self.token, os.O_RDONLY))  # opening asks a file server; stat may ask its cache
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ESTALE)
        return False


@contextlib.contextmanager
def lease(path: Path, makes: str = "", wait: Wait | None = None) -> Iterator[Held]:
    """Hold the lease at `path` for the block.

    makes: what the others are told it is for. wait: see `Wait`; without it LeaseTaken where somebody holds it.
    """
    held = _acquire(path, makes, wait)
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(held.token, stop), name="lease", daemon=True)
    heart.start()
    try:
        yield held
    finally:
        stop.set()
        heart.join(1.0)
        if held.owner.pid == str(os.getpid()):  # not in a forked child that unwinds
            _end(path, held.owner)


def holder(path: Path) -> Owner | None:
    """Who holds the lease at `path`, or None; ask its `dead()` whether it still lives."""
    names = _names(path)
    return next(filter(None, map(Owner.parse, names)), None)


def described(path: Path, owner: Owner) -> str:
    """ "4711 on node03 (train, since 2026-05-04 08:01 UTC)"."""
    told = read_json(path / owner.name)
    told = told if isinstance(told, dict) else {}
    facts = [str(told["makes"])] if told.get("makes") else []
    facts += [f"Slurm job {told['job']}"] if told.get("job") else []
    facts += [f"since {told['since']}"] if told.get("since") else []
    return f"{owner} ({', '.join(facts)})" if facts else str(owner)


def sweep_leases(folder: Path) -> None:
    """Remove the leases in a folder whose owners are known to be dead, and what killed ones left of their attempts."""
    for name in _names(folder):
        path = folder / name
        base, _, claimant = name.partition(".lease")
        if base == name:
            continue
        owner = Owner.parse(claimant[1:]) if claimant else holder(path)
        if owner is not None and owner.dead():
            _clear(path, owner)
        elif owner is None and not claimant:
            with contextlib.suppress(OSError):  # goes where it is empty: its owner was killed while giving it back
                os.rmdir(path)


def _acquire(path: Path, makes: str, wait: Wait | None) -> Held:
    me, watch, pause, after = this_process(), _Watch(), FIRST_LOOK_S, ""
    while not _claim(path, me, makes):
        owner = holder(path)
        if owner is not None and (evidence := owner.dead() or watch.silence(path / owner.name, me)):
            after = f"{owner}: {evidence}"
            _end(path, owner)
            continue
        there = owner is not None or _drop_strangers(path, watch, me)
        if there and wait is None:
            raise LeaseTaken(
                f"process {owner or 'unknown'} is already making this; wait for it, or stop it, and run again (its "
                f"lease is {path})"
            )
        who = described(path, owner) if owner else "an unknown process"
        _rest(pause, functools.partial(wait, who) if there and wait else None)
        pause = min(1.5 * pause, LONGEST_LOOK_S)
    return Held(path, me, after)


def _claim(path: Path, me: Owner, makes: str) -> bool:
    """Try to take the lease; False where somebody else has it."""
    claim = path.with_name(f"{path.name}.{me.name}")
    try:
        claim.mkdir(parents=True, exist_ok=True)
        (claim / me.name).write_text(json.dumps(_told(me, makes)), encoding="utf-8")
        os.rename(claim, path)
        return True
    except OSError as error:
        if (path / me.name).exists():  # renamed, and the file server's answer was lost
            return True
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) and not _names(path):
            raise
        with contextlib.suppress(OSError):  # some file systems rename onto no folder, not even an empty one
            os.rmdir(path)
        return False
    finally:
        _clear(claim, me)


def _told(me: Owner, makes: str) -> dict[str, str]:
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    job = os.environ.get("SLURM_JOB_ID", "")
    return {"host": me.host, "pid": me.pid, "makes": makes, "since": since, "job": job}


def _clear(claim: Path, owner: Owner) -> None:
    with contextlib.suppress(OSError):
        (claim / owner.name).unlink(missing_ok=True)
        os.rmdir(claim)


def _end(path: Path, owner: Owner) -> None:
    """End the lease of one owner and of nobody else."""
    try:
        (path / owner.name).unlink(missing_ok=True)
    except PermissionError as error:
        raise CacheError(
            f"the lease {path} of {owner}, which is dead, belongs to another user and cannot be ended ({error.strerror}"
            "); let its owner remove it, and share a store with umask 002"
        ) from error
    except NotADirectoryError:
        return
    with contextlib.suppress(OSError):  # a successor may be in it already; then it is not empty
        os.rmdir(path)


def _drop_strangers(path: Path, watch: _Watch, me: Owner) -> bool:
    """Whether a lease has files that tell of no owner, a file server's own, say; they go when they look dead."""
    try:
        strangers = [name for name in os.listdir(path) if Owner.parse(name) is None]
    except PermissionError as error:
        raise CacheError(
            f"the lease {path} belongs to another user and cannot be read ({error.strerror}); share a store with umask "
            "002"
        ) from error
    except OSError:
        return False
    if strangers and watch.silence(path / min(strangers), me):
        with contextlib.suppress(OSError):
            (path / min(strangers)).unlink()
    return bool(strangers)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _beat(token: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        try:
            os.utime(token)  # by the server's clock where a server keeps the file
        except FileNotFoundError:
            return
        except OSError:  # a network's hiccup; the next beat is soon
            continue


def _rest(seconds: float, call: Callable[[], None] | None) -> None:
    """Sleep, asking every moment whether to go on."""
    end = time.monotonic() + seconds
    while True:
        if call is not None:
            call()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _BLINK_S))


class _Watch:
    """How long a token has stood still, as far as this process saw it itself."""

    def __init__(self) -> None:
        self._beat: tuple[str, int] = ("", 0)
        self._still = self._looked = 0.0

    def silence(self, token: Path, me: Owner) -> str:
        """The evidence that the token's owner has been silent for too long, or ""."""
        now, beat = time.monotonic(), (token.name, _touched(token))
        if beat != self._beat or not beat[1]:
            self._beat, self._still = beat, 0.0
        else:  # a pause of our own, a suspended machine's say, is no silence of the other
            self._still += min(now - self._looked, 2 * LONGEST_LOOK_S)
        self._looked = now
        if self._still < min(2 * HEARTBEAT_S, SILENCE_S):
            return ""
        long_ago = self._still >= SILENCE_S or _age(token, me) >= SILENCE_S
        return f"no sign of life for {SILENCE_S:.0f} s" if long_ago else ""


def _touched(file: Path) -> int:
    """When a file was touched, in the server's nanoseconds; 0 where it is not there, or nobody knows."""
    try:
        with contextlib.suppress(PermissionError):
            os.close(os.open(file, os.O_RDONLY))  # opening asks a file server; stat alone may ask its cache
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


def _age(token: Path, me: Owner) -> float:
    """Seconds since a token was touched, by the clock that stamps files there."""
    probe = token.parent.with_name(f"{token.parent.name}.{me.name}")
    try:
        probe.mkdir()
        with (probe / me.name).open("w") as now:
            return (os.fstat(now.fileno()).st_mtime_ns - _touched(token)) / 1e9
    except OSError:
        return 0.0
    finally:
        _clear(probe, me)
