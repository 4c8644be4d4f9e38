"""A file with the weights of a whole speech encoder, such as FaceTalk's README names: wav2vec 2.0 as FaceFormer
fine-tuned it on VOCASET.

A state dict in the names of `transformers`' Wav2Vec2Model, alone or as a part of FaceFormer's checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from faces.errors import DataError
from models.official import modern_name, read_official
from models.speech import SpeechEncoder

PART = "audio_encoder."
CONVOLUTIONS = "feature_extractor."
NEAR = 1e-5
"""Largest difference of convolutions that are the same: files were converted on the way."""


def take_encoder(encoder: SpeechEncoder, file: Path, *, convolutions: bool = False) -> None:
    """Fill all of an encoder but its convolutions, which must be those that made the features and are there already.

    convolutions: those of the file, too, where it has them; they made nothing yet. DataError for a file that cannot be
    read, of another size, or with other convolutions.
    """
    found = encoder_part(read_official(file))
    own = encoder.state_dict()
    fixed = {name: value for name, value in own.items() if name.startswith(CONVOLUTIONS)}
    if convolutions:
        encoder.take({**fixed, **found}, str(file))
        return
    for name, value in fixed.items():
        other = found.get(name)
        if other is not None and not (other.shape == value.shape and _near(value, other)):
            raise DataError(
                f"{file} has other convolutions than those that the features were made with ({name}): make the "
                "features with its own encoder, or leave encoder_weights out"
            )
    encoder.take({**found, **fixed}, str(file))


def encoder_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Entries of the encoder alone, without prefixes; heads and decoders beside it are left out."""
    named = {modern_name(name): value for name, value in state.items()}
    part = {name.removeprefix(PART): value for name, value in named.items() if name.startswith(PART)}
    return part or named


def _near(value: Tensor, other: Tensor) -> bool:
    return torch.allclose(value.cpu().float(), other.float(), rtol=0, atol=NEAR)
