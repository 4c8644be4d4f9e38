"""Whether a process that left its name somewhere in the store still lives; one place to ask `cache.lease`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from cache import lease
from cache.files import read_json


def me() -> dict[str, Any]:
    """This process, as leases and marks name it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": lease._started(os.getpid())}


def lives(owner: object) -> bool:
    """Whether an owner must be taken for alive. One that cannot be read as an owner is not."""
    if not isinstance(owner, dict) or not isinstance(owner.get("pid"), int):
        return False
    return lease._alive(owner)


def held(path: Path) -> bool:
    """Whether a living process holds the lease at `path`."""
    return lives(read_json(path))
