"""Which triangle is seen: by reasoning, for both back ends; and that these agree to the last pixel."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from faces.mouth import torch_visibility, visibility
from faces.mouth.camera import VOCASET, Window
from faces.mouth.visibility import Backend, visible
from tests.faces.mouth.scenes import camera_of_talker, faces_of_talker, golden_head, opening_mouth
from tests.threads import one_thread

__all__ = ["one_thread"]

BACKENDS: list[Backend] = ["numba", "torch"]
SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])
WINDOW = Window(-8, -8, 16, 16)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


def square(left: float, right: float, top: float, bottom: float, z: float = 0.0) -> Tensor:
    """Corners (1, 4, 3) for SQUARE, in pixels from the picture's middle."""
    return torch.tensor([[[left, top, z], [right, top, z], [right, bottom, z], [left, bottom, z]]])


def both(screen: Tensor, faces: Tensor, window: Window, **rules: float) -> Tensor:
    """What is seen, equal by both back ends."""
    one, two = (visible(screen, faces, window, backend=kind, **rules) for kind in BACKENDS)
    assert torch.equal(one, two), f"{int((one != two).sum())} pixels differ"
    assert one.dtype == torch.int32
    return one


def test_a_square_covers_its_pixels_and_the_diagonal_is_no_hole(backend: Backend) -> None:
    # The diagonal runs through pixel centres: each belongs to both triangles, and the first is seen.
    seen = visible(square(-4, 4, -4, 4), SQUARE, WINDOW, backend=backend)[0]
    expected = torch.full((16, 16), -1, dtype=torch.int32)
    column, row = torch.meshgrid(torch.arange(4, 12), torch.arange(4, 12), indexing="xy")
    expected[4:12, 4:12] = (row > column).int()
    assert torch.equal(seen, expected)


