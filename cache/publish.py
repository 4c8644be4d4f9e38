"""Turning a filled work folder into an artifact: sealed on the disk first, then named, by one rename.

The order is what a power cut needs: payload and its folders reach the disk, then the manifest, then the record, then
their folder's list of names; only then does the folder take the name under which it is found, and that is brought to
the disk, too. Killed anywhere before the rename, there is no artifact and the work is found again; after it, there is a
whole one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cache import digest
from cache.errors import CacheError, LeaseLost
from cache.files import sync_folder, sync_tree, write_json
from cache.manifest import Made, Manifest
from cache.record import FORMAT, MANIFEST, OWN_FILES, RECORD, read_record
from cache.record import seal as sealed
from cache.work import Work

SEPARATOR = "--"
FULL = (errno.ENOSPC, errno.EDQUOT)
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def seal(work: Work, kind: str, items: Mapping[str, Made], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Complete `out` with manifest and record; all of it is on the disk, and write-protected, when this returns."""
    for name in OWN_FILES:  # of an attempt that was killed here
        for path in (work.out / name, *work.out.glob(f".{name}.*.tmp")):
            path.unlink(missing_ok=True)
    manifest = Manifest.of_folder(work.out, items)
    if not manifest.files:
        raise CacheError(f"stage {work.stage} made no files; that is a defect of the stage")
    sync_tree(work.out, [work.out / name for name in manifest.files])
    write_json(work.out / MANIFEST, manifest.to_json(), sync=True, compact=True)
    record = {
        "format": FORMAT,
        "stage": work.stage,
        "kind": kind,
        "key": dict(work.key),
        "key_digest": digest.of_json(work.key),
        "content": manifest.content(),
        "items": manifest.items_digest(),
        "files": len(manifest.files),
        "bytes": manifest.size,
        "provenance": dict(provenance),
    }
    record["seal"] = sealed(record)
    write_json(work.out / RECORD, record, sync=True)
    _protect(work, manifest)
    return record


def settle(work: Work, manifest: Manifest) -> None:
    """Bring an `out` that is complete already to the disk, and write-protect it."""
    sync_tree(work.out, [work.out / name for name in (*manifest.files, *OWN_FILES)])
    _protect(work, manifest)


def _protect(work: Work, manifest: Manifest) -> None:
    """Take the write bits of the payload; who may read it was the umask's to say."""
    for path in (work.out / name for name in manifest.files):
        mode = path.stat().st_mode
        if mode & 0o222:
            with contextlib.suppress(PermissionError):  # a colleague's file, whose attempt we went on with
                path.chmod(mode & ~0o222)
    sync_folder(work.out)


def place(root: Path, work: Work, label: str) -> Path:
    """Rename `out` to the artifact's name; returns it. A folder of that name that is no artifact is set aside."""
    folder = root / work.stage
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(root)
    name = re.sub(r"[^\w.-]+", "-", label) or work.stage
    key_digest = digest.of_json(work.key)
    for digits in (8, 24, 32):  # more where eight digits met another key
        target = folder / f"{name}{SEPARATOR}{digest.short(key_digest, digits)}"
        if os.path.lexists(target) and read_record(target) is None:
            set_aside(root, target)
        if _renamed(work.out, target):
            sync_folder(folder)
            return target
    raise CacheError(f"{folder} holds other artifacts under every name for {work.at_rest.name}; move them elsewhere")


def set_aside(root: Path, path: Path) -> Path:
    """Move a folder of the store to the quarantine; returns its place there."""
    folder = root / "quarantine"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{path.parent.name}-{path.name}"
    number = 1 + sum(1 for _ in folder.glob(f"{stem}.*"))
    with contextlib.suppress(FileNotFoundError):  # another process has just done it
        while not _renamed(path, folder / f"{stem}.{number}"):
            number += 1
    return folder / f"{stem}.{number}"


def _renamed(source: Path, target: Path) -> bool:
    """Whether the folder took the name; False where something else has it."""
    if target.is_file():  # a rename would replace it if the source is a file, too
        return False
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def trouble(root: Path, error: OSError) -> str:
    """What stands in the way of writing to a store."""
    if error.errno in FULL:
        return f"the disk of {root} is full" if error.errno == errno.ENOSPC else f"your quota on {root} is used up"
    return f"the store {root} cannot be written to ({error.strerror or error})"


def lost(work: Work) -> LeaseLost:
    """What a process is told whose work another one has taken over."""
    return LeaseLost(
        f"this process was taken for dead while it was suspended; another one works on {work.at_rest.name} now, whose "
        "result is used"
    )
