"""What stands beside the published files of weights: mean anchors, which no such file holds, and statistics of codes.

They derive from the NPHM data set and from FLAME, so that the user brings them, in a folder, under their own names.
Each is checked: what it is of, that it holds numbers, and that there are as many as the weights need.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faces.arrays import read_npy
from faces.errors import DataError
from models.nphm.sizes import Slots

MEAN, DEVIATION = "nphm_lat_mean.npy", "nphm_lat_std.npy"


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of trained identity codes, (D,) each."""

    mean: Tensor
    deviation: Tensor


def read_anchors(folder: Path, sizes: Slots) -> Tensor:
    """The mean anchors (K, 3), in NPHM units, of `anchors_<K>.npy`. DataError where the file is absent or another's."""
    path = folder / f"anchors_{sizes.anchors}.npy"
    if not path.is_file():
        raise DataError(
            f"{path} does not exist: a head model of {sizes.anchors} anchors needs it; it comes with the published code"
        )
    return _numbers(path, (sizes.anchors, 3), "anchors")


def read_anchor_vertices(folder: Path, sizes: Slots, vertices: int) -> Tensor:
    """The anchors' vertices (K,) of a registration with that many, of `lm_inds_<K>.npy`. DataError as above."""
    path = folder / f"lm_inds_{sizes.anchors}.npy"
    found = read_npy(path)
    if found.dtype.kind not in "iu" or found.shape != (sizes.anchors,):
        raise DataError(f"{path} holds {found.dtype} {found.shape}, not the numbers of {sizes.anchors} vertices")
    if len(found) and not 0 <= int(found.min()) <= int(found.max()) < vertices:
        raise DataError(f"{path} names vertex {int(found.max())}, and the registration has {vertices}")
    return torch.from_numpy(found.astype(np.int64))


def read_statistics(folder: Path, sizes: Slots) -> Statistics:
    """What identities are drawn with. DataError where a file is absent or of other codes."""
    mean = _numbers(folder / MEAN, (sizes.identity,), "identity codes")
    deviation = _numbers(folder / DEVIATION, (sizes.identity,), "identity codes")
    if bool((deviation < 0).any()):
        raise DataError(f"{folder / DEVIATION} holds standard deviations below zero")
    return Statistics(mean, deviation)


def read_code(path: Path, length: int, what: str) -> Tensor:
    """One code (length,) of an .npy file that holds it flat or as a row. what: "identity", … for errors."""
    found = read_npy(path)
    if found.ndim == 2 and len(found) == 1:
        found = found[0]
    return _checked(path, found, (length,), f"the model's {what} codes")


def _numbers(path: Path, shape: tuple[int, ...], what: str) -> Tensor:
    return _checked(path, read_npy(path), shape, f"the {what} of the weights")


def _checked(path: Path, found: np.ndarray, shape: tuple[int, ...], what: str) -> Tensor:
    if found.dtype.kind != "f":
        raise DataError(f"{path} holds {found.dtype}, not floating-point numbers")
    if found.shape != shape:
        raise DataError(f"{path} holds an array {found.shape}, but {what} are {shape}")
    if not np.isfinite(found).all():
        raise DataError(f"{path} holds numbers that are not finite; copy or download it again")
    return torch.from_numpy(found.astype(np.float32))
