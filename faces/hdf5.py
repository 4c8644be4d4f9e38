"""Opening HDF5 files of numbers: what is read lies in the file itself, plainly, and is no larger than the file.

HDF5 can do more than a file of arrays needs: point into other files, compute data, unpack it by filters, and declare
sizes that nothing backs. Whatever uses any of this is a `DataError`, before memory is asked for.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError
from faces.lfs import LFS_POINTER, refuse_pointer

if TYPE_CHECKING:
    import h5py
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, OverflowError, MemoryError)
"""What h5py raises for damaged files."""


def open_h5(path: Path) -> h5py.File:
    """Open for reading, without locks: a published file never changes, and shared file systems often have none."""
    import h5py

    try:
        with open(path, "rb") as stream:
            head = stream.read(len(LFS_POINTER))
        refuse_pointer(path, head)
        if not head.startswith(SIGNATURE):
            raise DataError(f"{path} cannot be read as HDF5 (it does not begin as one)")
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} cannot be read as HDF5 ({error.strerror})") from None
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as HDF5 ({_said(error)})") from error


def h5_names(group: h5py.Group) -> list[str]:
    """The names in a group, sorted."""
    try:
        return sorted(group)
    except UNREADABLE as error:
        raise _damaged(group, error) from error


def h5_holds(group: h5py.Group, name: str) -> bool:
    """Whether a group has something of that name."""
    try:
        return name in group
    except UNREADABLE as error:
        raise _damaged(group, error) from error


def h5_dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """A checked dataset of numbers. KeyError where there is none of that name; DataError for what is not to be read."""
    import h5py

    path = group.file.filename
    try:
        part: Any = group
        for step in name.split("/"):
            if step not in part:
                raise KeyError(name)
            if not isinstance(part.get(step, getlink=True), h5py.HardLink):
                raise DataError(f"{path}: {name} points elsewhere; copy the data into the file")
            part = part[step]
    except KeyError as error:
        if error.args == (name,):
            raise
        raise _damaged(group, error) from error
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(group, error) from error
    _check(path, name, part)
    return part


def read_h5(group: h5py.Group, name: str) -> NDArray[np.floating]:
    """All numbers of a dataset, in memory; errors as `h5_dataset` has them."""
    dataset = h5_dataset(group, name)
    try:
        array: NDArray[np.floating] = dataset[()]
    except UNREADABLE as error:
        raise _damaged(group, error) from error
    return array


def _check(path: str, name: str, dataset: Any) -> None:
    import h5py

    try:
        plain = isinstance(dataset, h5py.Dataset) and dataset.dtype.kind in "biuf" and dataset.shape is not None
        if not plain or dataset.is_virtual or dataset.external or dataset.chunks or dataset.id.get_offset() is None:
            raise DataError(f"{path}: {name} is no plain, contiguous dataset of numbers")
        declared, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if declared > stored or dataset.id.get_offset() + declared > Path(path).stat().st_size:
            raise DataError(f"{path}: {name} declares {declared:,} bytes and the file does not hold them")
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: {name} is damaged ({_said(error)})") from error


def _damaged(group: h5py.Group, error: BaseException) -> DataError:
    return DataError(f"{group.file.filename} is damaged ({_said(error)})")


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
