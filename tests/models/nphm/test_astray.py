"""Points that lost their way are told from their neighbours, and led back."""

from __future__ import annotations

import numpy as np
import torch

from models.nphm.astray import Bounds, astray, expected, led_back, neighbours

SIDE = 6


def sheet() -> np.ndarray:
    """Triangles of a square of SIDE × SIDE vertices."""
    at = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = at[:-1, :-1].ravel(), at[1:, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def test_neighbours_are_those_within_two_edges_that_are_followed() -> None:
    chosen = np.array([0, 1, 2, 14, 35])
    found = neighbours(sheet(), SIDE * SIDE, chosen)
    as_sets = [{int(i) for i in row if i >= 0} for row in found]
    assert as_sets == [{1, 2}, {0, 2}, {0, 1, 3}, {2}, set()]  # 14 is two edges below 2
    assert [len(row) for row in neighbours(sheet(), SIDE * SIDE, chosen, reach=1)] == [2] * 5


def test_one_that_goes_elsewhere_is_astray_and_its_neighbours_are_not() -> None:
    around = neighbours(sheet(), SIDE * SIDE, np.arange(SIDE * SIDE))
    moved = torch.zeros(SIDE * SIDE, 3)
    moved[:, 1] = -0.01 * torch.arange(SIDE * SIDE)  # a jaw that turns
    smooth = moved.clone()
    moved[14, 1] += 0.5
    middle, spread = expected(moved, around)
    assert astray(moved, middle, spread, Bounds(spread=5.0)).nonzero().flatten().tolist() == [14]
    assert (middle[14] - smooth[14]).norm() < 0.05
    assert not astray(smooth, *expected(smooth, around), Bounds(spread=5.0)).any()


def test_small_differences_are_nobodys_fault_and_a_lonely_point_is_never_astray() -> None:
    around = torch.tensor([[1, 2], [0, 2], [0, 1], [-1, -1]])
    moved = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0.019, 0], [9, 9, 9]])
    assert not astray(moved, *expected(moved, around), Bounds(least=0.02)).any()
    assert astray(moved, *expected(moved, around), Bounds(least=0.01)).tolist() == [False, False, True, False]


def test_who_is_astray_is_sought_from_where_neighbours_expect_it() -> None:
    around = neighbours(sheet(), SIDE * SIDE, np.arange(SIDE * SIDE))
    ways = np.zeros((SIDE * SIDE, 3))
    ways[:, 1] = -0.01 * np.arange(SIDE * SIDE)
    smooth = ways.copy()
    ways[[14, 20], 1] += 0.5
    asked = list[tuple[list[int], np.ndarray]]()

    def seek(which: np.ndarray, begin: np.ndarray) -> np.ndarray:
        asked.append((which.tolist(), begin))
        found = smooth[which].copy()
        found[which == 20, 1] = 0.5  # who is lost again
        return found

    found = led_back(ways, seek, around, Bounds(spread=5.0))
    (which, begin), *_ = asked
    assert which == [14, 20]
    assert np.abs(begin - smooth[which]).max() < 0.05
    assert np.array_equal(found[14], smooth[14])
    assert 0 < np.abs(found[20] - smooth[20]).max() < 0.05, "it stays with its neighbours"
    others = np.delete(np.arange(SIDE * SIDE), [14, 20])
    assert np.array_equal(found[others], ways[others])
    assert np.array_equal(ways[14], smooth[14] + [0, 0.5, 0]), "what was given stays"
    assert np.array_equal(led_back(smooth, seek, around, Bounds(spread=5.0)), smooth)
    assert all(set(which) <= {14, 20} for which, _ in asked)
