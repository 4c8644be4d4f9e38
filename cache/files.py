"""Writing so that a reader sees the whole file or none of it, whatever kills the writer."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary neighbour of `path` to write to; it takes the name `path` when the block ends well, else it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hosts and containers that share a folder may share a process id, too.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, sync: bool = False, compact: bool = False) -> None:
    """Write a value as JSON, atomically; with `sync` it is on the disk when this returns. `compact`: for machines."""
    indent, separators = (None, (",", ":")) if compact else (1, None)
    text = json.dumps(value, indent=indent, separators=separators, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.write("\n")
        if sync:
            stream.flush()
            os.fsync(stream.fileno())


def read_json(path: Path) -> Any:
    """The value in a JSON file, or None where the file is absent or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def sync_folder(folder: Path) -> None:
    """Make a rename or a creation inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


MANY = 16


def sync_files(paths: list[Path]) -> None:
    """Bring the content of files to the disk: one by one where they are few, else all of their file system at once."""
    if len(paths) > MANY and _sync_file_system(paths[0].parent):  # hundreds of calls take twice as long
        return
    for path in paths:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def sync_tree(folder: Path, files: list[Path]) -> None:
    """Bring files below a folder to the disk, content and names."""
    sync_files(files)
    for parent in {parent for path in files for parent in path.parents if folder in (parent, *parent.parents)}:
        sync_folder(parent)


def _sync_file_system(folder: Path) -> bool:
    """Linux's syncfs, which tells of failed writes as fsync does; False where there is none."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fspath(folder))
    finally:
        os.close(descriptor)
    return True


def walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All files below a folder as (relative name, entry), one scandir per folder; temporary files are passed over."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif not entry.name.endswith(".tmp"):
                yield prefix + entry.name, entry
