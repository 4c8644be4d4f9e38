"""Clips of any length: motion in blocks, and a speech encoder that hears in windows."""

from __future__ import annotations

import pytest
import torch

from faces.errors import DataError
from models.talking_face import Speech
from tests.models.tiny import BOTH, SUBJECTS, VERTICES, VOCASET, clips, network

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
STYLES = torch.eye(len(SUBJECTS))[:2]


def speech(length: int) -> Speech:
    batch = clips([length], [2])
    return Speech(batch.features[0], batch.template[0], STYLES)


@both
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_motion_in_blocks_is_the_whole_motion(settings, block):
    made, said = network(settings), speech(91)
    parts = list(made.predict_blocks(said, block))
    assert max(part.shape[1] for part in parts) <= block
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([said])[0], atol=1e-6, rtol=0)


def test_a_block_is_formed_only_when_it_is_asked_for(monkeypatch):
    made, formed = network(VOCASET), []
    original = type(made).to_vertices
    monkeypatch.setattr(type(made), "to_vertices", lambda *given: formed.append(1) or original(*given))
    parts = made.predict_blocks(speech(91), 10)
    first = next(parts)
    assert (first.shape, formed) == ((2, 10, 3 * VERTICES), [1])


@both
def test_a_window_of_all_is_exact(settings):
    made, said = network(settings), speech(140)
    exact = made.predict_all([said])[0]
    made.bound_hearing(2.8)
    assert torch.equal(made.predict_all([said])[0], exact)
    made.bound_hearing(0)
    assert torch.equal(made.predict_all([said])[0], exact)


@both
def test_hearing_in_windows_stays_near(settings):
    made, said = network(settings), speech(400)
    exact = made.predict_all([said])[0]
    heard = []
    made.audio_encoder.register_forward_pre_hook(lambda module, given: heard.append(given[0].shape[1]))
    made.bound_hearing(2.0)
    near = made.predict_all([said])[0]
    assert set(heard) == {round(2.0 * (50 if settings.alignment == "pairs" else 30))}
    assert 0 < (near - exact).square().mean().sqrt() < 0.3 * exact.std()


@both
def test_clips_heard_in_windows_together_equal_each_alone(settings):
    made = network(settings)
    made.bound_hearing(1.0)
    speeches = [speech(length) for length in (30, 140, 91)]
    for said, motion in zip(speeches, made.predict_all(speeches), strict=True):
        torch.testing.assert_close(made.predict_all([said])[0], motion, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [-1.0, 0.5, float("nan"), float("inf")])
def test_windows_that_cannot_be(seconds):
    with pytest.raises(DataError, match="hears a second or more at once"):
        network(VOCASET).bound_hearing(seconds)
