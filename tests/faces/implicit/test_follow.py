"""Sequences: a band finds what the dense form finds, grows where the surface leaves it, and starts anew in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faces.errors import DataError
from faces.implicit.follow import Follower
from faces.implicit.settings import Extraction
from tests.faces.implicit.fields import ball, dense, either, equal, not_a_distance, talker

SETTINGS = Extraction(resolution=48)


@pytest.mark.parametrize("rim", ["extend", "refresh"])
@pytest.mark.parametrize("search", ["dense", "lipschitz", "signs"])
def test_a_talking_head_is_the_dense_one_in_every_frame(search: str, rim: str) -> None:
    settings = replace(SETTINGS, search=search, rim=rim)
    follower, ratios = Follower(settings), []
    for frame in range(8):
        field = talker(0.02 + 0.012 * frame, shift=0.01 * np.sin(frame))
        if search == "signs":
            field = not_a_distance(field)
        surface = follower.frame(field)
        assert equal(surface, dense(field, settings))
        ratios.append(surface.effort.ratio)
    assert min(ratios[1:]) > (4 if rim == "extend" else 1 - 1e-9)


def test_a_band_is_cheaper_than_a_search() -> None:
    follower = Follower(replace(SETTINGS, search="signs", stride=4))
    first, second = (follower.frame(talker(0.05 + change)).effort for change in (0, 1e-4))
    assert (first.refreshed, second.refreshed, second.rim) == (True, False, 0)
    assert second.ratio > first.ratio > 3


def test_the_band_grows_along_a_surface_that_leaves_it() -> None:
    """The ball moves by four voxels: only where it slides along itself is it in the band."""
    follower, spacing = Follower(replace(SETTINGS, band=1)), 1.25 / 47
    follower.frame(ball((0, 0, -0.3)))
    moved = ball((0, 4 * spacing, -0.3))
    surface = follower.frame(moved)
    assert not surface.effort.refreshed
    assert surface.effort.rim > 100
    assert equal(surface, dense(moved, SETTINGS))


def test_or_the_frame_is_searched_anew() -> None:
    follower, spacing = Follower(replace(SETTINGS, band=1, rim="refresh")), 1.25 / 47
    follower.frame(ball((0, 0, -0.3)))
    moved = ball((0, 4 * spacing, -0.3))
    surface = follower.frame(moved)
    assert surface.effort.refreshed
    assert surface.effort.evaluations < 48**3, "what the band knew was not asked again"
    assert equal(surface, dense(moved, SETTINGS))


def test_a_known_motion_widens_the_band() -> None:
    spacing = 1.35 / 47
    counts = []
    for motion in (0.0, 4 * spacing):
        follower = Follower(replace(SETTINGS, band=1))
        follower.frame(ball((0, 0, -0.3)))
        effort = follower.frame(ball((0, 4 * 1.25 / 47, -0.3)), motion).effort
        counts.append((effort.rim, effort.evaluations))
    assert counts[0][0] > 100
    assert counts[1][0] == 0
    assert counts[1][1] > counts[0][1]


def test_a_surface_that_is_gone_from_the_band_is_searched_for() -> None:
    follower = Follower(replace(SETTINGS, band=1))
    follower.frame(ball((-0.3, 0, -0.3), 0.1))
    moved = ball((0.3, 0.4, -0.3), 0.1)
    surface = follower.frame(moved)
    assert surface.effort.refreshed
    assert equal(surface, dense(moved, SETTINGS))


def test_what_appears_elsewhere_is_seen_at_the_next_refresh() -> None:
    follower = Follower(replace(SETTINGS, refresh=4))
    alone, together = ball((-0.2, 0, -0.3), 0.2), either(ball((-0.2, 0, -0.3), 0.2), ball((0.3, 0.4, -0.3), 0.1))
    refreshed, whole = [], []
    for frame in range(9):
        field = alone if frame < 2 else together
        surface = follower.frame(field)
        refreshed.append(surface.effort.refreshed)
        whole.append(equal(surface, dense(field, SETTINGS)))
    assert refreshed == [frame % 4 == 0 for frame in range(9)]
    assert whole == [True, True, False, False, True, True, True, True, True]


def test_a_bad_frame_does_not_spoil_the_next() -> None:
    follower = Follower(SETTINGS)
    follower.frame(ball())
    with pytest.raises(DataError, match="NaN"):
        follower.frame(lambda points: np.full(len(points), np.nan))
    surface = follower.frame(ball((0.1, 0, 0)))
    assert surface.effort.refreshed
    assert equal(surface, dense(ball((0.1, 0, 0)), SETTINGS))
    with pytest.raises(DataError, match="no surface"):
        follower.frame(ball((9, 9, 9)))


@pytest.mark.parametrize("motion", [-1.0, np.nan, np.inf])
def test_a_motion_that_is_none(motion: float) -> None:
    follower = Follower(SETTINGS)
    follower.frame(ball())
    with pytest.raises(DataError, match="finite number from 0 on"):
        follower.frame(ball(), motion)
