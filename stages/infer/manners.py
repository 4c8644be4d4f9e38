"""In what ways a sentence is spoken: a style each, or, of a network whose motion is drawn, a sample each."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from stages.infer.styles import Style
from stages.kinds.predictions import prediction_name


@dataclass(frozen=True)
class Manner:
    """One motion of a sentence. number: of a sample, None where nothing is drawn."""

    style: Style
    number: int | None = None

    def file_of(self, sentence: str) -> str:
        """What its files are called."""
        return prediction_name(sentence, self.style.name, self.number)


def manners_of(styles: Sequence[Style], numbers: Sequence[int]) -> list[Manner]:
    """Every style, in as many samples as there are numbers; of none, once."""
    if not numbers:
        return [Manner(style) for style in styles]
    return [Manner(style, number) for style in styles for number in numbers]


def seed_of(number: int, sentence: str) -> int:
    """What a random stream for one sentence begins with: its own, whatever else is spoken."""
    return zlib.crc32(f"{number}/{sentence}".encode())
