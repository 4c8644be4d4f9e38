"""A codebook, and tokens that are replaced by their nearest code (van den Oord et al., "Neural Discrete Representation
Learning", NeurIPS 2017), exactly as CodeTalker (Xing et al., CVPR 2023) does it.

Codes are learnt by gradient alone: no moving averages, no restarts. Shapes: N tokens per clip, of Z channels each,
K codes, B clips.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.doubles import doubled
from models.folded import precise


class Codebook(nn.Module):
    """K codes of Z channels; `embedding.weight` is the released name.

    scale: the codes start uniform within ± scale / K; 1 as published.
    """

    def __init__(self, codes: int, width: int, scale: float = 1.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, width)
        nn.init.uniform_(self.embedding.weight, -scale / codes, scale / codes)

    def nearest(self, tokens: Tensor) -> Tensor:
        """(…, Z) → the number of each token's nearest code, the first of equals, (…) int64.

        The squared distance is evaluated as published, (|z|² + |e|²) − 2 z·e, in float32 whatever autocast says: a
        code that flips changes all motion after it.
        """
        with torch.no_grad(), precise(tokens.device):
            flat, codes = tokens.reshape(-1, tokens.shape[-1]).float(), self.embedding.weight.float()
            squares = flat.square().sum(1, keepdim=True) + codes.square().sum(1)
            return (squares - 2 * (flat @ codes.T)).argmin(1).view(tokens.shape[:-1])

    def lookup(self, codes: Tensor) -> Tensor:
        """(…) int64 → the rows of the codebook, (…, Z)."""
        rows: Tensor = self.embedding(codes)
        return rows

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(…, Z) → nearest codes handed straight through (…, Z), their numbers (…)."""
        codes = self.nearest(tokens)
        return straight_through(tokens.float(), self.lookup(codes)), codes


def straight_through(tokens: Tensor, rows: Tensor) -> Tensor:
    """z + (q − z) with the gradient of z alone.

    The sum is evaluated as it stands, so it differs from q in the last bits, as in the released code.
    """
    return tokens + (rows - tokens).detach()


def quantiser_errors(tokens: Tensor, rows: Tensor, beta: float) -> Tensor:
    """beta·(sg(q) − z)² + (q − sg(z))², means over channels: (…, Z) twice → (…).

    sg stops gradients: the first term moves features towards their code (commitment), the second the code.
    """
    commitment = F.mse_loss(tokens, rows.detach(), reduction="none")
    return (beta * commitment + F.mse_loss(rows, tokens.detach(), reduction="none")).mean(-1)


def count_codes(codes: Tensor, size: int, inside: Tensor | None = None) -> Tensor:
    """How often each code was chosen, clip by clip: (B, N) int64 → (B, K) int64. inside: (B, N), False for padding."""
    ones = torch.ones_like(codes) if inside is None else inside.long()
    return codes.new_zeros(len(codes), size).scatter_add_(1, codes, ones)


def perplexity(counts: Tensor) -> Tensor:
    """exp(−Σ p ln(p + 1e-10)) of the shares p, as published: (…, K) → (…). K where all codes are equally frequent."""
    shares = counts / counts.sum(-1, keepdim=True)
    return (-(shares * (shares + 1e-10).log()).sum(-1)).exp()


def health(counts: Tensor) -> dict[str, float]:
    """How much of a codebook is in use, from counts (K,) summed over an epoch or a data set.

    usage: share of the codes that were chosen at all. perplexity: codes in effective use, 1 to K.
    """
    if not counts.sum():
        return {"usage": 0.0, "perplexity": 0.0}
    exact = doubled(counts)
    return {"usage": (exact > 0).double().mean().item(), "perplexity": perplexity(exact).item()}
