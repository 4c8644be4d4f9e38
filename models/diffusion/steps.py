"""One step of any sampler is a weighted sum of the clean estimate, what there was, and fresh noise.

So whoever walks needs three numbers a step and no schedule, and what is linear may be walked in any linear image of the
signal. The last step's weights are 1, 0, 0: it returns the estimate itself.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from models.diffusion.schedule import Schedule
from models.sampling import Sampling


class Step(NamedTuple):
    """From x at `at` to what follows: clean·(the estimate) + kept·x + noise·z."""

    at: int
    clean: float
    kept: float
    noise: float

    def __call__(self, estimate: Tensor, x: Tensor, z: Tensor | None = None) -> Tensor:
        """Tensors of one shape. z: standard noise; None leaves it out."""
        moved = self.clean * estimate + self.kept * x
        return moved if z is None or not self.noise else moved + self.noise * z


def posterior(schedule: Schedule, at: int) -> Step:
    """DDPM's ancestral step to at − 1 (Ho et al.); no noise comes after step 0."""
    deviation = math.exp(0.5 * float(schedule.posterior_log_variance_clipped[at])) if at else 0.0
    return Step(at, float(schedule.posterior_mean_coef1[at]), float(schedule.posterior_mean_coef2[at]), deviation)


def renoise(schedule: Schedule, at: int) -> Step:
    """The other published walk to at − 1: the clean estimate is noised anew."""
    share = schedule.share(at - 1)
    return Step(at, math.sqrt(share), 0.0, math.sqrt(1 - share))


def ddim(schedule: Schedule, at: int, to: int, eta: float = 0.0) -> Step:
    """DDIM's step from one number to any lower one, −1 being the end (Song et al., ICLR 2021, eq. 12 and 16)."""
    here, there = schedule.share(at), schedule.share(to)
    deviation = eta * math.sqrt((1 - there) / (1 - here)) * math.sqrt(1 - here / there)
    direction = math.sqrt(max(0.0, 1 - there - deviation**2)) / math.sqrt(1 - here)
    return Step(at, math.sqrt(there) - direction * math.sqrt(here), direction, deviation)


def spaced(steps: int, count: int) -> list[int]:
    """count + 1 numbers, evenly from T − 1 down to −1, each cut to a whole one. ValueError for more than T."""
    if not 1 <= count <= steps:
        raise ValueError(f"{count} steps cannot be taken out of {steps}")
    return [math.trunc(-1 + i * steps / count) for i in range(count, -1, -1)]


def walk_of(schedule: Schedule, sampling: Sampling) -> list[Step]:
    """All steps of a sampler, from T − 1 to the end."""
    if sampling.sampler == "ddim":
        numbers = spaced(schedule.steps, sampling.steps)
        return [ddim(schedule, at, to, sampling.eta) for at, to in pairwise(numbers)]
    one = {"ancestral": posterior, "renoise": renoise}[sampling.sampler]
    return [one(schedule, at) for at in range(schedule.steps - 1, -1, -1)]


def guided(conditional: Tensor, unconditional: Tensor, weight: float) -> Tensor:
    """Classifier-free guidance (Ho and Salimans, 2022): 1 is the conditional answer, more exaggerates it."""
    return unconditional + weight * (conditional - unconditional)
