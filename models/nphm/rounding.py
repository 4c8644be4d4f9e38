"""The rounded rectifier in place, where no gradient is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from models.nphm.layers import BETA


def bend_(x: Tensor) -> Tensor:
    """`models.nphm.layers.bend` of x, written over it; on a processor in single precision, within 3e-8 of it."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or not x.is_contiguous():
        return torch.ops.aten.softplus.out(x, BETA, 20.0, out=x)
    from models.nphm.rounding_kernels import bend_kernel  # late: Numba takes a second to import

    bend_kernel(x.view(-1).numpy())
    return x
