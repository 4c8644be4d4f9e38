"""Reading and writing triangle meshes as PLY, vertex order kept.

Reads ASCII and binary files (either byte order) with any further properties, as scanners and FLAME's samples have
them; writes binary little-endian float32 positions and int32 triangles, the same bytes for the same mesh.
A file that is not a triangle mesh is a `DataError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
HEADER_LIMIT = 1 << 16


@dataclass(frozen=True)
class Mesh:
    """vertices: (V, 3) float32. faces: (F, 3) int32."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]


@dataclass
class _Element:
    name: str
    count: int
    dtype: list[tuple[str, str]]
    corners: str | None = None
    """Name of the list property: stored as a count and three corners, which is all that a triangle mesh needs."""


def write_ply(file: Path, vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Path:
    """Write (V, 3) positions and (F, 3) triangles."""
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", (3,))])
    rows["count"], rows["corners"] = 3, faces
    file.write_bytes(header.encode("ascii") + np.asarray(vertices, "<f4").tobytes() + rows.tobytes())
    return file


def read_ply(file: Path) -> Mesh:
    """Read a triangle mesh."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    order, elements, body = _parse_header(file, content)
    try:
        tables = _read_ascii(elements, body) if not order else _read_binary(elements, body, order)
        vertices = np.stack([tables["vertex"][axis] for axis in "xyz"], axis=-1).astype(np.float32)
        faces = _triangles(tables, elements)
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"{file} is not a complete PLY mesh of triangles ({error}); export it again") from error
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise DataError(f"{file} has a triangle with a corner outside its {len(vertices)} vertices; export it again")
    return Mesh(vertices, faces)


def _parse_header(file: Path, content: bytes) -> tuple[str, list[_Element], bytes]:
    if not content.startswith((b"ply\n", b"ply\r")):
        raise DataError(f"{file} is not a PLY file (it does not begin with 'ply'); give a mesh in PLY format")
    end = content.find(b"end_header", 0, HEADER_LIMIT)
    body = content.find(b"\n", end) + 1
    if end < 0 or body == 0:
        raise DataError(f"{file} ends inside its PLY header; copy the file again")
    order, elements = "", list[_Element]()
    try:
        for line in content[:end].decode("latin1").splitlines():
            match line.split():
                case ["format", form, *_]:
                    order = ORDERS[form]
                case ["element", name, count]:
                    elements.append(_Element(name, int(count), []))
                case ["property", "list", count, kind, name]:
                    elements[-1].dtype += [("#" + name, TYPES[count]), *((f"{name}{k}", TYPES[kind]) for k in range(3))]
                    elements[-1].corners = name
                case ["property", kind, name]:
                    elements[-1].dtype.append((name, TYPES[kind]))
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"{file} has a PLY header that cannot be understood ({error}); export it again") from error
    return order, elements, content[body:]


def _read_binary(elements: list[_Element], body: bytes, order: str) -> dict[str, NDArray[Any]]:
    tables, start = {}, 0
    for element in elements:
        dtype = np.dtype([(name, order + kind) for name, kind in element.dtype])
        tables[element.name] = np.frombuffer(body, dtype, element.count, start)
        start += dtype.itemsize * element.count
        if element.name == "face":
            break
    return tables


def _read_ascii(elements: list[_Element], body: bytes) -> dict[str, NDArray[Any]]:
    lines, tables = body.decode("latin1").split("\n"), {}
    for element in elements:
        rows, lines = lines[: element.count], lines[element.count :]
        tables[element.name] = np.array([tuple(row.split()) for row in rows], dtype=element.dtype)
        if element.name == "face":
            break
    return tables


def _triangles(tables: dict[str, NDArray[Any]], elements: list[_Element]) -> NDArray[np.int32]:
    name = next(element.corners for element in elements if element.name == "face")
    if name is None or np.any(tables["face"]["#" + name] != 3):
        raise ValueError("a face is not a triangle")
    return np.stack([tables["face"][f"{name}{k}"] for k in range(3)], axis=-1).astype(np.int32)
