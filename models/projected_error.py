"""Squared errors of motion that a linear layer makes, without keeping any of that motion.

A clip's motion is the widest thing in training: 150 frames of 70,110 coordinates are 42 MB, and autograd would keep
several such arrays for every clip of a batch. Here the residual of one clip at a time becomes loss and gradients at
once, and is forgotten. Shapes: T frames, d channels, D coordinates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.folded import precise

ROWS = 16
"""Frames squared at once: of BIWI 4.5 MB."""


class Affine(NamedTuple):
    """What of a linear layer counts: weight (D, d), bias (D,), or some of their rows."""

    weight: Tensor
    bias: Tensor


def projected_error(hidden: Tensor, layer: nn.Linear | Affine, truth: Tensor) -> Tensor:
    """Mean over frames and coordinates of (layer(hidden) − truth)²: (T, d), (T, D) → a scalar.

    In the precision of the layer's weights, whatever autocast says: sums are over D terms. No gradient for `truth`.
    """
    return _measured(hidden, layer, truth, 1.0, None).loss


class MotionErrors(NamedTuple):
    """loss: position and velocity, weighted; it alone has gradients. Scalars."""

    loss: Tensor
    position: Tensor
    velocity: Tensor


def projected_errors(
    hidden: Tensor, layer: nn.Linear, truth: Tensor, position_weight: float, velocity_weight: float
) -> MotionErrors:
    """As `projected_error`, with the mean squared error of changes from each frame to the next: of a single frame 0."""
    return _measured(hidden, layer, truth, position_weight, velocity_weight)


def _measured(
    hidden: Tensor, layer: nn.Linear | Affine, truth: Tensor, position: float, velocity: float | None
) -> MotionErrors:
    """velocity: None where nobody asks for it; then it is 0."""
    learned = [hidden.to(layer.weight.dtype), layer.weight, layer.bias]
    if not torch.is_grad_enabled():  # inside the function nobody can tell
        learned = [tensor.detach() for tensor in learned]
    return MotionErrors(*_ProjectedErrors.apply(*learned, truth, position, velocity))


class _ProjectedErrors(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, truth: Tensor, position: float, velocity: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        with precise(hidden.device):
            residual = torch.addmm(bias, hidden, weight.T).sub_(truth)
            change = residual[:0] if velocity is None else residual.diff(dim=0)
            error, change_error = _mean_square(residual), _mean_square(change)
            loss = position * error + (velocity or 0.0) * change_error
            if any(ctx.needs_input_grad):
                residual.mul_(2 * position / residual.numel())
                if len(change) and velocity:
                    change.mul_(2 * velocity / change.numel())
                    residual[1:] += change
                    residual[:-1] -= change
                ctx.save_for_backward(residual @ weight, residual.T @ hidden, residual.sum(0))
        ctx.mark_non_differentiable(error, change_error)
        return loss, error, change_error

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grads[0] * part for part in ctx.saved_tensors), None, None, None)


def _mean_square(residual: Tensor) -> Tensor:
    """0 of no frame."""
    # Summed in pairs; `dot` adds up millions of terms one by one, and loses digits with every clip's length.
    return torch.stack([rows.square().sum() for rows in residual.split(ROWS)]).sum() / max(1, residual.numel())
