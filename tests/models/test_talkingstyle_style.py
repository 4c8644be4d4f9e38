"""TalkingStyle's style encoder: what it computes, learns and draws, and a new speaker's place in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.talkingstyle.face import TalkingStyle
from tests.models.all_faces import EYE
from tests.models.tiny import SUBJECTS, clips
from tests.models.tiny_talkingstyle import VOCASET, network

SHARES = [0.2, 0.0, 0.8]


def literal_style(made: TalkingStyle, subject: int) -> Tensor:
    """(d,) with torch's own attention: queries from the first table, one key and value from the second."""
    encoder = made.style_encoder
    part, width = encoder.attention, 4
    attention = nn.MultiheadAttention(width, width)
    attention.load_state_dict(part.attention.state_dict())
    own, other = encoder.obj_vector(EYE[subject]), encoder.my_obj_vector(torch.tensor(subject))
    query, key, value = part.Wq(own[None, :, None]), part.Wk(other[None, :, None]), part.Wv(other[None, :, None])
    attended, _ = attention(query, key, value)  # one step of a batch of d
    return F.relu(own + part.head(part.norm(attended))[0, :, 0])


def test_a_subjects_style_is_that_of_the_attention_written_out():
    made = network(VOCASET)
    with torch.no_grad():
        styles = made.style(EYE)
        for subject, style in enumerate(styles):
            torch.testing.assert_close(style, literal_style(made, subject), atol=1e-6, rtol=0)
    assert (styles >= 0).all()
    assert (styles == 0).any()


def test_a_mixture_of_subjects_is_that_mixture_of_their_styles():
    made = network(VOCASET)
    shares = torch.tensor([[0.2, 0.5, 0.3], [0.49, 0.51, 0.0], [0.51, 0.49, 0.0]])
    with torch.no_grad():
        alone = torch.cat([made.style(EYE[i : i + 1]) for i in range(len(SUBJECTS))])
        mixed = made.style(shares)
        assert torch.equal(made.style(EYE), alone)
    torch.testing.assert_close(mixed, shares @ alone, atol=1e-6, rtol=0)
    assert (mixed >= 0).all()
    # It does not jump where another subject's share becomes the largest.
    assert (mixed[1] - mixed[2]).abs().max() < 0.03 * (alone[0] - alone[1]).abs().max()


def test_queries_and_keys_of_the_style_learn_nothing():
    made, batch = network(VOCASET), clips([60], [20])
    made.losses(batch)["loss"].backward()
    attention = made.style_encoder.attention
    assert all(p.grad is None for part in (attention.Wq, attention.Wk) for p in part.parameters())
    packed = attention.attention.in_proj_weight.grad
    assert (packed[:8] == 0).all()
    assert (packed[8:] != 0).any()
    assert (made.style_encoder.my_obj_vector.weight.grad != 0).any()


def test_every_row_of_a_batch_draws_its_own_dropout_of_style():
    made = network(VOCASET).train()
    torch.manual_seed(3)
    first, second = made.style(EYE[[1, 1]])
    assert not torch.equal(first, second)
    calm = network(replace(VOCASET, dropout=0.0))
    torch.testing.assert_close(calm.train().style(EYE), calm.eval().style(EYE))


def test_dropout_of_style_keeps_its_mean():
    """Before the relu, which is taken away here by a first table far above it."""
    made = network(VOCASET)
    nn.init.constant_(made.style_encoder.obj_vector.weight, 50.0)
    expected = made.style(EYE[:1])
    # Attention's dropout acts before a norm, whose mean it does not keep: here only that on the result is on.
    made.train().style_encoder.attention.attention.eval()
    torch.manual_seed(0)
    drawn = made.style(EYE[:1].expand(4000, -1))
    torch.testing.assert_close(drawn.mean(0), expected[0], atol=0.05, rtol=0)
    share = (drawn[:, 0] == 50.0).float().mean()
    assert abs(float(share) - 0.1) < 0.02


# -- a new speaker -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True])
def test_a_new_subject_begins_as_a_mixture(training):
    made = network(VOCASET)
    before = made.style(EYE).detach()
    [(table, own)] = made.train(training).add_subject(SHARES)
    made.eval()
    styles = made.style(torch.eye(len(SUBJECTS) + 1)).detach()
    assert torch.equal(styles[:-1], before)
    torch.testing.assert_close(styles[-1], torch.tensor(SHARES) @ before, atol=2e-6, rtol=0)
    assert (own.shape, int(own.sum())) == (table.shape, 16)


def test_every_channel_of_a_new_subject_can_learn():
    """Channels that are 0 in all of the mixture's styles too."""
    made, batch = network(VOCASET), clips([60], [20])
    with torch.no_grad():
        made.style_encoder.obj_vector.weight[:4] = -50.0
    [(table, own)] = made.add_subject(SHARES)
    assert (made.style(torch.eye(4))[-1, :4] < 1e-5).all()
    made.losses(replace(batch, style=torch.eye(4)[3:]))["loss"].backward()
    assert (table.grad[own] != 0).all()
