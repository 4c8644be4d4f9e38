"""OBJ where triangles are a must, and positions alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
