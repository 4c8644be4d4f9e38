"""A frozen head against the dense form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.nphm import rounding
from models.nphm.arrays import HeadArrays
from models.nphm.frozen import EXACT, HeadAt, Quick, weigh
from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.layers import bend
from models.nphm.rounding import bend_
from models.nphm.sizes import DeformationSizes
from tests.models.nphm import tiny

POINTS = 1.6 * torch.rand(3000, 3, generator=torch.Generator().manual_seed(1)) - 0.8
MAKE = {
    "nphm": tiny.forward_model,
    "mono": tiny.mono_model,
    "shrunk": lambda: tiny.model(
        tiny.CANONICAL,
        DeformationSizes(
            anchors=15, pairs=6, global_code=8, local_code=4, bottleneck=5, expression=10, hyper=2, width=40
        ),
        BACKWARD,
    ),
    "no hyper": lambda: tiny.model(tiny.IDENTITY, tiny.FORWARDS, BACKWARD),
}


@pytest.fixture(params=MAKE)
def made(request: pytest.FixtureRequest) -> HeadModel:
    return MAKE[request.param]()


def dense(made: HeadModel, points: torch.Tensor, codes: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return made.field(points[None], *codes)[0]


def test_folding_is_the_same_function(made):
    """In double precision, with nothing left out: to its rounding."""
    made, points = made.double(), POINTS.double()
    codes = tuple(code.double() for code in tiny.codes(made))
    at = HeadAt(made, codes[0][0], codes[1][0], Quick(least_weight=0))
    torch.testing.assert_close(at.field(points), dense(made, points, codes), atol=1e-13, rtol=1e-12)
    moved = made.posed if made.moves == FORWARD else made.canonical
    ours = at.posed if made.moves == FORWARD else at.canonical
    torch.testing.assert_close(ours(points), moved(points[None], *codes)[0], atol=1e-13, rtol=1e-12)


def test_by_default_it_is_as_near_as_rounding(made):
    codes = tiny.codes(made)
    at = HeadAt(made, codes[0][0], codes[1][0])
    with torch.no_grad():
        found, expected = at.field(POINTS), dense(made, POINTS, codes)
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)
    assert float(expected.std()) > 0.01


@pytest.mark.parametrize("least", [1e-4, 1e-2])
def test_what_is_left_out_is_within_its_bound(made, least):
    """The others make up for a member that is left out: the value is off by its weight times how far they disagree."""
    codes = tiny.codes(made)
    with torch.no_grad():
        at = HeadAt(made, codes[0][0], codes[1][0], Quick(least_weight=least))
        points = at.canonical(POINTS) if made.moves == BACKWARD else POINTS
        weights = weigh(made.identity, points, at.anchors)
        values = torch.cat([member(points) for member in at.members], 1)
        apart = (values[:, None] - values[:, :, None]).abs().amax((1, 2))
        left_out = (weights * (weights <= least)).sum(1)
        error = (at.field(POINTS) - dense(made, POINTS, codes)).abs()
    assert bool((error <= left_out * apart + 5e-6).all())
    assert float(error.max()) > 5e-6  # something was left out
    assert int((weights > least).sum()) < int((weights > EXACT).sum())


def test_neither_rows_nor_parts_matter(made):
    codes = tiny.codes(made)
    with torch.no_grad():
        whole = HeadAt(made, codes[0][0], codes[1][0]).field(POINTS)
        parts = HeadAt(made, codes[0][0], codes[1][0], Quick(rows=37, points=500)).field(POINTS)
        torch.testing.assert_close(whole, parts, atol=1e-6, rtol=1e-5)
        assert HeadAt(made, codes[0][0], codes[1][0]).field(POINTS[:0]).shape == (0,)


def test_gradients_are_those_of_the_dense_form(made):
    made, given = made.double(), POINTS[:200].double().requires_grad_()
    codes = tuple(code.double() for code in tiny.codes(made))
    at = HeadAt(made, codes[0][0], codes[1][0], Quick(least_weight=0))
    ours, theirs = at.field(given), dense(made, given, codes)
    found, expected = (torch.autograd.grad(values.sum(), given)[0] for values in (ours, theirs))
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=1e-9)


def test_a_head_that_turns_to_another_expression_keeps_the_first(made):
    identity, expressions = tiny.codes(made)[0][0], tiny.codes(made, heads=2, seed=9)[1]
    ways = [
        at := HeadAt(made, identity, expressions[0]),
        at.speaking(expressions[1]),
        HeadAt(made, identity, expressions[1]),
    ]
    with torch.no_grad():
        first, second, anew = ((one.posed(POINTS) if made.moves == FORWARD else one.canonical(POINTS)) for one in ways)
        torch.testing.assert_close(second, anew, atol=0, rtol=0)
        assert float((first - second).abs().max()) > 1e-3
    assert ways[0].members is ways[1].members


def test_half_precision_states_its_error(made):
    """Of tiny heads whose values spread by a tenth and more: within 2 % of that, and not the same."""
    codes = tiny.codes(made)
    with torch.no_grad():
        found = HeadAt(made, codes[0][0], codes[1][0], Quick(half=True)).field(POINTS)
        expected = dense(made, POINTS, codes)
    assert 1e-6 < float((found - expected).abs().max()) < 0.02 * float(expected.max() - expected.min())


def test_what_a_head_cannot_tell_is_said():
    made = tiny.mono_model()
    identity, expression = (code[0] for code in tiny.codes(made))
    with pytest.raises(ValueError, match="points move with an expression, and none is given"):
        HeadAt(made, identity).field(POINTS)
    with pytest.raises(ValueError, match="a model that moves points backward cannot move them forward"):
        HeadAt(made, identity, expression).posed(POINTS)
    rest = tiny.model(tiny.IDENTITY, None, BACKWARD)
    with pytest.raises(ValueError, match="a head at rest takes no expression"):
        HeadAt(rest, torch.zeros(tiny.IDENTITY.identity), expression)
    assert HeadAt(rest, torch.zeros(tiny.IDENTITY.identity)).field(POINTS).shape == (3000,)


def test_arrays_go_in_and_come_out(made, monkeypatch):
    monkeypatch.setattr("models.nphm.arrays.GRAPH", 16)
    codes = tiny.codes(made)
    head = HeadArrays(HeadAt(made, codes[0][0], codes[1][0]))
    points = POINTS[:50].numpy()
    points.setflags(write=False)
    values, gradients = head.slope(points)
    np.testing.assert_allclose(head.field(points), values, atol=5e-6)
    step = np.float32(1e-3) * np.eye(3, dtype=np.float32)
    for axis in range(3):
        around = [head.field(points + way * step[axis]) for way in (1, -1)]
        apart = np.abs((around[0] - around[1]) / 2e-3 - gradients[:, axis])
        assert np.quantile(apart, 0.9) < 2e-3  # not all: MonoNPHM's field jumps where the nearest anchors change
    moves = head.posed if made.moves == FORWARD else head.canonical
    assert moves(points).dtype == np.float32


def test_the_kernel_rounds_as_pytorch_does():
    """As near to the exact function as PyTorch's own is, beyond both ends, and passing on what is no number."""
    x = torch.cat((torch.linspace(-0.5, 0.5, 200001), torch.tensor([-1e30, -7.0, -0.0, 0.0, 7.0, 1e30])))
    exact = bend(x.double())
    assert float((bend_(x.clone()) - exact).abs()[x.abs() < 0.5].max()) < 3e-8
    torch.testing.assert_close(bend_(x.clone()).double(), exact, atol=3e-8, rtol=1e-7)
    odd = bend_(torch.tensor([torch.inf, -torch.inf, torch.nan]))
    assert odd[0] == torch.inf
    assert abs(float(odd[1])) < 1e-10
    assert bool(odd[2].isnan())


