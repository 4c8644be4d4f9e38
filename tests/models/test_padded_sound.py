"""From sound to loss: a padded batch of a face with a speech encoder is the mean of its clips, gradients too.

Group norm over time, positional convolution and attention must all stop at a clip's end.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models import speech
from models.faceformer.face import FaceFormer
from models.resample import feature_length
from models.talking_face import Clips
from tests.models.tiny import BIWI, SPEECH, VOCASET, clips, network, one

SAMPLES, FRAMES = [19_000, 12_345, 16_001], [33, 21, 28]
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}


def heard(face: FaceFormer) -> tuple[Clips, list[Clips]]:
    """The batch, padded before its convolutions; and each clip by itself, which saw no other."""
    sound, lengths = torch.randn(3, max(SAMPLES)), [feature_length(count) for count in SAMPLES]
    batch = clips(lengths, FRAMES)
    together = replace(batch, features=face.audio_encoder.convolve(sound, SAMPLES))
    alone = [
        replace(one(batch, i), features=face.audio_encoder.convolve(sound[i : i + 1, :count]))
        for i, count in enumerate(SAMPLES)
    ]
    return together, alone


@pytest.mark.parametrize("one_by_one", [("cpu",), ()], ids=["clip by clip", "masked"])
@pytest.mark.parametrize("settings", [VOCASET, BIWI], ids=["vocaset", "biwi"])
@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
@pytest.mark.parametrize("size", [{}, LARGE], ids=["base", "large"])
def test_a_padded_batch_of_sounds_is_the_mean_of_its_clips(settings, family, size, one_by_one, monkeypatch):
    monkeypatch.setattr(speech, "CLIP_BY_CLIP", one_by_one)
    made = network(settings, encoder=f"some/{family}", config={"model_type": family, **SPEECH, **size})
    together, alone = heard(made)
    loss = made.losses(together)["loss"]
    single = torch.stack([made.losses(clip)["loss"] for clip in alone]).mean()
    torch.testing.assert_close(loss, single, rtol=1e-5, atol=0.0)
    parameters = {name: value for name, value in made.named_parameters() if value.requires_grad}
    both = [torch.autograd.grad(value, list(parameters.values()), allow_unused=True) for value in (loss, single)]
    for name, padded, apart in zip(parameters, *both, strict=True):
        assert (padded is None) is (apart is None), name
        if padded is not None and apart is not None:
            torch.testing.assert_close(padded, apart, rtol=1e-4, atol=1e-5 * max(1.0, apart.abs().max().item()))
