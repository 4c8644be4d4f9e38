"""Files inside .tar, .tar.gz and .zip archives, listed and read in place; nothing is ever unpacked.

An archive is refused as a whole, in a `DataError` of one sentence, for what an honest one never holds: names that lead
out of it, two members of one name, links, devices, encryption, and sizes that no file of its length packs. So a member
is a name and bytes, and a hostile archive can do no more than be refused.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from faces.errors import DataError, said
from faces.lfs import LFS_POINTER, refuse_pointer
from faces.tar_index import Cut, Refused, Span, index_tar

ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")
MOST_MEMBERS = 500_000
LONGEST_NAME = 1000
MOST_BYTES = 512 << 20
"""Of a member, where the caller names no limit of its own."""
MOST_RATIO = 200
SMALL = 16 << 20
"""What an archive may always grow to. Beyond that, unpacked it is at most MOST_RATIO times its size."""
LONGEST_TABLE = 64 << 20
"""Bytes of the table of a zip file: half a million members with names of 80 letters."""
CHUNK = 1 << 20
UNREADABLE = (OSError, EOFError, zlib.error, BadZipFile, ValueError, NotImplementedError, RuntimeError, Cut)
"""What the standard library raises for damaged archives."""


class Archive:
    """An archive that is open for reading; a context manager, and safe to use from many threads.

    It may be pickled, without a new pass over its members. Members of an uncompressed tar and of a zip are read in any
    order; a .tar.gz is read forwards, so that its members are best read in the order of `names`, and a step back costs
    a pass from the start.
    """

    _handle: _Tar | _Zip | None

    def __init__(self, path: Path, kind: str, members: dict[str, Span]) -> None:
        self.path = path
        self._kind = kind
        self._members = members
        self._start()

    @classmethod
    def open(cls, path: Path) -> Archive:
        """List the members. DataError where the file is absent, cut short, no archive, or one to be refused."""
        path = Path(path)
        try:
            kind = _kind(path)
            with _OPENERS[kind](path) as handle:
                return cls(path, kind, _checked(handle.members(), path.stat().st_size))
        except DataError:
            raise
        except Refused as error:
            raise DataError(f"{path} {error}") from error
        except UNREADABLE as error:
            raise _unreadable(path, error) from error

    @property
    def names(self) -> Sequence[str]:
        """The files in it, "folder/file", in the order of the archive."""
        return tuple(self._members)

    def size(self, name: str) -> int:
        """Bytes of a member, unpacked. DataError where there is no such member."""
        return self._span(name).size

    def read(self, name: str, limit: int | None = None) -> bytes:
        """All bytes of a member. DataError where it is absent, damaged, or larger than `limit`."""
        span, limit = self._span(name), MOST_BYTES if limit is None else limit
        if span.size > limit:
            raise DataError(f"{name} in {self.path} has {span.size:,} bytes, more than the {limit:,} that it may have")
        try:
            with self._lock:
                content = self._opened().content(span)
        except (*UNREADABLE, Refused) as error:
            raise _unreadable(self.path, error, name) from error
        return content

    def head(self, name: str, count: int) -> bytes:
        """The first bytes of a member, at most `count`; no sum is checked."""
        span = self._span(name)
        try:
            with self._lock:
                return self._opened().head(span, min(count, span.size))
        except (*UNREADABLE, Refused) as error:
            raise _unreadable(self.path, error, name) from error

    def close(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_kind": self._kind, "_members": self._members}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._handle = None
        self._process = 0

    def _opened(self) -> _Tar | _Zip:
        """A fork shares the place in the file with its parent, and so opens the archive anew."""
        if self._handle is None or self._process != os.getpid():
            handle = self._handle = _OPENERS[self._kind](self.path)
            self._process = os.getpid()
            return handle
        return self._handle

    def _span(self, name: str) -> Span:
        try:
            return self._members[name]
        except KeyError:
            raise DataError(f"{self.path} holds no {name}; see that it is the whole archive") from None


class _Tar:
    """Members of a tar. at: bytes read so far, unpacked."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115
        self._size = path.stat().st_size
        self.at = 0

    def members(self) -> Iterator[tuple[str, Span]]:
        return index_tar(self)

    def content(self, span: Span) -> bytes:
        return self.head(span, span.size)

    def head(self, span: Span, count: int) -> bytes:
        self.skip(span.offset - self.at)
        return self.read(count)

    def read(self, count: int) -> bytes:
        if self.at + count > self._size:
            raise Cut
        content = self._file.read(count)
        self.at += len(content)
        if len(content) < count:
            raise Cut
        return content

    def skip(self, count: int) -> None:
        if self.at + count > self._size:
            raise Cut
        self.at = self._file.seek(self.at + count)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _PackedTar(_Tar):
    """A tar behind gzip, which can only be walked forwards."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._unpacked = gzip.GzipFile(fileobj=self._file)

    def members(self) -> Iterator[tuple[str, Span]]:
        yield from super().members()
        while content := self._unpacked.read(CHUNK):  # to the sum at the end, which tells of damage
            self._grow(len(content))

    def read(self, count: int) -> bytes:
        pieces = []
        while count:
            content = self._unpacked.read(min(count, CHUNK))
            if not content:
                raise Cut
            self._grow(len(content))
            pieces.append(content)
            count -= len(content)
        return b"".join(pieces)

    def skip(self, count: int) -> None:
        if count < 0:
            count, self.at = self.at + count, 0
            self._unpacked.seek(0)
        while count:
            count -= len(self.read(min(count, CHUNK)))

    def _grow(self, count: int) -> None:
        self.at += count
        _check_growth(self.at, self._size)


class _Zip:
    """Members of a zip; a span's offset is the number of its entry in the table."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115
        try:
            self._zip = ZipFile(_Cautious(self._file))
        except BaseException:
            self._file.close()
            raise

    def members(self) -> Iterator[tuple[str, Span]]:
        for number, entry in enumerate(self._zip.infolist()):
            _check_entry(entry)
            if not entry.orig_filename.endswith("/"):
                yield entry.orig_filename, Span(number, entry.file_size)

    def content(self, span: Span) -> bytes:
        pieces, left = [], span.size
        with self._zip.open(self._zip.infolist()[span.offset]) as stream:
            while left and (content := stream.read(min(left, CHUNK))):
                pieces.append(content)
                left -= len(content)
            if left or stream.read(1):  # at the end, where the sum is checked
                raise Cut
        return b"".join(pieces)

    def head(self, span: Span, count: int) -> bytes:
        with self._zip.open(self._zip.infolist()[span.offset]) as stream:
            content = stream.read(count)
        if len(content) < count:
            raise Cut
        return content

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Cautious:
    """A file from which no more is read at once than a table of members may take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        content = self._file.read(LONGEST_TABLE + 1 if count < 0 else min(count, LONGEST_TABLE + 1))
        if len(content) > LONGEST_TABLE:
            raise Refused(f"has a table of more than {LONGEST_TABLE >> 20} MB; pack fewer files together")
        return content


_OPENERS: dict[str, type[_Tar] | type[_Zip]] = {"tar": _Tar, "gzip": _PackedTar, "zip": _Zip}


def _kind(path: Path) -> str:
    """By what the file begins with: names of archives are often wrong."""
    with open(path, "rb") as stream:
        head = stream.read(len(LFS_POINTER))
    refuse_pointer(path, head)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    return "gzip" if head.startswith(b"\x1f\x8b") else "tar"


def _checked(members: Iterable[tuple[str, Span]], packed: int) -> dict[str, Span]:
    found, total = dict[str, Span](), 0
    for raw, span in members:
        name = _check_name(raw)
        if name in found:
            raise Refused(f"holds two files of the name {name!r}; pack the right one alone")
        found[name], total = span, total + span.size
        if len(found) > MOST_MEMBERS:
            raise Refused(f"holds more than {MOST_MEMBERS:,} files; pack fewer together")
        _check_growth(total, packed)
    return found


def _check_growth(unpacked: int, packed: int) -> None:
    if unpacked > SMALL + MOST_RATIO * packed:
        raise Refused(
            f"is refused: unpacked, it is more than {MOST_RATIO} times its own size, as no archive of data is"
        )


def _check_name(raw: str) -> str:
    """The name with "./" and doubled "/" taken away."""
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    outside = raw.startswith("/") or "\\" in raw or re.match("[A-Za-z]:", raw) or ".." in parts
    if outside or not parts or not raw.isprintable() or len(raw) > LONGEST_NAME:
        raise Refused(f"is refused: the name {raw[:200]!r} in it leads out of the archive, or is no name")
    return "/".join(parts)


def _check_entry(entry: ZipInfo) -> None:
    name, mode = entry.orig_filename[:100], entry.external_attr >> 28
    if entry.create_system == 3 and mode not in (0, 4, 8):  # of Unix: S_IFDIR is 4, S_IFREG 8
        raise Refused(f"holds a link or a device, {name!r}; pack the files themselves")
    if entry.flag_bits & 0x1:
        raise Refused(f"is encrypted ({name!r}); pack the files without a password")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise Refused(f"is packed in a way that is not read here ({name!r}); pack it with the usual deflate")


def _unreadable(path: Path, error: BaseException, name: str = "") -> DataError:
    what = f"{name} in {path}" if name else str(path)
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{path} cannot be read: {error.strerror}")
    if isinstance(error, Cut | EOFError):
        return DataError(f"{what} is cut short; copy or download the archive again")
    return DataError(f"{what} is damaged ({said(error)}); copy or download the archive again")