def test_the_slope_is_pytorchs():
    x = torch.cat((torch.linspace(-0.5, 0.5, 4001), torch.tensor([-1e30, -7.0, 0.0, 7.0, 1e30]))).requires_grad_()
    wide = x.detach().double().requires_grad_()
    torch.testing.assert_close(rounding.bend(x).double(), bend(wide), atol=3e-8, rtol=1e-7)
    weights = torch.linspace(1, 2, len(x))
    (found,) = torch.autograd.grad(rounding.bend(x), x, weights, create_graph=True)
    (expected,) = torch.autograd.grad(bend(wide), wide, weights.double())
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=0)
    with pytest.raises(RuntimeError):  # a gradient of the gradient is none, and not zero
        found.sum().backward()


def test_single_precision_gradients_are_as_near_as_rounding(made):
    codes, given = tiny.codes(made), POINTS[:500].clone().requires_grad_()
    at = HeadAt(made, codes[0][0], codes[1][0])
    found, expected = (
        torch.autograd.grad(values.sum(), given)[0] for values in (at.field(given), dense(made, given, codes))
    )
    apart = (found - expected).abs().amax(1)
    assert float(apart.quantile(0.99)) < 2e-3 * float(expected.abs().max())


def test_what_the_kernel_does_not_know_pytorch_does():
    wide = torch.randn(6, 8).T
    torch.testing.assert_close(bend_(wide.clone().T.contiguous().T), bend(wide))
    torch.testing.assert_close(bend_(torch.ones(3).double()), bend(torch.ones(3).double()))
