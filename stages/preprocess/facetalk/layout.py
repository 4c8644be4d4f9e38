"""What lies in the folders of FaceTalk's sequences, by name alone: the engine calls `find` to plan.

What the release does not speak of is passed over. A sequence's id is its folder's name; its subject is what stands
before the first "_".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages.preprocess.given_regions import GivenRegions

if TYPE_CHECKING:
    from stages.preprocess.facetalk import Settings

Name = tuple[str, str]

SOUND, TEMPLATE, MESHES, CODES, FEATURES = "sound", "template", "FLAME meshes", "expression codes", "speech features"
PARTS = {
    SOUND: "audio/cleaned_audio.wav",
    TEMPLATE: "flame_2023_tracking/flame_2023_template.ply",
    MESHES: "flame_2023_tracking/flame_meshes",
    CODES: "nphm_tracking/nphm_expressions",
    FEATURES: "audio/wave2vec_audio_feats.pkl",
}
"""What is read of a sequence → where in its folder it lies."""
HEADS = "nphm_tracking/nphm_meshes"
"""Meshes of marching cubes, each of its own topology: counted and left where they are."""


@dataclass(frozen=True)
class Layout:
    """folders: sequence → its folder. parts: those of `PARTS` that are wanted."""

    folders: dict[Name, Path]
    parts: dict[str, str]
    regions: GivenRegions

    def place(self, name: Name, part: str) -> Path | None:
        """Where a part of a sequence lies, or None where it has none or none is wanted."""
        place = self.folders[name] / self.parts[part] if part in self.parts else None
        return place if place and place.exists() else None

    def files(self, skip: Sequence[str]) -> dict[str, Path]:
        """All that is read, called as the engine speaks of a missing file."""
        found = dict[str, Path]()
        for name, folder in self.folders.items():
            there = {part: folder / place for part, place in self.parts.items() if (folder / place).exists()}
            if (key := "_".join(name)) not in skip:
                found |= {f"the {part} of {key}": place for part, place in there.items()}
        return found | self.regions.sources()


def find(settings: Settings) -> Layout:
    """Look for folders in `settings.root` that hold any of a sequence's parts."""
    root = Path(settings.root)
    wanted = {part: place for part, place in PARTS.items() if part != FEATURES or settings.audio_features}
    folders = {_named(folder.name): folder for folder in _folders(root) if _holds(folder)}
    return Layout(folders, wanted, GivenRegions.of(root, settings.masks, settings.regions))


def _folders(root: Path) -> list[Path]:
    try:
        with os.scandir(root) as found:
            return sorted(Path(entry.path) for entry in found if entry.is_dir() and "_" in entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _holds(folder: Path) -> bool:
    return any((folder / place).exists() for place in PARTS.values())


def _named(folder: str) -> Name:
    subject, _, sentence = folder.partition("_")
    return subject, sentence
