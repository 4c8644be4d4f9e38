"""Reading and writing `.vl` files, in which the BIWI corpus B3D(AC)² keeps its frames: the vertices of one, in order.

Little-endian: the count of vertices as an unsigned integer of 32 bits, then x, y and z of each as float32. Files from
systems whose `long` is wider have a count of 64 bits; the size of a file tells which. There are no triangles in it.
Fanelli et al., "A 3-D Audio-Visual Corpus of Affective Communication", IEEE Transactions on Multimedia 2010.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.lfs import refuse_pointer

COUNTS = ("<u4", "<u8")
VERTEX_BYTES = 12


def read_vl(file: Path) -> NDArray[np.float32]:
    """(V, 3) float32. DataError where the file is absent or its size is not what its count of vertices asks for."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    return parse_vl(content, str(file))


def parse_vl(content: bytes, where: str) -> NDArray[np.float32]:
    """(V, 3) float32 of the bytes of a file. DataError, about `where`, as `read_vl` has it."""
    for kind in COUNTS:
        start = np.dtype(kind).itemsize
        count = int(np.frombuffer(content, kind, 1)[0]) if len(content) >= start else 0
        if count and len(content) == start + VERTEX_BYTES * count:
            return np.frombuffer(content, "<f4", offset=start).reshape(-1, 3)
    refuse_pointer(Path(where), content)
    raise DataError(f"{where} is no whole .vl frame: {_what_is_wrong(content)}; copy the file again")


def write_vl(file: Path, vertices: NDArray[np.floating]) -> Path:
    """Write (V, 3) with a count of 32 bits."""
    file.write_bytes(np.array(len(vertices), COUNTS[0]).tobytes() + np.asarray(vertices, "<f4").tobytes())
    return file


def _what_is_wrong(content: bytes) -> str:
    if len(content) < 4:
        return f"it has {len(content)} bytes"
    count = int(np.frombuffer(content, COUNTS[0], 1)[0])
    if not count:
        return "its count of vertices is 0"
    return f"it has {len(content):,} bytes, and the {count:,} vertices it counts take {4 + VERTEX_BYTES * count:,}"
