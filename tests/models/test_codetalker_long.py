"""CodeTalker of any length: a final decode in windows, and speech as a stream, both upon a bounded context."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faces.errors import DataError
from models.codetalker_vq.prefix import PrefixDecoding
from models.resample import feature_length
from models.sound import standardise
from models.streaming import Look
from models.talking_face import Speech
from tests.models import tiny_vq
from tests.models.test_codetalker_vq_prefix import rows
from tests.models.test_streaming import STYLE, blocks, sound
from tests.models.tiny import SPEECH, SUBJECTS, VERTICES, clips
from tests.models.tiny_codetalker import BOTH, VOCASET, Flavour, network

both = pytest.mark.parametrize("flavour", BOTH, ids=["vocaset", "biwi"])
TEMPLATE = torch.linspace(-1, 1, 3 * VERTICES)
NEAR = Look(past=1.0, ahead=0.2, hop=0.2)


def speech(length: int) -> Speech:
    batch = clips([length], [2])
    return Speech(batch.features[0], batch.template[0], torch.eye(len(SUBJECTS))[:2])


def hearing(flavour: Flavour, context: int = 0):
    made = network(flavour, encoder="some/encoder", config=SPEECH)
    made.bound_context(context)
    return made


# -- the final decode --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", tiny_vq.BOTH, ids=["vocaset", "biwi"])
def test_one_window_is_the_whole_decode(settings):
    made = tiny_vq.prior(settings)
    tokens = rows(made, 2, 40)
    found = torch.cat(list(made.decode_in_windows(tokens, 40, 20)), dim=1)
    assert torch.equal(found, made.decode_hidden(tokens))


@pytest.mark.parametrize("settings", tiny_vq.BOTH, ids=["vocaset", "biwi"])
def test_windows_bound_what_attention_sees_and_nothing_else(settings):
    made = tiny_vq.prior(settings)
    tokens, seen = rows(made, 2, 100), []
    made.decoder.decoder_transformer.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[1]))
    exact = made.decode_hidden(tokens)
    near = torch.cat(list(made.decode_in_windows(tokens, 40, 20)), dim=1)
    assert seen == [100, *[40] * 4]
    assert 0 < (near - exact).square().mean().sqrt() < 0.5 * exact.std()
    blind = tiny_vq.prior(replace(settings, layers=1))
    for part in blind.decoder.decoder_transformer.net:
        part.fn["fn"].get_parameter("to_out.weight" if hasattr(part.fn["fn"], "to_out") else "l2.weight").data.zero_()
    found = torch.cat(list(blind.decode_in_windows(tokens, 40, 20)), dim=1)
    torch.testing.assert_close(found, blind.decode_hidden(tokens), atol=1e-6, rtol=0)


@both
@pytest.mark.parametrize("context", [0, 8, 200])
def test_motion_in_blocks_is_the_whole_motion(flavour, context):
    made, said = network(flavour), speech(91)
    made.bound_context(context)
    parts = list(made.predict_blocks(said, 7))
    assert max(part.shape[1] for part in parts) <= 7
    torch.testing.assert_close(torch.cat(parts, dim=1), made.predict_all([said])[0], atol=2e-5, rtol=0)


@pytest.mark.parametrize("settings", tiny_vq.BOTH, ids=["vocaset", "biwi"])
def test_a_decode_in_windows_is_no_rougher_than_one_without_joins(settings):
    """On tokens that change smoothly, as codes do not: what jumps is then the decoder's doing."""
    made, context, length = tiny_vq.prior(settings), 12, 400
    torch.manual_seed(0)
    phase = 6 * torch.rand(4, 1, made.tokens * settings.token_width)
    tokens = torch.sin(0.3 * torch.arange(length)[None, :, None] + phase)
    with torch.no_grad():
        blended, hard = (torch.cat(list(made.decode_in_windows(tokens, 24, shared)), 1) for shared in (context, 0))
        ways = {"exact": made.decode_hidden(tokens), "blended": blended, "hard": hard}
    inside = slice(context, -context)  # at the clip's ends frames are repeated, which is rough by itself
    rough = {name: float(hidden.diff(n=2, dim=1)[:, inside].abs().max()) for name, hidden in ways.items()}
    assert rough["blended"] <= 1.001 * rough["exact"]
    assert rough["hard"] > 1.05 * rough["blended"]


