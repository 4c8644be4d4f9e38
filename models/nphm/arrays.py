"""A frozen head as functions of arrays, as `faces.implicit` asks for them: points in, numbers out, no graph behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.nphm.frozen import HeadAt

Array = NDArray[np.float32]
GRAPH = 4096
"""Points whose gradient is asked for at a time: what is kept for it is 0.1 MB a point of MonoNPHM."""


class HeadArrays:
    """Of points (N, 3) float32 in NPHM units, on whatever device the head is."""

    def __init__(self, head: HeadAt) -> None:
        self.head = head

    def field(self, points: Array) -> Array:
        """Signed distances (N,), outside positive."""
        return self._told(self.head.field, points)

    def canonical(self, points: Array) -> Array:
        """Where posed points lie in the head at rest, (N, 3 + hyper)."""
        return self._told(self.head.canonical, points)

    def posed(self, points: Array) -> Array:
        """Where the expression moves points of the head at rest, (N, 3)."""
        return self._told(self.head.posed, points)

    def slope(self, points: Array) -> tuple[Array, Array]:
        """Signed distances (N,) and their gradients (N, 3)."""
        parts = [self._slope(part) for part in self._given(points).split(GRAPH)]
        values, gradients = (torch.cat(found).cpu().numpy() for found in zip(*parts, strict=True))
        return values, gradients

    def _slope(self, points: Tensor) -> tuple[Tensor, Tensor]:
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            values = self.head.field(points)
            (gradients,) = torch.autograd.grad(values.sum(), points)
        return values.detach(), gradients

    def _told(self, ask: Callable[[Tensor], Tensor], points: Array) -> Array:
        with torch.inference_mode():
            found: Array = ask(self._given(points)).cpu().numpy()
        return found

    def _given(self, points: Array) -> Tensor:
        return torch.tensor(points, dtype=torch.float32, device=self.head.anchors.device)
