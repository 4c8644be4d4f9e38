"""A user's own recordings: a folder with a small `dataset.toml`, which `pipe data init` writes and people may edit.

Motion as arrays (npy, npz), a mesh a frame (OBJ, PLY), glTF with morph targets, or tables of blendshape weights; sound
as wav, flac, ogg or mp3. What is particular to a folder stands in its `dataset.toml`, see `description`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source

if TYPE_CHECKING:
    from stages.preprocess.own.description import Description
    from stages.preprocess.own.layout import Layout

DESCRIPTION = "dataset.toml"
UNKNOWN_RATE = 0.0


@dataclass(frozen=True)
class Settings:
    """Where the folder is; everything else stands in its dataset.toml."""

    root: str = param(path=True, help="folder with dataset.toml, which `pipe data init` writes")
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    @property
    def file(self) -> Path:
        return Path(self.root) / DESCRIPTION

    @cached_property
    def description(self) -> Description:
        """DataError where the file is absent or cannot be understood."""
        from stages.preprocess.own.description import read_description

        return read_description(self.file)

    @cached_property
    def layout(self) -> Layout:
        from stages.preprocess.own.layout import find

        return find(self.description)

    @property
    def native_fps(self) -> float:
        """Of dataset.toml; 0 where there is none yet, which `sources` then says."""
        return self.description.fps if self.file.is_file() else UNKNOWN_RATE

    @property
    def source(self) -> Source:
        return self.description.source

    def sources(self) -> Sources:
        described: dict[str, Path] = {"the description of the data, which `pipe data init` writes,": self.file}
        return Sources(files=described | (self.layout.files(self.skip) if self.file.is_file() else {}))

    def items(self, sources: Mapping[str, Any]) -> Items:
        """A sequence: of its motion and its sound; all: of what turns motion into vertices."""
        layout = self.layout
        each = {key: [sources.get(part) for part in parts] for key, parts in layout.parts(self.skip).items()}
        shared = {name: sources.get(name) for name in layout.shared}
        return Items(each, shared=shared | self.description.conversion)

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.own.prepare import prepare

        prepare(self, job, step=step, limit=limit)
