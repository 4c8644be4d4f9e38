"""SelfTalk's lip-reading interpreter: what the lips of a motion say, as features and letters of a speech recogniser.

lips → linear map → 50 Hz → transformer, both of whose sides see the same sequence → features → letters.
Shapes: B clips, T frames, N steps at 50 Hz, n lip vertices, H channels of the recogniser.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from models.full_attention import Decoder, Encoder, inside_of
from models.resample import interpolate


class Interpreter(nn.Module):
    """The transformer between the linear map of the lips and the letters: no masks and no positions."""

    def __init__(self, dim: int, heads: int, feedforward: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(dim, heads, feedforward, layers, dropout)
        self.decoder = Decoder(dim, heads, feedforward, layers, dropout)
        for parameter in self.parameters():
            if parameter.ndim > 1:  # as torch.nn.Transformer begins
                nn.init.xavier_uniform_(parameter)

    def forward(self, mapped: Tensor, frames: Sequence[int], steps: Sequence[int]) -> Tensor:
        """Mapped lips (B, T, H) → features (B, N, H). frames, steps: T and N of each clip.

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        clips = zip(mapped.float(), frames, steps, strict=True)
        x = pad_sequence([interpolate(clip[:count], length) for clip, count, length in clips], batch_first=True)
        inside = inside_of(steps, x.shape[1], x.device)
        features: Tensor = self.decoder(x, self.encoder(x, inside), inside)
        return features


def ctc_errors(logits: Tensor, steps: Tensor, text: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """CTC loss (Graves et al., ICML 2006) of each clip, divided by its number of letters: (B,), float32.

    logits: (B, N, classes), `steps` (B,) of them per clip. text: (B, S) classes, `lengths` (B,) of them. A text that
    no path of so few steps spells costs nothing; an empty one costs the path of blanks.
    """
    chances = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    errors: Tensor = F.ctc_loss(chances, text, steps, lengths, blank=blank, reduction="none", zero_infinity=True)
    return errors / lengths.clamp(min=1)
