"""Inverting a warp: where it contracts, where it does not, and where there is nothing to be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faces.errors import DataError
from faces.implicit.solve import Solving, solve

rng = np.random.default_rng(3)
TARGETS = rng.uniform(-0.4, 0.4, (200, 3))


def gentle(points: np.ndarray) -> np.ndarray:
    """A deformation as smooth networks have, and two hyper coordinates that nobody matches."""
    moved = points + 0.02 * np.sin(9 * points[:, [1, 2, 0]])
    return np.concatenate([moved, 5 * points[:, :2]], axis=1).astype(np.float32)


def steep(points: np.ndarray) -> np.ndarray:
    """Invertible, but a fixed point runs away from the solution."""
    return points + 1.8 * points + 0.05 * np.sin(5 * points[:, [1, 2, 0]])


def test_a_smooth_warp_needs_few_rounds() -> None:
    solved = solve(gentle, TARGETS, TARGETS, Solving(broyden=0))
    np.testing.assert_allclose(gentle(solved.points.astype(np.float32))[:, :3], TARGETS, atol=1.5e-6)
    assert solved.apart.max() <= 1e-6
    assert solved.evaluations < 8 * len(TARGETS)


def test_a_good_start_saves_rounds() -> None:
    far = solve(gentle, TARGETS, TARGETS, Solving())
    near = solve(gentle, TARGETS, far.points + 1e-5, Solving())
    assert near.evaluations < far.evaluations
    already = solve(gentle, TARGETS, far.points, Solving())
    assert already.evaluations == len(TARGETS)


def test_where_it_does_not_contract_broyden_does() -> None:
    """The start is within reach, as the last frame's solution is."""
    places = TARGETS / 4
    start = places + rng.normal(scale=0.02, size=places.shape)
    targets = steep(places.astype(np.float32)).astype(np.float64)
    plain = solve(steep, targets, start, Solving(broyden=0))
    assert (plain.apart > 1e-3).all()
    solved = solve(steep, targets, start, Solving())
    assert solved.apart.max() <= 1e-6
    np.testing.assert_allclose(solved.points, places, atol=1e-5)


def test_a_mixture_costs_no_more_than_its_parts() -> None:
    def mixed(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, :1] > 0, steep(points), gentle(points)[:, :3])

    places = np.concatenate([[[0.1, 0.02, 0.03]], -np.abs(TARGETS)]).astype(np.float32)
    targets = mixed(places).astype(np.float64)
    start = places + 0.004
    start[1:, 0] -= 0.01  # the warp is torn at 0
    solved = solve(mixed, targets, start, Solving())
    assert solved.apart.max() <= 1e-6
    assert solved.evaluations < 9 * len(TARGETS)


def test_what_cannot_be_solved_keeps_its_best_estimate() -> None:
    def flat(points: np.ndarray) -> np.ndarray:
        """Nothing is taken beyond x = 0.1."""
        return np.concatenate([0.1 * np.tanh(10 * points[:, :1]), points[:, 1:]], axis=1)

    targets = np.array([[0.05, 0.1, 0.2], [0.5, 0.1, 0.2]])
    solved = solve(flat, targets, targets, Solving())
    assert solved.apart[0] <= 1e-6
    assert solved.apart[1] == pytest.approx(0.4, abs=1e-3)
    assert np.isfinite(solved.points).all()
    assert np.linalg.norm(flat(solved.points.astype(np.float32)) - targets, axis=1) == pytest.approx(
        solved.apart, abs=1e-6
    )


def test_steps_into_nowhere_are_given_up() -> None:
    """Broyden's first step leads to where the warp is NaN: the estimate from before stays."""

    def cliff(points: np.ndarray) -> np.ndarray:
        return np.where(np.abs(points) > 0.3, np.nan, 3 * points)

    start = np.full((4, 3), 0.25)
    solved = solve(cliff, np.full((4, 3), 1.2), start, Solving())
    np.testing.assert_array_equal(solved.points, start)


def test_a_warp_that_is_no_number_is_told() -> None:
    with pytest.raises(DataError, match="NaN or infinite at 200 of 200"):
        solve(lambda points: points * np.nan, TARGETS, TARGETS, Solving())


def test_a_warp_of_the_wrong_shape_is_told() -> None:
    with pytest.raises(ValueError, match="3 or more"):
        solve(lambda points: points[:, :2], TARGETS, TARGETS, Solving())


def test_chunks_change_nothing() -> None:
    asked: list[int] = []

    def counted(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return gentle(points)

    solved = solve(counted, TARGETS, TARGETS, Solving(chunk=33))
    assert max(asked) == 33
    assert sum(asked) == solved.evaluations
    np.testing.assert_array_equal(solved.points, solve(gentle, TARGETS, TARGETS, Solving()).points)


@pytest.mark.parametrize("choice", [{"rounds": 0}, {"broyden": -1}, {"tolerance": 0.0}, {"give_up": float("nan")}])
def test_choices_that_cannot_be(choice: dict) -> None:
    with pytest.raises(DataError, match="must be"):
        solve(gentle, TARGETS, TARGETS, replace(Solving(), **choice))
