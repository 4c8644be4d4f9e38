"""The kind `readings`: what a lip-reading expert reads off predicted lips, and off the true ones.

`text/<name>.json` for each prediction, called as it is in `predictions`, and `truth/<id>.json` for each sequence: what
is said, and what was read. `readings.json` says who read. `Readings(path)` reads such an artifact. What is not as it
should be is a `DataError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from stages.kinds.plain import read_as, write_json

INDEX, TEXT, TRUTH = "readings.json", "text", "truth"


@dataclass(frozen=True)
class Reading:
    """said: the transcript, as the expert would write it. read: what it makes of the lips, and of the sound where it
    hears. motion: `digest_of` the file of what it looked at."""

    said: str
    read: str
    motion: str


@dataclass(frozen=True)
class Info:
    """What `readings.json` says. expert: a digest of its weights and its camera. modality: "video", "audio-visual", or
    "silent" where an audio-visual one was given no sound. beam: hypotheses of the search; 0: what CTC writes frame by
    frame. ctc_weight: of CTC in the search. predictions: their names. truth: ids."""

    expert: str
    modality: str
    beam: int
    ctc_weight: float
    predictions: Sequence[str]
    truth: Sequence[str]

    @property
    def reader(self) -> str:
        """Who read and how, in words: errors of others cannot be compared with these."""
        search = f"beam {self.beam}, CTC {self.ctc_weight:g}" if self.beam else "frame by frame"
        return f"{self.expert[:8]}, {self.modality}, {search}"


def digest_of(file: Path) -> str:
    """What tells a file's content from another, so that readings of one motion are not taken for those of another."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_index(folder: Path, info: Info) -> Path:
    """Write `readings.json`."""
    return write_json(folder / INDEX, asdict(info))


def write_reading(folder: Path, part: str, name: str, reading: Reading) -> Path:
    """Write one text. part: TEXT or TRUTH."""
    return write_json(folder / part / f"{name}.json", asdict(reading))


class Readings:
    """Reads an artifact of the kind `readings`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        return read_as(Info, self.path / INDEX, "is not an index of readings", "make it with lipread")

    def text(self, name: str) -> Reading | None:
        """Of a prediction; None where it was not read."""
        return self._reading(TEXT, name) if name in self.info.predictions else None

    def truth(self, name: str) -> Reading | None:
        """Of a sequence's true lips; None where they were not read."""
        return self._reading(TRUTH, name) if name in self.info.truth else None

    def _reading(self, part: str, name: str) -> Reading:
        file = self.path / part / f"{name}.json"
        return read_as(Reading, file, "is not what an expert read", "make it again with lipread")
