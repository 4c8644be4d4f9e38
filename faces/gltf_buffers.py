"""The numbers of a glTF file: its JSON, its buffers and the arrays in them, every bound checked before a byte is read.

A buffer is the binary part of a `.glb`, a data URI, or a file beside the `.gltf`; nothing else is opened. What does not
hold is a `ValueError` whose text is the end of a sentence; `faces.gltf` says whose.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.gltf_files import beside

MAGIC, JSON_CHUNK, BINARY_CHUNK = b"glTF", b"JSON", b"BIN\0"
COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MOST_BYTES = 1 << 31
DATA_URI = "data:"
TIMES, ANYHOW = 64, 1 << 26
"""How many times its own bytes the meshes of a file may take, and what they always may: nodes can show one mesh again
and again, and an accessor can be of zeros that are nowhere stored."""


class Document:
    """A file's JSON with typed access, and its arrays."""

    def __init__(self, file: Path, content: bytes) -> None:
        self.file, self._files, self._spent = file, dict[Path, bytes](), 0
        text, self._binary = _chunks(content) if content[:4] == MAGIC else (content, b"")
        self.told: dict[str, Any] = _json(text)
        version = str(member(self.told, "asset", dict, {}).get("version", ""))
        if not version.startswith("2."):
            raise ValueError(f"it is of glTF version {version or 'unknown'}, and 2.0 is read")
        if needed := member(self.told, "extensionsRequired", list, []):
            raise ValueError(f"it needs {', '.join(map(str, needed))}; export it without compression or extensions")

    def entry(self, table: str, index: Any) -> dict[str, Any]:
        """One object of a top-level list, by its number in the file."""
        return at(member(self.told, table, list, []), index, table)

    def array(self, index: Any, width: int) -> NDArray[Any]:
        """The accessor's (count, width) values, a copy; integers that are normalised as fractions of their range."""
        accessor = self.entry("accessors", index)
        kind = member(accessor, "type", str, "")
        if WIDTHS.get(kind) != width:
            raise ValueError(f"accessor {index} is {kind or 'without type'}, where {width} numbers are needed")
        dtype = _dtype(accessor)
        count = whole(accessor, "count")
        values = self._base(accessor, dtype, count, width)
        if "sparse" in accessor:
            self._replace(values, member(accessor, "sparse", dict), dtype)
        if accessor.get("normalized") is True and dtype.kind in "iu":
            return np.maximum(values / np.float32(np.iinfo(dtype).max), -1).astype(np.float32)
        return values

    def spend(self, count: int) -> None:
        """Ask for so many bytes of meshes. ValueError where they are out of all proportion to the file."""
        self._spent += count
        if self._spent > TIMES * self._stored + ANYHOW:
            raise ValueError(f"its meshes take {self._spent:,} bytes and its buffers have {self._stored:,}")

    def _base(self, accessor: dict[str, Any], dtype: np.dtype, count: int, width: int) -> NDArray[Any]:
        if "bufferView" in accessor:
            return self._values(accessor["bufferView"], whole(accessor, "byteOffset", 0), dtype, count, width).copy()
        if count * width * dtype.itemsize > max((len(b) for b in self._buffers), default=0) * 64 + (1 << 24):
            raise ValueError(f"an accessor of {count:,} zeros is out of all proportion to the file")
        return np.zeros((count, width), dtype)

    def _replace(self, values: NDArray[Any], sparse: dict[str, Any], dtype: np.dtype) -> None:
        count = whole(sparse, "count")
        places, given = member(sparse, "indices", dict), member(sparse, "values", dict)
        rows = self._values(places.get("bufferView"), whole(places, "byteOffset", 0), _dtype(places), count, 1)[:, 0]
        if rows.dtype.kind != "u" or (count and int(rows.max()) >= len(values)):
            raise ValueError("a sparse accessor names a vertex that is not there")
        start = whole(given, "byteOffset", 0)
        values[rows] = self._values(given.get("bufferView"), start, dtype, count, values.shape[1])

    def _values(self, view_index: Any, start: int, dtype: np.dtype, count: int, width: int) -> NDArray[Any]:
        view = self.entry("bufferViews", view_index)
        buffer = at(self._buffers, view.get("buffer"), "buffers")
        offset, length, item = whole(view, "byteOffset", 0), whole(view, "byteLength"), width * dtype.itemsize
        stride = whole(view, "byteStride", item)
        if offset + length > len(buffer):
            raise ValueError(f"buffer view {view_index} ends {offset + length - len(buffer):,} bytes after its buffer")
        if stride < item or (count and start + stride * (count - 1) + item > length):
            raise ValueError(f"an accessor reads beyond the end of buffer view {view_index}")
        strides = (stride, dtype.itemsize)
        return np.ndarray((count, width), dtype, buffer, offset + start if count else 0, strides)

    @cached_property
    def _stored(self) -> int:
        return sum(len(content) for content in {id(content): content for content in self._buffers}.values())

    @cached_property
    def _buffers(self) -> Sequence[bytes]:
        return [self._buffer(number, entry) for number, entry in enumerate(member(self.told, "buffers", list, []))]

    def _buffer(self, number: int, entry: Any) -> bytes:
        if not isinstance(entry, dict):
            raise ValueError(f"buffer {number} is no object")
        uri, length = entry.get("uri"), whole(entry, "byteLength")
        content = self._binary if uri is None else self._content(uri)
        if length > len(content):
            raise ValueError(f"buffer {number} has {len(content):,} of {length:,} bytes; it is cut short")
        return content[:length]

    def _content(self, uri: Any) -> bytes:
        if not isinstance(uri, str):
            raise ValueError("the URI of a buffer is no text")
        if uri.startswith(DATA_URI):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise ValueError("a data URI is not in base64")
            return base64.b64decode(body, validate=True)
        path = beside(self.file.parent, uri)
        if path is None:
            raise ValueError(
                f"it names the buffer {uri[:80]!r}, which is not in its own folder; such a file is not read"
            )
        if path not in self._files:
            if path.stat().st_size + sum(map(len, self._files.values())) > MOST_BYTES:
                raise ValueError(f"with {path.name} its buffers are larger than 2 GB")
            self._files[path] = path.read_bytes()
        return self._files[path]


