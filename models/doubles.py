"""Arithmetic in double precision, which not every device has."""

from __future__ import annotations

from torch import Tensor


def doubled(x: Tensor) -> Tensor:
    """A tensor in float64, on its own device, or on the CPU where that knows none (Apple's)."""
    return (x.cpu() if x.device.type == "mps" else x).double()
