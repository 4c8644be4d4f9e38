"""The learning rate as a function of the step, so that a resumed run needs no memory of it."""

from __future__ import annotations

import math

from stages.train import Params


def rate(step: int, options: Params, *, steps: int) -> float:
    """Of a step of the optimiser, from 0. steps: how many there are in an epoch."""
    rising = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    return rising * options.lr * _share(step, options, steps)


def _share(step: int, options: Params, steps: int) -> float:
    """Of the full rate, warm-up apart: 1 at its end, `lr_end` when the last epoch is over."""
    if options.schedule == "constant":
        return 1.0
    if options.schedule == "step":
        return float(options.lr_factor ** (step // steps // options.lr_step))
    left = options.epochs * steps - options.warmup
    done = min(1.0, max(0.0, (step - options.warmup) / max(1, left)))
    falling = 0.5 * (1 + math.cos(math.pi * done)) if options.schedule == "cosine" else 1 - done
    return options.lr_end + (1 - options.lr_end) * falling
