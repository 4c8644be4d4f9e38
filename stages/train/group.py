"""The processes that train one network together: what they must agree on, and sum.

One process alone is a group of one. In a larger one every process holds the whole network, computes the gradient of its
share of each step's clips, and takes the same step from the sum; they share the validation too, and process 0 alone
saves, publishes and tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor, nn


class Group(Protocol):
    """rank: which of the processes this is, from 0. size: how many there are."""

    rank: int
    size: int

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes of a small float64 vector on the CPU, the same for all."""
        ...

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every process's gradients become their sum. One that a process has not (a skipped layer) counts as zero; one
        that no process has stays None."""
        ...

    def gather(self, thing: Any) -> list[Any]:
        """What every process gave, in the order of ranks, for all of them."""
        ...

    def close(self) -> None:
        """Leave the group; nobody may be waited for afterwards."""
        ...


class Alone:
    """The group of one process."""

    rank = 0
    size = 1

    def total(self, values: Tensor) -> Tensor:
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        return None

    def gather(self, thing: Any) -> list[Any]:
        return [thing]

    def close(self) -> None:
        return None
