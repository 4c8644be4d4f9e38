"""Several samples of one sentence: how many there are, and the best of them.

A network that draws its motion is measured by the mean over a sentence's samples, as styles are. Beside it stands the
best: of each error the sample that has the least, of what grows with likeness the most, which nobody could choose who
does not know the truth. How good that is hangs on how many there are to choose from, so that the number is always told,
and the same for every sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faces.metrics_definitions import Definition
from stages.metrics.choose import MODEL
from stages.metrics.measure import Measured

MEAN_OF = "each number is the mean over the samples of a sentence"
BEST_OF = "the sample of each sentence with the least error, chosen for each definition by the truth"


@dataclass(frozen=True)
class Samples:
    """count: of each sentence, at least; 0 where nothing was drawn."""

    count: int

    @property
    def row(self) -> str:
        """The row of the best; "" where there is nothing to choose from."""
        return f"best of {self.count}" if self.count > 1 else ""


def samples_of(measured: Iterable[Measured]) -> Samples:
    """Of the model's predictions that count."""
    numbers = [len(drawn) for drawn in _drawn(measured).values()]
    return Samples(min(numbers, default=0))


def best_of(measured: Sequence[Measured], definitions: Iterable[Definition]) -> list[Measured]:
    """A row for each sentence, none where there is nothing to choose from: of every error the least of as many samples
    as each sentence has, the first ones."""
    samples = samples_of(measured)
    if not samples.row:
        return []
    definitions = list(definitions)
    errors = {one.measure for one in definitions if one.error}
    gains = {one.measure for one in definitions if one.gain}
    weights = {one.tokens for one in definitions if one.error and one.tokens}
    wanted = dict.fromkeys(errors, np.min) | dict.fromkeys(gains, np.max)
    return [_best(drawn[: samples.count], samples.row, wanted, weights) for drawn in _drawn(measured).values()]


def _best(drawn: Sequence[Measured], row: str, wanted: Mapping[str, Callable[..., Any]], weights: set[str]) -> Measured:
    """wanted: measure → which of several numbers is the best."""
    values = {name: drawn[0].values[name] for name in weights if name in drawn[0].values}
    for name in wanted.keys() & drawn[0].values.keys():
        found = np.array([one.values[name] for one in drawn])
        values[name] = float(wanted[name](found)) if np.isfinite(found).all() else float("nan")
    return replace(drawn[0], row=row, condition="", seed=None, values=values)


def _drawn(measured: Iterable[Measured]) -> dict[str, list[Measured]]:
    """id → samples by their numbers."""
    found: dict[str, list[Measured]] = {}
    for one in measured:
        if one.row == MODEL and one.counted and one.seed is not None:
            found.setdefault(one.id, []).append(one)
    return {name: sorted(drawn, key=lambda one: one.seed or 0) for name, drawn in found.items()}
