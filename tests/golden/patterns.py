"""Names of outputs that carry numbers (`pe_period25_dim128_shape`), matched by pattern so that other numbers work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.golden.case import UnknownOutput

Compute = Callable[..., Any]


class Patterns:
    """A table from patterns of output names to functions; groups of a pattern become arguments, numbers as int."""

    def __init__(self) -> None:
        self._table: list[tuple[re.Pattern[str], Compute]] = []

    def __call__(self, pattern: str) -> Callable[[Compute], Compute]:
        """Decorator: this function computes outputs of this pattern."""

        def add(compute: Compute) -> Compute:
            self._table.append((re.compile(pattern), compute))
            return compute

        return add

    def compute(self, owner: Any, name: str) -> np.ndarray:
        """The output of that name. UnknownOutput where no pattern matches."""
        for pattern, function in self._table:
            found = pattern.fullmatch(name)
            if found:
                return np.asarray(function(owner, *map(_number, found.groups())))
        raise UnknownOutput("no such output is known for this model")


def _number(text: str | None) -> Any:
    return int(text) if text is not None and text.isdigit() else text
