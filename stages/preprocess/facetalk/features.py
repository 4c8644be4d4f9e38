"""Features of the speech that FaceTalk's authors computed before: a pickle of a NumPy array, or of a tensor.

The pickle may rebuild arrays and tensors of plain numbers and nothing else; a tensor's own storage is read by
`torch.load` with `weights_only`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.safe_pickle import load_pickle

PLAIN = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How the form of torch's files begins that is no archive, and that pickled tensors are always in."""


def _storage(budget: Any, content: bytes) -> Any:
    """`torch.storage._load_from_bytes`, which itself would trust what it is given."""
    import io

    import torch

    if not content.startswith(PLAIN):  # an archive could unpack to any size, and a tar would be unpacked to the disk
        raise ValueError("a tensor in an archive")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(
    budget: Any, storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """`torch._utils._rebuild_tensor_v2`, as an array. What the storage does not hold is an error, and not made room for
    as torch would."""
    import torch

    flat = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage).numpy()
    array = flat[offset : offset + math.prod(size)].reshape(size)
    steps = zip(size, stride, array.strides, strict=True)
    if any(count > 1 and step * array.itemsize != plain for count, step, plain in steps):
        raise ValueError("a tensor that does not lie in one piece")
    return array


TENSORS: dict[tuple[str, str], Any] = {
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): lambda budget: {},
}


def read_features(file: Path) -> NDArray[np.float32]:
    """(N, C) of an array or tensor (N, C) or (1, N, C). DataError for anything else."""
    loaded = load_pickle(file, TENSORS)
    try:
        array = np.asarray(loaded)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"{file} holds no array ({said(error)}); compute the features again") from error
    plain = array[0] if array.ndim == 3 and len(array) == 1 else array
    if plain.ndim != 2 or plain.dtype.kind != "f" or not plain.size:
        raise DataError(f"{file} holds {array.dtype} {array.shape}, not (1, steps, channels) of speech features")
    with np.errstate(over="ignore"):
        rows = plain.astype(np.float32)
    if not np.isfinite(rows).all():
        raise DataError(f"{file} holds NaN or infinity; compute the features again")
    return rows
