from __future__ import annotations

import numpy as np
import pytest

from faces import camera
from faces.errors import DataError
from tests.faces.shapes import sphere


@pytest.mark.parametrize(("make", "focal"), [(camera.voca, 4754.97941935 / 2), (camera.biwi, 4754.97941935 / 8)])
def test_published_cameras(make, focal: float) -> None:  # type: ignore[no-untyped-def]
    full, half = make(), make(400)
    point = np.array([[0.05, 0.02, 0.1], [0, 0, 0]], np.float32)
    depth = 0.9
    expected = [[400 + focal * 0.05 / depth, 400 - focal * 0.02 / depth, 1 / depth], [400, 400, 1]]
    np.testing.assert_allclose(full.project(point), expected, rtol=1e-5)
    np.testing.assert_allclose(half.project(point)[:, :2], np.array(expected)[:, :2] / 2, rtol=1e-5)
    np.testing.assert_allclose(half.project(point, scale=2), full.project(point), rtol=1e-5)


def test_what_is_behind_has_no_depth() -> None:
    assert camera.voca().project(np.array([[0, 0, 2], [0, 0, 0.995], [0, 0, 0.9]], np.float32))[:, 2].tolist() == [
        0,
        0,
        pytest.approx(10),
    ]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1000.0])
@pytest.mark.parametrize("up", ["y", "z", "-y"])
def test_fit_frames_any_units_exactly(scale: float, up: str) -> None:
    rng = np.random.default_rng(1)
    vertices = (rng.normal(size=(500, 3)) * [1, 2, 1.5] + [3, -4, 7]) * scale
    screen = camera.fit(vertices, 200, up, margin=0.1).project(vertices)
    assert (screen[:, 2] > 0).all()
    low, high = screen[:, :2].min(), screen[:, :2].max()
    assert low >= 20 - 0.01
    assert high <= 180 + 0.01
    assert min(low - 20, 180 - high) < 0.1, "as large as the margin lets it be"


def test_fit_turns_z_up_data_upright() -> None:
    head = np.array([[0, 0, 1], [0, 0, -1], [0, -1, 0], [0.5, 0, 0]], float)  # crown, chin, nose, an ear at +x
    crown, chin, nose, ear = camera.fit(head, 100, "z").project(head)
    assert crown[1] < chin[1]
    assert nose[2] > crown[2], "the nose is nearest"
    assert ear[0] > crown[0]


@pytest.mark.parametrize(
    ("vertices", "up", "words"),
    [
        (np.zeros((0, 3)), "y", "without vertices"),
        (np.full((3, 3), np.nan), "y", "NaN"),
        (np.ones((3, 3)), "y", "in one point"),
        (sphere(4).vertices, "x", "up axis is 'x'"),
    ],
)
def test_fit_refuses(vertices: np.ndarray, up: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        camera.fit(vertices, 100, up)
