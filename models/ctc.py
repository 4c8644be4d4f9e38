"""A frozen CTC recogniser on wav2vec 2.0: what SelfTalk (Peng et al., ACM MM 2023, section 3) hears as text.

Connectionist temporal classification: Graves et al., ICML 2006; on wav2vec 2.0: Baevski et al., NeurIPS 2020, section
3.3. The whole clip at once, no resampling, no masking: hidden states and logits are constants of a clip.
Shapes: L steps at 50 Hz, C convolution channels, H transformer width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models import hub
from models.speech import FineTuning, SpeechEncoder


class Recogniser(Protocol):
    """Features → text, ours or a pretrained one. vocabulary: what the classes stand for (`models.text`)."""

    vocabulary: tuple[str, ...]

    def recognise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(L, C) features of one clip → last hidden states (L, H), logits (L, classes)."""
        ...


class CtcRecogniser(nn.Module):
    """A speech encoder and one linear layer, under the names of SelfTalk's published files, always in eval mode."""

    def __init__(self, encoder: SpeechEncoder, head: nn.Linear, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.wav2vec2, self.lm_head = encoder, head
        self.vocabulary = vocabulary
        self.requires_grad_(False).eval()

    @classmethod
    def of(cls, found: hub.Recogniser, config: Mapping[str, Any], source: str) -> CtcRecogniser:
        """One of `transformers`, as `models.hub.load_recogniser` and `load_config` read it from `source`."""
        encoder = SpeechEncoder(config, FineTuning())
        encoder.take(found.encoder.state_dict(), source)
        return cls(encoder, found.head, found.vocabulary)

    def convolve(self, audio: Tensor) -> Tensor:
        """(N,) standardised samples at 16 kHz → (L, C)"""
        return self.wav2vec2.convolve(audio[None])[0]

    @torch.no_grad()
    def recognise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(L, C) features of one clip → last hidden states (L, H), logits (L, classes)."""
        hidden: Tensor = self.wav2vec2(features[None], [len(features)])[0]
        return hidden, self.lm_head(hidden)

    def train(self, mode: bool = True) -> CtcRecogniser:
        """Frozen: it stays in eval mode, also inside a network that trains."""
        super().train(False)
        return self
