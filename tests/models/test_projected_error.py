"""The squared error that keeps no motion is the plain one, gradients too."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.projected_error import projected_error, projected_errors


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(7, 5, requires_grad=True), torch.nn.Linear(5, 30), torch.randn(7, 30)


def test_value_and_gradients_are_those_of_the_plain_error(drawn):
    hidden, layer, truth = drawn
    plain = F.mse_loss(layer(hidden), truth)
    ours = projected_error(hidden, layer, truth)
    torch.testing.assert_close(ours, plain)
    wanted = (hidden, layer.weight, layer.bias)
    # A weight on the loss, as a batch's share has one, reaches every gradient.
    for found, expected in zip(
        torch.autograd.grad(3 * ours, wanted), torch.autograd.grad(3 * plain, wanted), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("coordinates", [15069, 70110])
def test_a_long_sum_loses_no_digits(coordinates):
    torch.manual_seed(0)
    hidden, layer = torch.randn(150, 4), torch.nn.Linear(4, coordinates)
    truth = torch.randn(150, coordinates)
    with torch.no_grad():
        exact = (layer(hidden).double() - truth.double()).square().mean()
    torch.testing.assert_close(projected_error(hidden, layer, truth).double(), exact, rtol=1e-6, atol=0.0)


def test_truth_and_inputs_stay_as_they_are(drawn):
    hidden, layer, truth = drawn
    before = truth.clone(), hidden.detach().clone()
    projected_error(hidden, layer, truth).backward()
    assert torch.equal(truth, before[0])
    assert torch.equal(hidden, before[1])


def test_without_gradients_nothing_is_kept(drawn):
    hidden, layer, truth = drawn
    with torch.no_grad():
        assert not projected_error(hidden, layer, truth).requires_grad


def test_precision_is_the_weights_under_autocast(drawn):
    hidden, layer, truth = drawn
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = projected_error(hidden.to(torch.bfloat16), layer, truth)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, F.mse_loss(layer(hidden.to(torch.bfloat16).float()), truth))
    low.backward()
    assert hidden.grad is not None
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_only_what_learns_gets_gradients(drawn):
    hidden, layer, truth = drawn
    layer.weight.requires_grad_(False)
    projected_error(hidden, layer, truth).backward()
    assert layer.weight.grad is None
    assert layer.bias.grad is not None


# -- with changes from frame to frame ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_positions_and_changes_are_the_plain_errors(drawn, frames):
    hidden, layer, truth = drawn[0][:frames], drawn[1], drawn[2][:frames]
    motion = layer(hidden)
    position = F.mse_loss(motion, truth)
    velocity = F.mse_loss(motion.diff(dim=0), truth.diff(dim=0)) if frames > 1 else torch.zeros(())
    found = projected_errors(hidden, layer, truth, 1000.0, 10.0)
    torch.testing.assert_close((found.position, found.velocity), (position.detach(), velocity.detach()))
    torch.testing.assert_close(found.loss, 1000 * position + 10 * velocity)
    wanted = (drawn[0], layer.weight, layer.bias)
    ours, plain = (
        torch.autograd.grad(3 * found.loss, wanted),
        torch.autograd.grad(3 * (1000 * position + 10 * velocity), wanted),
    )
    for own, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-4)


def test_only_the_weighted_sum_has_gradients(drawn):
    hidden, layer, truth = drawn
    before = truth.clone()
    found = projected_errors(hidden, layer, truth, 1.0, 1.0)
    assert [part.requires_grad for part in found] == [True, False, False]
    with torch.no_grad():
        assert not projected_errors(hidden, layer, truth, 1.0, 1.0).loss.requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = projected_errors(hidden.to(torch.bfloat16), layer, truth, 1.0, 1.0)
    assert {part.dtype for part in low} == {torch.float32}
    assert torch.equal(truth, before)
