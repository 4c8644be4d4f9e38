"""Who holds a lease, and by what evidence a holder is known to be dead.

An owner is a process: host, process id and start time, boot and process space of its machine. Its name is a file name
that says all of this, so a file is never seen without its owner. Death is told only where this machine can know it (the
process is gone, or the machine has restarted since); of a process elsewhere `dead` says "", and its silence has to
tell (see `cache.lease`).
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import astuple, dataclass
from pathlib import Path

from cache import digest

_SEPARATOR = ","


@dataclass(frozen=True)
class Owner:
    """One process that holds, or wants, one lease; two leases of one process differ in the nonce. "" is unknown."""

    host: str
    pid: str
    started: str
    machine: str
    boot: str
    space: str
    nonce: str

    @property
    def name(self) -> str:
        """As a file name; `parse` reads it back."""
        return _SEPARATOR.join(astuple(self))

    @classmethod
    def parse(cls, name: str) -> Owner | None:
        """The owner that a file name tells of, or None where it is no such name."""
        parts = name.split(_SEPARATOR)
        return cls(*parts) if len(parts) == 7 and parts[1].isdigit() else None

    def __str__(self) -> str:
        return f"{self.pid} on {self.host}"

    def dead(self) -> str:
        """The evidence that this process is no more, or "" where it lives or cannot be known from here."""
        here = this_process()
        if (self.host, self.machine) != (here.host, here.machine):
            return ""
        if self.boot != here.boot:
            # Hosts of equal name exist (containers, cloned images); without a machine's identity a boot proves nothing.
            return "its machine has restarted" if self.machine and self.boot and here.boot else ""
        if self.space != here.space:  # a container's processes are not ours to see
            return ""
        return "" if _runs(int(self.pid), self.started) else "that process is gone"


def this_process() -> Owner:
    """The calling process as an owner, with a fresh nonce."""
    host, machine, boot = _machine()
    pid = os.getpid()
    return Owner(host, str(pid), _state_and_start(pid)[1], machine, boot, _process_space(), os.urandom(4).hex())


@functools.cache
def _machine() -> tuple[str, str, str]:
    """Host name, and short digests of the machine's identity and of its boot."""
    host = re.sub(r"[^\w.-]", "-", os.uname().nodename)
    identity, boot = _text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id")
    return host, _short(identity), _short(boot)


def _short(text: str) -> str:
    return digest.short(digest.of_bytes(text.encode())) if text else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _process_space() -> str:
    try:
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """A process's state letter and its start as the kernel counts it, which tells a reused pid from the old owner."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _runs(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state, start = _state_and_start(pid)
    if state in ("Z", "X"):  # ended, and only not yet noticed by its parent
        return False
    return not (started and start) or started == start
