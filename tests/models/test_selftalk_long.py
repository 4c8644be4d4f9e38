"""SelfTalk on clips of any length: the whole clip in training, memory of attention. See `test_long_clips`."""

from __future__ import annotations

import torch

from models.full_attention import Decoder
from stages.bench.memory import reset_peaks
from stages.processor import peak_resident
from tests.models.tiny_selftalk import BIWI, network


def test_training_hears_all_of_a_clip():
    made = network(BIWI).train()
    made.bound_hearing(1.0)
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0].shape[1]))
    made.listen(torch.randn(1, 141, 16), [141], [60])
    assert heard == [141]


def test_attention_over_a_long_clip_keeps_no_scores():
    """Those of 6,000 frames, 200 s at 30 a second, would be 576 MB."""
    decoder, z = Decoder(16, 4, 32, 1, 0.1, normed=False).eval(), torch.randn(1, 6_000, 16)
    with torch.no_grad():
        decoder(z[:, :100], z[:, :100], None)
        reset_peaks("cpu")
        before = peak_resident()
        decoder(z, z, None)
    assert peak_resident() - before < 200e6
