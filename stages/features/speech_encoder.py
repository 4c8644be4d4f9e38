"""A pretrained wav2vec 2.0, HuBERT or WavLM as an extractor of features, and of text where it is a recogniser; one clip
at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import hub
from models.ctc import CtcRecogniser
from models.encoder_file import take_encoder
from models.sound import Wave, standardise
from models.speech import FineTuning, SpeechEncoder
from stages.features.extractor import Array, Encoded, Extractor, Text, with_text
from stages.kinds.features import FRAMES, Encoder


def speech_encoder(source: str, *, hidden: bool, device: str) -> Extractor:
    """The extractor of a hub id or folder. DataError, from `models.hub`, where there is no such speech encoder."""
    config = hub.load_config(source)
    loaded, missing = hub.load_encoder_and_missing(source)
    network = SpeechEncoder(config, FineTuning())
    network.take(loaded.state_dict(), source)
    return _extractor(_facts(source, config, digest(loaded, missing)), network.to(device).eval(), hidden=hidden)


def frame_encoder(source: str, weights: str | None, *, device: str) -> tuple[Encoder, SpeechEncoder]:
    """A whole encoder that stays as it is, and what is told of the features that are a frame's each.

    weights: a file that takes the place of its own. DataError where there is no such encoder, or the file is another's.
    """
    config = hub.load_config(source)
    loaded, missing = hub.load_encoder_and_missing(source)
    network = SpeechEncoder(config, FineTuning())
    network.take(loaded.state_dict(), source)
    if weights:
        take_encoder(network, Path(weights).expanduser(), convolutions=True)
        loaded, missing = network, frozenset(("masked_spec_embed",))
    facts = _facts(source, config, digest(loaded, missing))
    return replace(facts, kind=FRAMES, channels=network.width), network.to(device).eval()


def hearing_text(source: str, *, device: str) -> Extractor:
    """The extractor of a recogniser that is its own speech encoder: one network, whose convolutions run once a clip."""
    config = hub.load_config(source)
    found = hub.load_recogniser(source)
    network = CtcRecogniser.of(found, config, source).to(device)
    facts = _facts(source, config, digest(found.encoder, found.missing))
    return with_text(_extractor(facts, network.wav2vec2), _text(network, found, own=True))


def pretrained_text(source: str, *, device: str) -> Text:
    """What a recogniser hears beside the features of another encoder. DataError where `source` is none."""
    found = hub.load_recogniser(source)
    network = CtcRecogniser.of(found, hub.load_config(source), source).to(device)
    return _text(network, found, own=False)


def _facts(source: str, config: Mapping[str, Any], weights: str) -> Encoder:
    return Encoder(
        # A folder's place and name on this machine are no content.
        name=f"local {config['model_type']}" if Path(source).expanduser().is_dir() else source,
        kind="conv",
        channels=int(config["conv_dim"][-1]),
        config=config,
        weights=weights,
    )


def _extractor(facts: Encoder, network: SpeechEncoder, *, hidden: bool = False) -> Extractor:
    device = network.masked_spec_embed.device

    def encode(wave: Wave) -> Encoded:
        # Base models do not notice the standardisation (their GroupNorm does it again); large ones were trained on it.
        samples = torch.from_numpy(standardise(wave))[None].to(device)
        with torch.no_grad():
            features = network.convolve(samples)
            states = network(features, [features.shape[1]]) if hidden else None
        return Encoded(features[0].cpu().numpy(), None if states is None else states[0].cpu().numpy())

    return Extractor(facts, encode)


def _text(network: CtcRecogniser, found: hub.Recogniser, *, own: bool) -> Text:
    """own: the features are those of its own convolutions."""
    device = network.lm_head.weight.device

    def recognise(wave: Wave, features: Array) -> tuple[Array, Array]:
        heard = torch.from_numpy(features if own else standardise(wave)).to(device)
        hidden, logits = network.recognise(heard if own else network.convolve(heard))
        return hidden.cpu().numpy(), logits.cpu().numpy()

    whole = nn.ModuleDict({"encoder": found.encoder, "lm_head": found.head})
    weights = digest(whole, [f"encoder.{name}" for name in found.missing])
    return Text(found.vocabulary, weights, recognise)


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