def _json(text: bytes) -> dict[str, Any]:
    told = json.loads(text.decode("utf-8"))
    if not isinstance(told, dict):
        raise ValueError("its JSON is no object")
    return told


def _chunks(content: bytes) -> tuple[bytes, bytes]:
    """The JSON and the binary part of a `.glb`."""
    if len(content) < 20:
        raise ValueError("it ends inside its header")
    version, length = struct.unpack_from("<II", content, 4)
    if version != 2:
        raise ValueError(f"it is of the binary form {version}, and 2 is read")
    if length > len(content):
        raise ValueError(f"it has {len(content):,} of {length:,} bytes; it is cut short")
    parts, at_byte = dict[bytes, bytes](), 12
    while at_byte + 8 <= length:
        size, kind = struct.unpack_from("<I4s", content, at_byte)
        if at_byte + 8 + size > length:
            raise ValueError("a part of it is longer than the file; it is cut short")
        parts.setdefault(kind, content[at_byte + 8 : at_byte + 8 + size])
        at_byte += 8 + size
    if JSON_CHUNK not in parts:
        raise ValueError("it has no JSON part")
    return parts[JSON_CHUNK], parts.get(BINARY_CHUNK, b"")


def _dtype(entry: dict[str, Any]) -> np.dtype:
    kind = entry.get("componentType")
    if kind not in COMPONENTS:
        raise ValueError(f"numbers of the type {kind!r} are unknown")
    return np.dtype(COMPONENTS[kind])


def at(items: Sequence[Any], index: Any, what: str) -> Any:
    """An entry by its number; a missing one, and one that is no object where objects are wanted, is a ValueError."""
    if type(index) is not int or not 0 <= index < len(items):
        raise ValueError(f"it names number {index!r} of its {len(items)} {what}")
    found = items[index]
    if not isinstance(found, dict | bytes):
        raise ValueError(f"number {index} of its {what} is no object")
    return found


def member(entry: dict[str, Any], key: str, kind: Callable[..., Any], default: Any = None) -> Any:
    """A value of one type; `default` where it is absent, if there is one."""
    if not isinstance(entry, dict):
        raise ValueError(f"what should have {key!r} is no object")
    value = entry.get(key, default)
    if type(value) is not kind:
        raise ValueError(f"{key!r} is missing" if value is None else f"{key!r} is of another type than it should be")
    return value


def whole(entry: dict[str, Any], key: str, default: int | None = None) -> int:
    """A number that is not negative."""
    value: int = member(entry, key, int, default)
    if not 0 <= value < MOST_BYTES:
        raise ValueError(f"{key!r} is {value}")
    return value
