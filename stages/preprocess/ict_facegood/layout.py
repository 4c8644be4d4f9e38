"""Where the files of the two clones are. Light: looks at names alone and opens nothing but the mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError, said
from faces.texts import read_toml

if TYPE_CHECKING:
    from stages.preprocess.ict_facegood import Settings

CURVES, SOUNDS = Path("code/train/bs_value"), Path("code/train/wav")
CURVE_NAMES = Path("code/train/shirley_1119_bs_name316.npy")
"""The other lists of names in that folder are in another order than the curves."""
CURVE_FILE = "bs_value_"
MODEL = Path("FaceXModel")
NEUTRAL, INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"

MOST_GAIN = 1000
Gains = Mapping[str, Mapping[str, float]]
"""curve → shape → gain"""


@dataclass(frozen=True)
class Layout:
    """facegood, ict: the clones. curves, sounds: clip → file. mapping: the table that joins them, and its file. modes:
    the files of the identity modes asked for, in order.
    """

    facegood: Path
    ict: Path
    curves: Mapping[str, Path]
    sounds: Mapping[str, Path]
    mapping_file: Path
    gains: Gains
    modes: tuple[Path, ...]

    @property
    def names(self) -> Path:
        return self.facegood / CURVE_NAMES

    @property
    def neutral(self) -> Path:
        return self.ict / MODEL / NEUTRAL

    @property
    def indices(self) -> Path:
        return self.ict / MODEL / INDICES

    @property
    def shapes(self) -> dict[str, Path]:
        """The shapes that the mapping moves → their files, sorted."""
        return {
            shape: self.ict / MODEL / f"{shape}.obj" for shape in sorted({s for g in self.gains.values() for s in g})
        }

    @property
    def clips(self) -> list[str]:
        """Those with sound and curves, sorted."""
        return sorted(self.curves.keys() & self.sounds.keys())

    @property
    def unseen(self) -> list[str]:
        """Speech without curves."""
        return sorted(self.sounds.keys() - self.curves.keys())

    def files(self) -> dict[str, Path]:
        """All that is read, called as the engine speaks of what is not: "<path> is missing; <this> must be there"."""
        asked = len(self.modes)
        found = {"the names of the curves": self.names, "the mapping of curves to shapes": self.mapping_file}
        found |= {f"the curves of {clip}": self.curves[clip] for clip in self.clips}
        found |= {f"the sound of {clip}": self.sounds[clip] for clip in self.clips}
        if not self.clips:
            found["at least one clip with a sound of the same name in wav"] = (
                self.facegood / CURVES / f"{CURVE_FILE}….npy"
            )
        found |= {"the neutral head": self.neutral, "the kit's vertex indices": self.indices}
        found |= {f"the shape {shape}, which the mapping moves,": file for shape, file in self.shapes.items()}
        found |= {
            f"identity mode {number} of the {asked} that `modes` asks for": file
            for number, file in enumerate(self.modes, start=1)
        }
        return found


def find(settings: Settings) -> Layout:
    """Look for everything below the two clones."""
    facegood, ict = Path(settings.facegood), Path(settings.ict)
    return Layout(
        facegood,
        ict,
        _clips(facegood / CURVES, CURVE_FILE, ".npy"),
        _clips(facegood / SOUNDS, "", ".wav"),
        settings.mapping_file,
        read_mapping(settings.mapping_file),
        tuple(ict / MODEL / f"identity{number:03d}.obj" for number in range(settings.modes)),
    )


def read_mapping(file: Path) -> Gains:
    """Read curve = { shape = gain, … }. DataError for a file that is not of that form."""
    try:
        table = read_toml(Path(file))
    except OSError as error:
        raise DataError(f"the mapping {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"the mapping {file} is not TOML: {said(error)}") from error
    for curve, shapes in table.items():
        if not isinstance(shapes, dict) or not all(_is_gain(gain) for gain in shapes.values()):
            raise DataError(
                f"the mapping {file}: {said(curve)} must be {{ shape = gain, … }} with numbers as gains, {MOST_GAIN} "
                "at most"
            )
    if not any(table.values()):
        raise DataError(f"the mapping {file} maps no curve to a shape")
    return table


def _is_gain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST_GAIN <= value <= MOST_GAIN


def _clips(folder: Path, start: str, end: str) -> dict[str, Path]:
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {
        name[len(start) : -len(end)]: folder / name for name in names if name.startswith(start) and name.endswith(end)
    }
