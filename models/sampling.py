"""How a network that draws its motion goes from noise to motion. Light to import."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

SAMPLERS = ("ddim", "ancestral", "renoise")
LONG = ("auto", "whole", "windows")


@dataclass(frozen=True)
class Sampling:
    """sampler: "ddim" leaves out most steps of the noise, "ancestral" takes them all, as published, "renoise" too, and
    noises the clean estimate anew each time. steps: of ddim alone. eta: how much fresh noise ddim adds, 0: none.
    guidance: how much the sound counts; 1 as the network learnt it, 0 not at all. long: clips at once ("whole"), in
    overlapping windows of the length that was trained ("windows"), or so where they are longer than 10 s ("auto").
    """

    sampler: str = "ddim"
    steps: int = 50
    eta: float = 0.0
    guidance: float = 2.0
    long: str = "auto"

    def problems(self, trained: int | None = None) -> Iterator[str]:
        """Sentences on what cannot be, each beginning with the name of a field. trained: steps of the noise that the
        network was trained with; None where nobody knows yet."""
        for name, words in (("sampler", SAMPLERS), ("long", LONG)):
            if (word := getattr(self, name)) not in words:
                yield f"{name} = {word!r} is none of {', '.join(words)}"
        if self.steps < 1:
            yield f"steps = {self.steps}: one step or more leads from noise to motion"
        if trained is not None and self.sampler == "ddim" and self.steps > trained:
            most = f"the {trained} that the network was trained with: take {trained} or fewer"
            yield f"steps = {self.steps} is more than {most}"
        if not 0 <= self.eta <= 1:
            yield f"eta = {self.eta:g} lies between 0, no fresh noise, and 1, as much as an ancestral step adds"
        if not 0 <= self.guidance < math.inf:
            yield f"guidance = {self.guidance:g} is 0 or more; 1 is the sound as it was learnt"
