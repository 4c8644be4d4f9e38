"""The last step of every face: from a decoder's output to absolute positions.

Shapes: h channels, D = 3 V coordinates.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.folded import precise


def placed(hidden: Tensor, outward: nn.Linear, scale: float, template: Tensor) -> Tensor:
    """(…, h) and (D,) → absolute positions (…, D), in the data's unit.

    scale: length, in the data's unit, that the layer counts motion in. Whatever autocast says, positions are in the
    precision of the template: half of it would move vertices by more than lips do.
    """
    with precise(hidden.device):
        added = template if outward.bias is None else outward.bias * scale + template
        hidden, weight = hidden.to(added.dtype), outward.weight.to(added.dtype)
        # The scale is put on what is smaller than the motion.
        return F.linear(hidden if scale == 1 else hidden * scale, weight, added)
