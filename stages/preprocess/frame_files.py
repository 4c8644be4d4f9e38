"""A sequence as a folder of files that end in the number of their frame: sorted by it, with what is missing told."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from faces.errors import DataError


@dataclass(frozen=True)
class FrameFiles:
    """files: in the order of their numbers, which may begin anywhere."""

    folder: Path
    numbers: Sequence[int]
    files: Sequence[Path]

    @classmethod
    def of(cls, folder: Path, ending: str, stem: str = "") -> FrameFiles:
        """Those called <stem><number><ending>; whatever else lies there is not looked at. DataError for a number that
        is there twice."""
        form = re.compile(rf"{re.escape(stem)}(\d+){re.escape(ending)}")
        named = {file: found for file in _listed(folder) if (found := form.fullmatch(file))}
        numbered = sorted((int(found[1]), file) for file, found in named.items())
        for (before, one), (number, other) in pairwise(numbered):
            if number == before:
                raise DataError(f"{folder} has frame {number} twice, {one} and {other}; remove one")
        return cls(folder, [number for number, _ in numbered], [folder / file for _, file in numbered])

    @property
    def missing(self) -> str:
        """The numbers that lack between the first and the last, "12, 15-17"; empty where there are none."""
        gaps = [(one + 1, other - 1) for one, other in pairwise(self.numbers) if other > one + 1]
        return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in gaps)


def ending(file: str) -> str:
    """Of a file's name, in small letters: ".vl"."""
    return os.path.splitext(file)[1].lower()


def number_of(folder: Path, file: str) -> int:
    """The number that ends a frame's name, before the ending. DataError where there is none."""
    digits = re.search(r"(\d+)\.\w+$", file)
    if not digits:
        raise DataError(f"{folder / file} has no number of a frame at the end of its name; take it out of the folder")
    return int(digits[1])


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
