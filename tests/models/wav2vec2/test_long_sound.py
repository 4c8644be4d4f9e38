"""Convolutions in blocks against the whole."""

from __future__ import annotations

import pytest
import torch

from models.wav2vec2 import long_sound
from models.wav2vec2.config import Config
from models.wav2vec2.convolutions import Convolutions
from models.wav2vec2.long_sound import convolve
from tests.models.wav2vec2.pairs import CONFIGS, pair

both = pytest.mark.parametrize("name", ["wav2vec2 base", "wav2vec2 large"])


def convolutions(name: str) -> Convolutions:
    return pair(CONFIGS[name])[1].feature_extractor


@both
@pytest.mark.parametrize("samples", [400, 401, 719, 720, 1039, 1040, 3200, 20_000, 20_319, 33_333])
@pytest.mark.parametrize("block", [1, 3, 7, 50])
def test_blocks_equal_the_whole(name, samples, block):
    network = convolutions(name)
    # Loud, quiet and off centre, as the moments over time must bear.
    audio = torch.randn(2, samples) * torch.linspace(0.01, 2.0, samples) + 0.5
    with torch.no_grad():
        whole = network(audio)
        found = convolve(network, audio, long=0, block=block)
    assert found.shape == whole.shape
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5 * whole.abs().max().item())


def test_a_short_sound_is_convolved_whole():
    network, audio = convolutions("wav2vec2 base"), torch.randn(1, 5000)
    with torch.no_grad():
        assert torch.equal(convolve(network, audio), network(audio))


@both
def test_no_block_is_longer_than_asked(name, monkeypatch):
    network, seen = convolutions(name), []
    network.conv_layers[0].conv.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    with torch.no_grad():
        convolve(network, torch.randn(1, 40_000), long=20_000, block=10)
    assert max(seen) <= 9 * 320 + 400
    assert len(seen) == (2 if name == "wav2vec2 base" else 1) * 13


def test_a_step_sees_400_samples_of_wav2vec2():
    config = Config()
    assert long_sound.window_of(config.conv_kernel, config.conv_stride) == 400
