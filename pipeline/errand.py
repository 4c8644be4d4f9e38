"""What a run is to do of each recipe, and what its steps are called before the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cache.store import Artifact
from pipeline.plan import Planned
from pipeline.recipe import Recipe


@dataclass(frozen=True)
class Errand:
    """The chosen steps of one recipe, in running order.

    planned: how all its steps stand; kept up to date while they run. forced: those that run although they are cached.
    prefix: stands before the names of steps where a run has several recipes.
    """

    recipe: Recipe
    planned: dict[str, Planned]
    chosen: Sequence[str]
    forced: frozenset[str]
    prefix: str = ""

    def label(self, step: str) -> str:
        """What a step is called on the screen and in messages."""
        return f"{self.prefix}{step}"

    @property
    def labels(self) -> list[str]:
        return [self.label(step) for step in self.chosen]

    @property
    def artifacts(self) -> list[Artifact]:
        """What its steps have so far."""
        return [entry.artifact for entry in self.planned.values() if entry.artifact is not None]
