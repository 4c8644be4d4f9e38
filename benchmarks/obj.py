"""How fast OBJ is read, against a plain loop in Python: `python -m benchmarks.obj`.

Writes a synthetic head in BIWI's size in the two forms that exporters use, reads each with both, alternating, and
prints the best of five rounds. The readers must agree to the bit; exit status 1 where ours is less than 20
times as fast.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faces.obj import read_obj, read_positions
from stages.preprocess.synthetic.head import neutral_head

VERTICES = 23370
ROUNDS = 5
TIMES = 20


def plain_loop(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """What one writes in five minutes: no checks, no polygons, no negative indices."""
    vertices, faces = [], []
    with open(file) as stream:
        for line in stream:
            words = line.split()
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:4]])
            elif words[0] == "f":
                faces.append([int(word.split("/")[0]) - 1 for word in words[1:4]])
    return np.array(vertices, np.float32), np.array(faces, np.int32)


def write(file: Path, *, textured: bool) -> None:
    head = neutral_head(VERTICES)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in head.points.tolist()]
    corner = "{0}/{0}/{0}" if textured else "{0}"
    lines += ["f " + " ".join(corner.format(index) for index in face) + "\n" for face in (head.faces + 1).tolist()]
    file.write_text("".join(lines))


def seconds(read: Callable[[Path], Any], file: Path) -> float:
    start = time.perf_counter()
    read(file)
    return time.perf_counter() - start


def measure(file: Path, name: str) -> float:
    """Prints a line, and gives how many times faster a mesh is read."""
    mesh, (vertices, faces) = read_obj(file), plain_loop(file)
    assert mesh.vertices.tobytes() == vertices.tobytes() == read_positions(file).tobytes()
    assert np.array_equal(mesh.faces, faces)
    readers = (plain_loop, read_obj, read_positions)
    plain, ours, positions = np.min([[seconds(read, file) for read in readers] for _ in range(ROUNDS)], axis=0)
    print(
        f"{name:22} {file.stat().st_size / 1e6:4.1f} MB  plain loop {plain * 1000:4.0f} ms  ours {ours * 1000:4.1f} ms "
        f"({plain / ours:.0f} times as fast)  positions alone {positions * 1000:4.1f} ms"
    )
    return float(plain / ours)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "head.obj"
        write(file, textured=False)
        times = [measure(file, "f v v v")]
        write(file, textured=True)
        times.append(measure(file, "f v/vt/vn v/vt/vn …"))
    print(f"at least {TIMES} times a plain loop: {'yes' if min(times) >= TIMES else 'NO'}")
    return 0 if min(times) >= TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
