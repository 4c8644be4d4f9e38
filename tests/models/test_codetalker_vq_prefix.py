"""Decoding of prefixes: every step equals a decode of all frames so far."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.blocks import normalise
from models.codetalker_vq.prefix import PrefixDecoding
from tests.models.tiny_vq import BOTH, VOCASET, prior

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])


def rows(made: MotionAutoencoder, batch: int, frames: int, seed: int = 3) -> Tensor:
    """Random codes as rows of the codebook, (B, T, Q·Z)."""
    draw = torch.Generator().manual_seed(seed)
    return made.lookup(torch.randint(made.codes, (batch, frames, made.tokens), generator=draw))


@torch.no_grad()
def whole(made: MotionAutoencoder, prefix: Tensor) -> Tensor:
    """What the published loop uses of a decode of (B, P, Q·Z): the last frame, or the first of a doubled one."""
    if prefix.shape[1] == 1:
        return made.decode_hidden(prefix.repeat(1, 2, 1))[:, 0]
    return made.decode_hidden(prefix)[:, -1]


@both
@pytest.mark.parametrize("layers", [1, 3])
def test_every_step_equals_a_decode_of_the_prefix(settings, layers):
    made = prior(replace(settings, layers=layers))
    tokens = rows(made, 3, 20)
    decoding = PrefixDecoding(made, 3, 20)
    for i in range(20):
        hidden = decoding.step(tokens[:, i])
        assert hidden.shape == (3, settings.hidden_size)
        assert torch.allclose(hidden, whole(made, tokens[:, : i + 1]), atol=2e-5), i


def test_the_first_frame_does_not_depend_on_its_codes():
    made = prior(VOCASET)
    tokens = rows(made, 5, 1)[:, 0]
    first = PrefixDecoding(made, 5, 1).step(tokens)
    assert (tokens - tokens[:1]).abs().max() > 1e-2
    assert torch.allclose(
        first, first[:1].expand_as(first), atol=1e-6
    )  # rows of a product may differ in their last bit


def test_motion_so_small_that_the_norm_is_damped():
    """Variances below eps, means far above: where sums of squares would lose everything in single precision."""
    made = prior(VOCASET)
    tokens = 5 + 1e-3 * rows(made, 2, 40)
    decoding = PrefixDecoding(made, 2, 40)
    for i in range(40):
        hidden = decoding.step(tokens[:, i])
    assert torch.allclose(hidden, whole(made, tokens), atol=2e-3)
    convolved = made.decoder.expander[0](tokens)
    assert convolved.std() < 0.5


@both
def test_clips_that_end_leave_the_batch(settings):
    made = prior(settings)
    tokens, ends = rows(made, 4, 15), [15, 4, 9, 15]
    decoding, going = PrefixDecoding(made, 4, 15), [0, 1, 2, 3]
    for i in range(15):
        staying = [place for place, clip in enumerate(going) if ends[clip] > i]
        if len(staying) < len(going):
            decoding.keep(staying)
            going = [going[place] for place in staying]
        hidden = decoding.step(tokens[going, i])
        assert torch.allclose(hidden, whole(made, tokens[going, : i + 1]), atol=2e-5)
    assert going == [0, 3]


@both
def test_a_context_bounds_what_the_transformer_sees(settings):
    """The convolution and the norm's statistics are those of the whole prefix."""
    made, context = prior(settings), 6
    tokens = rows(made, 2, 18)
    bounded, exact = PrefixDecoding(made, 2, 18, context), PrefixDecoding(made, 2, 18)
    decoder = made.decoder
    for i in range(18):
        hidden, full = bounded.step(tokens[:, i]), exact.step(tokens[:, i])
        if i < context:
            assert torch.equal(hidden, full)
            continue
        with torch.no_grad():
            x = decoder.expander[0](decoder.enter(tokens[:, : i + 1]))[:, -context:]
            expected = decoder.decoder_transformer(decoder.entrance(decoder.decoder_linear_embedding(x)))[:, -1]
        assert torch.allclose(hidden, expected, atol=2e-5)
        assert not torch.allclose(hidden, full, atol=1e-4)


def test_nothing_is_recorded_and_autocast_does_not_matter():
    made = prior(VOCASET)
    tokens = rows(made, 1, 6)
    plain, cast = PrefixDecoding(made, 1, 6), PrefixDecoding(made, 1, 6)
    for i in range(6):
        expected = plain.step(tokens[:, i])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = cast.step(tokens[:, i])
        assert torch.equal(hidden, expected)
        assert not hidden.requires_grad


def test_normalised_frames_have_unit_variance_where_motion_is_large():
    x = normalise(100 * torch.randn(2, 5, 50), None)
    assert torch.allclose(x.var(-1, unbiased=False), torch.ones(2, 5), atol=1e-4)
    assert torch.allclose(x.mean(-1), torch.zeros(2, 5), atol=1e-5)
