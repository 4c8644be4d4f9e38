"""The benchmark of surfaces runs, small; its contestants make one surface."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import surfaces
from faces.implicit.settings import Extraction


def test_a_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["surfaces", "--resolutions", "24", "--frames", "1", "--mmac", "0.066"])
    surfaces.main()
    printed = capsys.readouterr().out
    for name in ("24³", "dense", "lipschitz", "signs", "band 2", "band 1", "13,824"):
        assert name in printed


def test_all_make_the_dense_surface_with_fewer_points() -> None:
    outcomes = surfaces.measure(Extraction(resolution=48), 0.0, 2)
    assert all(each.apart == 0 for each in outcomes.values())
    assert outcomes["dense"].points == 48**3
    assert all(outcomes[name].points < 48**3 / 5 for name in ("lipschitz", "signs", "band 2", "band 1"))


def test_the_stand_in_changes_no_value() -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3)).astype(np.float32)
    plain = surfaces.head(0.04)
    np.testing.assert_array_equal(surfaces.costly(plain, 0.2)(points), plain(points))
