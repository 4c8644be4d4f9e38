"""The yardsticks of the training benchmark compute what ours computes: equal losses, equal gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks.selftalk_anew import HeardAnew
from benchmarks.selftalk_naive import NaiveSelfTalk
from benchmarks.talkingstyle_naive import NaiveTalkingStyle
from benchmarks.training_naive import NaiveFaceFormer, Sentence
from models.ctc import CtcRecogniser
from models.official import published_name
from models.selftalk.face import SelfTalk
from models.selftalk.settings import Settings
from models.speech import FineTuning, SpeechEncoder
from models.talking_face import Clips, DataFacts
from models.text import Vocabulary
from tests.models import tiny, tiny_selftalk, tiny_talkingstyle
from tests.models.tiny import SPEECH, SUBJECTS, VERTICES

SECONDS, FRAMES = (0.9, 0.7), (25, 20)
LARGE = {**SPEECH, "feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
ROLL_OUTS = {
    "faceformer": (tiny, SPEECH, NaiveFaceFormer),
    "talkingstyle": (tiny_talkingstyle, {**LARGE, "model_type": "hubert"}, NaiveTalkingStyle),
}
flavour = pytest.mark.parametrize("flavour", [0, 1], ids=["vocaset", "biwi"])
CALM = {**tiny_selftalk.CALM, "mask_time_prob": 0.05}  # without masking, `transformers` has no `masked_spec_embed`
roll_out = pytest.mark.parametrize("model", ROLL_OUTS)


def pair(model: str, flavour: int, **changes: float) -> tuple[Any, nn.Module]:
    """Both networks with the same weights, in eval mode."""
    module, config, naive_class = ROLL_OUTS[model]
    about: dict[str, Any] = {"encoder": "some/encoder", "config": config}
    settings = replace(module.BOTH[flavour], **changes)
    ours = module.network(settings, **about)
    naive = naive_class(settings, module.facts(settings, **about)).eval()
    naive.load_state_dict(ours.state_dict())
    return ours, naive


def reading_facts(settings: Settings) -> DataFacts:
    """Of SelfTalk's pair."""
    told = tiny_selftalk.facts(settings, encoder="some/encoder", config=LARGE)
    return replace(told, text_width=LARGE["hidden_size"])


def reading_pair(flavour: int, **changes: float) -> tuple[SelfTalk, NaiveSelfTalk, CtcRecogniser]:
    """SelfTalk's, and the recogniser that the naive one holds, as the stage `features` has it."""
    settings = replace(tiny_selftalk.BOTH[flavour], **changes)
    told = reading_facts(settings)
    ours = SelfTalk.build(settings, told).eval()
    nn.init.normal_(ours.vertice_map_r.weight, std=0.3)
    naive = NaiveSelfTalk(settings, told).eval()
    nn.init.normal_(naive.text_encoder.lm_head.weight)  # many classes win a frame
    # Released files hold the same frozen convolutions twice.
    naive.text_encoder.wav2vec2.feature_extractor.load_state_dict(ours.audio_encoder.feature_extractor.state_dict())
    recogniser = {name: value for name, value in naive.state_dict().items() if name.startswith("text_encoder.")}
    naive.load_state_dict({**ours.state_dict(), **recogniser})
    encoder = SpeechEncoder(LARGE, FineTuning())
    encoder.take(naive.text_encoder.wav2vec2.state_dict(), "the naive network")
    return ours, naive, CtcRecogniser(encoder, naive.text_encoder.lm_head, tiny_selftalk.VOCABULARY)


def sentences() -> list[Sentence]:
    wide, styles = 3 * VERTICES, torch.eye(len(SUBJECTS))
    return [
        Sentence(torch.randn(1, int(16_000 * s)), torch.randn(1, wide), torch.randn(1, n, wide), styles[i : i + 1])
        for i, (s, n) in enumerate(zip(SECONDS, FRAMES, strict=True))
    ]


def batch_of(ours: Any, clips: list[Sentence]) -> Clips:
    """As the trainer sees them: convolved beforehand, padded."""
    features = [ours.audio_encoder.convolve(clip.audio)[0] for clip in clips]
    return Clips(
        features=pad_sequence(features, batch_first=True),
        feature_lengths=torch.tensor([len(one) for one in features]),
        template=torch.cat([clip.template for clip in clips]),
        style=torch.cat([clip.style for clip in clips]),
        vertices=pad_sequence([clip.vertices[0] for clip in clips], batch_first=True),
        frames=torch.tensor([clip.vertices.shape[1] for clip in clips]),
    )


