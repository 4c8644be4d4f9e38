"""Regions of MeshTalk's mesh: lists of indices, and the two masks of weights that FaceDiffuser's metrics look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.regions import read_region
from faces.texts import read_text
from stages.preprocess.region_files import Regions

MASKS = {"weighted_mouth_mask": ("lips", 0.1, 1438), "forehead_mask": ("upper_face", 0.4, 656)}
"""Published file → our name, what a weight must exceed, and how many vertices that leaves."""


def read_regions(files: Mapping[str, Path], vertices: int) -> Regions:
    """All regions, by our names."""
    found = Regions()
    for stem, file in files.items():
        if stem in MASKS:
            name, least, _ = MASKS[stem]
            found[name] = np.flatnonzero(_weights(file, vertices) > least)
        else:
            found[stem] = read_region(file, vertices)
    return found


def _weights(file: Path, vertices: int) -> NDArray[np.float64]:
    try:
        weights = np.array([float(word) for word in read_text(file).replace(",", " ").split()])
        if not np.isfinite(weights).all():
            raise ValueError("it holds NaN or infinity")
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is not a list of weights ({said(error)}); take another copy of it") from error
    if len(weights) != vertices:
        raise DataError(f"{file} holds {len(weights):,} weights for {vertices:,} vertices; it belongs to another mesh")
    return weights
