"""A finding: one line that says where, how bad, what and how to mend it. The codes are for scripts to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

ERROR, WARNING = "error", "warning"

CODES = {
    "DESCRIPTION": "dataset.toml is absent or wrong",
    "HEADS": "neutral faces or triangles cannot be had",
    "REGION": "a region is no list of this mesh's vertices",
    "NAME": "a file's name tells no subject and sentence",
    "TWICE": "two files of one name",
    "ARCHIVE": "an archive lies there packed",
    "LFS": "a git-LFS pointer instead of the data",
    "PICKLE": "a pickle, or an array of Python objects",
    "TRUNCATED": "a file or archive is cut short",
    "UNREADABLE": "a file cannot be read for another reason",
    "NO-MOTION": "sound without motion",
    "NO-SOUND": "motion without sound",
    "EMPTY": "no frame, or no sound in a sound file",
    "NAN": "NaN or infinity",
    "JUMP": "a vertex jumps away from its neighbours for a frame",
    "CUT": "the whole face jumps from one frame to the next",
    "STILL": "nothing moves",
    "TOPOLOGY": "another number of vertices",
    "ORDER": "the same vertices in another order",
    "SWAPPED": "a few vertices at each other's places",
    "SHAPE": "as many vertices, but another mesh",
    "UNITS": "another unit: ten, a hundred or a thousand times the size",
    "SIZE": "a head of another size",
    "UPSIDE-DOWN": "the lips are above the upper face",
    "BACKWARDS": "the lips are at the back",
    "INSIDE-OUT": "triangles seen from inside: a mirrored, left-handed mesh",
    "FRAMES": "frames are missing, or come unevenly",
    "WEIGHTS": "blendshape weights beyond 0 to 1",
    "IGNORED": "something in a file that is not used",
    "RATE": "the frame rate is not what the sound says",
    "LENGTH": "sound and motion of one sequence differ in length",
    "SAME-MOTION": "one motion under two names",
    "SAME-SOUND": "one sound under two names",
    "SILENT": "silence, or nearly",
    "CLIPPED": "sound that is cut off at full scale",
    "SAMPLE-RATE": "sounds of several sample rates",
    "SPLIT": "a split is empty, wrong, or a sequence is in none",
}
MOST = 8
"""Findings of one code that are printed; `--json` has all."""


@dataclass(frozen=True)
class Finding:
    """file: as it should be shown. frame, vertex: from 0; None where it is about the whole."""

    file: str
    code: str
    what: str
    mend: str
    level: str = ERROR
    frame: int | None = None
    vertex: int | None = None

    def __str__(self) -> str:
        places = [f"frame {self.frame}" if self.frame is not None else ""]
        places += [f"vertex {self.vertex}" if self.vertex is not None else ""]
        where = ", ".join(place for place in places if place)
        return f"{self.file}: {where + ': ' if where else ''}{self.level} {self.code}: {self.what}; {self.mend}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def lines(findings: Sequence[Finding]) -> Iterable[str]:
    """In order; of a code with very many findings the first ones, and how many more there are."""
    counts, shown = Counter(f.code for f in findings), Counter[str]()
    for finding in findings:
        shown[finding.code] += 1
        if shown[finding.code] <= MOST:
            yield str(finding)
        elif shown[finding.code] == counts[finding.code]:
            yield f"… and {counts[finding.code] - MOST} more {finding.code}; --json has all"


def errors(findings: Iterable[Finding]) -> int:
    return sum(finding.level == ERROR for finding in findings)
