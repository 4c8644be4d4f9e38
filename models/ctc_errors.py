"""How far logits are from a text, by connectionist temporal classification (CTC; Graves et al., ICML 2006)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def ctc_errors(logits: Tensor, steps: Tensor, text: Tensor, letters: Tensor, blank: int) -> Tensor:
    """CTC loss of each clip, in nats for each of its letters: (B,), float32.

    logits: (B, N, classes), `steps` (B,) of them per clip. text: (B, S) classes, `letters` (B,) of them. A text that no
    path of so few steps spells costs nothing; an empty one costs the path of blanks.
    """
    # On the processor, wherever the network is: there its gradient adds up in one order only.
    chances = F.log_softmax(logits.float(), dim=-1).transpose(0, 1).cpu()  # (N, B, classes)
    counts = letters.cpu()
    errors = F.ctc_loss(chances, text.cpu(), steps.cpu(), counts, blank=blank, reduction="none", zero_infinity=True)
    return (errors / counts.clamp(min=1)).to(logits.device)
