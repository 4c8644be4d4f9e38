"""Reading triangle meshes from Wavefront OBJ, vertex order kept.

Only positions and faces are read. General readers split vertices along texture seams (`f v/vt/vn`) and drop those of
no face; vertex i here is the i-th `v` line, whatever the faces say. Polygons are cut into fans. What exporters write is
read by compiled loops (`faces.obj_kernels`); the rest, and all where Numba is absent, line by line, with equal results.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from faces.errors import DataError, said
from faces.lfs import LFS_POINTER, refuse_pointer
from faces.ply import Mesh

LARGEST_INDEX = 1 << 31
BLANK = 32
"""A space; of the control characters below it, text has tabs and line ends."""
Parsed = tuple[NDArray[Any], NDArray[Any]]
"""Positions (V, 3) and triangles (F, 3), the latter not yet held against V."""


def read_obj(file: Path, *, polygons: bool = True, dtype: DTypeLike = np.float32) -> Mesh:
    """Read a mesh. DataError, with the line, for anything that is not one.

    polygons: cut faces of more than three corners into fans; otherwise they are an error, since nobody can say which
    triangles were meant. dtype: float32, or float64, of the positions.
    """
    content = _content(file)
    vertices, faces = _parse_fast(content, polygons, dtype) or _parse_lines(file, content, polygons, dtype)
    if not len(vertices):
        raise DataError(f"{file} has no vertices; is it a mesh in OBJ format?")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise DataError(f"{file} has a triangle with a corner outside its {len(vertices)} vertices; export it again")
    return Mesh(vertices, faces.astype(np.int32, copy=False))


def read_positions(file: Path, *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """(V, 3) of the `v` lines alone, faster than the whole mesh. DataError as `read_obj` has it."""
    content = _content(file)
    found = _parse_fast(content, True, dtype, faces=False)
    if found is None or not len(found[0]):
        return read_obj(file, dtype=dtype).vertices
    return found[0]


def _content(file: Path) -> bytes:
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    refuse_pointer(file, content[: len(LFS_POINTER)])
    return content


def _parse_fast(content: bytes, polygons: bool, dtype: DTypeLike, *, faces: bool = True) -> Parsed | None:
    """None where the compiled loop is absent or gives up."""
    try:
        from faces.obj_kernels import parse_lines
    except ImportError:
        return None
    data = np.frombuffer(content + b"\n", np.uint8)
    # Every number and every corner has a blank before it, and line ends are counted with the blanks, since one
    # comparison is a tenth of two searches. One vertex more: a line may break off in the middle of it. Rooms that stay
    # empty take no memory.
    most = int(np.count_nonzero(data <= BLANK))
    vertices, triangles = np.empty((most // 3 + 1, 3), dtype), np.empty((most if faces else 0, 3), np.int32)
    doubtful = np.empty((most, 4), np.int64)
    count, cut, doubts = parse_lines(data, polygons, vertices, triangles, np.empty(1), doubtful)
    if count < 0:
        return None
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, which those who read meshes check
        for vertex, axis, start, end in doubtful[:doubts].tolist():
            vertices[vertex, axis] = float(content[start:end])
    return vertices[:count].copy(), triangles[:cut].copy()


def _parse_lines(file: Path, content: bytes, polygons: bool, dtype: DTypeLike) -> Parsed:
    positions = list[list[float]]()
    triangles = list[tuple[int, int, int]]()
    cut = 0
    for number, line in enumerate(_lines(content), start=1):
        try:
            match line.split():
                case [b"v", *numbers]:
                    positions.append(_position(numbers))
                case [b"f", *corners]:
                    if len(corners) > 3 and not polygons:
                        cut = cut or number
                    triangles += _fan([_index(corner, len(positions)) for corner in corners])
        except ValueError as error:
            raise DataError(f"{file}, line {number}, is not OBJ ({said(error)}); export the mesh again") from error
    if cut:
        raise DataError(
            f"{file}, line {cut}, is a face of more than three corners; give the mesh with the data's own triangles"
        )
    with np.errstate(over="ignore"):
        vertices = np.array(positions, np.float64).reshape(-1, 3).astype(dtype)
    return vertices, np.array(triangles, np.int64).reshape(-1, 3)


def _lines(content: bytes) -> list[bytes]:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")


def _position(numbers: list[bytes]) -> list[float]:
    """x, y and z; a weight or a colour may follow."""
    if len(numbers) < 3:
        raise ValueError(f"a vertex has {len(numbers)} coordinates")
    return [float(number) for number in numbers[:3]]


def _index(corner: bytes, so_far: int) -> int:
    """Zero-based vertex of "v", "v/vt", "v//vn" or "v/vt/vn"; negative numbers count back from the last `v` line."""
    value = int(corner.partition(b"/")[0])
    if value == 0:
        raise ValueError("vertices are numbered from 1")
    if abs(value) > LARGEST_INDEX:
        raise ValueError(f"vertex {value}")
    return value - 1 if value > 0 else so_far + value


def _fan(corners: list[int]) -> list[tuple[int, int, int]]:
    if len(corners) < 3:
        raise ValueError(f"a face has {len(corners)} corners")
    return [(corners[0], a, b) for a, b in pairwise(corners[1:])]
