"""The kind `codes`: what a frozen motion prior makes of every sequence, so that it is asked once and not every epoch.

`Codes(path)` reads such an artifact. `prior` is the digest of the weights that made the codes: whoever puts them
beside another prior gets a `DataError`, as for a file that is missing or not what it should be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError
from stages.kinds.plain import read_as, remade_by, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEX = "codes.json"
FOLDER = "codes"


@dataclass(frozen=True)
class Info:
    """What `codes.json` says.

    model: the prior's name. prior: digest of its weights. tokens: Q. codes: K. frames: id → frames that were encoded.
    usage: share of the K codes that occur. perplexity: of their distribution, all frames together.
    """

    model: str
    prior: str
    tokens: int
    codes: int
    frames: Mapping[str, int]
    usage: float
    perplexity: float


def write_index(folder: Path, info: Info) -> Path:
    return write_json(folder / INDEX, asdict(info) | {"frames": dict(sorted(info.frames.items()))})


def weights_digest(file: Path) -> str:
    """What tells one prior's weights from another's: SHA-256 of the file, 16 digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


class Codes:
    """Reads an artifact of the kind `codes`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        return read_as(Info, self.path / INDEX, "is not an index of codes", "make them again with encode")

    def __contains__(self, name: str) -> bool:
        return name in self.info.frames

    def __getitem__(self, name: str) -> NDArray[np.int16]:
        """(T, Q)"""
        import numpy as np

        from faces.arrays import read_npy

        if name not in self:
            raise DataError(f"{self.path} has no codes of {name}: run the encode step on the same data")
        file, shape = self.path / FOLDER / f"{name}.npy", (self.info.frames[name], self.info.tokens)
        with remade_by("encode", file):
            codes: NDArray[np.int16] = read_npy(file)
        if codes.shape != shape or codes.dtype != np.int16:
            raise DataError(f"{file} holds {codes.dtype} {codes.shape}, not int16 {shape}: make it again with encode")
        return codes

    def check_prior(self, weights: Path) -> None:
        """DataError where the codes were made by other weights."""
        if weights_digest(weights) != self.info.prior:
            raise DataError(
                f"{self.path} was made by another motion prior than {weights}: "
                "give the encode step and this one the same prior and the same choice of best or last weights"
            )