@pytest.mark.parametrize("settings", tiny_vq.BOTH, ids=["vocaset", "biwi"])
def test_a_bounded_prefix_holds_no_more_than_it_needs(settings):
    """As many steps as one likes, with the numbers of one that has room for all."""
    made, context = tiny_vq.prior(settings), 6
    tokens = rows(made, 2, 90)
    endless, roomy = PrefixDecoding(made, 2, 0, context), PrefixDecoding(made, 2, 90, context)
    roomy._given, roomy._convolved = (tokens.new_empty(2, 90, settings.hidden_size) for _ in range(2))
    for i in range(90):
        assert torch.equal(endless.step(tokens[:, i]), roomy.step(tokens[:, i])), i
    assert endless._given.shape[1] < 30


# -- streaming ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("context", [0, 20])
def test_with_no_end_of_looking_ahead_a_stream_is_what_offline_gives(flavour, context):
    made, wave = hearing(flavour, context), sound(1.9)
    features = made.features_of(standardise(wave))
    expected = made.predict(features, TEMPLATE, STYLE[None])[0]
    found = torch.cat(list(made.stream(blocks(wave, (999,)), TEMPLATE, STYLE, Look(ahead=None))))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_one_part_and_a_context_of_all_are_exact():
    """For pairs of features, see `test_streaming`."""
    made, wave = hearing(BOTH[1], 200), sound((400 + 320 * 79) / 16000)
    expected = made.predict(made.features_of(standardise(wave)), TEMPLATE, STYLE[None])[0]
    look = Look(past=100.0, ahead=8.0, hop=8.0)
    found = torch.cat(list(made.stream([wave], TEMPLATE, STYLE, look)))
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@both
@pytest.mark.parametrize("sizes", [(1,), (333, 0, 7), (100_000,)])
def test_any_blocks_give_the_same_frames(flavour, sizes):
    made, wave = hearing(flavour, 10), sound(1.1)
    parts = [torch.cat(list(made.stream(blocks(wave, cut), TEMPLATE, STYLE, NEAR))) for cut in (sizes, (1000,))]
    assert torch.equal(*parts)
    assert len(parts[0]) == made.frames_for(feature_length(len(wave)))


def test_a_part_is_shown_one_part_later():
    made, known = hearing(VOCASET, 20), []
    for block in made.stream(live := _Live(), TEMPLATE, STYLE, NEAR):
        known.append((live.given / 16000, len(block)))
    assert 0.2 + 0.2 + 0.2 <= known[0][0] <= 0.65
    assert [count for _, count in known[:4]] == [6] * 4


class _Live:
    """Two seconds of sound; `given` counts the samples that were asked for."""

    given = 0

    def __iter__(self):
        for block in blocks(sound(2.0), (80,)):
            self.given += len(block)
            yield block


def test_streams_that_cannot_be():
    with pytest.raises(DataError, match=r"set a context of frames, or wait for the end of the sound"):
        list(hearing(VOCASET).stream([sound(1.0)], TEMPLATE, STYLE, NEAR))
    with pytest.raises(DataError, match=r"context = 4 frames, and 6 are spoken at a time"):
        list(hearing(VOCASET, 4).stream([sound(1.0)], TEMPLATE, STYLE, NEAR))
    with pytest.raises(DataError, match="too short for 2 motion frames"):
        list(hearing(VOCASET, 10).stream([sound(0.04)], TEMPLATE, STYLE, NEAR))


def test_an_exact_run_says_what_memory_it_takes():
    made = network(VOCASET)
    assert made.exact_bytes(2000, 3) == 3 * made.exact_bytes(2000, 1) == 6 * made.exact_bytes(1000, 1) > 0
    made.bound_context(20)
    assert made.exact_bytes(2000, 3) == 0
