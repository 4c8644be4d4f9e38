"""TalkingStyle's motion beyond the golden cases and what all faces do (`test_all_faces`): the loop as published."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.positions import alignment_mask, periodic_encoding, temporal_bias
from models.sound import standardise
from models.streaming import Look
from models.talkingstyle.face import TalkingStyle
from tests.models.tiny import VERTICES, clips
from tests.models.tiny_talkingstyle import BIWI, BOTH, VOCASET, facts, network, refusal, stirred

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])


def literal_loop(made: TalkingStyle, memory: Tensor, style: Tensor, template: Tensor) -> Tensor:
    """(1, T, D) as published: torch's own decoder over the whole prefix in every round, all of it projected."""
    settings = made.settings
    layer = nn.TransformerDecoderLayer(
        settings.feature_dim, settings.heads, 2 * settings.feature_dim, dropout=0.0, batch_first=True
    )
    decoder = nn.TransformerDecoder(layer, settings.layers).eval()
    decoder.load_state_dict(made.transformer_decoder.state_dict())
    frames = memory.shape[1] // made.per_frame
    positions = periodic_encoding(frames, settings.feature_dim, settings.period)
    bias = temporal_bias(frames, settings.heads, settings.period)
    hidden_from = alignment_mask(frames, memory.shape[1], made.per_frame)
    tokens = style[:, None]
    for i in range(1, frames + 1):
        heard = tokens + positions[:i]
        decoded = decoder(heard, memory, tgt_mask=bias[:, :i, :i], memory_mask=hidden_from[:i])
        offsets = made.vertice_decoder(decoded)
        tokens = torch.cat((tokens, made.vertice_encoder(offsets[:, -1:]) + style[:, None]), dim=1)
    return offsets + template


@both
def test_the_layers_of_an_untrained_network_are_alike(settings):
    made = TalkingStyle.build(settings, facts(settings))
    first, *others = [layer.state_dict() for layer in made.transformer_decoder.layers]
    assert all(torch.equal(layer[name], first[name]) for layer in others for name in first)
    assert len(others) == settings.layers - 1


@both
def test_prediction_equals_the_literal_loop(settings):
    made, batch = network(settings), clips([99], [50])
    frames = made.frames_for(99)
    with torch.no_grad():
        memory = made.listen(batch.features, [99], [frames])
        expected = literal_loop(made, memory, made.style(batch.style), batch.template[0])
    motion = made.predict(batch.features[0], batch.template[0], batch.style)
    assert motion.shape == (1, frames, 3 * VERTICES)
    assert torch.allclose(motion, expected, atol=1e-5)
    with torch.enable_grad():  # the form that training takes
        hidden = made.decode_own(memory, made.style(batch.style))
    assert torch.allclose(made.to_vertices(hidden, batch.template[0]), expected, atol=1e-5)


@both
def test_teacher_forcing_begins_with_the_encoders_bias_and_roll_out_does_not(settings):
    made, batch = network(settings), clips([60], [20])
    with torch.no_grad():
        memory, style = made.listen(batch.features, [60], [20]), made.style(batch.style)
        offsets = batch.vertices - batch.template[:, None]

        def first_frames() -> tuple[Tensor, Tensor]:
            return made.decode_forced(memory, style, offsets)[:, 0], made.decode_own(memory, style)[:, 0]

        forced, own = first_frames()
        assert not torch.allclose(forced, own, atol=1e-3)
        made.vertice_encoder.bias.zero_()
        forced, own = first_frames()
    assert torch.allclose(forced, own, atol=1e-5)


def test_a_stream_that_hears_all_is_what_offline_gives():
    """With a look ahead beyond the end, for pairs of features, which need no clip's length; and without an end."""
    torch.manual_seed(0)
    about = replace(facts(BIWI), channels=80)
    made = stirred(TalkingStyle.build(BIWI, about)).eval()
    wave = (0.1 * np.random.default_rng(0).standard_normal(400 + 320 * 99)).astype(np.float32)
    template, style = torch.linspace(-1, 1, 3 * VERTICES), torch.tensor([0.25, 0.75, 0.0])
    expected = made.predict(made.features_of(standardise(wave)), template, style[None])[0]
    assert expected.std() > 0.1
    for look in (Look(past=1000.0, ahead=1000.0), Look(ahead=None)):
        blocks = np.split(wave, range(1000, len(wave), 1000))
        spoken = torch.cat(list(made.stream(blocks, template, style, look)))
        torch.testing.assert_close(spoken, expected, atol=1e-5, rtol=0)


def test_settings_and_data_that_do_not_go_together():
    assert "no multiple of heads" in refusal(replace(VOCASET, heads=5), facts(VOCASET))
    assert "needs motion at 25 fps" in refusal(BIWI, facts(VOCASET))
