"""What a format is to the fuzzer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import Seed


@dataclass(frozen=True)
class Format:
    """file: what a file of it is called, in a folder that `seeds` may fill with what lies beside it. read: raises
    DataError, or gives what is right as far as can be told. lines: an error has a line for each mistake.
    """

    file: str
    seeds: Callable[[Path], list[Seed]]
    read: Callable[[Path], Any]
    lines: bool = False
