"""SelfTalk on clips of any length: motion in blocks, a speech encoder that hears in windows, memory of attention."""

from __future__ import annotations

import pytest
import torch

from models.full_attention import Decoder
from models.selftalk.face import SelfTalk
from stages.bench.memory import reset_peaks
from stages.processor import peak_resident
from tests.models.test_selftalk import speech
from tests.models.tiny import VERTICES
from tests.models.tiny_selftalk import BIWI, BOTH, VOCASET, network

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])


@both
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_motion_in_blocks_is_the_whole_motion(settings, block):
    made, said = network(settings), speech(91)
    parts = list(made.predict_blocks(said, block))
    assert max(part.shape[1] for part in parts) <= block
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([said])[0], atol=1e-6, rtol=0)


def test_a_block_is_formed_only_when_it_is_asked_for(monkeypatch):
    made, formed = network(VOCASET), []
    original = SelfTalk.to_vertices
    monkeypatch.setattr(SelfTalk, "to_vertices", lambda *given: formed.append(1) or original(*given))
    first = next(made.predict_blocks(speech(91), 10))
    assert (first.shape, formed) == ((2, 10, 3 * VERTICES), [1])


@both
@pytest.mark.parametrize("length", [140, 141])
def test_a_window_of_all_is_exact(settings, length):
    made, said = network(settings), speech(length)
    exact = made.predict_all([said])[0]
    made.bound_hearing(2.82)
    assert torch.equal(made.predict_all([said])[0], exact)
    made.bound_hearing(0)
    assert torch.equal(made.predict_all([said])[0], exact)


@both
@pytest.mark.parametrize("seconds", [2.0, 1.98])
def test_hearing_in_windows_stays_near(settings, seconds):
    made, said = network(settings), speech(401)
    exact = made.predict_all([said])[0]
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0].shape[1]))
    made.bound_hearing(seconds)
    near = made.predict_all([said])[0]
    steps = round(seconds * (50 if settings.alignment == "pairs" else 30))
    assert set(heard) == {steps + steps % made.per_frame}
    assert near.shape == exact.shape
    assert 0 < (near - exact).square().mean().sqrt() < 0.3 * exact.std()


@both
def test_clips_heard_in_windows_together_equal_each_alone(settings):
    made = network(settings)
    made.bound_hearing(1.0)
    speeches = [speech(length) for length in (30, 141, 91)]
    for said, motion in zip(speeches, made.predict_all(speeches), strict=True):
        torch.testing.assert_close(made.predict_all([said])[0], motion, atol=1e-5, rtol=0)


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
