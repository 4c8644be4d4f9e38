"""How far both heads are from a text: the hybrid CTC/attention objective (Watanabe et al., IEEE JSTSP 2017).

Sums over frames and pieces, divided by the number of clips and not by any length, as Auto-AVSR trains. Shapes: B clips,
T frames, L pieces, V classes; a text's end stands behind its pieces, and also before them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.ctc_errors import ctc_errors

IGNORED = -1
"""Stands behind a text's end in a padded batch."""


def taught(texts: Sequence[Sequence[int]], end: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Classes of B texts → what the decoder is given and what it should say, (B, L + 1) int64 each."""
    given = [torch.tensor([end, *text]) for text in texts]
    wanted = [torch.tensor([*text, end]) for text in texts]
    return (
        pad_sequence(given, batch_first=True, padding_value=end).to(device),
        pad_sequence(wanted, batch_first=True, padding_value=IGNORED).to(device),
    )


def ctc_loss(logits: Tensor, frames: Sequence[int], texts: Sequence[Sequence[int]]) -> Tensor:
    """Logits (B, T, V), `frames` (B,) of them per clip → nats. A text too long for its clip costs nothing."""
    letters = torch.tensor([len(text) for text in texts])
    padded = pad_sequence([torch.tensor(text, dtype=torch.int64) for text in texts], batch_first=True)
    each = ctc_errors(logits, torch.tensor(list(frames)), padded, letters, blank=0)  # of each letter
    return (each * letters.clamp(min=1).to(each)).sum() / len(texts)


def attention_loss(logits: Tensor, wanted: Tensor, smoothing: float) -> Tensor:
    """KL divergence, in nats, of logits (B, L, V) from smoothed targets: 1 − smoothing for the class in `wanted`
    (B, L), the rest in equal parts for all others; nothing where it is `IGNORED`."""
    classes = logits.shape[-1]
    chances = F.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    right = chances.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
    other = smoothing / (classes - 1)
    said = (1 - smoothing) * right + other * (chances.sum(-1) - right)
    share = torch.tensor([1 - smoothing, smoothing], dtype=torch.float64)
    certain = torch.special.xlogy(share, torch.tensor([1 - smoothing, other], dtype=torch.float64)).sum().item()
    return (certain - said).where(wanted != IGNORED, 0.0).sum() / len(logits)


def accuracy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Share of the pieces, ends included, whose class is the best of its logits (B, L, V)."""
    there = wanted != IGNORED
    return ((logits.argmax(-1) == wanted) & there).sum() / there.sum()
