"""Vertex regions that a user gives beside a data set: a table of masks, a folder of lists, or both. Light to plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faces.region_table import files_in, plain_name

if TYPE_CHECKING:
    from stages.preprocess.region_files import Regions

MASKS = "FLAME_masks.pkl"
MASKS_SOURCE = "the masks of regions"


@dataclass(frozen=True)
class GivenRegions:
    """masks: a table, or None. folder: of lists, which win over masks, or None. named: whether the user named the
    folder, so that it must be there.
    """

    masks: Path | None
    folder: Path | None
    named: bool

    @classmethod
    def of(cls, root: Path, masks: str, regions: str) -> GivenRegions:
        """What the parameters `masks` and `regions` name; else FLAME's masks and the folder `regions` in `root`."""
        own, folder = root / MASKS, root / "regions"
        return cls(
            Path(masks) if masks else own if own.is_file() else None,
            Path(regions) if regions else folder if folder.is_dir() else None,
            bool(regions),
        )

    def sources(self) -> dict[str, Path]:
        """What is read, as the engine speaks of a missing file."""
        found = {MASKS_SOURCE: self.masks} if self.masks else {}
        lists = {f"regions/{plain_name(file)}": file for file in files_in(self.folder)} if self.folder else {}
        if self.folder and self.named and not lists:
            # never there: the engine then says that the folder, or what it should hold, is missing
            lists = {"vertex indices of a region": self.folder / "<region>.txt"}
        return found | lists

    def read(self, vertices: int) -> Regions:
        from stages.preprocess.region_files import read_folder, read_masks

        found = read_masks(self.masks, vertices) if self.masks else {}
        return found | (read_folder(self.folder, vertices) if self.folder and files_in(self.folder) else {})


def without_regions(sources: Mapping[str, str]) -> dict[str, str]:
    """Of name → digest, what is not a region's: no sequence depends on one."""
    return {name: hash_ for name, hash_ in sources.items() if name != MASKS_SOURCE and not name.startswith("regions/")}
