"""What a launcher, `torchrun` or anything that speaks its variables, says of this process's place among others.

Process 0 runs the command as ever. The others run none of it: they wait for trainings that it shares with them, which
is the business of stages ("follow" and "lead" in `pipeline.registry`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.errors import RecipeError

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Place(NamedTuple):
    """rank: of `size` processes, on all hosts together. local_rank: of those on this host, `local_size`."""

    rank: int
    size: int
    local_rank: int
    local_size: int


def launched(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place, or None where no launcher has started several."""
    if any(not environment.get(name) for name in _NAMES):
        return None
    words = [environment["RANK"], environment["WORLD_SIZE"]]
    words += [environment.get("LOCAL_RANK", "0"), environment.get("LOCAL_WORLD_SIZE", "1")]
    try:
        place = Place(*map(int, words))
    except ValueError as error:
        raise RecipeError(
            f"RANK and its like must be whole numbers ({error}): unset them, or start with torchrun"
        ) from error
    if not 0 <= place.rank < max(place.size, 1) or place.local_rank < 0 or place.local_size < 1:
        raise RecipeError(f"RANK={place.rank} of WORLD_SIZE={place.size}: unset them, or start with torchrun")
    return place if place.size > 1 else None
