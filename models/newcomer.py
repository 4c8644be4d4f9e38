"""One subject more in a network's table of styles, so that a style can be fitted with all else as it was.

Shapes: K training subjects, d channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def with_newcomer(table: Tensor, weights: Sequence[float], *, subjects: int) -> tuple[nn.Parameter, Tensor]:
    """A table of K + 1 subjects, and the bool mask of the entries of the last, who begins as a mixture of the others.

    table: of K subjects along the axis `subjects`. weights: K shares. ValueError for another number of them.
    """
    if len(weights) != table.shape[subjects]:
        raise ValueError(f"{len(weights)} weights for a table of {table.shape[subjects]} subjects")
    with torch.no_grad():
        shares = torch.tensor(list(weights), dtype=table.dtype, device=table.device)
        own = torch.tensordot(table, shares, dims=([subjects], [0])).unsqueeze(subjects)
        grown = torch.cat((table, own), dim=subjects)
    mask = torch.zeros_like(grown, dtype=torch.bool)
    mask.select(subjects, -1).fill_(True)
    return nn.Parameter(grown), mask
