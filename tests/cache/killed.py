"""Killing a child process just before its n-th change to the file system, whatever call makes it.

Audit hooks see every open for writing, rename, removal and the like before it happens; what was not yet flushed is lost
with the process, as with `kill -9`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.utime")
_KILLED, _FAILED = 77, 78


def survives(call: Callable[[], object], changes: int) -> bool:
    """Run `call` in a child that dies before it has made more than so many changes. Whether it came to its end."""
    child = os.fork()
    if child == 0:
        _die_after(changes)
        try:
            call()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(_FAILED)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), f"the child failed, with {changes} changes allowed"
    return code == 0


def _die_after(changes: int) -> None:
    left = [changes]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and _writes(args)):
            if not left[0]:
                os._exit(_KILLED)
            left[0] -= 1

    sys.addaudithook(hook)


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    return bool(mode and set(mode) & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR))
