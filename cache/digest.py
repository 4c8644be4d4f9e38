"""Digests of bytes, files and JSON. blake3, or sha256 where its wheel is absent; a digest names its algorithm.

Digests are written "b3:…" or "s2:…" with 128 bits in hexadecimal: enough to name content that nobody forges on
purpose and short enough to read. The same content always has the same digest on every machine that has blake3.

Large files are hashed with all processors, and several files at a time. A map into memory is quickest, but a bad sector
under it, or a file cut short meanwhile, kills the process: who looks for damage has files read (`of_files`), where that
is an OSError; files of network file systems are read, too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

try:
    from blake3 import blake3 as _blake3
except ImportError:  # a platform without the wheel: slower, still correct
    _blake3 = None  # type: ignore[assignment,misc]

CHUNK = 1 << 20
LARGE = 1 << 25
"""From this size on a file is worth the threads."""
_BLOCK = 1 << 24
_READERS = 4
_FEW = 16
_DIGITS = 32

Tell = Callable[[int], object]
"""Called with a number of bytes when they have been hashed."""


class Hasher(Protocol):
    """What `hashlib` and `blake3` objects have in common."""

    def update(self, data: bytes, /) -> Any: ...
    def hexdigest(self) -> str: ...


PREFIX = "b3:" if _blake3 is not None else "s2:"


def hasher(prefix: str = "") -> Hasher:
    """A fresh hash object of the preferred algorithm, or of that of digests which begin with `prefix`."""
    return _blake3() if (prefix or PREFIX) == "b3:" else hashlib.sha256()


def finish(hash_: Hasher, prefix: str = "") -> str:
    """The printable digest of what a hasher has seen."""
    return (prefix or PREFIX) + hash_.hexdigest()[:_DIGITS]


def known(digest: str) -> bool:
    """Whether content can be compared with this digest here: its algorithm is at hand."""
    return digest.startswith(("s2:", PREFIX))


def of_bytes(data: bytes) -> str:
    """The digest of some bytes."""
    hash_ = hasher()
    hash_.update(data)
    return finish(hash_)


def of_file(path: Path) -> str:
    """The digest of a file's content. OSError where it cannot be read."""
    found = os.stat(path)
    if found.st_size < LARGE or _blake3 is None or _is_remote(found.st_dev):
        return of_file_read(path)
    hash_ = _blake3(max_threads=processors())
    hash_.update_mmap(path)
    return finish(hash_)


_REMOTE = re.compile(r"nfs|cifs|smb|fuse|9p|ceph|lustre|gpfs|beegfs|afs|ncp|pvfs|glusterfs|virtiofs")


def _is_remote(device: int) -> bool:
    """Whether a device is a file system of another machine, as far as the kernel tells."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    kinds = (line.partition(" - ")[2] for line in mounts if number in line.split(" ", 3)[2:3])
    return any(_REMOTE.match(kind) for kind in kinds)


def of_file_read(path: Path, tell: Tell | None = None, prefix: str = "") -> str:
    """As `of_file`, never mapped; comparable with digests that begin with `prefix`."""
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size >= LARGE and (prefix or PREFIX) == "b3:":
            return _of_large_file(path, size, tell)
        hash_ = hasher(prefix)
        while chunk := stream.read(CHUNK):
            hash_.update(chunk)
            if tell:
                tell(len(chunk))
    return finish(hash_, prefix)


def _of_large_file(path: Path, size: int, tell: Tell | None) -> str:
    """One block is hashed by all processors while the next is read, in slices side by side."""
    from concurrent.futures import ThreadPoolExecutor

    # Threads of its own, not blake3's shared ones: those would be missing in a forked child, which then waits for ever.
    hash_ = _blake3(max_threads=processors())
    readers = min(_READERS, max(1, processors() // 2))
    blocks = [memoryview(bytearray(_BLOCK)) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("rb", buffering=0)) for _ in range(readers)]
        pool = stack.enter_context(ThreadPoolExecutor(readers))

        def begin(number: int) -> list[Any]:
            start = number * _BLOCK
            block = blocks[number % 2][: max(0, min(_BLOCK, size - start))]
            step = -(-len(block) // readers) or 1
            parts = zip(streams, range(0, len(block), step), strict=False)
            return [pool.submit(_fill, stream, start + at, block[at : at + step]) for stream, at in parts]

        waiting = begin(0)
        for number in range(-(-size // _BLOCK)):
            for future in waiting:
                future.result()
            waiting = begin(number + 1)
            block = blocks[number % 2][: min(_BLOCK, size - number * _BLOCK)]
            hash_.update(block)
            if tell:
                tell(len(block))
    return finish(hash_)


def _fill(stream: Any, start: int, block: memoryview) -> None:
    stream.seek(start)
    while len(block):
        count = stream.readinto(block)
        if not count:
            raise OSError(errno.EIO, "the file became shorter while it was read", stream.name)
        block = block[count:]


def of_files(paths: Iterable[Path], tell: Tell | None = None, prefix: str = "") -> Iterator[tuple[Path, str | OSError]]:
    """The digests of many files, in any order, all of them read; an error stands in the place of a digest.

    Small files are hashed side by side, large ones one after the other with all processors each.
    """
    small: list[Path] = []
    large: list[Path] = []
    for path in paths:
        (large if _size(path) >= LARGE else small).append(path)

    def some(paths: list[Path]) -> list[tuple[Path, str | OSError]]:
        return [(path, _attempt(path, tell, prefix)) for path in paths]

    workers = processors() if len(small) >= _FEW else 1
    if workers == 1:
        yield from some(small)
    else:
        from concurrent.futures import ThreadPoolExecutor

        parts = [small[start : start + _FEW] for start in range(0, len(small), _FEW)]
        with ThreadPoolExecutor(workers) as pool:
            for found in pool.map(some, parts):
                yield from found
    for path in large:
        yield path, _attempt(path, tell, prefix)


def _attempt(path: Path, tell: Tell | None, prefix: str) -> str | OSError:
    try:
        return of_file_read(path, tell, prefix)
    except OSError as error:
        return error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def canonical(value: Any) -> str:
    """JSON with one spelling only: sorted keys, no spaces, no NaN. Equal values give equal text on every Python."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def of_json(value: Any) -> str:
    """The digest of a value's canonical JSON."""
    return of_bytes(canonical(value).encode())


def of_tree(files: Mapping[str, str]) -> str:
    """The digest of a set of files, given as relative name → content digest."""
    return of_json(["tree", sorted(files.items())])


def short(digest: str, digits: int = 8) -> str:
    """The first digits of a digest, for names and messages."""
    return digest.partition(":")[2][:digits]
