"""Whole files on a remote, by name below its root: a folder (a mounted disk), or what fsspec reaches (S3, GCS, SSH).

A file appears under its name all at once: object stores promise that, elsewhere it is written beside and renamed.
Whatever a library throws becomes a RemoteError of one sentence that says what to do, RemoteDown where the remote
does not answer; passwords in an address are never shown. fsspec is imported when a remote that needs it is opened.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from cache.errors import CacheError, RemoteDown, RemoteError

Tell = Callable[[int], None]
"""Called with the number of bytes that have moved since it was called last."""

CHUNK = 1 << 20
EXTRAS = {"s3": "s3", "gs": "gcs", "ssh": "ssh", "sftp": "ssh", "memory": ""}
"""Protocol → the extra of this package that brings its library."""
_ATOMIC = ("s3", "gs")
_CONNECT_S, _READ_S = 5, 30


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
    protocol, slashes, rest = url.partition("://")
    if not slashes:
        return Folder(Path(url).expanduser().absolute())
    if protocol == "file":
        if not rest.startswith("/"):
            raise RemoteError(f"remote {shown(url)}: a file address has three slashes, as in file:///{rest}")
        return Folder(Path(rest))
    if protocol not in EXTRAS:
        known = "file, s3, gs, ssh, sftp"
        raise RemoteError(f"remote {shown(url)}: the protocol {protocol!r} is not known; there are {known}")
    if not rest.strip("/"):
        raise RemoteError(f"remote {shown(url)}: it names no bucket or host")
    return Objects(url)


def shown(url: str) -> str:
    """An address as it may be printed: without password, without what follows a question mark."""
    return re.sub(r"^(\w+://[^/@:]*):.*@", r"\1:…@", url).partition("?")[0]


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
        with _sentences(self.address, ""):
            yield


def _copy(source: Path, target: Path, tell: Tell, *, sync: bool = False) -> None:
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        while chunk := reader.read(CHUNK):
            writer.write(chunk)
            tell(len(chunk))
        if sync:
            os.fsync(writer.fileno())


class Objects:
    """What fsspec reaches."""

    def __init__(self, url: str) -> None:
        self._protocol = url.partition("://")[0]
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
                if _no_bucket(error):
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
        with _sentences(self.address, EXTRAS[self._protocol]):
            yield


def _open(url: str, protocol: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    options = {"skip_instance_cache": True, **_options(protocol)}
    if EXTRAS[protocol] == "ssh":
        known: Any = importlib.import_module("cache.sftp").KnownHosts
        return known(**known._get_kwargs_from_urls(url), **options), known._strip_protocol(url)
    core: Any = importlib.import_module("fsspec.core")
    found: tuple[Any, str] = core.url_to_fs(url, **options)
    return found


def _options(protocol: str) -> dict[str, Any]:
    if protocol == "s3":
        patience = {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"max_attempts": 2, "mode": "standard"},
        }
        return {"config_kwargs": patience, "use_listings_cache": False}
    if protocol == "gs":
        return {"use_listings_cache": False}
    if EXTRAS[protocol] == "ssh":
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


_FULL = (errno.ENOSPC, errno.EDQUOT)
_NOBODY = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "DefaultCredentialsError")
_REFUSED = ("AuthenticationException", "BadHostKeyException", "SSHException", "RefreshError", "ProfileNotFound")
_AWAY = re.compile(r"Timeout|Connect|Endpoint|gaierror|NoValidConnections|ClientOSError|ServerDisconnected")


@contextlib.contextmanager
def _sentences(address: str, extra: str) -> Iterator[None]:
    try:
        yield
    except (CacheError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _sentence(address, extra, error) from error


def _sentence(address: str, extra: str, error: Exception) -> CacheError:
    kind, text = type(error).__name__, _first_line(error)
    if isinstance(error, ImportError):
        return RemoteError(f"remote {address}: its library is not installed; run pip install 'facepipe[{extra}]'")
    if isinstance(error, OSError) and error.errno in _FULL:
        return CacheError(f"the disk is full while talking to {address}; free some space and run again")
    if kind in _NOBODY:
        return RemoteError(f"remote {address}: no credentials were found; {_WHERE[extra]}")
    if isinstance(error, PermissionError) or kind in _REFUSED:
        return RemoteError(f"remote {address}: access was refused ({text}); {_WHERE[extra]}")
    if isinstance(error, FileNotFoundError):
        what = "the bucket does not exist" if extra in ("s3", "gcs") else f"there is no {text}"
        return RemoteError(f"remote {address}: {what}; check the address")
    if isinstance(error, ConnectionError | TimeoutError) or _AWAY.search(kind):
        return RemoteDown(f"remote {address} cannot be reached ({text or kind})")
    return RemoteError(f"remote {address}: {kind}: {text}")


_WHERE = {
    "": "ask for the right to read and write there",
    "s3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gcs": "check GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
    "ssh": "ssh must log in there without asking anything; try it once by hand",
}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip()[:200]


def _no_bucket(error: Exception) -> bool:
    return "bucket does not exist" in str(error)
