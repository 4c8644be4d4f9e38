"""Vertex regions from where a user has them: a table of masks, a folder of files, files under names of ours.

Order and duplicates are kept as published (SelfTalk's lip_map is built on a list with four repeats). An index outside
the mesh, a file that holds no indices, or a region that is there twice, is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from faces.errors import DataError
from faces.region_table import ENDINGS, files_in
from faces.regions import Regions, read_regions

__all__ = ["Regions", "read_files", "read_folder", "read_masks"]


def read_masks(file: Path, vertices: int) -> Regions:
    """A table of region → indices, such as FLAME_masks.pkl."""
    return read_regions(file, vertices)


def read_folder(folder: Path, vertices: int) -> Regions:
    """Files of indices; a region is called as its table says, or as its file."""
    files = files_in(folder)
    if not files:
        raise DataError(
            f"the folder {folder} holds no <region>{' or '.join(ENDINGS)}; put files of vertex indices there"
        )
    return read_files(((file.stem, file) for file in files), vertices)


def read_files(files: Iterable[tuple[str, Path]], vertices: int) -> Regions:
    """The regions of (name, file); a table of several regions has names of its own."""
    found: Regions = {}
    origin: dict[str, Path] = {}
    for name, file in files:
        for region, indices in read_regions(file, vertices, name).items():
            if region in found:
                raise DataError(f"the region {region} stands in {origin[region]} and in {file}; remove one")
            found[region], origin[region] = indices, file
    return found
