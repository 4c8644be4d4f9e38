"""A padded batch of sounds gives each clip what it gets alone, through group norm and positional convolution."""

from __future__ import annotations

import pytest
import torch

from models.resample import feature_length
from tests.models.wav2vec2.pairs import CONFIGS, Whole, pair, same_gradients

every = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
SAMPLES = [9000, 5301, 7777]
STEPS = [feature_length(count) for count in SAMPLES]


def padded() -> torch.Tensor:
    """What lies behind a clip's end must not matter, so it is not zero."""
    return torch.randn(3, max(SAMPLES)) * torch.tensor([1.0, 0.1, 3.0])[:, None]


def together(network: Whole, audio: torch.Tensor) -> list[torch.Tensor]:
    inside = torch.arange(max(STEPS)) < torch.tensor(STEPS)[:, None]
    hidden = network(audio, SAMPLES, inside)
    return [clip[:steps] for clip, steps in zip(hidden, STEPS, strict=True)]


def alone(network: Whole, audio: torch.Tensor) -> list[torch.Tensor]:
    return [network(clip[None, :count])[0] for clip, count in zip(audio, SAMPLES, strict=True)]


@every
def test_outputs_loss_and_gradients_of_a_padded_batch_are_those_of_single_clips(config):
    _, network = pair(config)
    audio = padded()
    targets = [torch.randn(steps, 32) for steps in STEPS]
    losses = []
    for way in (together, alone):
        outputs = way(network, audio)
        losses.append(torch.stack([(out - t).square().mean() for out, t in zip(outputs, targets, strict=True)]).mean())
    for one, other in zip(together(network, audio), alone(network, audio), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0.0)
    same_gradients(network, network, *losses)


def test_group_norm_without_lengths_would_see_the_padding():
    _, network = pair(CONFIGS["wav2vec2 base"])
    audio = padded()
    blind = network.feature_extractor(audio)[1, :, : STEPS[1]]
    assert not torch.allclose(blind, network.feature_extractor(audio[1:2, : SAMPLES[1]])[0], atol=1e-2)


def test_positional_convolution_without_a_mask_would_see_the_padding():
    _, network = pair(CONFIGS["wav2vec2 large"])
    hidden = torch.randn(2, 20, 32)
    convolve = network.encoder.pos_conv_embed
    assert not torch.allclose(convolve(hidden)[1, :12], convolve(hidden[1:, :12])[0], atol=1e-2)
    inside = torch.arange(20) < torch.tensor([20, 12])[:, None]
    masked = network.encoder(hidden, inside)[1, :12]
    torch.testing.assert_close(masked, network.encoder(hidden[1:, :12])[0], rtol=1e-5, atol=1e-5)
