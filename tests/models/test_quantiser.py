"""The codebook: which code is chosen, what is handed on, what is learnt, and how its health is told."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from models.quantiser import Codebook, count_codes, health, perplexity, quantiser_errors, straight_through


@pytest.fixture
def book() -> Codebook:
    torch.manual_seed(0)
    made = Codebook(16, 6)
    torch.nn.init.normal_(made.embedding.weight)
    return made


def exhaustive(tokens: Tensor, book: Codebook) -> Tensor:
    """The nearest code by the plain definition of distance, in float64."""
    return torch.cdist(tokens.double(), book.embedding.weight.double()).argmin(-1)


def test_the_nearest_code_is_chosen(book):
    tokens = torch.randn(2, 40, 6)
    codes = book.nearest(tokens)
    assert codes.shape == (2, 40)
    assert torch.equal(codes, exhaustive(tokens, book))
    assert len(codes.unique()) > 8


def test_the_first_of_equal_codes_is_chosen(book):
    with torch.no_grad():
        book.embedding.weight[11] = book.embedding.weight[3]
        book.embedding.weight[5] = book.embedding.weight[3]
        token = book.embedding.weight[3] + 1e-3
    assert book.nearest(token) == 3


def test_codes_start_uniform():
    torch.manual_seed(1)
    for scale in (1.0, 20.0):
        start = Codebook(256, 64, scale).embedding.weight.detach() * 256 / scale
        assert start.abs().max() <= 1
        assert start.abs().max() > 0.999
        assert start.mean().abs() < 0.02
        assert start.std().item() == pytest.approx(3**-0.5, rel=0.02)


def test_autocast_changes_no_code(book):
    """Distances differ by less than bfloat16 can tell, which is the case wherever codes lie close together."""
    with torch.no_grad():
        book.embedding.weight.copy_(1 + 0.02 * torch.randn(16, 6))
    tokens = 1 + 0.02 * torch.randn(50, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = book.nearest(tokens)
        straight, same = book(tokens)
    assert torch.equal(codes, exhaustive(tokens, book))
    assert torch.equal(codes, same)
    assert straight.dtype == torch.float32


def test_the_sum_that_is_handed_on_is_evaluated_as_it_stands(book):
    tokens = 100 * torch.randn(300, 6)
    straight, codes = book(tokens)
    rows = book.lookup(codes)
    assert torch.equal(straight, tokens + (rows - tokens))
    assert not torch.equal(straight, rows)  # the last bits
    assert torch.allclose(straight, rows, atol=1e-4)


def test_gradients_go_straight_through(book):
    tokens = torch.randn(20, 6, requires_grad=True)
    weights = torch.randn(20, 6)
    straight, _ = book(tokens)
    (straight * weights).sum().backward()
    assert torch.equal(tokens.grad, weights)
    assert book.embedding.weight.grad is None


def test_the_loss_moves_features_and_codes_towards_each_other(book):
    tokens, beta = torch.randn(30, 6, requires_grad=True), 0.25
    codes = book.nearest(tokens)
    rows = book.lookup(codes)
    errors = quantiser_errors(tokens, rows, beta)
    gap = (rows - tokens).detach()
    assert torch.allclose(errors, (1 + beta) * gap.square().mean(1))
    errors.sum().backward()
    assert torch.allclose(tokens.grad, -2 * beta * gap / 6)
    expected = torch.zeros(16, 6).index_add_(0, codes, 2 * gap / 6)
    assert torch.allclose(book.embedding.weight.grad, expected, atol=1e-6)


def test_straight_through_takes_any_rows():
    z, q = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
    assert torch.equal(straight_through(z, q), q)


def test_codes_are_counted_clip_by_clip_without_padding():
    codes = torch.tensor([[0, 2, 2, 1], [3, 0, 0, 0]])
    inside = torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert count_codes(codes, 4).tolist() == [[1, 1, 2, 0], [3, 0, 0, 1]]
    assert count_codes(codes, 4, inside).tolist() == [[1, 1, 2, 0], [1, 0, 0, 1]]


def test_perplexity():
    counts = torch.tensor([[5, 5, 5, 5], [7, 0, 0, 0], [1, 1, 0, 0]])
    assert perplexity(counts).tolist() == pytest.approx([4, 1, 2], rel=1e-5)
    shares = torch.tensor([0.5, 0.3, 0.2])
    published = math.exp(-sum(p * math.log(p + 1e-10) for p in shares.tolist()))
    assert perplexity(torch.tensor([50, 30, 20])).item() == pytest.approx(published, rel=1e-6)


def test_health_of_a_codebook():
    assert health(torch.tensor([10, 10, 0, 0])) == {"usage": 0.5, "perplexity": pytest.approx(2)}
    assert health(torch.tensor([0, 0])) == {"usage": 0.0, "perplexity": 0.0}
    huge = torch.full((8,), 2**40)  # more than float32 counts
    assert health(huge) == {"usage": 1.0, "perplexity": pytest.approx(8, rel=1e-6)}
