"""The folder of a key in the making: one name at rest, a name of its own for every holder of the lease.

Whoever takes the lease moves the folder to a name that ends in its own nonce, and moves it back when it stops without
publishing. So whatever still writes for an earlier holder (a process that was suspended and taken for dead, the
orphaned helpers of a killed one) writes to a name that is no more: it can neither disturb its successor nor publish
over it, and what it had finished is still found by key.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.files import walk

if TYPE_CHECKING:
    from cache.lease import Held

MARK = "~"


@dataclass(frozen=True)
class Work:
    """Where a key is made. `held` is the lease under which it is, None for a look from outside."""

    path: Path
    stage: str
    key: Mapping[str, Any]
    held: Held | None = None

    @property
    def out(self) -> Path:
        return self.path / "out"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def at_rest(self) -> Path:
        """The name that the folder has while nobody works in it."""
        return self.path.with_name(self.path.name.partition(MARK)[0])

    @property
    def lease(self) -> Path:
        return self.path.with_name(f"{self.at_rest.name}.lease")

    def lost(self) -> bool:
        """Whether another process has taken the work over."""
        return self.held is not None and self.held.lost()


def attempts(work: Work) -> list[Path]:
    """The folders that attempts at a key left, the fullest first. More than one only where a lost holder wrote on."""
    name = work.at_rest.name
    try:
        names = [entry for entry in os.listdir(work.path.parent) if entry == name or entry.startswith(name + MARK)]
    except OSError:
        return []
    found = [work.path.with_name(entry) for entry in sorted(names)]
    return sorted(found, key=_bytes, reverse=True) if len(found) > 1 else found


def enter(work: Work, held: Held) -> Work:
    """Move what earlier attempts left under the holder's own name."""
    mine = replace(work, path=work.path.with_name(f"{work.at_rest.name}{MARK}{held.owner.nonce}"), held=held)
    for number, folder in enumerate(attempts(work)):
        if number == 0:
            os.rename(folder, mine.path)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    fill(mine)
    return mine


def fill(work: Work) -> None:
    """Make the folders of a work folder; what is there stays."""
    work.out.mkdir(parents=True, exist_ok=True)
    work.state.mkdir(exist_ok=True)


def leave(work: Work, *, keep: bool) -> None:
    """Put the folder to rest where it is worth keeping, else remove it; after publishing there is none any more."""
    if not work.path.exists():
        return
    if not keep or work.lost() or not (work.journal.exists() or any(True for _ in walk(work.path))):
        shutil.rmtree(work.path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):  # else the next attempt finds it under this name
        os.rename(work.path, work.at_rest)


def _bytes(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(entry.stat().st_size for _, entry in walk(folder))
    return 0
