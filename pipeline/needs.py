"""What a step takes of the machine while it runs. It decides when and beside what a step runs, never what comes out,
and is no part of a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

Threads = Literal["all", "any"]
HINTS: Mapping[str, type[Any]] = {"gpu": int, "memory": str, "threads": str}

_SIZE = r"(\d+(?:\.\d+)?)\s*(B|[kKMGT]i?B)"
_FACTORS = {"B": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}


class Needs(NamedTuple):
    """gpu: how many GPUs, where the run's device is one; on a CPU nothing.

    memory: main memory at its peak, "8GB"; "" where it is too little to count.
    threads: "all" where the result's bytes depend on the number of threads: such a step has all of them and runs beside
        no other on the CPU. "any" where they do not: such steps share the threads.
    """

    gpu: int = 0
    memory: str = ""
    threads: Threads = "all"

    @property
    def bytes(self) -> int:
        return size_of(self.memory) if self.memory else 0


def size_of(text: str) -> int:
    """Bytes of "8GB", "500 MB", "1.5GiB". ValueError for anything else."""
    found = re.fullmatch(_SIZE, text.strip())
    if not found:
        raise ValueError(text)
    unit = found[2]
    if len(unit) == 3:
        return int(float(found[1]) * 1024 ** ("KMGT".index(unit[0].upper()) + 1))
    return int(float(found[1]) * _FACTORS[unit[0].replace("K", "k")])


def problems(table: Any) -> Mapping[str, str]:
    """Key → sentence for what is wrong with a step's `needs`; under "" where it is no table at all."""
    if not isinstance(table, dict):
        return {"": 'needs must be a table: needs = { gpu = 1, memory = "8GB", threads = "all" }'}
    return {key: sentence for key, value in table.items() if (sentence := _problem(key, value))}


def _problem(key: str, value: Any) -> str:
    checks: Mapping[str, tuple[Callable[[Any], bool], str]] = {
        "gpu": (lambda given: type(given) is int and given >= 0, "a whole number from 0 up"),
        "memory": (_is_size, 'a size such as "8GB"'),
        "threads": (lambda given: given in get_args(Threads), '"all" or "any"'),
    }
    if key not in checks:
        return f"needs has no {key!r}; it has {', '.join(checks)}"
    fits, words = checks[key]
    return "" if fits(value) else f"needs.{key} must be {words}, not {value!r}"


def _is_size(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(_SIZE, value.strip()))
