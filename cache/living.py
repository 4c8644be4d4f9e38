"""Whether a process that left its name somewhere in the store still lives; one place to ask `cache.lease`."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from cache.lease import holder
from cache.owner import Owner, this_process

_FIELDS = {field.name for field in fields(Owner)}


def me() -> dict[str, str]:
    """This process, as marks name it."""
    return asdict(this_process())


def lives(owner: object) -> bool:
    """Whether an owner must be taken for alive. One that cannot be read as an owner is not."""
    if not isinstance(owner, dict) or not owner.keys() >= _FIELDS:
        return False
    known = Owner(**{name: str(owner[name]) for name in _FIELDS})
    return known.pid.isdigit() and not known.dead()


def held(path: Path) -> bool:
    """Whether a process that must be taken for alive holds the lease at `path`."""
    owner = holder(path)
    return owner is not None and not owner.dead()
