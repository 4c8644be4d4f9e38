"""The functions that pickles of arrays call, rebuilt so that they check what they are given.

They stand in for NumPy's `_reconstruct`, `scalar`, `_frombuffer` and `dtype` and for the constructors of Python's plain
types, under all names that Python 2 and 3 and NumPy 1 and 2 write. Each takes the file's `Budget` first. An array is a
read-only view of the bytes in the file; numbers, booleans, texts and (nested) plain objects are read, records are not.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import checked_texts

SIMPLE = re.compile(r"[<>|=]?([biufcSU?]\d{0,6}|O8?|O4)")


class Budget:
    """Bytes that a file may still have copied: by naming one text again and again it could ask for any number."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise pickle.UnpicklingError("it holds the same bytes very often")


class Pending:
    """What is on the stack before its state has been read. noted: where a pickle refers back to it."""

    def __init__(self) -> None:
        self.noted = list[int]()

    def filled(self, budget: Budget, *state: Any) -> Any:
        raise NotImplementedError


class PendingType(Pending):
    """A NumPy type; the state adds the order of its bytes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        if not SIMPLE.fullmatch(text):
            raise pickle.UnpicklingError(f"an array of the type {text[:40]!r}, neither numbers nor texts")
        self.dtype = np.dtype(text.replace("O4", "O"))

    def filled(self, budget: Budget, *state: Any) -> PendingType:
        _, order, *rest = state
        order = order.decode("ascii") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "=") or len(rest) < 5 or rest[:3] != [None, None, None]:
            raise pickle.UnpicklingError("an array of records")
        if rest[3] not in (-1, self.dtype.itemsize):
            raise pickle.UnpicklingError("an array of a damaged type")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]
        return self


class PendingArray(Pending):
    """An array without its content."""

    def filled(self, budget: Budget, *state: Any) -> NDArray[Any]:
        _, shape, kind, fortran, content = state
        return _array(budget, content, kind, shape, "F" if fortran else "C")


def _array(budget: Budget, content: Any, kind: Any, shape: Any, order: str) -> NDArray[Any]:
    dtype = _dtype(kind)
    shape = shape if isinstance(shape, tuple) else (shape,)
    if len(shape) > 32 or not all(type(length) is int and 0 <= length < 1 << 40 for length in shape):
        raise pickle.UnpicklingError("an array of a damaged shape")
    count = math.prod(shape)
    if dtype.hasobject:
        flat = _objects(content, count)
    else:
        content = _bytes(budget, content)
        if len(content) != count * dtype.itemsize:
            raise pickle.UnpicklingError(f"an array of shape {shape} in {len(content):,} bytes")
        flat = np.frombuffer(content, dtype) if count and dtype.itemsize else np.empty(count, dtype)
        checked_texts(flat)
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    array.flags.writeable = False
    return array


def _objects(content: Any, count: int) -> NDArray[Any]:
    if type(content) is not list or len(content) != count or any(isinstance(one, Pending) for one in content):
        raise pickle.UnpicklingError("an array of objects that are not there")
    array = np.empty(count, object)
    for k, one in enumerate(content):
        array[k] = one
    return array


def _dtype(kind: Any) -> np.dtype[Any]:
    if not isinstance(kind, PendingType):
        raise pickle.UnpicklingError("an array without a type")
    return kind.dtype


def _bytes(budget: Budget, content: Any) -> bytes | bytearray:
    """Strings are what Python 2 kept bytes in."""
    if isinstance(content, str):
        budget.spend(len(content))
        return content.encode("latin1")
    if not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("an array whose content is no bytes")
    return content


def _ndarray(budget: Budget, *_: Any) -> Any:
    raise pickle.UnpicklingError("an array made by its constructor")


def _reconstruct(budget: Budget, kind: Any, *_: Any) -> PendingArray:
    if kind is not _ndarray:
        raise pickle.UnpicklingError("an array of another class")
    return PendingArray()


def _scalar(budget: Budget, kind: Any, content: Any = b"") -> Any:
    dtype, content = _dtype(kind), _bytes(budget, content)
    if dtype.hasobject or len(content) != dtype.itemsize or not content:
        raise pickle.UnpicklingError("a number whose bytes are not there")
    return np.frombuffer(content, dtype)[0]


def _frombuffer(budget: Budget, content: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
    array = _array(budget, content, kind, shape, order)
    if axes is None:
        return array
    if not isinstance(axes, tuple) or len(axes) != array.ndim or set(axes) != set(range(array.ndim)):
        raise pickle.UnpicklingError("an array of damaged axes")
    return array.transpose(axes)


def _type(budget: Budget, text: Any, *_: Any) -> PendingType:
    text = text.decode("latin1") if isinstance(text, bytes) else text
    if not isinstance(text, str):
        raise pickle.UnpicklingError("an array of records")
    return PendingType(text)


def _encode(budget: Budget, text: Any, encoding: Any = "") -> bytes:
    """What protocol 2 calls to make bytes; the real `codecs.encode` would open every codec to the file."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return bytes(_bytes(budget, text))


def _make_bytes(budget: Budget, content: Any = b"", encoding: Any = "latin1") -> bytes:
    """Not the constructor itself, which makes as many zeros as it is told to."""
    return _encode(budget, content, encoding) if isinstance(content, str) else bytes(_own(budget, content))


def _make_bytearray(budget: Budget, content: Any = b"", encoding: Any = "latin1") -> bytearray:
    return bytearray(_encode(budget, content, encoding) if isinstance(content, str) else _own(budget, content))


def _own(budget: Budget, content: Any) -> bytes | bytearray:
    content = _bytes(budget, content)
    budget.spend(len(content))
    return content


def _make_set(budget: Budget, items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | bytes | int | float) for item in items):
        raise pickle.UnpicklingError("a set of what is no plain value")
    if any(isinstance(item, int | float) and abs(item) > 1 << 40 for item in items):
        raise pickle.UnpicklingError("a set of very large numbers")
    budget.spend(64 * len(items))
    return set(items)


def _make_frozenset(budget: Budget, items: Any = ()) -> frozenset[Any]:
    return frozenset(_make_set(budget, items))


def _complex(budget: Budget, real: Any, imaginary: Any) -> complex:
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise pickle.UnpicklingError("a complex number of what is no number")
    return complex(real, imaginary)


def _globals() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ndarray,
        ("numpy", "dtype"): _type,
        ("_codecs", "encode"): _encode,
    }
    for core in ("numpy.core", "numpy._core"):
        table[core + ".multiarray", "_reconstruct"] = _reconstruct
        table[core + ".multiarray", "scalar"] = _scalar
        table[core + ".numeric", "_frombuffer"] = _frombuffer
    for builtins in ("builtins", "__builtin__"):
        table[builtins, "bytes"] = _make_bytes
        table[builtins, "bytearray"] = _make_bytearray
        table[builtins, "set"] = _make_set
        table[builtins, "frozenset"] = _make_frozenset
        table[builtins, "complex"] = _complex
    return table


GLOBALS = _globals()
"""(module, name) in a pickle → what is called in its place."""
