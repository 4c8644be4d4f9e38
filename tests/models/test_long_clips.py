"""Clips of any length: motion in blocks, and a speech encoder that hears in windows."""

from __future__ import annotations

import pytest
import torch

from faces.errors import DataError
from tests.models.all_faces import every_face, every_speaker, speech
from tests.models.tiny import VERTICES, VOCASET, network


@every_face
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_motion_in_blocks_is_the_whole_motion(face, block):
    made, said = face.network(), speech(91)
    parts = list(made.predict_blocks(said, block))
    assert max(part.shape[1] for part in parts) <= block
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([said])[0], atol=1e-6, rtol=0)


@every_face
def test_a_block_is_formed_only_when_it_is_asked_for(monkeypatch, face):
    made, formed = face.network(), []
    original = type(made).to_vertices
    monkeypatch.setattr(type(made), "to_vertices", lambda *given: formed.append(1) or original(*given))
    first = next(made.predict_blocks(speech(91), 10))
    assert (first.shape, formed) == ((2, 10, 3 * VERTICES), [1])


@every_speaker
@pytest.mark.parametrize("length", [140, 141])
def test_a_window_of_all_is_exact(face, length):
    made, said = face.network(), speech(length)
    exact = made.predict_all([said])[0]
    made.bound_hearing(2.82)
    assert torch.equal(made.predict_all([said])[0], exact)
    made.bound_hearing(0)
    assert torch.equal(made.predict_all([said])[0], exact)


@every_face
@pytest.mark.parametrize("seconds", [2.0, 1.98])
def test_hearing_in_windows_stays_near(face, seconds):
    made, said = face.network(), speech(401)
    exact = made.predict_all([said])[0]
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0].shape[1]))
    made.bound_hearing(seconds)
    near = made.predict_all([said])[0]
    # Whole frames, of two features in pairs.
    assert set(heard) == {100 if face.settings.alignment == "pairs" else round(seconds * 30)}
    assert near.shape == exact.shape
    assert 0 < (near - exact).square().mean().sqrt() < 0.3 * exact.std()


@every_speaker
def test_clips_heard_in_windows_together_equal_each_alone(face):
    """The one that fits in a window, too, whose last feature makes no frame."""
    made = face.network()
    made.bound_hearing(1.0)
    speeches = [speech(length) for length in (31, 141, 90)]
    for said, motion in zip(speeches, made.predict_all(speeches), strict=True):
        torch.testing.assert_close(made.predict_all([said])[0], motion, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [-1.0, 0.5, float("nan"), float("inf")])
def test_windows_that_cannot_be(seconds):
    with pytest.raises(DataError, match="hears a second or more at once"):
        network(VOCASET).bound_hearing(seconds)
