"""Codes of identity and expression: tables that an auto-decoder learned, drawn heads, and files of one code.

Published tables scale what is looked up: a row longer than 1 counts as one of length 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST = 1.0
SPREAD = 0.85
"""Of drawn identities, in standard deviations of the trained ones, as published."""


def looked_up(table: Tensor, rows: Tensor) -> Tensor:
    """Rows (…) of a table (R, D) → codes (…, D), none of them longer than `LONGEST`."""
    found = table[rows]
    length = found.norm(dim=-1, keepdim=True)
    return found * torch.where(length > LONGEST, LONGEST / (length + 1e-7), torch.ones_like(length))


def drawn_identities(mean: Tensor, deviation: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Identity codes (count, D) of heads that nobody has; mean, deviation: (D,) of the trained ones."""
    noise = torch.randn(count, len(mean), generator=generator, dtype=mean.dtype)
    return mean + SPREAD * deviation * noise
