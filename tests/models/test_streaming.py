"""Speech as a stream: what offline gives where the look ahead has no end, and the same frames at any size of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models import streaming
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.heard import Heard
from models.resample import feature_length, frame_count
from models.sound import SAMPLE_RATE, Wave, standardise
from models.streaming import Look, Rate
from tests.models.tiny import BIWI, BOTH, SPEECH, SUBJECTS, VERTICES, VOCASET, facts, network

both = pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
STYLE = torch.tensor([0.25, 0.75, 0.0])
TEMPLATE = torch.linspace(-1, 1, 3 * VERTICES)
WHOLE = Look(ahead=None)
FAR = Look(past=1000.0, ahead=1000.0)


def sound(seconds: float, seed: int = 0) -> Wave:
    """Noise whose loudness swells, off its mean."""
    draw, time = np.random.default_rng(seed), np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.02 + 0.1 * (1.1 + np.sin(9 * time)) * draw.standard_normal(len(time))).astype(np.float32)


def listening(settings: Settings, encoder: str = "log-mel", fps: float = 0.0) -> FaceFormer:
    """A network that hears sound by itself: log-mel, or a small wav2vec 2.0 with its convolutions."""
    torch.manual_seed(0)
    channels, config = (80, {}) if encoder == "log-mel" else (16, SPEECH)
    about = replace(facts(settings), channels=channels, encoder=encoder, encoder_config=config)
    made = FaceFormer.build(settings, replace(about, fps=fps or about.fps)).eval()
    torch.nn.init.normal_(made.vertice_map_r.weight, std=0.3)
    return made


def blocks(wave: Wave, sizes: Sequence[int]) -> Iterator[Wave]:
    """Cut to these sizes, over and over."""
    first, turn = 0, 0
    while first < len(wave):
        yield wave[first : first + sizes[turn % len(sizes)]]
        first, turn = first + sizes[turn % len(sizes)], turn + 1


def spoken(made: FaceFormer, wave: Wave, look: Look, sizes: Sequence[int] = (1000,)) -> Tensor:
    parts = list(made.stream(blocks(wave, sizes), TEMPLATE, STYLE, look))
    assert all(part.dtype == torch.float32 for part in parts)
    return torch.cat(parts)


def offline(made: FaceFormer, wave: Wave) -> Tensor:
    return made.predict(made.features_of(standardise(wave)), TEMPLATE, STYLE[None])[0]


@both
@pytest.mark.parametrize("encoder", ["log-mel", "some/encoder"])
def test_without_an_end_of_looking_ahead_it_is_what_offline_gives(settings, encoder):
    made, wave = listening(settings, encoder), sound(2.337)
    expected = offline(made, wave)
    assert expected.std() > 0.1
    torch.testing.assert_close(spoken(made, wave, WHOLE), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", ["log-mel", "some/encoder"])
def test_a_look_ahead_beyond_the_end_is_what_offline_gives(encoder):
    """For pairs of features, which need no clip's length, and sound without samples that belong to no feature."""
    made, wave = listening(BIWI, encoder), sound((400 + 320 * 99) / SAMPLE_RATE)
    torch.testing.assert_close(spoken(made, wave, FAR), offline(made, wave), atol=1e-5, rtol=0)


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0])
def test_the_nominal_rate_stays_near_the_clips_own(fps):
    """As early in a clip's beginning as it is late at its end, in the mean over clips."""
    rate, ends = Rate.of(fps), []
    for length in range(100, 1000):
        frames = frame_count(length, fps)
        ends.append(length - 1 - rate.at(frames - 1))
    assert np.mean(ends) == pytest.approx(rate.at(0), abs=0.35)
    assert max(map(abs, ends)) <= 1.5 * rate.step - 0.5


@both
def test_what_lies_ahead_is_heard_as_far_as_asked(settings):
    made = listening(settings)
    wave, look = sound(3.0), Look(past=1.0, ahead=0.4, hop=0.2)
    changed = wave.copy()
    changed[2 * SAMPLE_RATE :] *= 0.3
    before, after = (spoken(made, one, look) for one in (wave, changed))
    apart = (before - after).abs().amax(1)
    at = 2 * made.fps
    assert (apart[: int(at - (0.4 + 0.2) * made.fps) - 1] == 0).all()
    assert apart[int(at)] > 1e-4


