"""Which of the steps that could run now should start, and with how much of the machine.

Pure arithmetic, no processes. A step is granted a start only where everything it needs is free; one that needs more
memory than there is still runs, alone. What is granted never changes what a step computes: a step whose bytes depend on
the number of threads always gets all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.gpus import Gpus


@dataclass(frozen=True)
class Demand:
    """What a step takes on the device of this run. `alone`: all threads of the CPU. gpus: devices."""

    alone: bool = True
    gpus: int = 0
    memory: int = 0


@dataclass(frozen=True)
class Grant:
    """What a step may use. `spent`: threads that others cannot have meanwhile."""

    threads: int
    spent: int
    gpus: Gpus = field(default_factory=Gpus)


@dataclass(frozen=True)
class Busy:
    """A step at work."""

    demand: Demand
    grant: Grant


Lend = Callable[[int], Gpus | None]
"""Some GPUs, kept for the caller until it releases them; None where they are not free."""


@dataclass(frozen=True)
class Machine:
    """threads, memory in bytes: of the whole run."""

    threads: int
    memory: int

    def grants(self, ready: Sequence[Demand], busy: Sequence[Busy], lend: Lend) -> dict[int, Grant]:
        """Position in `ready` → grant, for the steps that should start now."""
        chosen: dict[int, Gpus] = {}
        for place, demand in enumerate(ready):
            others = [entry.demand for entry in busy] + [ready[other] for other in chosen]
            if self._fits(demand, others):
                gpus = lend(demand.gpus) if demand.gpus else Gpus()
                if gpus is not None:
                    chosen[place] = gpus
        return self._shared(ready, chosen, self.threads - sum(entry.grant.spent for entry in busy))

    def _fits(self, demand: Demand, others: Sequence[Demand]) -> bool:
        if others and demand.memory + sum(other.memory for other in others) > self.memory:
            return False
        if demand.gpus:  # its thread feeds the device; it is not counted
            return True
        on_cpu = [other for other in others if not other.gpus]
        if demand.alone or any(other.alone for other in on_cpu):
            return not on_cpu
        return len(on_cpu) < self.threads

    def _shared(self, ready: Sequence[Demand], chosen: dict[int, Gpus], free: int) -> dict[int, Grant]:
        """The free threads dealt out among the steps that share; the first get what does not divide."""
        sharing = [place for place in chosen if not ready[place].alone and not ready[place].gpus]
        each, more = divmod(max(free, len(sharing)), len(sharing) or 1)
        grants = {}
        for place, gpus in chosen.items():
            if place in sharing:
                count = each + (sharing.index(place) < more)
                grants[place] = Grant(count, count)
            else:
                grants[place] = Grant(self.threads, 0 if gpus.count else self.threads, gpus)
        return grants


def memory_of_machine() -> int:
    """Bytes of main memory that this process may use: the machine's, or its container's."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return there
    return min(there, int(limit)) if limit.isdigit() else there
