"""Names and shapes in a PyTorch file, read without PyTorch: enough to tell whose a file is while planning.

The file is looked at by `models.torch_file` first. Its pickle is then followed by the standard library's reader in
Python, with stand-ins for all that it names: nothing of torch is called, and no weight is read.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faces.archives import Archive
from faces.errors import DataError
from models.torch_file import MOST_PICKLE, check_torch_file, told_of_checkpoint

Shapes = Mapping[str, tuple[int, ...]]


class _StandIn:
    """Whatever a file makes beside tensors, which says nothing of shapes."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _Table(OrderedDict[str, Any]):
    """A state dict; what is set on it beside its entries is passed over."""

    def __setstate__(self, state: object) -> None:
        pass


def _tensor(storage: object, offset: object, size: Any, *_: object) -> tuple[int, ...]:
    return tuple(int(count) for count in size)


def _parameter(data: object, *_: object) -> object:
    return data


class _Reader(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = {"OrderedDict": _Table, "_rebuild_tensor_v2": _tensor, "_rebuild_parameter": _parameter}
        return known.get(name, _StandIn)

    def persistent_load(self, pid: Any) -> Any:
        return None


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of the state dict in a .pth, .pth.tar or .pt file, unwrapped, without "module.".

    DataError where the file is absent, damaged, or holds no state dict.
    """
    with told_of_checkpoint(path):
        check_torch_file(path)
        with Archive.open(path) as archive:
            (name,) = (name for name in archive.names if name.endswith("data.pkl"))
            loaded = _Reader(io.BytesIO(archive.read(name, limit=MOST_PICKLE))).load()
    return _unwrapped(loaded, path)


def _unwrapped(loaded: Any, path: Path) -> dict[str, tuple[int, ...]]:
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(shape, tuple) for shape in state.values()):
        raise DataError(f"{path} holds no state dict (a mapping from parameter names to tensors)")
    return {str(name).removeprefix("module."): shape for name, shape in state.items()}
