"""OBJ where triangles are a must, and positions alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from faces import obj
from faces.errors import DataError
from faces.obj import read_obj, read_positions

QUAD = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\nf 1/1 2/1 3/1 4/1\nf 1 2 3 4\n"


def test_quads_are_cut_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "F1.obj"
    file.write_text(QUAD)
    assert len(read_obj(file).faces) == 5
    with pytest.raises(DataError, match=r"F1\.obj, line 7, is a face of more than three corners"):
        read_obj(file, polygons=False)
    file.write_text(QUAD.replace("f 1/1 2/1 3/1 4/1\nf 1 2 3 4\n", ""))
    assert len(read_obj(file, polygons=False).faces) == 1


def test_positions_alone_are_those_of_the_mesh(tmp_path: Path) -> None:
    file = tmp_path / "frame.obj"
    rows = np.random.default_rng(0).normal(size=(50, 3)) * 1000
    lines = [f"v {x!r} {y:.6f} {z:e} 0.5 0.5 0.5" for x, y, z in rows.tolist()]
    file.write_text("\r\n".join(["# a comment", *lines, "vn 0 0 1", "v\t1 2 3", "f 1 2 3", ""]))
    found = read_positions(file)
    np.testing.assert_array_equal(found, read_obj(file).vertices)
    assert (found.shape, found.dtype) == ((51, 3), np.float32)


@pytest.mark.parametrize(
    ("text", "words"),
    [("v 0 0 0\nv 1 x 0\n", "line 2, is not OBJ"), ("v 0 0 0\nv 1 0\n", "line 2, is not OBJ"), ("", "no vertices")],
)
def test_positions_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "frame.obj").write_text(text)
    with pytest.raises(DataError, match=words):
        read_positions(tmp_path / "frame.obj")


PLAIN = """# as exporters write it
o head
v 0.5 -0.25 1e-3
  v\t-1.5E+2 0.000001 16777217
v 0.1 0.12345678901234567890123 1
v 1e-40 3e38 0.30000001192092896
v 7 8 9 0.5
usemtl skin
f 1 2 3
f 1/1 2/2 3/3 4/4
f -1//-1 -2//2 -3//3
f 1/2/3 5/2/1 4/1/1
"""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_compiled_loop_reads_what_the_lines_say(tmp_path: Path, end: str, dtype: type) -> None:
    content = PLAIN.replace("\n", end).encode()
    fast, slow = obj._parse_fast(content, True, dtype), obj._parse_lines(tmp_path, content, True, dtype)
    assert fast is not None
    assert fast[0].tobytes() == slow[0].tobytes()
    assert fast[0].dtype == dtype
    np.testing.assert_array_equal(fast[1], slow[1])
    assert obj._parse_fast(content, False, dtype) is None


@pytest.mark.parametrize(
    "row", ["v 1_0 2 3", "v inf 2 3", "v 1 2", "v . 1 2", "v 1\x0b2 3", "v", "f 1 2", "f 1_1 2 3", "f 0 1 2"]
)
def test_the_compiled_loop_leaves_the_rest_to_the_lines(row: str) -> None:
    assert obj._parse_fast(f"v 0 0 0\n{row}\n".encode(), True, np.float32) is None


@pytest.mark.parametrize("power", [-46, -44, -30, -23, -12, 0, 21, 22, 23, 44, 46])
def test_numbers_of_every_size_are_rounded_as_python_rounds_them(power: int) -> None:
    rng = np.random.default_rng(abs(power))
    words = [f"{x:.17g}e{power}" for x in rng.uniform(-10, 10, 297)]
    halves = np.random.default_rng(0).normal(size=297).astype(np.float32).astype(np.float64)
    words += [repr(x + float(np.spacing(np.float32(x))) / 2) for x in halves.tolist()]  # ties of float32
    content = "".join(f"v {' '.join(words[k : k + 3])}\n" for k in range(0, len(words), 3)).encode()
    for dtype in (np.float32, np.float64):
        found = obj._parse_fast(content, True, dtype)
        with np.errstate(over="ignore"):
            expected = np.array([float(word) for word in words]).astype(dtype).reshape(-1, 3)
        assert found is not None
        assert found[0].tobytes() == expected.tobytes()


def test_without_the_compiled_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.obj").write_text(PLAIN)
    fast = read_obj(tmp_path / "a.obj")
    monkeypatch.setitem(sys.modules, "faces.obj_kernels", None)
    slow = read_obj(tmp_path / "a.obj")
    assert fast.vertices.tobytes() == slow.vertices.tobytes() == read_positions(tmp_path / "a.obj").tobytes()
    np.testing.assert_array_equal(fast.faces, slow.faces)
