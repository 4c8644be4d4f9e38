"""An optional part of the kind `sequences`: of what longer sequences they are segments.

`segments.json` says of every sequence of the artifact where it was cut from; the stage `segment` writes it. What is not
as it should be is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from faces.texts import read_json
from stages.kinds.plain import as_table, built, told_as, write_json

INDEX = "segments.json"


@dataclass(frozen=True)
class Segment:
    """source: id of the longer sequence. start, frames: of its frames. first_sample, samples: of its sound."""

    source: str
    start: int
    frames: int
    first_sample: int
    samples: int


def write_segments(folder: Path, segments: Mapping[str, Segment]) -> Path:
    """Write `segments.json`, id → where it was cut from, sorted by id."""
    return write_json(folder / INDEX, {name: asdict(segment) for name, segment in sorted(segments.items())})


def read_segments(path: Path) -> dict[str, Segment]:
    """Of an artifact of the kind `sequences`; empty where they are no segments."""
    file = Path(path) / INDEX
    if not file.is_file():
        return {}
    with told_as(file, "is no table of segments", "make it again with segment"):
        return {name: built(Segment, facts) for name, facts in as_table(read_json(file)).items()}
