"""FaceTalk upon what a frozen encoder says of each frame: without an encoder, and otherwise the same network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from faces.errors import DataError
from models.faceformer.face import FaceFormer
from models.facetalk.face import FaceTalk
from models.recogniser.net import Recogniser
from models.recogniser.settings import Settings as RecogniserSettings
from models.resample import align
from models.talking_face import Clips, DataFacts, Speech
from stages.features.per_frame import encoded
from tests.models import tiny, tiny_facetalk
from tests.models.tiny_facetalk import CALM, CODES, PARTS
from tests.pretended_gpu import pretended_gpu

SPEECH = tiny.SPEECH
WIDTH = SPEECH["hidden_size"]


def framewise(settings: Any) -> DataFacts:
    return replace(tiny_facetalk.facts(settings), encoder="track given", channels=WIDTH, framewise=True)


def both(settings: Any = CODES) -> tuple[FaceTalk, FaceTalk]:
    """One with an encoder of its own, and the same upon given states."""
    own = tiny_facetalk.network(settings, encoder="some/encoder", config=SPEECH)
    given = FaceTalk.build(settings, framewise(settings)).eval()
    given.load_state_dict({name: v for name, v in own.state_dict().items() if not name.startswith("audio_encoder.")})
    return own, given


@torch.no_grad()
def states(own: FaceTalk, clips: Clips) -> list[Tensor]:
    """What the frozen encoder says of each frame of each clip, made clip by clip."""
    lengths, frames = clips.feature_lengths.tolist(), clips.frames.tolist()
    return [
        own.audio_encoder(align(clip[None, :length], [length], [count], "interpolate"), [count])[0]
        for clip, length, count in zip(clips.features, lengths, frames, strict=True)
    ]


def given_clips(own: FaceTalk, clips: Clips) -> Clips:
    padded = torch.nn.utils.rnn.pad_sequence(states(own, clips), batch_first=True)
    return replace(clips, features=padded, feature_lengths=clips.frames)


def test_there_is_no_encoder_in_its_weights() -> None:
    _, given = both()
    assert not [name for name in given.state_dict() if name.startswith("audio_encoder")]
    assert given.audio_feature_map.in_features == WIDTH
    assert [given.frames_for(length) for length in (1, 48, 301)] == [1, 48, 301]


@pytest.mark.parametrize("settings", [CODES, PARTS], ids=["codes", "components"])
def test_it_learns_what_the_network_with_the_encoder_learns(settings: Any) -> None:
    own, given = both(replace(settings, **CALM))
    clips = tiny_facetalk.clips([60, 45, 41], [28, 21, 20])
    theirs = given_clips(own, clips)
    for network, batch in ((own, clips), (given, theirs)):
        network.train()
        torch.manual_seed(7)
        optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
        for _ in range(3):
            optimiser.zero_grad()
            network.losses(batch)["loss"].backward()
            optimiser.step()
        network.eval()
    learnt = own.state_dict()
    for name, value in given.state_dict().items():
        torch.testing.assert_close(value, learnt[name], rtol=0, atol=1e-5)
    found, expected = given.validation_losses(theirs), own.validation_losses(clips)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)


def test_it_makes_the_motion_that_the_network_with_the_encoder_makes() -> None:
    own, given = both()
    clips = tiny_facetalk.clips([60, 45], [own.frames_for(60), own.frames_for(45)])
    template, styles = torch.zeros(tiny_facetalk.WIDE), torch.eye(3)[:1]
    heard = states(own, clips)
    sounds = [clips.features[0, :60], clips.features[1, :45]]
    expected = own.predict_all([Speech(sound, template, styles, (3, 4)) for sound in sounds])
    found = given.predict_all([Speech(clip, template, styles, (3, 4)) for clip in heard])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_features_of_other_lengths_are_brought_to_the_frames() -> None:
    """The reader refuses them before; a network that is asked itself stretches as it would any features."""
    _, given = both()
    clips = tiny_facetalk.clips([60], [28])
    rows = torch.randn(1, 30, WIDTH)
    heard = given.hear_clips(replace(clips, features=rows, feature_lengths=torch.tensor([30])), [28])
    torch.testing.assert_close(heard[0, [0, -1]], rows[0, [0, -1]])
    assert heard.shape == (1, 28, WIDTH)
    same = given.hear_clips(replace(clips, features=rows, feature_lengths=torch.tensor([30])), [30])
    assert torch.equal(same, rows)


def test_settings_of_an_encoder_that_is_not_there_are_refused() -> None:
    for change, match in (
        ({"encoder_weights": "x.pt"}, "of these features it has none: name the file in the features step"),
        ({"frozen_encoder": False}, "frozen_encoder = false trains the speech encoder"),
    ):
        with pytest.raises(DataError, match=match):
            FaceTalk.build(replace(CODES, **change), framewise(CODES))


def test_networks_with_a_transformer_of_their_own_refuse_such_features() -> None:
    facts = replace(tiny.facts(tiny.VOCASET), encoder="track given", channels=WIDTH, framewise=True)
    with pytest.raises(DataError, match="features are what track given says of each frame, and this network has"):
        FaceFormer.build(tiny.VOCASET, facts)
    with pytest.raises(DataError, match="features are what track given says of each frame, and this network has"):
        Recogniser.build(RecogniserSettings(), replace(facts, vocabulary=("<pad>", "a")))


def test_a_stream_has_no_such_features() -> None:
    _, given = both()
    with pytest.raises(DataError, match="does not hold that encoder: speak files of sound, with --audio"):
        given.features_of(torch.zeros(16000).numpy())


def test_a_gpu_would_take_it(recwarn: pytest.WarningsRecorder) -> None:
    """Recomputed a frame, learnt from and spoken from, on a pretended one."""
    own, given = both(replace(CODES, **CALM))
    clips = tiny_facetalk.clips([60, 45], [28, 21])
    theirs = given_clips(own, clips)
    wave = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    near = encoded(own.audio_encoder, wave, 24, 24.0)
    assert near.shape == (24, WIDTH)
    speech = Speech(torch.from_numpy(near), torch.zeros(tiny_facetalk.WIDE), torch.eye(3)[:1], (3,))
    expected = given.predict_all([speech])[0]
    torch.manual_seed(7)
    loss = given.losses(theirs)["loss"].item()
    with pretended_gpu():
        np.testing.assert_allclose(encoded(own.audio_encoder.to("cuda"), wave, 24, 24.0), near, atol=1e-5)
        far = given.to("cuda")
        torch.manual_seed(7)
        found = far.losses(theirs.to("cuda"))["loss"]
        found.backward()
        assert found.item() == pytest.approx(loss, rel=1e-5)
        sent = Speech(speech.features.to("cuda"), speech.template.to("cuda"), speech.styles.to("cuda"), (3,))
        torch.testing.assert_close(far.predict_all([sent])[0].cpu(), expected, atol=1e-5, rtol=1e-5)