def test_the_window_is_where_it_is_said_to_be(backend: Backend) -> None:
    seen = visible(square(2, 4, -3, 0), SQUARE, Window(1, -4, 6, 5), backend=backend)[0] >= 0
    expected = torch.zeros(5, 6, dtype=torch.bool)
    expected[1:4, 1:3] = True
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_wins_whatever_the_order_and_the_sign(order: list[int], backend: Backend) -> None:
    for near, far in ((2.0, 1.0), (0.5, -0.5), (-1.0, -2.0), (1e-30, -1e-30)):
        screen = torch.cat([square(-2, 2, -2, 2, near), square(-6, 6, -6, 6, far)], dim=1)
        faces = torch.cat([[SQUARE, SQUARE + 4][k] for k in order])
        seen = visible(screen, faces, WINDOW, backend=backend)[0]
        assert (seen[6:10, 6:10] // 2 == order.index(0)).all()
        assert (seen[3, 3:13] // 2 == order.index(1)).all()


@pytest.mark.parametrize("other", [0.0, -0.0])
def test_of_ties_the_first_is_seen(other: float) -> None:
    screen = torch.cat([square(-3, 3, -3, 3, other), square(-6, 6, -6, 6, 0.0)], dim=1)
    for faces in (torch.cat([SQUARE, SQUARE + 4]), torch.cat([SQUARE + 4, SQUARE])):
        assert (both(screen, faces, WINDOW)[0, 5:11, 5:11] < 2).all()


def test_degenerate_far_and_hidden_triangles_are_left_out() -> None:
    corners = square(-4, 4, -4, 4)
    extra = torch.tensor([[[9e9, 0, 5], [1e38, 1e38, 5], [20, 20, 5], [30, 20, 5], [20, 30, 5], [0, 0, -torch.inf]]])
    screen = torch.cat([corners, extra], dim=1)
    nothing = torch.tensor([[0, 0, 1], [2, 2, 2], [6, 7, 8], [0, 1, 9], [9, 9, 9]])
    alone = both(corners, SQUARE, WINDOW)
    assert torch.equal(both(screen, torch.cat([SQUARE, nothing]), WINDOW), alone)
    sliver = torch.tensor([[[-4, -4, 1.0], [4, 4, 1.0], [4, 4.0001, 1.0]]])
    assert (both(sliver, torch.tensor([[0, 1, 2]]), WINDOW, least_area=0.01) < 0).all()


def test_a_corner_not_nearer_than_the_least_hides_its_triangle(backend: Backend) -> None:
    screen = square(-4, 4, -4, 4, 0.5)
    screen[0, 1, 2] = 0.0
    seen = visible(screen, SQUARE, WINDOW, least=0.0, backend=backend)
    assert sorted(seen.unique().tolist()) == [-1, 1]


def test_corners_that_are_no_numbers_leave_their_triangles_out() -> None:
    for column in range(3):
        broken = torch.cat([square(-6, 6, -6, 6, 2.0), square(-4, 4, -4, 4)], dim=1)
        broken[0, 2, column] = torch.nan
        seen = both(broken, torch.cat([SQUARE, SQUARE + 4]), WINDOW)
        assert torch.equal(seen, both(broken[:, 4:], SQUARE, WINDOW).where(seen < 0, seen))
        assert set(seen.unique().tolist()) == {-1, 2, 3}


@pytest.mark.parametrize("sign", [1, -1])
def test_infinite_corners_are_far_ones(sign: int) -> None:
    for column in range(2):
        screen = torch.cat([square(-4, 4, -4, 4), square(-6, 6, -6, 6, -1.0)], dim=1)
        far = screen.clone()
        screen[0, 2, column], far[0, 2, column] = sign * torch.inf, sign * 1e6
        faces = torch.cat([SQUARE, SQUARE + 4])
        assert torch.equal(both(screen, faces, WINDOW), both(far, faces, WINDOW))


def test_triangles_of_another_mesh_are_refused() -> None:
    for faces in (SQUARE + 1, SQUARE - 1):
        with pytest.raises(DataError, match="other vertices than the 4 of the mesh"):
            visible(square(-4, 4, -4, 4), faces, WINDOW, backend="numba")


def test_triangles_larger_than_any_picture_end_in_no_crash() -> None:
    # Nothing is promised of what they show, but that both say the same and come back.
    generator = torch.Generator().manual_seed(3)
    for power in (0, 3, 6, 12, 30, 38):
        screen = (torch.rand((3, 40, 3), generator=generator) - 0.5) * 10.0**power
        screen[:, 20:] *= torch.rand((3, 20, 1), generator=generator) ** 30
        faces = torch.randint(0, 40, (60, 3), generator=generator)
        both(screen, faces, WINDOW)


@pytest.mark.parametrize("seed", range(3))
def test_back_ends_agree_on_any_soup_of_triangles(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    screen = torch.randn((4, 300, 3), generator=generator) * torch.tensor([12.0, 12.0, 1.0])
    screen[:, ::3] = screen[:, ::3].round()  # corners and edges on centres' lines, equal depths
    faces = torch.randint(0, 300, (2000, 3), generator=generator)
    seen = both(screen, faces, Window(-13.5, -11.5, 27, 23))
    assert len(seen.unique()) > 100


def test_back_ends_agree_on_heads() -> None:
    vertices, faces = golden_head()
    for window in (VOCASET.window, VOCASET.whole):
        assert (both(VOCASET.project(vertices), faces, window) >= 0).float().mean() > 0.3
    talking, camera = opening_mouth(), camera_of_talker()
    assert (both(camera.project(talking), faces_of_talker(), camera.window) >= 0).float().mean() > 0.95


def test_a_window_shows_what_a_crop_of_the_whole_does(backend: Backend) -> None:
    for (vertices, faces), camera in (
        (golden_head(), VOCASET),
        ((opening_mouth(), faces_of_talker()), camera_of_talker()),
    ):
        screen = camera.project(vertices)
        whole = visible(screen, faces, camera.whole, backend=backend)
        window = visible(screen, faces, camera.window, backend=backend)
        assert torch.equal(window, whole[:, slice(*camera.rows), slice(*camera.columns)])


def test_small_chunks_of_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = golden_head()
    screen = VOCASET.project(vertices)
    seen = visible(screen, faces, VOCASET.window, backend="torch")
    monkeypatch.setitem(torch_visibility.PAIRS, "cpu", 7)
    assert torch.equal(visible(screen[:1], faces, VOCASET.window, backend="torch"), seen[:1])


def test_threads_share_the_frames() -> None:
    screen, camera = camera_of_talker().project(opening_mouth(5)), camera_of_talker()
    expected = visible(screen, faces_of_talker(), camera.window, backend="numba")
    torch.set_num_threads(2)
    assert torch.equal(visible(screen, faces_of_talker(), camera.window, backend="numba"), expected)


def test_no_frames_are_no_pictures(backend: Backend) -> None:
    assert visible(torch.zeros(0, 4, 3), SQUARE, WINDOW, backend=backend).shape == (0, 16, 16)


def test_half_precision_is_seen_as_single(backend: Backend) -> None:
    screen = square(-4, 4, -4, 4)
    assert torch.equal(
        visible(screen.half(), SQUARE.int(), WINDOW, backend=backend),
        visible(screen.double(), SQUARE, WINDOW, backend=backend),
    )


def test_without_numba_torch_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = golden_head()
    screen = VOCASET.project(vertices)
    expected = visible(screen, faces, VOCASET.window)
    monkeypatch.setattr(visibility, "has_numba", lambda: False)
    monkeypatch.setitem(sys.modules, "faces.raster.numba_kernels", None)
    assert torch.equal(visible(screen, faces, VOCASET.window), expected)
    with pytest.raises(DataError, match="numba is not installed"):
        visible(screen, faces, VOCASET.window, backend="numba")


def test_nearness_may_be_one_over_distance() -> None:
    # A plane that leans away: halfway in the picture 1 / distance is halfway, distance is not.
    leaning = torch.tensor([[[-8, -8, 1.0], [8, -8, 0.25], [8, 8, 0.25], [-8, 8, 1.0]]])
    upright = square(-8, 8, -8, 8, 0.625 - 0.01)
    seen = both(torch.cat([leaning, upright], dim=1), torch.cat([SQUARE, SQUARE + 4]), WINDOW, least=0.0)[0]
    np.testing.assert_array_equal((seen < 2).numpy(), np.tile(np.arange(16) < 8, (16, 1)))
