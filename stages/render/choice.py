"""Which clips become videos, and what is known of each before a frame is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Protocol

from pipeline.errors import StageError
from stages.kinds.predictions import Item
from stages.kinds.sequences import Sequences


@dataclass(frozen=True)
class Clip:
    """One video. frames: of prediction and truth the shorter. columns: the panels that this clip has."""

    name: str
    item: Item
    frames: int
    columns: tuple[str, ...]

    @property
    def has_truth(self) -> bool:
        return self.columns != ("prediction",)


class Made(Protocol):
    """What was made of sentences: readers of `predictions`, and of other kinds with the same names and items."""

    path: Path

    @property
    def items(self) -> Mapping[str, Item]: ...

    def file(self, name: str) -> Path: ...


def choose(data: Sequences, predictions: Made, columns: Sequence[str], splits: Sequence[str], limit: int) -> list[Clip]:
    """The clips to render, in order. StageError where there is none."""
    items = predictions.items
    names = [name for name in sorted(items) if not splits or items[name].split in splits]
    if not names:
        wanted = f" of {', '.join(splits)}" if splits else ""
        raise StageError(f"{predictions.path} has no predictions{wanted}: there is nothing to render")
    chosen = spread([(items[name].subject, items[name].id, name) for name in names])
    clips = [_clip(data, name, items[name], columns) for name in (chosen[:limit] if limit else chosen)]
    for clip in clips:
        if not clip.frames:
            raise StageError(f"{predictions.file(clip.name)} has no frames: make it again with infer")
    return clips


def spread(entries: Iterable[tuple[str, str, str]]) -> list[str]:
    """Names of (subject, sentence, name), ordered so that any first few cover subjects, then sentences, most widely."""
    subjects: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for subject, sentence, name in sorted(entries):
        subjects[subject][sentence].append(name)
    return list(_in_turn(_in_turn(sentences.values()) for sentences in subjects.values()))


def _in_turn(lists: Iterable[Iterable[str]]) -> list[str]:
    """The first of each, then the second of each, …"""
    return [name for name in chain.from_iterable(zip_longest(*lists)) if name is not None]


def _clip(data: Sequences, name: str, item: Item, columns: Sequence[str]) -> Clip:
    entry = data.info.sequences.get(item.id)
    if entry is None or entry.subject != item.subject or not data.has_motion(item.id):
        return Clip(name, item, item.frames, ("prediction",))
    return Clip(name, item, min(item.frames, entry.frames), tuple(columns))
