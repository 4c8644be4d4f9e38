"""The yardstick of the training benchmark computes what ours computes: equal losses, equal gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from benchmarks.training_naive import NaiveFaceFormer, Sentence
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.official import published_name
from models.talking_face import Clips
from tests.models.tiny import BOTH, SPEECH, SUBJECTS, VERTICES, facts, network

SECONDS, FRAMES = (0.9, 0.7), (25, 20)


def pair(settings: Settings) -> tuple[FaceFormer, NaiveFaceFormer]:
    """Both networks with the same weights, in eval mode."""
    about = {"encoder": "some/encoder", "config": SPEECH}
    ours = network(settings, **about)
    naive = NaiveFaceFormer(settings, facts(settings, **about)).eval()
    naive.load_state_dict(ours.state_dict())
    return ours, naive


def sentences() -> list[Sentence]:
    wide, styles = 3 * VERTICES, torch.eye(len(SUBJECTS))
    return [
        Sentence(torch.randn(1, int(16_000 * s)), torch.randn(1, wide), torch.randn(1, n, wide), styles[i : i + 1])
        for i, (s, n) in enumerate(zip(SECONDS, FRAMES, strict=True))
    ]


def batch_of(ours: FaceFormer, clips: list[Sentence]) -> Clips:
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


def gradients(network: nn.Module) -> dict[str, torch.Tensor]:
    return {published_name(name): p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("settings", BOTH, ids=["vocaset", "biwi"])
def test_losses_and_gradients_are_those_of_the_batched_network(settings: Settings) -> None:
    torch.manual_seed(3)
    ours, naive = pair(settings)
    clips = sentences()
    loss = ours.losses(batch_of(ours, clips))["loss"]
    literal = torch.stack([naive(clip) for clip in clips]).mean()
    torch.testing.assert_close(loss, literal, rtol=1e-5, atol=1e-6)
    for value in (loss, literal):
        value.backward()
    wanted, found = gradients(naive), gradients(ours)
    assert set(found) == set(wanted)
    assert len(wanted) > 40
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-4, msg=name)


def test_training_as_published_disturbs_the_speech_encoder() -> None:
    torch.manual_seed(0)
    _, naive = pair(replace(BOTH[0], dropout=0.0, encoder_dropout=0.0, layerdrop=0.0))
    clip = sentences()[0]
    calm = naive(clip).item()
    naive.train()
    assert naive(clip).item() != calm, "two spans of ten steps are hidden in every clip"
