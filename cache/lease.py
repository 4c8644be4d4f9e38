"""One living worker per work folder.

The lease is a file, made by an exclusive link, that names its owner. A lease whose owner is a dead process of this host
is taken over; one of another host is respected, since nothing here can tell whether that process lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cache.errors import LeaseTaken
from cache.files import read_json


def _started(pid: int) -> str:
    """A process's start time as the kernel counts it; tells a reused pid from the old owner. "" where unknown."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(owner: dict[str, Any]) -> bool:
    if owner.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not owner.get("started") or _started(int(owner["pid"])) == owner["started"]


@contextlib.contextmanager
def lease(path: Path) -> Iterator[None]:
    """Hold the lease at `path`. LeaseTaken, naming host and process, while somebody alive holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}
    # Linked into place, so that nobody ever sees a lease without its owner.
    mine = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    mine.write_text(json.dumps(me), encoding="utf-8")
    try:
        _take(mine, path)
    finally:
        mine.unlink()
    try:
        yield
    finally:
        if read_json(path) == me:
            path.unlink(missing_ok=True)


def _take(mine: Path, path: Path) -> None:
    for _ in range(2):
        try:
            os.link(mine, path)
            return
        except FileExistsError:
            owner = read_json(path)
            if isinstance(owner, dict) and _alive(owner):
                raise LeaseTaken(
                    f"process {owner['pid']} on {owner['host']} is already making this; wait for it, or stop it, and "
                    f"run again (its lease is {path})"
                ) from None
            path.unlink(missing_ok=True)
    raise LeaseTaken(f"another process took {path} in the same moment; run again")