@both
@pytest.mark.parametrize("sizes", [(1,), (333, 0, 7), (100_000,), (3200,)])
def test_any_blocks_give_the_same_frames(settings, sizes):
    made, wave, look = listening(settings), sound(1.3), Look(past=0.5, ahead=0.2, hop=0.2)
    assert torch.equal(spoken(made, wave, look, sizes), spoken(made, wave, look))


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 60.0])
@pytest.mark.parametrize(
    "look", [Look(0.3, 0.0, 0.1), Look(0.3, 0.15, 0.1), Look(0.0, 0.0, 0.001), Look(1.0, 9.0, 5.0)]
)
def test_as_many_frames_as_offline(fps, look):
    made = listening(VOCASET, fps=fps)
    for samples in (1200, 6000, 8400, 8720, 9040):
        wave = sound(1.0)[:samples]
        count = sum(map(len, made.stream(blocks(wave, (160,)), TEMPLATE, STYLE, look)))
        assert count == made.frames_for(feature_length(samples)), samples


def test_frames_come_as_soon_as_they_can_be_known():
    made, given = listening(VOCASET), 0

    def live() -> Iterator[Wave]:
        nonlocal given
        for block in blocks(sound(4.0), (80,)):
            given += len(block)
            yield block

    known = []
    for part in made.stream(live(), TEMPLATE, STYLE, Look(past=1.0, ahead=0.4, hop=0.2)):
        known.append((given / SAMPLE_RATE, len(part)))
    # A hop, what lies ahead, and at most two features more, of which the last ends 25 ms after it begins.
    assert 0.6 <= known[0][0] <= 0.6 + 0.05
    assert [count for _, count in known[:5]] == [6] * 5
    assert known[5][0] - known[0][0] == pytest.approx(1.0, abs=0.02)


def test_what_lies_behind_is_forgotten(monkeypatch):
    kept = []
    original = Heard.add

    def watched(self: Heard, block: Wave) -> None:
        original(self, block)
        kept.append(self.kept)

    monkeypatch.setattr(Heard, "add", watched)
    made, look = listening(VOCASET), Look(past=1.0, ahead=0.4, hop=0.2)
    spoken(made, sound(8.0), look)
    assert max(kept) <= SAMPLE_RATE * (1.0 + 0.4 + 0.2 + 0.1) + 1000


def test_a_window_is_standardised_by_all_before_its_end():
    heard, wave = Heard(), sound(2.0)
    for block in blocks(wave, (700,)):
        heard.add(block)
    for first, last in ((0, 8000), (4000, 16000), (16000, 31000)):
        np.testing.assert_allclose(heard.window(first, last), standardise(wave[:last])[first:], atol=1e-5)
        heard.drop(first)
    assert heard.kept == 32000 - 16000


@pytest.mark.parametrize("look", [WHOLE, Look()])
def test_sound_that_cannot_be_spoken(look):
    made = listening(VOCASET)
    for wave in (sound(0.01), sound(0.02), np.zeros(0, np.float32)):
        with pytest.raises(DataError, match="too short for one motion frame"):
            spoken(made, wave, look)
    broken = sound(1.0)
    broken[9000] = np.nan
    with pytest.raises(DataError, match=r"not numbers \(NaN or infinity\), the first at 0\.56 s"):
        spoken(made, broken, look)
    with pytest.raises(DataError, match="int16"):
        spoken(made, np.zeros(8000, np.int16), look)
    with pytest.raises(DataError, match="one channel"):
        list(made.stream([np.zeros((8000, 2), np.float32)], TEMPLATE, STYLE, look))
    with pytest.raises(DataError, match=r"the template has shape \(7,\), and this network takes \(33,\)"):
        list(made.stream([sound(1.0)], TEMPLATE[:7], STYLE, look))
    with pytest.raises(DataError, match=rf"the style has shape \(2,\).*\({len(SUBJECTS)},\)"):
        list(made.stream([sound(1.0)], TEMPLATE, STYLE[:2], look))


@pytest.mark.parametrize("wrong", [{"past": -1.0}, {"ahead": float("inf")}, {"hop": 0.0}, {"hop": float("nan")}])
def test_a_look_that_cannot_be(wrong):
    with pytest.raises(DataError, match="give seconds"):
        Look(**wrong)


def test_other_convolutions_are_refused():
    config = {**SPEECH, "conv_stride": [5, 2, 2, 2, 2, 2, 1]}
    made = network(BIWI, encoder="some/encoder", config=config)
    with pytest.raises(DataError, match="cannot follow a stream"):
        list(streaming.memories(made, [sound(1.0)], Look()))
