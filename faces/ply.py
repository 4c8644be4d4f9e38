"""Reading and writing triangle meshes as PLY, vertex order kept.

Reads ASCII and binary files (either byte order) with any further properties, as scanners and FLAME's samples have
them; writes positions as float32 or float64, as they are, and int32 triangles, the same bytes for the same mesh.
A file that is not a triangle mesh is a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from faces.errors import DataError
from faces.lfs import LFS_POINTER, refuse_pointer

TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER_LIMIT = 1 << 16
MOST_PROPERTIES = 256


@dataclass(frozen=True)
class Mesh:
    """vertices: (V, 3) float32, or float64 where a reader was asked for that. faces: (F, 3) int32."""

    vertices: NDArray[Any]
    faces: NDArray[np.int32]


@dataclass
class _Element:
    name: str
    count: int
    dtype: list[tuple[str, str]]
    corners: str | None = None
    """Name of the list property: stored as a count and three corners, which is all that a triangle mesh needs."""


def write_ply(
    file: Path, vertices: NDArray[np.floating], faces: NDArray[np.integer], *, form: str = "binary_little_endian"
) -> Path:
    """Write (V, 3) positions, float64 as such and others as float32, and (F, 3) triangles. form: a key of ORDERS."""
    wide = vertices.dtype == np.float64
    header = (
        f"ply\nformat {form} 1.0\nelement vertex {len(vertices)}\n"
        + "".join(f"property {'double' if wide else 'float'} {axis}\n" for axis in "xyz")
        + f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    points, order = np.asarray(vertices, "<f8" if wide else "<f4"), ORDERS[form]
    if not order:
        lines = [f"{x!s} {y!s} {z!s}\n" for x, y, z in points]
        lines += [f"3 {a} {b} {c}\n" for a, b, c in np.asarray(faces).tolist()]
        file.write_bytes((header + "".join(lines)).encode("ascii"))
        return file
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", order + "i4", (3,))])
    rows["count"], rows["corners"] = 3, faces
    body = points if order == "<" else points.byteswap()
    file.write_bytes(header.encode("ascii") + body.tobytes() + rows.tobytes())
    return file


def read_ply(file: Path, *, dtype: DTypeLike = np.float32) -> Mesh:
    """Read a triangle mesh. dtype: float32, or float64, of the positions."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    refuse_pointer(file, content[: len(LFS_POINTER)])
    order, elements, body = _parse_header(file, content)
    try:
        tables = _read_ascii(elements, body) if not order else _read_binary(elements, body, order)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, which those who read meshes check
            vertices = np.stack([tables["vertex"][axis] for axis in "xyz"], axis=-1).astype(dtype)
        faces = _triangles(tables, elements)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{file} is not a complete PLY mesh of triangles ({error}); export it again") from error
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise DataError(f"{file} has a triangle with a corner outside its {len(vertices)} vertices; export it again")
    return Mesh(vertices, faces.astype(np.int32))


def _parse_header(file: Path, content: bytes) -> tuple[str, list[_Element], bytes]:
    if not content.startswith((b"ply\n", b"ply\r")):
        raise DataError(f"{file} is not a PLY file (it does not begin with 'ply'); give a mesh in PLY format")
    end = content.find(b"end_header", 0, HEADER_LIMIT)
    body = content.find(b"\n", end) + 1
    if end < 0 or body == 0:
        raise DataError(f"{file} ends inside its PLY header; copy the file again")
    form, elements = "", list[_Element]()
    try:
        for line in content[:end].decode("latin1").splitlines():
            match line.split():
                case ["format", form, *_]:
                    pass
                case ["element", name, count]:
                    elements.append(_Element(name, _count(count, len(content)), []))
                case ["property", "list", count, kind, name]:
                    elements[-1].dtype += [("#" + name, TYPES[count]), *((f"{name}{k}", TYPES[kind]) for k in range(3))]
                    elements[-1].corners = name
                case ["property", kind, name]:
                    elements[-1].dtype.append((name, TYPES[kind]))
        order = ORDERS[form]
        if any(len(element.dtype) > MOST_PROPERTIES for element in elements):
            raise ValueError(f"more than {MOST_PROPERTIES} properties")
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"{file} has a PLY header that cannot be understood ({error}); export it again") from error
    return order, elements, content[body:]


def _count(text: str, size: int) -> int:
    """Of an element's rows, each of which takes a byte at least."""
    count = int(text) if len(text) < 20 else size + 1
    if not 0 <= count <= size:
        raise ValueError(f"{text[:20]} rows in a file of {size:,} bytes")
    return count


def _read_binary(elements: list[_Element], body: bytes, order: str) -> dict[str, NDArray[Any]]:
    tables, start = {}, 0
    for element in elements:
        dtype = np.dtype([(name, order + kind) for name, kind in element.dtype])
        if element.count and not dtype.itemsize:
            raise ValueError(f"{element.name} has no properties")
        empty = not element.count
        tables[element.name] = np.empty(0, dtype) if empty else np.frombuffer(body, dtype, element.count, start)
        start += dtype.itemsize * element.count
        if element.name == "face":
            break
    return tables


def _read_ascii(elements: list[_Element], body: bytes) -> dict[str, NDArray[Any]]:
    lines, tables = body.decode("latin1").split("\n"), {}
    for element in elements:
        rows, lines = lines[: element.count], lines[element.count :]
        if len(rows) < element.count:
            raise ValueError(f"{element.count:,} rows of {element.name} are declared and {len(rows):,} are there")
        tables[element.name] = np.array([_row(row, len(element.dtype)) for row in rows], dtype=element.dtype)
        if element.name == "face":
            break
    return tables


def _row(text: str, most: int) -> tuple[str, ...]:
    words = tuple(text.split())
    if len(words) != most or any(len(word) > 40 for word in words):
        raise ValueError(f"a row is {text[:60]!r}")
    return words


def _triangles(tables: dict[str, NDArray[Any]], elements: list[_Element]) -> NDArray[np.int64]:
    name = next((element.corners for element in elements if element.name == "face"), None)
    if name is None or np.any(tables["face"]["#" + name] != 3):
        raise ValueError("a face is not a triangle")
    corners = np.stack([tables["face"][f"{name}{k}"] for k in range(3)], axis=-1)
    if corners.dtype.kind not in "iu":
        raise ValueError("the corners of a face are not whole numbers")
    return corners.astype(np.int64)
