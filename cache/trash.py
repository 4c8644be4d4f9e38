"""Removal of what `cache.gc` planned, so that readers see the whole of a thing or nothing of it.

A folder is renamed into `trash/` and deleted there, the renames on the disk before the first deletion. An artifact that
turns out to have been used in that moment is put back. A collector that is killed leaves a sound store, and the next
one empties the trash. What cannot be removed stays, with the reason; the others go all the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cache import lastuse, marks
from cache.errors import CacheError, LeaseTaken
from cache.files import sync_folder
from cache.gc import OWN_LEASE, Candidate, Plan, lease_of
from cache.lease import lease
from cache.sizes import Part
from cache.store import RECORD, Store


def collect(store: Store, planned: Plan) -> list[tuple[Candidate, str]]:
    """Remove what a plan says; returns what stayed after all, with the reason.

    Raises:
        CacheError: another collector is at work, or the store cannot be written to.
    """
    if not planned.goes:
        return []
    trash = store.root / "trash"
    try:
        with lease(store.root / "work" / OWN_LEASE):
            trash.mkdir(exist_ok=True)
            stayed = [(candidate, why) for candidate in planned.goes if (why := _discard(store, candidate, trash))]
            for folder in {candidate.path.parent for candidate in planned.goes} | {trash}:
                sync_folder(folder)  # the renames reach the disk before any deletion does
            return stayed + list(_empty(trash))
    except LeaseTaken:
        raise CacheError(f"another collection is at work on {store.root}; wait for it") from None
    except OSError as error:
        where = error.filename or store.root
        raise CacheError(f"{where}: {error.strerror}; the store is sound, but not all went") from error


def _discard(store: Store, candidate: Candidate, trash: Path) -> str:
    """Move one candidate to the trash, or delete it if it is a mere file; returns why it stays, or ""."""
    try:
        if candidate.what == "artifact":
            return _discard_artifact(store, candidate, trash)
        if candidate.what == "work":
            with lease(lease_of(candidate.path)):
                _move(candidate.path, trash)
        elif candidate.what == "lease":
            with lease(candidate.path):  # taking a dead owner's lease and giving it back is what removes it
                pass
        elif candidate.what == "quarantine":
            _move(candidate.path, trash)
        elif candidate.what != "trash":
            candidate.path.unlink(missing_ok=True)
    except LeaseTaken:
        return "a process has begun to work on it"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be removed ({error.strerror})"
    return ""


def _discard_artifact(store: Store, candidate: Candidate, trash: Path) -> str:
    def used() -> str:
        if candidate.name in marks.in_use(store.root) or candidate.name in marks.pinned(store.root):
            return "a process has begun to read it"
        return "it was used just now" if lastuse.of(record) > candidate.used else ""

    record = candidate.path / RECORD
    if why := used():
        return why
    place = _move(candidate.path, trash)
    record = place / RECORD
    if not (why := used()):
        return ""
    with contextlib.suppress(OSError):  # somebody has made it anew
        os.rename(place, candidate.path)
    return why


def _move(path: Path, folder: Path) -> Path:
    """Rename into a folder, under a name that is free there."""
    number = 1
    while True:
        place = folder / f"{path.parent.name}-{path.name}.{number}"
        try:
            if not os.path.lexists(place):
                os.rename(path, place)
                return place
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        number += 1


def _empty(trash: Path) -> Iterator[tuple[Candidate, str]]:
    for path in sorted(trash.iterdir()):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            left = Candidate(path, f"trash/{path.name}", "trash", "", Part.of(path).size, 0.0)
            yield left, f"cannot be deleted ({error.strerror})"


def dangling(outputs: Path, root: Path) -> Iterator[Path]:
    """Links to results that point to an artifact of this store which is no more."""
    inside = os.path.realpath(root) + os.sep
    for link in sorted(outputs.glob("*/*")):
        if link.is_symlink() and not link.exists():
            target = os.path.normpath(os.path.join(os.path.realpath(link.parent), os.readlink(link)))
            if target.startswith(inside):
                yield link
