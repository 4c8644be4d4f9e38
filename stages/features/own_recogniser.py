"""A recogniser that was trained here: it hears the features that it was trained on, log-mel or a frozen encoder's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from faces.errors import DataError
from models.ctc import Recogniser
from models.logmel import log_mel
from models.sound import Wave, standardise
from stages.features.extractor import Array, Text
from stages.features.speech_encoder import digest
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Encoder


def own_text(folder: Path, made: Encoder, *, device: str) -> Text:
    """What the recogniser in a checkpoint's folder hears beside the features of `made`. DataError where it is none, or
    hears other features: those cannot be made here, but for log-mel."""
    checkpoint = Checkpoint(folder)
    network: Any = checkpoint.load_network(device)
    if not hasattr(network, "recognise"):
        raise DataError(
            f"{folder} holds {checkpoint.config.model!r}, which recognises nothing: give the step that trains a "
            "recogniser"
        )
    recogniser: Recogniser = network
    heard = _ears(checkpoint, made)

    def recognise(wave: Wave, features: Array) -> tuple[Array, Array]:
        with torch.no_grad():
            hidden, logits = recogniser.recognise(torch.from_numpy(heard(wave, features)).to(device))
        return hidden.cpu().numpy(), logits.cpu().numpy()

    return Text(tuple(recogniser.vocabulary), digest(network), recognise)


def _ears(checkpoint: Checkpoint, made: Encoder) -> Callable[[Wave, Array], Array]:
    """What gives the features that it was trained on."""
    facts, weights = checkpoint.facts, checkpoint.config.encoder_weights
    if facts.encoder == LOG_MEL:
        return lambda wave, _: log_mel(standardise(wave))
    if (facts.channels, weights) != (made.channels, made.weights):
        raise DataError(
            f"{checkpoint.path} was trained on features of {facts.encoder}, and these are of {made.name}: set encoder "
            f"= {facts.encoder!r}, or give a recogniser that was trained on log-mel"
        )
    return lambda _, features: features
