"""The kind `synchrony`: how well lips and sound go together, of predicted faces and of the true ones, by a SyncNet.

`predicted/<name>.json` for each prediction, called as it is in `predictions` or `surfaces`, `truth/<id>.json` for each
sequence, and `neutral/<id>.json` for its subject's neutral face, held still: the two numbers, where they are least, and
on how many windows. `synchrony.json` says who scored, and the means. `Synchronies(path)` reads such an artifact. What
is not as it should be is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from stages.kinds.plain import read_as, write_json

INDEX, PREDICTED, TRUTH, NEUTRAL = "synchrony.json", "predicted", "truth", "neutral"
OF_VERTICES, OF_SURFACES = "vertices", "surfaces"
MILLISECONDS = 40
"""Of a picture."""


@dataclass(frozen=True)
class Score:
    """Of one motion with its sound; the numbers are None where it is too short.

    lse_d: distance of lips and sound where they fit best. lse_c: how much less that is than their median. offset: in
    pictures, 25 a second: the sound so much later fits best; negative where it is the sound before. offset_ms: the same
    in milliseconds. windows: of 0.2 s, how many. frames: of the motion. distances: means at the offsets -15 … 15.
    motion: digest of what was looked at.
    """

    lse_d: float | None
    lse_c: float | None
    offset: int | None
    offset_ms: int | None
    windows: int
    frames: int
    distances: Sequence[float] = field(hash=False)
    motion: str


@dataclass(frozen=True)
class Mean:
    """Over sentences, each of which counts once however often it was predicted. sequences: how many have a score."""

    lse_d: float | None
    lse_c: float | None
    sequences: int


@dataclass(frozen=True)
class Info:
    """What `synchrony.json` says. scorer: a digest of the network's weights. of: "vertices" or "surfaces". model: what
    made them. predictions: their names. truth, neutral: ids. means: "predicted", "truth", "neutral" → over all of
    them."""

    scorer: str
    of: str
    model: str
    predictions: Sequence[str]
    truth: Sequence[str]
    neutral: Sequence[str]
    means: Mapping[str, Mean]

    @property
    def who(self) -> str:
        """Who scored what, in words: numbers of other weights or other pictures cannot be compared with these."""
        return f"SyncNet {self.scorer[:8]}, renders of {self.of}"


def write_index(folder: Path, info: Info) -> Path:
    """Write `synchrony.json`."""
    return write_json(folder / INDEX, asdict(info))


def write_score(folder: Path, part: str, name: str, score: Score) -> Path:
    """Write one score. part: PREDICTED, TRUTH or NEUTRAL."""
    return write_json(folder / part / f"{name}.json", asdict(score))


def read_score(folder: Path, part: str, name: str) -> Score:
    """What `write_score` wrote. DataError where it did not."""
    return read_as(Score, folder / part / f"{name}.json", "is not a score of lips and sound", "make it with lipsync")


class Synchronies:
    """Reads an artifact of the kind `synchrony`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        return read_as(Info, self.path / INDEX, "is not an index of scores", "make it with lipsync")

    def predicted(self, name: str) -> Score | None:
        """Of a prediction; None where it was not scored."""
        return read_score(self.path, PREDICTED, name) if name in self.info.predictions else None

    def truth(self, name: str) -> Score | None:
        """Of a sequence's true face; None where it was not scored."""
        return read_score(self.path, TRUTH, name) if name in self.info.truth else None

    def neutral(self, name: str) -> Score | None:
        """Of the neutral face of a sequence's subject, held still."""
        return read_score(self.path, NEUTRAL, name) if name in self.info.neutral else None
