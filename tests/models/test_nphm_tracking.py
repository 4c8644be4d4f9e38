"""Codes are sought by the slope of the stated loss, and points are carried where the way back takes them home."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.nphm.following import Pace, follow
from models.nphm.head import HeadModel
from models.nphm.lessons import begin
from models.nphm.sizes import APPENDED, CanonicalSizes, DeformationSizes
from models.nphm.tracking import Effort, _Window, track

SLOTS = {"anchors": 5, "pairs": 2, "global_code": 4, "local_code": 3}


def tiny(hyper: int = 2) -> HeadModel:
    """In double precision, so that differences show slopes."""
    model = HeadModel.build(
        CanonicalSizes(**SLOTS, hyper=hyper, neighbours=3, width=12, layers=2, place=6),
        DeformationSizes(**SLOTS, bottleneck=3, expression=4, hyper=hyper, width=14, layers=4, skip=APPENDED),
    )
    generator = torch.Generator().manual_seed(0)
    begin(model, torch.rand(5, 3, generator=generator) - 0.5, generator)
    return model.double().eval().requires_grad_(False)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("before", [0, 2])
def test_the_slope_of_a_window_is_that_of_its_cost(before: int) -> None:
    model = tiny()
    effort = Effort(distance=1.0, time=0.7, size=0.3, clamp=10.0, knee=0.2)
    window = _Window(model, 0.1 * numbers(1, 22), 0.3 * numbers(3, 40, 3), 0.2 * numbers(before, 4), effort)
    codes = 0.5 * numbers(3, 4)
    values, slopes = window.look(codes)
    _, gradient = window.system(values, slopes, codes)
    away = 1e-6
    for number in range(codes.numel()):
        step = torch.zeros(12, dtype=torch.float64)
        step[number] = away
        costs = [
            window.cost(window.look(codes + sign * step.view(3, 4))[0], codes + sign * step.view(3, 4))
            for sign in (1, -1)
        ]
        assert float(gradient[number]) == pytest.approx((costs[0] - costs[1]) / (2 * away), rel=1e-4, abs=1e-6)


def test_points_beyond_the_clamp_pull_at_nothing() -> None:
    window = _Window(tiny(), 0.1 * numbers(1, 22), 0.3 * numbers(1, 40, 3), numbers(0, 4), Effort(clamp=1e-9, size=0.0))
    codes = 0.5 * numbers(1, 4)
    _, gradient = window.system(*window.look(codes), codes)
    assert not gradient.any()


def test_tracking_lessens_what_is_left_and_keeps_codes_near() -> None:
    model, identity, clouds = tiny(), 0.1 * numbers(1, 22), 0.3 * numbers(12, 30, 3)
    start = _Window(model, identity, clouds, numbers(0, 4), Effort()).look(torch.zeros(12, 4).double())[0]
    free, apart = track(model, identity, clouds, Effort(window=5, overlap=2, size=1e-4, clamp=10.0))
    held, _ = track(model, identity, clouds, Effort(window=5, overlap=2, size=10.0, clamp=10.0))
    assert free.shape == (12, 4)
    assert (apart < start.abs().mean(1)).float().mean() > 0.8
    assert held.norm() < 0.3 * free.norm()


def test_a_stiff_time_makes_codes_slow() -> None:
    model, identity, clouds = tiny(), 0.1 * numbers(1, 22), 0.3 * numbers(8, 30, 3)
    quick, slow = (track(model, identity, clouds, replace(Effort(clamp=10.0), time=time))[0] for time in (0.0, 50.0))
    assert slow.diff(dim=0).norm() < 0.3 * quick.diff(dim=0).norm()


def test_carried_points_go_home() -> None:
    model, identity, points = tiny(hyper=0), 0.1 * numbers(1, 22), 0.3 * numbers(50, 3)
    codes = torch.cat((torch.zeros(1, 4).double(), 0.4 * numbers(2, 4)))
    found = follow(model, identity, points, codes, Pace())
    for places, code in zip(found.places, codes, strict=True):
        home = model.canonical(places[None], identity, code[None])[0]
        assert float((home - points).norm(dim=1).max()) < 1e-4
    assert float(found.apart.max()) < 1e-4
    assert float((found.places[1] - found.places[0]).norm(dim=1).max()) > 1e-3


def test_turns_are_the_slopes_of_the_way_back() -> None:
    model, identity, points = tiny(hyper=0), 0.1 * numbers(1, 22), 0.3 * numbers(6, 3)
    code = 0.4 * numbers(1, 4)
    found = follow(model, identity, points, code, Pace())
    for axis in range(3):
        step = 1e-6 * torch.eye(3, dtype=torch.float64)[axis]
        ahead, back = (model.canonical((found.places[0] + sign * step)[None], identity, code)[0] for sign in (1, -1))
        assert torch.allclose((ahead - back) / 2e-6, found.turns[0, :, :, axis], atol=1e-3)
