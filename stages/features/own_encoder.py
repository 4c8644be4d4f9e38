"""The convolutions that a trained network carries as an extractor of features: they were frozen, so that they are those
of the pretrained encoder, and a checkpoint needs no download to hear."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from faces.errors import DataError
from models.sound import Wave, standardise
from models.speech import FineTuning, SpeechEncoder
from stages.features.extractor import Encoded, Extractor
from stages.kinds.checkpoint import BEST, Checkpoint, read_some
from stages.kinds.features import Encoder

CONVOLUTIONS = "audio_encoder.feature_extractor."
"""How their names begin in a network's state dict; those of the released files do."""


def own_encoder(folder: Path, *, device: str) -> Extractor:
    """The extractor of a checkpoint's folder. DataError where its network has no convolutions of its own."""
    checkpoint = Checkpoint(folder)
    facts, weights = checkpoint.facts, read_some(folder / BEST, CONVOLUTIONS)
    if not weights or not facts.encoder_config:
        heard = f"it hears {facts.encoder}: make the features with that" if facts.encoder else "it hears nothing"
        raise DataError(f"{folder} holds a network without convolutions of its own; {heard}")
    network = _loaded(checkpoint, weights).to(device).eval()

    def encode(wave: Wave) -> Encoded:
        samples = torch.from_numpy(standardise(wave))[None].to(device)
        return Encoded(network.convolve(samples)[0].cpu().numpy())

    told = Encoder(facts.encoder, "conv", facts.channels, facts.encoder_config, checkpoint.config.encoder_weights)
    return Extractor(told, encode)


def _loaded(checkpoint: Checkpoint, weights: dict[str, Tensor]) -> SpeechEncoder:
    """The encoder with these convolutions. One layer of its transformer is made, because none is used."""
    made = SpeechEncoder({**checkpoint.facts.encoder_config, "num_hidden_layers": 1}, FineTuning())
    assert made.feature_extractor is not None, "made with convolutions"
    try:
        made.feature_extractor.load_state_dict(weights)
    except RuntimeError:
        raise DataError(
            f"{checkpoint.path}: the convolutions in {BEST} are not of the speech encoder that config.json describes: "
            "train again, or take another copy"
        ) from None
    return made
