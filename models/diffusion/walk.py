"""The loop of a sampler: an estimate, a step, again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor

from models.diffusion.steps import Step

Estimate = Callable[[Tensor, int], Tensor]
"""(x, index of the step in the walk) → the clean signal, or its linear image, like x."""


def walk(
    start: Tensor,
    steps: Iterable[Step],
    estimate: Estimate,
    noise: Callable[[], Tensor],
    after: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """From noise to where the steps end. noise: fresh, asked for only where a step takes any. after: done to x then."""
    x = start
    for i, step in enumerate(steps):
        x = step(estimate(x, i), x, noise() if step.noise else None)
        x = after(x) if after is not None else x
    return x
