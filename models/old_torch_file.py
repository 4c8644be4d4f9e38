"""State dicts as PyTorch wrote them before 1.6, read without PyTorch's own reader, which believes what they claim.

Such a file is five pickles, one behind the other (a mark, a version, the machine, the state dict, names of storages),
and behind them the storages, each its length and its numbers. The fourth pickle is looked at and followed as those in
newer files are (`models.torch_file`, `models.torch_shapes`): by the standard library's reader in Python, with stand-ins
for all that it names. Numbers are then taken from where they lie in the file, so that none can be claimed that are not.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from faces.errors import DataError
from models.official import OfficialState
from models.torch_file import MOST_PICKLE, NAMED, UNNAMED, told_of_checkpoint

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
BEGINNING = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle, as it is always written."""
MOST_BYTES = 1 << 30
KINDS: Mapping[str, type[np.generic]] = {
    "Float": np.float32,
    "Double": np.float64,
    "Half": np.float16,
    "Long": np.int64,
    "Int": np.int32,
    "Short": np.int16,
    "Char": np.int8,
    "Byte": np.uint8,
}
_STORAGE = re.compile(rf"({'|'.join(KINDS)})Storage")
_REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")


def is_old(path: Path) -> bool:
    """Whether a file begins as those from before 1.6 do. False where there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False


def read_old(path: Path) -> OfficialState:
    """Name → tensor, on the CPU. DataError where the file is damaged or holds anything but a state dict of tensors."""
    with told_of_checkpoint(path):
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{path} has {size:,} bytes, more than are read of a file from before PyTorch 1.6")
        found = _Reader(path, path.read_bytes()).state()
    state = OfficialState(found)
    state.source = str(path)
    return state


@dataclass(frozen=True)
class _Storage:
    """What a pickle says of numbers that lie behind it."""

    key: str
    kind: type[np.generic]
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor, not yet looked up: where in a storage, of what shape, how far apart along each axis."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Table(OrderedDict[str, Any]):
    """A state dict."""


class _Kind:
    """Stands for a class of storages."""

    def __init__(self, name: str) -> None:
        self.kind = KINDS[name]


def _view(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> _View:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor is of no storage")
    numbers = [int(offset), *map(int, shape), *map(int, strides)]
    if min(numbers) < 0 or len(shape) != len(strides):
        raise ValueError("a tensor has no place in its storage")
    return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _parameter(data: Any, *_: object) -> Any:
    return data


class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]

    def _set_nothing(self) -> None:
        """A state dict's metadata is passed over; nothing else that may be made here has anything to be set."""
        self.stack.pop()
        if not isinstance(self.stack[-1], _Table):
            raise ValueError("something is to be set on what is no table")

    dispatch[pickle.BUILD[0]] = _set_nothing

    def find_class(self, module: str, name: str) -> Any:
        if (kind := _STORAGE.fullmatch(name)) and module in ("torch", "torch.cuda"):
            return _Kind(kind[1])
        known = {"_rebuild_tensor": _view, "_rebuild_tensor_v2": _view, "_rebuild_parameter": _parameter}
        if module == "torch._utils" and name in _REBUILT:
            return known[name]
        if (module, name) == ("collections", "OrderedDict"):
            return _Table
        raise DataError(f"it asks for {module} {name}")

    def persistent_load(self, pid: Any) -> _Storage:
        mark, kind, key, _place, count, *view = pid
        if mark != "storage" or any(part is not None for part in view):
            raise ValueError("a storage is a part of another")
        if not isinstance(kind, _Kind):
            raise ValueError("a storage is of no kind")
        return _Storage(str(key), kind.kind, int(count))


class _Reader:
    """One file. content: all of it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.content = path, content
        self.stream = io.BytesIO(content)

    def state(self) -> dict[str, Tensor]:
        if (self._next(), self._next()) != (MAGIC, VERSION):
            raise ValueError("it begins otherwise than such files do")
        self._next()
        table, keys = self._next(), self._next()
        if not isinstance(table, dict) or not table or not all(isinstance(one, _View) for one in table.values()):
            raise DataError(f"{self.path} holds no state dict (a mapping from parameter names to tensors)")
        storages = self._storages(keys, {view.storage.key: view.storage for view in table.values()})
        return {str(name): _looked_up(view, storages) for name, view in table.items()}

    def _next(self) -> Any:
        """The next pickle, whose names are looked at before anything is made of it."""
        start = self.stream.tell()
        for step, argument, _ in pickletools.genops(self.stream):
            if step.name in UNNAMED or (step.name == NAMED and not self._is_known(str(argument))):
                what = str(argument or step.name)[:80]
                raise DataError(
                    f"{self.path} is no checkpoint of tensors alone: it asks for {what!r}; it was not loaded"
                )
        end = self.stream.tell()
        if end - start > MOST_PICKLE:
            raise ValueError("it has too many names")
        return _Unpickler(io.BytesIO(self.content[start:end])).load()

    @staticmethod
    def _is_known(name: str) -> bool:
        module, _, last = name.partition(" ")
        return (
            name == "collections OrderedDict"
            or (module == "torch._utils" and last in _REBUILT)
            or (module in ("torch", "torch.cuda") and _STORAGE.fullmatch(last) is not None)
        )

    def _storages(self, keys: Any, known: Mapping[str, _Storage]) -> dict[str, np.ndarray]:
        """Key → numbers. They lie in the order in which their keys are listed."""
        found, at = dict[str, np.ndarray](), self.stream.tell()
        for key in keys:
            storage = known[key]
            (count,) = np.frombuffer(self.content, np.dtype("<i8"), 1, at).tolist()
            if count != storage.count:
                raise ValueError("a storage is of another length than its tensors say")
            kind = np.dtype(storage.kind).newbyteorder("<")
            found[key] = np.frombuffer(self.content, kind, count, at + 8)
            at += 8 + count * kind.itemsize
        return found


def _looked_up(view: _View, storages: Mapping[str, np.ndarray]) -> Tensor:
    numbers = storages[view.storage.key]
    shape, strides = view.shape, view.strides
    size = math.prod(shape)
    last = view.offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if size > len(numbers) or (size and last >= len(numbers)):
        raise ValueError("a tensor is larger than its storage")
    own = torch.from_numpy(numbers.astype(view.storage.kind))
    return torch.as_strided(own, shape, strides, view.offset).contiguous()
