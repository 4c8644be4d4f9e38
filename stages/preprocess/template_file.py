"""The subjects' neutral faces as a table, `templates.pkl` or `templates.npz`: subject → (V, 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.errors import DataError, said
from faces.safe_pickle import load_pickle
from stages.kinds.sequences import check_name


def read_table(file: Path) -> dict[str, NDArray[np.float32]]:
    """Subject → (V, 3) float32, sorted, V the same for all. DataError for what is no such table."""
    table = read_npz(file) if file.suffix.lower() == ".npz" else load_pickle(file)
    if not isinstance(table, dict) or not table:
        raise DataError(f"{file} must hold a dictionary of subject → template; it is another file")
    names = {check_name(str(subject), str(file)): template for subject, template in table.items()}
    found = {subject: _as_vertices(f"{file}, {subject}", names[subject]) for subject in sorted(names)}
    counts = {len(template): subject for subject, template in found.items()}
    if len(counts) > 1:
        told = " and ".join(f"{count:,} ({subject})" for count, subject in sorted(counts.items()))
        raise DataError(f"{file} holds templates of {told} vertices; all must be of one topology")
    return found


def _as_vertices(where: str, template: Any) -> NDArray[np.float32]:
    """(V, 3), or the same flattened."""
    try:
        array = np.asarray(template)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"{where}: the template is no array ({said(error)}); take another copy of it") from error
    if array.dtype.kind != "f" or not array.size or array.size % 3 or (array.ndim != 1 and array.shape[-1] != 3):
        raise DataError(f"{where}: the template is {array.dtype} {array.shape}, not (vertices, 3) of positions")
    with np.errstate(over="ignore"):
        vertices = array.reshape(-1, 3).astype(np.float32)
    if not np.isfinite(vertices).all():
        raise DataError(f"{where}: the template holds NaN or infinity; take another copy of it")
    return vertices
