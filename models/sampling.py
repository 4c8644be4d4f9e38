"""How motion is drawn from a network that draws it. Light to import, for planning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SAMPLERS = ("ddim", "ancestral", "renoise")
LONG = ("auto", "whole", "windows")


@dataclass(frozen=True)
class Sampling:
    """sampler: "ddim" (Song et al., ICLR 2021); "ancestral", the posterior step of DDPM (Ho et al., NeurIPS 2020);
    "renoise", the clean prediction noised to the step before. steps: of "ddim", the others take all that the network
    was trained with. eta: of "ddim", 0 deterministic to 1. guidance: weight of the speech against none, 1: unguided.
    long: "whole", one pass; "windows", overlapping windows of the trained length; "auto": windows for long speech.
    """

    sampler: str = "ddim"
    steps: int = 50
    eta: float = 0.0
    guidance: float = 2.0
    long: str = "auto"

    def problems(self) -> Iterator[str]:
        """Sentences on values that do not go together, each beginning with the name of one."""
        usual = Sampling()
        if self.sampler == "ddim":
            return
        if self.steps != usual.steps:
            yield f"steps = {self.steps} is read by sampler = 'ddim' only: {self.sampler!r} takes every step"
        if self.eta != usual.eta:
            yield f"eta = {self.eta:g} is read by sampler = 'ddim' only: set that, or leave eta out"
