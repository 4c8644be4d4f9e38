"""What fsspec reaches: buckets (S3, GCS) and folders behind SSH.

fsspec and the library it needs are imported when such a remote is opened. A file appears under its name all at once:
object stores promise that, elsewhere it is written beside and renamed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cache.address import EXTRAS, protocol, shown
from cache.refusal import no_bucket, sentences
from cache.transport import Tell

_ATOMIC = ("s3", "gs")
_CONNECT_S, _READ_S = 5, 30


class Objects:
    """Whole files below an address, by name."""

    def __init__(self, url: str) -> None:
        self._protocol = protocol(url)
        self.address = shown(url)
        self.threads = 1 if EXTRAS[self._protocol] == "ssh" else 8
        with self._told():
            self._fs, root = _open(url, self._protocol)
        self._root = root.rstrip("/")
        self._made: set[str] = set()
        if self._protocol == "s3":
            self._fs.retries = 1  # the library below it knows better what is worth another try

    def read(self, name: str) -> bytes | None:
        with self._told():
            try:
                found: bytes = self._fs.cat_file(self._path(name))
                return found
            except FileNotFoundError as error:
                if no_bucket(error):
                    raise
                return None

    def size(self, name: str) -> int | None:
        with self._told():
            try:
                return self._size(self._path(name))
            except FileNotFoundError:
                return None

    def get(self, name: str, target: Path, tell: Tell) -> None:
        with self._told():
            self._fs.get_file(self._path(name), os.fspath(target), callback=_callback(tell))

    def put(self, source: Path, name: str, tell: Tell) -> None:
        with self._told(), self._placing(name) as path:
            self._fs.put_file(os.fspath(source), path, callback=_callback(tell))

    def write(self, name: str, data: bytes) -> None:
        with self._told(), self._placing(name) as path:
            self._fs.pipe_file(path, data)

    def names(self, folder: str, start: str) -> list[str]:
        with self._told():
            found = self._fs.glob(f"{self._path(folder)}/{start}*")
        return sorted(f"{folder}/{path.rpartition('/')[2]}" for path in found if not path.endswith(".tmp"))

    def _size(self, path: str) -> int:
        if self._protocol != "s3":
            return int(self._fs.info(path)["size"])
        bucket, key, _ = self._fs.split_path(path)  # `info` would also list, in case it is a folder
        return int(self._fs.call_s3("head_object", Bucket=bucket, Key=key)["ContentLength"])

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _placing(self, name: str) -> Iterator[str]:
        path = self._path(name)
        if self._protocol in _ATOMIC:
            yield path
            return
        folder, _, last = path.rpartition("/")
        temporary = f"{folder}/.{last}.{uuid.uuid4().hex[:12]}.tmp"
        if folder not in self._made:  # asking costs a way to and fro for each of its parts
            self._make(folder)
            self._made.add(folder)
        yield temporary
        self._fs.mv(temporary, path)

    def _make(self, folder: str) -> None:
        for _ in range(folder.count("/")):  # at each part another process may be the quicker one
            with contextlib.suppress(OSError):
                self._fs.makedirs(folder, exist_ok=True)
                return
        self._fs.makedirs(folder, exist_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with sentences(self.address, EXTRAS[self._protocol]):
            yield


def _open(url: str, kind: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    options = {"skip_instance_cache": True, **_options(kind)}
    if EXTRAS[kind] == "ssh":
        known: Any = importlib.import_module("cache.sftp").KnownHosts
        return known(**known._get_kwargs_from_urls(url), **options), known._strip_protocol(url)
    core: Any = importlib.import_module("fsspec.core")
    found: tuple[Any, str] = core.url_to_fs(url, **options)
    return found


def _options(kind: str) -> dict[str, Any]:
    if kind == "s3":
        patience = {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"max_attempts": 2, "mode": "standard"},
        }
        return {"config_kwargs": patience, "use_listings_cache": False}
    if kind == "gs":
        return {"use_listings_cache": False}
    if EXTRAS[kind] == "ssh":
        return {"timeout": _CONNECT_S, "banner_timeout": _READ_S, "auth_timeout": _READ_S}
    return {}


def _callback(tell: Tell) -> Any:
    module: Any = importlib.import_module("fsspec.callbacks")

    class Moved(module.Callback):  # type: ignore[misc]
        _seen = 0

        def relative_update(self, inc: int = 1) -> None:
            tell(inc)

        def absolute_update(self, value: int) -> None:
            tell(value - self._seen)
            self._seen = value

    return Moved()
