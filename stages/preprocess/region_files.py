"""Vertex regions from the two forms in which the field hands them out: a pickle of masks, a folder of index lists.

Order and duplicates are kept as published (SelfTalk's lip_map is built on a list with four repeats). An index outside
the mesh, or a file that holds no indices, is a `DataError`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.regions import check_region, read_region
from faces.safe_pickle import load_pickle

Regions = dict[str, NDArray[np.int64]]


def read_masks(file: Path, vertices: int) -> Regions:
    """A pickle of region → indices, such as FLAME_masks.pkl."""
    masks = load_pickle(file)
    if not isinstance(masks, dict) or not masks:
        raise DataError(f"{file} must hold a dictionary of region → vertex indices; it is another file")
    return {str(name): _mask(file, str(name), masks[name], vertices) for name in sorted(masks, key=str)}


def read_folder(folder: Path, vertices: int) -> Regions:
    """Text files of indices separated by commas, blanks or lines; the file's name is the region's."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise DataError(f"the folder {folder} holds no <region>.txt; put files of vertex indices there")
    return {file.stem: read_region(file, vertices) for file in files}


def _mask(file: Path, name: str, indices: Any, vertices: int) -> NDArray[np.int64]:
    where = f"{file}, region {name if name.isprintable() else repr(name)}"
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise DataError(f"{where}: the name of a region may hold letters, digits, '_', '-' and '.'; rename it")
    array = np.asarray(indices)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise DataError(f"{where} is {array.dtype} {array.shape}, not a list of vertex indices; take another copy")
    check_region(array, vertices, where)
    return array.astype(np.int64)
