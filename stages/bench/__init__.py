"""`pipe bench`: how quickly a network trains and speaks on this machine, with drawn weights and made-up clips.

Every network is measured in a process of its own (`worker`), so that its peak of memory is its own, and one that does
not fit takes no other with it. Light to import.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

SIZES = ("official", "small")
DATA = ("vocaset", "biwi")


@dataclass(frozen=True)
class Wish:
    """What to measure.

    size: of the networks, one of `SIZES`. data: whose topology, frame rate and published settings, one of `DATA`.
    device: as torch names it. seconds: lengths of the speech to animate. batch: clips at once, beside one alone.
    repeats: how often everything is timed. limit: seconds after which nothing is timed again, and above which what is
    expected to take that long is left out. threads: of the processor.
    """

    size: str = "official"
    data: str = "vocaset"
    device: str = "cpu"
    seconds: Sequence[float] = (10.0, 60.0)
    batch: int = 8
    repeats: int = 5
    limit: float = 120.0
    threads: int = 1


@dataclass(frozen=True)
class Task:
    """One process: a model by its name, in one precision, "float32" or "bf16"."""

    model: str
    precision: str
    wish: Wish

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        facts = json.loads(text)
        return cls(facts["model"], facts["precision"], Wish(**facts["wish"]))