def with_text(ours: SelfTalk, batch: Clips, recogniser: CtcRecogniser) -> Clips:
    """What was heard, as the stage `features` keeps it and the trainer reads it."""
    clips = zip(batch.features, batch.feature_lengths.tolist(), strict=True)
    heard = [recogniser.recognise(features[:length]) for features, length in clips]
    steps = [2 * n for n in FRAMES] if ours.per_frame == 2 else batch.feature_lengths.tolist()
    read, vocabulary = [], Vocabulary(recogniser.vocabulary)
    for (_, logits), count in zip(heard, steps, strict=True):
        read.append(torch.tensor(vocabulary.classes_of(vocabulary.read(logits[:count].numpy()))))
    return replace(
        batch,
        text_hidden=pad_sequence([hidden for hidden, _ in heard], batch_first=True),
        text=pad_sequence(read, batch_first=True),
        text_lengths=torch.tensor([len(one) for one in read]),
    )


def gradients(network: nn.Module) -> dict[str, torch.Tensor]:
    return {published_name(name): p.grad for name, p in network.named_parameters() if p.grad is not None}


def check_alike(ours: Any, naive: nn.Module, batch: Clips, clips: list[Sentence], tolerance: float = 1e-4) -> None:
    """Losses and all gradients."""
    loss = ours.losses(batch)["loss"]
    literal = torch.stack([naive(clip) for clip in clips]).mean()
    torch.testing.assert_close(loss, literal, rtol=1e-5, atol=1e-6)
    for value in (loss, literal):
        value.backward()
    wanted, found = gradients(naive), gradients(ours)
    assert set(found) == set(wanted)
    assert len(wanted) > 40
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=tolerance, msg=name)


@flavour
@roll_out
def test_losses_and_gradients_are_those_of_the_batched_network(model: str, flavour: int) -> None:
    torch.manual_seed(3)
    ours, naive = pair(model, flavour)
    clips = sentences()
    check_alike(ours, naive, batch_of(ours, clips), clips)


@flavour
def test_text_that_was_heard_once_teaches_what_text_of_every_step_teaches(flavour: int) -> None:
    torch.manual_seed(3)
    ours, naive, recogniser = reading_pair(flavour)
    clips = sentences()
    batch = with_text(ours, batch_of(ours, clips), recogniser)
    assert batch.text_lengths is not None
    assert min(batch.text_lengths) > 2
    check_alike(ours, naive, batch, clips)


@flavour
def test_hearing_anew_what_was_heard_changes_no_loss(flavour: int) -> None:
    """What the cached text is measured against, on clips of which the features know nothing."""
    torch.manual_seed(3)
    ours, _, recogniser = reading_pair(flavour)
    anew = HeardAnew.build(ours.settings, reading_facts(ours.settings)).eval()
    anew.load_state_dict(ours.state_dict(), strict=False)
    anew.recogniser.load_state_dict(recogniser.state_dict())
    batch = batch_of(ours, sentences())
    wanted = ours.losses(with_text(ours, batch, recogniser))
    found = anew.losses(batch)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_training_as_published_disturbs_the_speech_encoder() -> None:
    torch.manual_seed(0)
    _, naive = pair("faceformer", 0, dropout=0.0, encoder_dropout=0.0, layerdrop=0.0)
    clip = sentences()[0]
    calm = naive(clip).item()
    naive.train()
    assert naive(clip).item() != calm, "two spans of ten steps are hidden in every clip"


def test_training_as_published_disturbs_the_recogniser_too() -> None:
    torch.manual_seed(0)
    _, naive, _ = reading_pair(0, **CALM, position_weight=0.0, velocity_weight=0.0, text_weight=0.0)
    clip = sentences()[0]
    before = naive(clip).item()
    naive.text_encoder.train()
    assert naive(clip).item() != before, "spans of what it hears are hidden, so that it names other features"


def test_recomputing_activations_changes_no_gradient() -> None:
    torch.manual_seed(0)
    _, naive, _ = reading_pair(0, **CALM)
    frugal = NaiveSelfTalk(naive.settings, reading_facts(naive.settings), checkpointing=True)
    frugal.load_state_dict(naive.state_dict())
    assert any(getattr(part, "gradient_checkpointing", False) for part in frugal.audio_encoder.modules())
    clip = sentences()[0]
    for network in (naive.train(), frugal.train()):
        np.random.seed(0)  # `transformers` draws the hidden spans with it
        network(clip).backward()
    wanted = gradients(naive)
    for name, gradient in gradients(frugal).items():
        torch.testing.assert_close(gradient, wanted[name], msg=name)
