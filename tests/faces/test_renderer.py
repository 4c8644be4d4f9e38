"""What pictures must show, by reasoning, for both backends; and that the backends agree."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from faces import camera
from faces.errors import DataError
from faces.raster.look import MATTE, Look, to_linear
from faces.renderer import Backend, SoftRenderer
from tests.faces.shapes import SQUARE_FACES, pixel_camera, sphere, square

BACKENDS: list[Backend] = ["numba", "numpy"]
BLACK, BLUE = (0, 0, 0), (10, 20, 200)
RED, GREEN = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


def covered(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=2) > 0


@pytest.mark.parametrize("supersample", [1, 2])
def test_a_square_covers_exactly_its_pixels(backend: Backend, supersample: int) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(40), Look(supersample=supersample), backend)
    picture = renderer.render(square(-0.25, 0.1, 0.0, 0.3))  # columns 10 to 24, rows 8 to 20
    expected = np.zeros((40, 40), bool)
    expected[8:20, 10:24] = True
    np.testing.assert_array_equal(covered(picture), expected)
    inside = picture[8:20, 10:24].astype(int)
    assert max(np.abs(np.diff(inside, axis=axis)).max() for axis in (0, 1)) <= 1, "neither edge nor diagonal shows"


def test_half_covered_pixels_are_half_as_bright(backend: Backend) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(40), Look(), backend)
    picture = renderer.render(square(-0.25 + 0.5 / 40, 0.1, 0.0, 0.3)).astype(int)
    assert abs(picture[12, 10, 0] - picture[12, 14, 0] / 2) <= 1


def test_background_shows_where_nothing_is(backend: Backend) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(16), Look(background=BLUE), backend)
    picture = renderer.render(square(0, 0.2, 0, 0.2))
    assert picture[15, 0].tolist() == list(BLUE)
    assert picture[6, 9].tolist() != list(BLUE)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_triangle_wins_whatever_the_order(backend: Backend, order: list[int]) -> None:
    near, far = square(-0.1, 0.1, -0.1, 0.1, z=0.2), square(-0.4, 0.4, -0.4, 0.4, z=-0.2)
    faces = np.concatenate([[SQUARE_FACES, SQUARE_FACES + 4][k] for k in order])
    colours = np.concatenate([np.tile(RED, (4, 1)), np.tile(GREEN, (4, 1))])
    look = Look(MATTE)
    picture = SoftRenderer(faces, pixel_camera(50), look, backend).render(np.concatenate([near, far]), colours)
    assert picture[25, 25, 1] == 0
    assert picture[25, 25, 0] > 200
    assert picture[25, 12, 0] == 0
    assert picture[25, 12, 1] > 200


def test_crossing_triangles_cut_each_other(backend: Backend) -> None:
    tilted, flat = square(-0.3, 0.3, -0.3, 0.3), square(-0.3, 0.3, -0.3, 0.3)
    tilted[:, 2] = tilted[:, 0]  # nearer on the right, farther on the left
    colours = np.concatenate([np.tile(RED, (4, 1)), np.tile(GREEN, (4, 1))])
    faces = np.concatenate([SQUARE_FACES, SQUARE_FACES + 4])
    picture = SoftRenderer(faces, pixel_camera(60), Look(), backend).render(np.concatenate([tilted, flat]), colours)
    assert (picture[30, 32:44, 0] > 0).all()
    assert (picture[30, 32:44, 1] == 0).all()
    assert (picture[30, 15:28, 1] > 0).all()
    assert (picture[30, 15:28, 0] == 0).all()


def test_a_sphere_is_symmetric_and_brightest_in_the_middle(backend: Backend) -> None:
    mesh = sphere(40)
    picture = SoftRenderer(mesh.faces, camera.fit(mesh.vertices, 64), Look(), backend).render(mesh.vertices)
    grey = picture[:, :, 0].astype(int)
    assert (picture[:, :, 0] == picture[:, :, 2]).all()
    assert np.abs(grey - grey[:, ::-1]).mean() < 0.5
    assert np.abs(grey - grey[::-1]).mean() < 0.5
    assert grey[30:34, 30:34].min() >= grey.max() - 3
    row = grey[32, 32:60]
    assert (np.diff(row[row > 0]) <= 1).all()


def test_grey_levels_are_the_published_material_s() -> None:
    # Facing the lamp: n·l = n·v = n·h = v·h = 1, so the formulas of `faces.raster.look` shrink to this.
    base, metallic, rough, intensity, ambient = 0.3, 0.8, 0.8, 8.0, 0.2
    f0 = 0.04 * (1 - metallic) + base * metallic
    specular = f0 / (np.pi * rough**4) / 4.001
    value = intensity * ((1 - f0) * 0.96 * base * (1 - metallic) / np.pi + specular) + ambient * base
    expected = 255 * value ** (1 / 2.2)
    for backend in BACKENDS:
        picture = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(), backend).render(square(-0.4, 0.4, -0.4, 0.4))
        assert abs(int(picture[16, 16, 0]) - expected) < 0.75


def test_matte_colours_are_those_of_the_legend(backend: Backend) -> None:
    wanted = np.array([230, 120, 40])
    colours = np.tile(to_linear(wanted), (4, 1))
    picture = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(MATTE), backend).render(
        square(-0.4, 0.4, -0.4, 0.4), colours
    )
    assert np.abs(picture[16, 16].astype(int) - wanted).max() <= 2


def test_colours_blend_between_vertices(backend: Backend) -> None:
    colours = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]], np.float32)
    picture = SoftRenderer(SQUARE_FACES, pixel_camera(64), Look(MATTE), backend).render(
        square(-0.5, 0.5, -0.5, 0.5), colours
    )
    linear = to_linear(picture[32, :, 0])
    assert np.abs(linear - (np.arange(64) + 0.5) / 64).max() < 0.02


def test_triangles_without_area_or_behind_the_camera_are_left_out(backend: Backend) -> None:
    corners = np.concatenate([square(-0.3, 0.3, -0.3, 0.3), [[0, 0, 1.5], [0, 0, 5], [0.3, 0.3, 0], [0.3, 0.3, 0]]])
    faces = np.concatenate([SQUARE_FACES, [[0, 1, 4], [0, 0, 1], [2, 6, 7], [4, 5, 0], [0, 1, 1]]]).astype(np.int32)
    renderer = SoftRenderer(faces, pixel_camera(32), Look(), backend)
    alone = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(), backend).render(corners.astype(np.float32)[:4])
    picture = renderer.render(corners)
    np.testing.assert_array_equal(covered(picture), covered(alone))


@pytest.mark.parametrize("shift", [[5, 0, 0], [0, -5, 0], [0, 0, 3], [1e9, 0, 0]])
def test_what_is_out_of_sight_leaves_the_background(backend: Backend, shift: list[float]) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(background=BLUE), backend)
    assert (renderer.render(square(-0.3, 0.3, -0.3, 0.3) + shift) == BLUE).all()


def test_a_mesh_larger_than_the_image_fills_it(backend: Backend) -> None:
    picture = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(), backend).render(square(-900, 900, -900, 900))
    assert covered(picture).all()


def test_one_frame_leaves_nothing_in_the_next(backend: Backend) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(32), Look(), backend)
    here, there = square(-0.4, -0.1, -0.4, -0.1), square(0.1, 0.4, 0.1, 0.4)
    first = renderer.render(there)
    renderer.render(here)
    np.testing.assert_array_equal(renderer.render(there), first)


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("tinted", [False, True])
def test_backends_agree(supersample: int, tinted: bool) -> None:
    mesh, rng = sphere(30), np.random.default_rng(0)
    vertices = mesh.vertices + rng.normal(scale=0.002, size=mesh.vertices.shape).astype(np.float32)
    colours = rng.uniform(size=vertices.shape) if tinted else None
    look = Look(MATTE, (255, 255, 255), supersample)
    view = camera.fit(vertices, 96)
    one, two = (SoftRenderer(mesh.faces, view, look, kind).render(vertices, colours) for kind in BACKENDS)
    difference = np.abs(one.astype(int) - two)
    assert difference.mean() < 0.01
    assert (difference > 2).mean() < 1e-3


def test_backends_agree_on_triangles_smaller_than_a_pixel() -> None:
    mesh = sphere(60)
    view = camera.fit(mesh.vertices, 24)
    colours = np.random.default_rng(0).uniform(size=mesh.vertices.shape)
    one, two = (SoftRenderer(mesh.faces, view, Look(), kind).render(mesh.vertices, colours) for kind in BACKENDS)
    assert np.abs(one.astype(int) - two).mean() < 0.05


def test_threads_share_a_renderer() -> None:
    mesh = sphere(20)
    renderer = SoftRenderer(mesh.faces, camera.fit(mesh.vertices, 64))
    frames = [mesh.vertices * scale for scale in np.linspace(0.5, 1, 12)]
    expected = [renderer.render(frame) for frame in frames]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(renderer.render, frames))
    np.testing.assert_array_equal(np.array(found), np.array(expected))


def test_bad_input_is_refused(backend: Backend) -> None:
    renderer = SoftRenderer(SQUARE_FACES, pixel_camera(16), Look(), backend)
    corners = square(-0.3, 0.3, -0.3, 0.3)
    broken = corners.copy()
    broken[2, 1] = np.nan
    with pytest.raises(DataError, match="1 of 4 vertices are NaN or infinite, the first is 2"):
        renderer.render(broken)
    with pytest.raises(DataError, match="vertex 3 of a mesh of 3"):
        renderer.render(corners[:3])
    with pytest.raises(DataError, match=r"must be \(V, 3\)"):
        renderer.render(corners.ravel())
    with pytest.raises(DataError, match=r"colours must be \(4, 3\)"):
        renderer.render(corners, np.ones(4))
    with pytest.raises(DataError, match="supersample is 3"):
        SoftRenderer(SQUARE_FACES, pixel_camera(16), Look(supersample=3), backend)
    with pytest.raises(DataError, match="triangles must be"):
        SoftRenderer(SQUARE_FACES - 1, pixel_camera(16), Look(), backend)


def test_without_numba_numpy_draws(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('not installed')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np\n"
        "from faces import camera\n"
        "from faces.errors import DataError\n"
        "from faces.renderer import SoftRenderer\n"
        "faces, view = np.array([[0, 1, 2]]), camera.voca(32)\n"
        "assert SoftRenderer(faces, view).backend == 'numpy'\n"
        "try: SoftRenderer(faces, view, backend='numba')\n"
        "except DataError as error: assert 'install numba' in str(error); print('ok')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


@pytest.mark.parametrize("number", [1e12, 1e30, 3e38, np.inf, np.nan])
@pytest.mark.parametrize("where", [(0, 0), (1, 1), (2, 2)])
def test_the_compiled_z_buffer_ends_whatever_the_numbers(number: float, where: tuple[int, int]) -> None:
    from faces.raster.numba_kernels import visible_triangles

    depth, owner = np.zeros((32, 32), np.float32), np.full((32, 32), -1, np.int32)
    screen = square(4, 20, 4, 20, z=0.5)
    screen[where] = number
    visible_triangles(screen, SQUARE_FACES, depth, owner)
    assert set(np.unique(owner)) <= {-1, 0, 1}
    if where == (1, 1) and np.isnan(number):
        assert set(np.unique(owner)) == {-1, 1}, "the triangle without that corner is there, the other is not"
