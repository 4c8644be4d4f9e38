"""What a data card tells, gathered from the index, the topology and `card.json`. All is light but the triangles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages.kinds.card import Card, read_card
from stages.kinds.sequences import Entry, Sequences

UNSPLIT = "(none)"


@dataclass(frozen=True)
class Share:
    """What falls to one split, or to all. subjects: how many have a sequence. silent: sequences without sound."""

    subjects: int
    sequences: int
    frames: int
    seconds: float
    sound_seconds: float
    silent: int

    @classmethod
    def of(cls, entries: Sequence[Entry], fps: float) -> Share:
        frames = sum(entry.frames for entry in entries)
        sounds = [entry.samples / entry.sample_rate for entry in entries if entry.sample_rate]
        subjects = len({entry.subject for entry in entries})
        return cls(subjects, len(entries), frames, frames / fps, sum(sounds), len(entries) - len(sounds))


@dataclass(frozen=True)
class Facts:
    """A card's content. regions: name → how many entries. skipped: reason → ids."""

    dataset: str
    fps: float
    units: str
    up: str
    vertices: int
    triangles: int
    sample_rates: Sequence[int]
    total: Share
    splits: dict[str, Share]
    regions: dict[str, int]
    skipped: dict[str, list[str]]
    card: Card | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gather(folder: Path) -> Facts:
    """All of an artifact's facts. DataError where it is none, or is damaged."""
    data = Sequences(folder)
    info, entries = data.info, list(data.info.sequences.values())
    names = [*info.subjects, *([""] if any(not entry.split for entry in entries) else [])]
    splits = {name or UNSPLIT: Share.of([e for e in entries if e.split == name], info.fps) for name in names}
    regions = {name: len(found) for name in data.region_names if (found := data.region(name)) is not None}
    return Facts(
        info.dataset, info.fps, info.units, info.up, info.vertices, len(data.faces),
        sorted({entry.sample_rate for entry in entries if entry.sample_rate}),
        Share.of(entries, info.fps), splits, regions, _by_reason(info.skipped.items()), read_card(folder),
    )  # fmt: skip


def _by_reason(skipped: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Reason → ids, the most frequent first."""
    pairs = sorted(skipped)
    counts = Counter(reason for _, reason in pairs)
    return {reason: [name for name, why in pairs if why == reason] for reason, _ in counts.most_common()}
