"""What is above the plane stays; of FLAME's own mesh that is the head."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.implicit.throat import THROAT, above_throat, cut
from faces.mesh import read_mesh
from tests.faces.shapes import sphere

ASSETS = os.environ.get("FACEPIPE_ASSETS", "")
FLOOR = [[0, 0, 0], [0, 0, 1], [1, 0, 0]]
"""Counter-clockwise seen from above."""


def test_a_ball_is_cut_in_half() -> None:
    ball = sphere(20, 0.1)
    half = cut(ball, above_throat(ball.vertices, FLOOR, margin=-1e-6))
    assert half.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
    assert half.vertices[:, 1].max() == pytest.approx(0.1)
    assert len(half.faces) == len(ball.faces) // 2
    centres = half.vertices[half.faces].mean(axis=1)
    rows = {tuple(row) for row in ball.vertices[ball.faces].mean(axis=1).tolist()}
    assert {tuple(row) for row in centres.tolist()} <= rows


def test_the_margin_is_a_distance() -> None:
    points = np.array([[0, 0.2, 0], [5, 0.4, 9]])
    assert above_throat(points, np.array(FLOOR) * 7, margin=0.3).tolist() == [False, True]


def test_points_on_a_line_give_no_plane() -> None:
    with pytest.raises(DataError, match="lie on a line"):
        above_throat(np.zeros((1, 3)), [[0, 0, 0], [1, 1, 1], [2, 2, 2]])


def test_nothing_left() -> None:
    ball = sphere(5, 0.1)
    with pytest.raises(DataError, match="leaves no triangle"):
        cut(ball, above_throat(ball.vertices, FLOOR, margin=1))


@pytest.mark.skipif(not ASSETS, reason="FACEPIPE_ASSETS names no folder with a FLAME mesh")
def test_of_flame_the_head_stays() -> None:
    flame = read_mesh(Path(ASSETS, "meshes", "FLAME_sample.ply"))
    keep = above_throat(flame.vertices, flame.vertices[list(THROAT)])
    assert 4500 < keep.sum() < 5023
    assert flame.vertices[~keep, 1].max() < flame.vertices[keep, 1].mean()
