"""How much noise a signal has after t steps (Ho et al., NeurIPS 2020; cosine: Nichol and Dhariwal, ICML 2021).

All tables are float64: they are products of up to a thousand factors, and small differences of them are divided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SCHEDULES = ("cosine", "linear")


@dataclass(frozen=True, eq=False)
class Schedule:
    """betas: (T,) float64, the variance that each step adds. Tables are (T,) float64 on the CPU."""

    betas: Tensor

    @classmethod
    def of(cls, name: str, steps: int) -> Schedule:
        """ "cosine" or "linear", with their published constants. ValueError for another name."""
        if name == "cosine":
            return cls(cosine_betas(steps))
        if name == "linear":
            return cls(linear_betas(steps))
        raise ValueError(f"{name!r} is no noise schedule; there are {', '.join(SCHEDULES)}")

    @property
    def steps(self) -> int:
        """T"""
        return len(self.betas)

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """Share of the signal's variance that is left after each step."""
        return torch.cumprod(1 - self.betas, 0)

    @cached_property
    def alphas_cumprod_before(self) -> Tensor:
        """The same before each step."""
        return torch.cat((torch.ones(1, dtype=torch.float64), self.alphas_cumprod[:-1]))

    @cached_property
    def posterior_variance(self) -> Tensor:
        """Of x at t − 1, where x at t and the clean signal are known."""
        return self.betas * (1 - self.alphas_cumprod_before) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance_clipped(self) -> Tensor:
        """Its logarithm; that of step 0, whose variance is 0, is taken from step 1."""
        variance = self.posterior_variance
        return torch.cat((variance[1:2], variance[1:])).log() if self.steps > 1 else self.betas.log()

    @cached_property
    def posterior_mean_coef1(self) -> Tensor:
        """What the clean signal is multiplied by."""
        return self.betas * self.alphas_cumprod_before.sqrt() / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_mean_coef2(self) -> Tensor:
        """What x at t is multiplied by."""
        return (1 - self.alphas_cumprod_before) * (1 - self.betas).sqrt() / (1 - self.alphas_cumprod)

    def share(self, step: int) -> float:
        """Share of the signal's variance after a step; −1 stands before the first one."""
        return 1.0 if step < 0 else float(self.alphas_cumprod[step])

    def noised(self, clean: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
        """(B, …) signals, (B,) int steps, noise like the signals → the signals after so many steps, in their type."""
        rows = self.alphas_cumprod[steps.cpu()].view(-1, *[1] * (clean.ndim - 1))
        return rows.sqrt().to(clean) * clean + (1 - rows).sqrt().to(clean) * noise


def linear_betas(steps: int, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Evenly rising variances, as published for 1000 steps."""
    return torch.linspace(first, last, steps, dtype=torch.float64)


def cosine_betas(steps: int, s: float = 0.008, most: float = 0.999) -> Tensor:
    """The share of the signal falls as a squared cosine; no step adds more than `most`."""
    at = torch.arange(steps + 1, dtype=torch.float64) / steps
    share = torch.cos((at + s) / (1 + s) * (math.pi / 2)).square()
    return (1 - share[1:] / share[:-1]).clamp(max=most)
