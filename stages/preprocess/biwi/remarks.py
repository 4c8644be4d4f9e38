"""What a user should know of BIWI files that can be read: how they were normalised, and what was not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from stages.preprocess.biwi.layout import FRAME_FOLDERS
from stages.preprocess.prepare import Name, Sound

if TYPE_CHECKING:
    from stages.preprocess.biwi.prepare import Biwi

RULES = {
    "frame": "each by itself, as published",
    "template": "all of a subject by its template",
    "extent": "all of a subject by its template's extents, not turned",
    "none": "taken as they are",
}


def all_of(data: Biwi, sounds: Mapping[Name, Sound]) -> Iterator[str]:
    """The lines, most important first. sounds: of the sequences that can be used."""
    yield _what_was_done(data, sounds)
    yield from _not_read(data)


def _what_was_done(data: Biwi, sounds: Iterable[Name]) -> str:
    rules = sorted({RULES[data.rule(data.opened[name].ready)] for name in sounds})
    digits = f", rounded to {data.settings.digits} significant digits" if data.settings.digits else ""
    return f"frames: {' or '.join(rules)}{digits}; templates: {RULES[data.rule(data.ready_templates)]}"


def _not_read(data: Biwi) -> Iterator[str]:
    layout = data.layout
    if layout.others:
        yield f"sentences = {data.settings.which!r}: {layout.others} other sequences are left out"
    if layout.beside:
        yield f"archives beside folders of the same frames, which are not read: {layout.beside}"
    second = data.root / FRAME_FOLDERS[1]
    if not data.settings.frames and layout.frames != second and second.is_dir():
        yield f"the frames are those in {layout.frames.name}; {second.name} is there too and is not read"
