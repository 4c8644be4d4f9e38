"""A pretrained wav2vec 2.0, HuBERT or WavLM as an extractor of features, one clip at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from models import hub
from models.sound import Wave, standardise
from models.speech import FineTuning, SpeechEncoder
from stages.features.extractor import Encoded, Extractor
from stages.kinds.features import Encoder


def speech_encoder(source: str, *, hidden: bool, device: str) -> Extractor:
    """The extractor of a hub id or folder. DataError, from `models.hub`, where there is no such speech encoder."""
    config = hub.load_config(source)
    loaded, missing = hub.load_encoder_and_missing(source)
    facts = Encoder(
        # A folder's place and name on this machine are no content.
        name=f"local {config['model_type']}" if Path(source).expanduser().is_dir() else source,
        kind="conv",
        channels=int(config["conv_dim"][-1]),
        config=config,
        weights=digest(loaded, missing),
    )
    network = SpeechEncoder(config, FineTuning())
    network.take(loaded.state_dict(), source)
    network.to(device).eval()

    def encode(wave: Wave) -> Encoded:
        # Base models do not notice the standardisation (their GroupNorm does it again); large ones were trained on it.
        samples = torch.from_numpy(standardise(wave))[None].to(device)
        with torch.no_grad():
            features = network.convolve(samples)
            states = network(features, [features.shape[1]]) if hidden else None
        return Encoded(features[0].cpu().numpy(), None if states is None else states[0].cpu().numpy())

    return Extractor(facts, encode)


def digest(network: nn.Module, missing: Collection[str] = ()) -> str:
    """A digest of all pretrained parameters by name, shape and value, whatever kind of file they came from.

    missing: what the file lacked (often masked_spec_embed); it is drawn anew at each loading and says nothing.
    """
    total = hashlib.blake2b(digest_size=16)
    for name, value in sorted(network.state_dict().items()):
        if name in missing:
            continue
        array = value.detach().cpu().contiguous().numpy()
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.data if array.ndim else array.tobytes())
    return total.hexdigest()
