"""An optional part of the kind `sequences`: identity codes of a head model, `identities/<subject>.npy`, (D,) float32.

The stage `track` writes them beside the expression codes that were sought with them. What is missing or not as it
should be is a `DataError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError
from stages.kinds.plain import remade_by
from stages.kinds.sequences import check_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "identities"


def write_identity(folder: Path, subject: str, code: NDArray[np.floating]) -> Path:
    """Write a subject's code below an artifact's folder."""
    import numpy as np

    file = folder / FOLDER / f"{check_name(subject, 'the data set')}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.ascontiguousarray(code, np.float32))
    return file


def read_identity(path: Path, subject: str, size: int) -> NDArray[np.float32]:
    """A subject's code (size,). DataError where there is none, or one of another head model."""
    from faces.arrays import read_npy

    file = Path(path) / FOLDER / f"{subject}.npy"
    if not file.is_file():
        raise DataError(f"{path} has no identity code of {subject}: give sequences that the stage track has made")
    with remade_by("track", file):
        found: NDArray[np.float32] = read_npy(file)
    if found.shape != (size,) or found.dtype.str != "<f4":
        raise DataError(
            f"{file} holds {found.dtype} {found.shape}, and the head model's identity codes have {size} numbers: make "
            "it again with track, and the same head"
        )
    return found
