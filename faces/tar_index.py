"""Where the members of a tar archive lie: one pass over the headers, in which every surprise is refused.

The standard library's reader is not used here: in Python versions that are in use, crafted headers keep it busy for
hours (its search for a character set is quadratic, sizes below zero send it in circles), it allocates what a header
asks for, and it ends quietly at a damaged header, as though the archive did.
Read are the formats of POSIX (ustar, pax) and GNU; see pax(1) in POSIX.1-2017, "ustar Interchange Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

BLOCK = 512
LONGEST_NOTE = 1 << 16
"""Bytes of a header that holds the long name of a member, or what else pax says of it."""
FOLDER, LONG_NAME, LONG_LINK, OF_NEXT, OF_ALL = b"5", b"L", b"K", b"x", b"g"
FILES = (b"0", b"\0", b"7")
REFUSED = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "a sparse file"}


class Span(NamedTuple):
    """Where the bytes of a member begin and how many they are."""

    offset: int
    size: int


class Refused(Exception):
    """Why an archive is not read, as the end of a sentence that begins with its name."""


class Cut(Exception):
    """An archive ends before it should."""


class Stream(Protocol):
    """at: bytes from the start. read: exactly `count` bytes, and skip: over so many; both raise Cut at the end."""

    at: int

    def read(self, count: int) -> bytes: ...
    def skip(self, count: int) -> None: ...


def index_tar(stream: Stream) -> Iterator[tuple[str, Span]]:
    """(name, span) of every file, in order, names as they are written. Refused or Cut where it is no sound archive."""
    note: dict[str, str] = {}
    while (block := stream.read(BLOCK)).strip(b"\0"):
        kind, size = block[156:157], _check_header(block, first=stream.at == BLOCK)
        if kind in (LONG_NAME, LONG_LINK, OF_NEXT, OF_ALL):
            note |= _read_note(stream, kind, size)
            continue
        name = note.get("path") or _ustar_name(block)
        if kind in REFUSED or kind not in (*FILES, FOLDER):
            raise Refused(f"holds {REFUSED.get(kind, 'a member of unknown kind')}, {name!r}; pack the files themselves")
        if kind != FOLDER and not name.endswith("/"):
            size = _number(note["size"].encode(), 10) if "size" in note else size
            yield name, Span(stream.at, size)
            stream.skip(-(-size // BLOCK) * BLOCK)
        note = {}


def _check_header(block: bytes, *, first: bool) -> int:
    """The size that a header gives, once its sum has been found right."""
    try:
        told, size = _number(block[148:156], 8), _number(block[124:136], 8)
    except Refused:
        told, size = -1, 0
    plain = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if told != plain and told != plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):  # signed, of old
        raise Refused("is no archive (.tar, .tar.gz, .zip)" if first else "has a damaged header; copy it again")
    return size


def _number(field: bytes, base: int) -> int:
    """An octal or decimal text, or, of large sizes, a big-endian number after the byte 128."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0") or b"0"
    if len(text) > 20 or not text.isdigit():
        raise Refused("has a damaged header; copy it again")
    try:
        return int(text, base)
    except ValueError:
        raise Refused("has a damaged header; copy it again") from None


def _read_note(stream: Stream, kind: bytes, size: int) -> dict[str, str]:
    if size > LONGEST_NOTE:
        raise Refused(f"has a header of {size:,} bytes; pack the files again with `tar -cf`")
    content = stream.read(-(-size // BLOCK) * BLOCK)[:size]
    if kind == LONG_LINK:
        return {}
    if kind == LONG_NAME:
        return {"path": _text(content.rstrip(b"\0"))}
    note = dict(_records(content))
    if any(key.startswith("GNU.sparse") for key in note) or (kind == OF_ALL and {"path", "size"} & note.keys()):
        raise Refused("holds a sparse file or names for many members at once; pack the files again with `tar -cf`")
    return {key: note[key] for key in ("path", "size") if key in note}


def _records(content: bytes) -> Iterator[tuple[str, str]]:
    """pax records, "length key=value\\n"."""
    while content.strip(b"\0"):
        length = content[:8].partition(b" ")[0]
        end = int(length) if length.isdigit() else 0
        key, equals, value = content[len(length) + 1 : max(end - 1, 0)].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            raise Refused("has a damaged header; copy it again")
        yield _text(key), _text(value)
        content = content[end:]


def _ustar_name(block: bytes) -> str:
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    posix = block[257:263] == b"ustar\0"  # GNU keeps times where the prefix would be
    return _text(prefix + b"/" + name if posix and prefix else name)


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin1")
