"""The speech encoder of the talking-face networks: a wav2vec 2.0 family network with its frame rate changed inside.

Convolutions (frozen, 50 Hz) → the network's own resampling → projection → transformer at the motion's rate (trained).
The parts are those of `transformers`, called by their public forward, under the names that published checkpoints use
(`audio_encoder.feature_projection…`). Shapes: B clips, S steps, C convolution channels, W transformer width.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models import hub


@dataclass(frozen=True)
class FineTuning:
    """How the transformer is disturbed while it is trained.

    dropout: of every dropout layer in it. layerdrop: probability of skipping a layer.
    mask_prob, mask_length: share of the steps that time masking starts from, and the length of a span, in steps;
    0 switches masking off. mask_spans: the least number of spans per clip.
    """

    dropout: float = 0.1
    layerdrop: float = 0.1
    mask_prob: float = 0.05
    mask_length: int = 10
    mask_spans: int = 2


def small_config(channels: int, width: int, layers: int, heads: int) -> dict[str, Any]:
    """A wav2vec2-style transformer over C input channels and no convolutions, to train from scratch."""
    return {
        "model_type": "wav2vec2",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "conv_dim": [channels],
        "conv_kernel": [1],
        "conv_stride": [1],
    }


class SpeechEncoder(nn.Module):
    """Frozen convolutions, feature projection, time masking and transformer of one speech encoder.

    Arguments:
        config: as `models.hub.load_config` gives it.
        tuning: takes the place of the configuration's own dropout, layer drop and masking.
        convolutions: False for features that are no wav2vec 2.0 convolutions (log-mel).
    """

    def __init__(self, config: Mapping[str, Any], tuning: FineTuning, *, convolutions: bool = True) -> None:
        super().__init__()
        whole: Any = hub.make_encoder({**config, **_disturbances(tuning)})
        whole.feature_extractor.requires_grad_(False)
        self.tuning = tuning
        self.channels: int = whole.config.conv_dim[-1]
        self.width: int = whole.config.hidden_size
        self.masked_spec_embed = nn.Parameter(torch.empty(self.width).uniform_())
        self.feature_extractor = whole.feature_extractor if convolutions else None
        self.feature_projection = whole.feature_projection
        self.encoder = whole.encoder

    def convolve(self, audio: Tensor) -> Tensor:
        """(B, N) standardised samples at 16 kHz → (B, L, C) features at 50 Hz, without gradients."""
        if self.feature_extractor is None:
            raise DataError("this network was made for features without convolutions (log-mel); give it features")
        with torch.no_grad():
            convolved: Tensor = self.feature_extractor(audio)
        return convolved.transpose(1, 2)

    def forward(self, features: Tensor, lengths: list[int]) -> Tensor:
        """(B, S, C) features at the motion's rate, zero-padded, with `lengths` steps per clip → (B, S, W).

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        projected = self.feature_projection(features.to(self.masked_spec_embed.dtype))
        hidden = projected[0] if isinstance(projected, tuple) else projected
        if self.training and self.tuning.mask_prob > 0:
            masked = time_mask(lengths, hidden.shape[1], self.tuning).to(hidden.device)
            hidden = torch.where(masked[..., None], self.masked_spec_embed.to(hidden.dtype), hidden)
        with warnings.catch_warnings():
            # WavLM hands torch a boolean and a float mask together, which torch announces it will refuse one day.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            encoded: Tensor = self.encoder(hidden, attention_mask=_valid(lengths, hidden)).last_hidden_state
        return encoded

    def load_pretrained(self, source: str) -> None:
        """Take over the weights of a `transformers` checkpoint. DataError where its shapes are not these."""
        if self.feature_extractor is None:
            raise DataError(f"a network made for log-mel features cannot take the weights of speech encoder {source!r}")
        found = hub.load_encoder(source).state_dict()
        # Checkpoints that were trained without masking, wav2vec2-base-960h among them, lack this one: it stays random.
        found.setdefault("masked_spec_embed", self.masked_spec_embed.detach())
        for name, own in self.state_dict().items():
            if name not in found or found[name].shape != own.shape:
                shape = tuple(found[name].shape) if name in found else "absent"
                raise DataError(
                    f"speech encoder {source!r} does not fit the features: {name} is {shape}, expected "
                    f"{tuple(own.shape)}; make the features with this very encoder"
                )
        self.load_state_dict({name: found[name] for name in self.state_dict()})


def time_mask(lengths: list[int], steps: int, tuning: FineTuning) -> Tensor:
    """(B, S) bool: the spans hidden in each clip (wav2vec 2.0, Baevski et al. 2020, as `transformers` 4.6 draws them).

    max(spans, int(prob·S/length + U[0, 1))) spans start at different steps of [0, S − length); they may overlap and
    are cut at the clip's end. Drawn from torch's CPU generator, so that a seed repeats them on every device.
    """
    masked = torch.zeros(len(lengths), steps, dtype=torch.bool)
    for row, length in zip(masked, lengths, strict=True):
        wanted = int(tuning.mask_prob * length / tuning.mask_length + float(torch.rand(())))
        spans = max(tuning.mask_spans, wanted)
        room = length - tuning.mask_length
        room = spans + 1 if room <= spans else room
        for start in torch.randperm(room)[:spans].tolist():
            row[start : min(start + tuning.mask_length, length)] = True
    return masked


def _disturbances(tuning: FineTuning) -> dict[str, float]:
    names = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
    return {**dict.fromkeys(names, tuning.dropout), "layerdrop": tuning.layerdrop}


def _valid(lengths: list[int], hidden: Tensor) -> Tensor | None:
    """(B, S) bool, True on a clip's own steps; None where nothing is padded, which is faster."""
    if min(lengths) == hidden.shape[1]:
        return None
    ends = torch.tensor(lengths, device=hidden.device)
    return torch.arange(hidden.shape[1], device=hidden.device) < ends[:, None]
