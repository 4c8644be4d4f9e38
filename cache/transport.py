"""Whole files on a remote, by name below its root: what a transport can do, and the one for folders.

A file appears under its name all at once: here it is written beside and renamed. Whatever goes wrong becomes a
RemoteError of one sentence that says what to do, RemoteDown where the remote does not answer (`cache.refusal`).
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from cache.address import protocol
from cache.errors import RemoteError
from cache.refusal import sentences

Tell = Callable[[int], None]
"""Called with the number of bytes that have moved since it was called last."""

CHUNK = 1 << 20


class Transport(Protocol):
    """What a remote must be able to do. `name` is a relative path with slashes."""

    address: str
    threads: int

    def read(self, name: str) -> bytes | None: ...
    def size(self, name: str) -> int | None: ...
    def get(self, name: str, target: Path, tell: Tell) -> None: ...
    def put(self, source: Path, name: str, tell: Tell) -> None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def names(self, folder: str, start: str) -> list[str]: ...


def connect(url: str) -> Transport:
    """The transport of an address: `s3://bucket/path`, `gs://…`, `ssh://user@host/path`, `file:///path`, a path."""
    if protocol(url) == "file":
        return Folder(Path(url.removeprefix("file://")).expanduser().absolute())
    from cache.objects import Objects

    return Objects(url)


class Folder:
    """A folder of this machine, perhaps a mounted one. Made on the first upload, if the folder around it is there."""

    threads = 2

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = os.fspath(root)

    def read(self, name: str) -> bytes | None:
        with self._told():
            try:
                return (self.root / name).read_bytes()
            except FileNotFoundError:
                self._check()
                return None

    def size(self, name: str) -> int | None:
        with self._told():
            try:
                return (self.root / name).stat().st_size
            except FileNotFoundError:
                self._check()
                return None

    def get(self, name: str, target: Path, tell: Tell) -> None:
        with self._told():
            _copy(self.root / name, target, tell)  # who publishes it brings it to the disk

    def put(self, source: Path, name: str, tell: Tell) -> None:
        with self._told(), self._placing(name) as temporary:
            _copy(source, temporary, tell, sync=True)

    def write(self, name: str, data: bytes) -> None:
        with self._told(), self._placing(name) as temporary, temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def names(self, folder: str, start: str) -> list[str]:
        with self._told():
            try:
                return sorted(
                    f"{folder}/{name}"
                    for name in os.listdir(self.root / folder)
                    if name.startswith(start) and not name.endswith(".tmp")
                )
            except FileNotFoundError:
                self._check()
                return []

    def _check(self) -> None:
        if not self.root.parent.is_dir():
            raise RemoteError(
                f"remote {self.address}: the folder {self.root.parent} does not exist (a disk that is not mounted?)"
            )

    @contextlib.contextmanager
    def _placing(self, name: str) -> Iterator[Path]:
        self._check()
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with sentences(self.address, ""):
            yield


def _copy(source: Path, target: Path, tell: Tell, *, sync: bool = False) -> None:
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        while chunk := reader.read(CHUNK):
            writer.write(chunk)
            tell(len(chunk))
        if sync:
            os.fsync(writer.fileno())
