"""The speech encoder of the talking-face networks: a wav2vec 2.0 family network with its frame rate changed inside.

Convolutions (frozen, 50 Hz) → the network's own resampling → projection → transformer at the motion's rate (trained).
wav2vec 2.0 and HuBERT are our own graph (`models.wav2vec2`); WavLM, and what that graph does not know, come from
`transformers`, whose import alone takes seconds. Either has the names that published checkpoints use
(`audio_encoder.feature_projection…`). Shapes: B clips, N samples, S steps, C convolution channels, W transformer width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models import hub
from models.speech_parts import encode, make_parts, project
from models.wav2vec2.convolutions import Convolutions
from models.wav2vec2.long_sound import convolve

CLIP_BY_CLIP = ("cpu",)
"""Kinds of device on which the clips of a padded batch go through the transformer one by one: a batch gains nothing
there, and padding costs as much as speech."""


@dataclass(frozen=True)
class FineTuning:
    """How the transformer is disturbed while it is trained.

    dropout: of every dropout layer in it. attention_dropout: of attention weights, None: the same. layerdrop:
    probability of skipping a layer.
    mask_prob, mask_length: share of the steps that time masking starts from, and the length of a span, in steps;
    0 switches masking off. mask_spans: the least number of spans per clip.
    """

    dropout: float = 0.1
    layerdrop: float = 0.1
    mask_prob: float = 0.05
    mask_length: int = 10
    mask_spans: int = 2
    attention_dropout: float | None = None


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
        parts = make_parts({**config, **_disturbances(tuning)}, convolutions=convolutions)
        self.tuning = tuning
        self.channels, self.width = parts.channels, parts.width
        self.masked_spec_embed = nn.Parameter(torch.empty(self.width).uniform_())
        self.feature_extractor = parts.convolutions
        if self.feature_extractor is not None:
            self.feature_extractor.requires_grad_(False)
        self.feature_projection = parts.projection
        self.encoder = parts.transformer

    def convolve(self, audio: Tensor, samples: Sequence[int] | None = None) -> Tensor:
        """(B, N) standardised samples at 16 kHz → (B, L, C) features at 50 Hz, without gradients.

        samples: of each clip, where the batch is padded: a clip then gets what it gets alone. Above a minute of sound
        (`models.wav2vec2.long_sound`) memory no longer grows with length, but for the result's.
        """
        if self.feature_extractor is None:
            raise DataError("this network was made for features without convolutions (log-mel); give it features")
        with torch.no_grad():
            return self._convolved(self.feature_extractor, audio, samples).transpose(1, 2)

    def _convolved(self, extractor: nn.Module, audio: Tensor, samples: Sequence[int] | None) -> Tensor:
        padded = samples is not None and min(samples) < audio.shape[1]
        convolved: Tensor
        if isinstance(extractor, Convolutions):
            convolved = extractor(audio, samples) if padded else convolve(extractor, audio)
        elif padded:
            raise DataError("this speech encoder cannot take padded sound: give it one clip at a time")
        else:
            convolved = extractor(audio)
        return convolved

    def forward(self, features: Tensor, lengths: list[int]) -> Tensor:
        """(B, S, C) features at the motion's rate, zero-padded, with `lengths` steps per clip → (B, S, W).

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        hidden = project(self.feature_projection, features.to(self.masked_spec_embed.dtype))
        if self.training and self.tuning.mask_prob > 0:
            masked = time_mask(lengths, hidden.shape[1], self.tuning).to(hidden.device)
            hidden = torch.where(masked[..., None], self.masked_spec_embed.to(hidden.dtype), hidden)
        return self._encoded(hidden, lengths)

    def _encoded(self, hidden: Tensor, lengths: list[int]) -> Tensor:
        padded = min(lengths) < hidden.shape[1]
        if not padded or hidden.device.type not in CLIP_BY_CLIP:
            return encode(self.encoder, hidden, _valid(lengths, hidden))
        alone = [encode(self.encoder, clip[None, :length])[0] for clip, length in zip(hidden, lengths, strict=True)]
        return pad_sequence([*alone, torch.zeros_like(hidden[0])], batch_first=True)[:-1]

    def load_pretrained(self, source: str) -> None:
        """Take over the weights of a `transformers` checkpoint. DataError where its shapes are not these."""
        if self.feature_extractor is None:
            raise DataError(f"a network made for log-mel features cannot take the weights of speech encoder {source!r}")
        self.take(hub.load_encoder(source).state_dict(), source)

    def take(self, state: Mapping[str, Tensor], source: str) -> None:
        """Take over the weights of a whole network of `transformers`, read from `source`."""
        found = dict(state)
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
    found = {**dict.fromkeys(names, tuning.dropout), "layerdrop": tuning.layerdrop}
    return found if tuning.attention_dropout is None else found | {"attention_dropout": tuning.attention_dropout}


def _valid(lengths: list[int], hidden: Tensor) -> Tensor | None:
    """(B, S) bool, True on a clip's own steps; None where nothing is padded, which is faster."""
    if min(lengths) == hidden.shape[1]:
        return None
    ends = torch.tensor(lengths, device=hidden.device)
    return torch.arange(hidden.shape[1], device=hidden.device) < ends[:, None]
