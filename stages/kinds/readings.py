"""The kind `readings`: what a lip-reading expert reads off predicted lips, and off the true ones.

`text/<name>.json` for each prediction, called as it is in `predictions`, and `truth/<id>.json` for each sequence: what
is said, and what was read. `readings.json` says who read. `Readings(path)` reads such an artifact. What is not as it
should be is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from faces.errors import DataError, said
from faces.texts import read_json
from stages.kinds.plain import built, remade_by, write_json

INDEX, TEXT, TRUTH = "readings.json", "text", "truth"


@dataclass(frozen=True)
class Reading:
    """said: the transcript. read: what the expert makes of the lips, and of the sound where it hears."""

    said: str
    read: str


@dataclass(frozen=True)
class Info:
    """What `readings.json` says. modality: "video", "audio-visual", or "silent" where one of these was given no sound.
    beam: hypotheses of the search; 0: what CTC writes frame by frame. predictions: their names. truth: ids."""

    modality: str
    beam: int
    predictions: Sequence[str]
    truth: Sequence[str]


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
        file = self.path / INDEX
        try:
            facts = built(Info, read_json(file))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{file} is not an index of readings ({said(error)}); make it with lipread") from error
        return facts

    def text(self, name: str) -> Reading | None:
        """Of a prediction; None where it was not read."""
        return self._reading(TEXT, name) if name in self.info.predictions else None

    def truth(self, name: str) -> Reading | None:
        """Of a sequence's true lips; None where they were not read."""
        return self._reading(TRUTH, name) if name in self.info.truth else None

    def _reading(self, part: str, name: str) -> Reading:
        file = self.path / part / f"{name}.json"
        with remade_by("lipread", file):
            facts: Mapping[str, str] = read_json(file)
            return built(Reading, facts)
