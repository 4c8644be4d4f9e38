"""Reading pickles of NumPy arrays without letting them run code, or crash or swamp the reader.

The field's data sets are pickles, many of them from Python 2. `load_pickle` rebuilds arrays, scalars and containers
and nothing else: every other name that a file asks for is refused before it is looked up. NumPy's own reconstruction
trusts a file (a crafted type or a short list of objects reads beyond the memory of the array), as the compiled
unpickler does (an index in a file makes it allocate gigabytes), so that neither sees one: the steps are those of the
standard library's reader in Python, and arrays are built by `faces.pickled_arrays` once all has been checked.
Whatever cannot be read is a `DataError`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from faces.errors import DataError
from faces.lfs import LFS_POINTER, refuse_pointer
from faces.pickled_arrays import GLOBALS, Budget, Pending

MOST_STEPS = 4_000_000
"""Of a file; each can take a hundred bytes or two. VOCASET's largest, the frames' numbers, has 400,000."""
DEEPEST = 64
LONGEST_NUMBER = 64
"""Bytes of an integer."""
KEYS = (str, bytes, bool, int, float, type(None))
LARGEST_KEY = 1 << 40
REFUSED = {
    pickle.INST: "an object of a class",
    pickle.OBJ: "an object of a class",
    pickle.NEWOBJ: "an object of a class",
    pickle.NEWOBJ_EX: "an object of a class",
    pickle.EXT1: "a registered class",
    pickle.EXT2: "a registered class",
    pickle.EXT4: "a registered class",
    pickle.PERSID: "an object outside itself",
    pickle.BINPERSID: "an object outside itself",
    pickle.NEXT_BUFFER: "a buffer outside itself",
    pickle.READONLY_BUFFER: "a buffer outside itself",
}


def load_pickle(file: Path) -> Any:
    """Read one pickle of arrays and containers; Python-2 strings are taken as latin1. Arrays are read-only.

    Raises:
        DataError: the file is absent, cut short, no pickle, a git-LFS pointer, or asks for anything but arrays.
    """
    try:
        with open(file, "rb") as stream:
            head = stream.read(len(LFS_POINTER))
            stream.seek(0)
            refuse_pointer(file, head)
            size = Path(file).stat().st_size
            return _ArrayUnpickler(_Bounded(stream, size), file, size).load()
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{file} is cut short or is not a pickle ({error}); copy or download it again") from error
    except Exception as error:  # a damaged pickle can raise anything while it is rebuilt
        raise DataError(f"{file} is a damaged pickle ({error!r}); copy or download it again") from error


class _Bounded:
    """A file that is never asked for more than it has: Python allocates what is asked for, not what is there."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.size = stream, size

    def read(self, count: int) -> bytes:
        if count > self.size:
            raise EOFError(f"a part of {count:,} bytes in a file of {self.size:,}")
        return self.stream.read(count)

    def readline(self) -> bytes:
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError("unexpected end")
        return line


class _Memo(dict[int, Any]):
    """What a pickle refers back to. An array that is still to be filled must be put right wherever it is noted."""

    def __setitem__(self, key: int, value: Any) -> None:
        if isinstance(value, Pending):
            value.noted.append(key)
        super().__setitem__(key, value)


class _Steps(dict[int, Callable[[Any], None]]):
    """The code of a step → what does it, so many times in all."""

    left = MOST_STEPS

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.left -= 1
        if self.left < 0:
            raise pickle.UnpicklingError(f"more than {MOST_STEPS:,} parts; store lists as arrays")
        return super().__getitem__(code)


class _ArrayUnpickler(pickle._Unpickler):
    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]

    def __init__(self, stream: _Bounded, file: Path, size: int) -> None:
        super().__init__(stream, encoding="latin1")
        self.file = file
        self.budget = Budget(2 * size + (1 << 24))
        self.memo = _Memo()
        self.dispatch = _Steps(STEPS)  # type: ignore[misc]

    def load(self) -> Any:
        thing = super().load()
        _check_plain(self.file, thing)
        return thing

    def find_class(self, module: str, name: str) -> Any:
        try:
            return GLOBALS[module, name]
        except KeyError:
            raise DataError(
                f"{self.file} is refused: it asks for {_shown(module)}.{_shown(name)}, and a file of arrays has no "
                "business with that; use a copy that you trust to hold plain NumPy arrays"
            ) from None

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack[-1]
        if not callable(function) or not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("a call of what is no function")
        self.stack[-1] = function(self.budget, *arguments)

    def load_build(self) -> None:
        """The state of an array or of its type; the finished array takes its place."""
        state, pending = self.stack.pop(), self.stack[-1]
        if not isinstance(pending, Pending) or not isinstance(state, tuple):
            raise pickle.UnpicklingError("a state of what is no array")
        self.stack[-1] = done = pending.filled(self.budget, *state)
        if done is not pending:
            for key in pending.noted:
                dict.__setitem__(self.memo, key, done)

    def load_long4(self) -> None:
        length = int.from_bytes(self.read(4), "little")
        if length > LONGEST_NUMBER:
            raise pickle.UnpicklingError(f"an integer of {length:,} bytes")
        self.append(pickle.decode_long(self.read(length)))

    def load_bytearray8(self) -> None:
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append(_filled({}, items))

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _filled(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        _filled(self.stack[-1], items)

    def load_additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise pickle.UnpicklingError("items of what is no set")
        self.stack[-1].update(map(_key, items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(map(_key, items)))

    def load_append(self) -> None:
        self._extend([self.stack.pop()])

    def load_appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise pickle.UnpicklingError("items of what is no list")
        self.stack[-1].extend(items)


def _steps() -> dict[int, Callable[[Any], None]]:
    """The standard library's, but for those of this module."""
    ours = {
        pickle.REDUCE: _ArrayUnpickler.load_reduce,
        pickle.BUILD: _ArrayUnpickler.load_build,
        pickle.LONG4: _ArrayUnpickler.load_long4,
        pickle.BYTEARRAY8: _ArrayUnpickler.load_bytearray8,
        pickle.DICT: _ArrayUnpickler.load_dict,
        pickle.SETITEM: _ArrayUnpickler.load_setitem,
        pickle.SETITEMS: _ArrayUnpickler.load_setitems,
        pickle.ADDITEMS: _ArrayUnpickler.load_additems,
        pickle.FROZENSET: _ArrayUnpickler.load_frozenset,
        pickle.APPEND: _ArrayUnpickler.load_append,
        pickle.APPENDS: _ArrayUnpickler.load_appends,
    }
    refused = {code: _refuse(what) for code, what in REFUSED.items()}
    return pickle._Unpickler.dispatch | {code[0]: step for code, step in (ours | refused).items()}


def _refuse(what: str) -> Callable[[_ArrayUnpickler], None]:
    def step(unpickler: _ArrayUnpickler) -> None:
        raise DataError(
            f"{unpickler.file} is refused: it asks for {what}, and a file of arrays has no business with that; use a "
            "copy that you trust to hold plain NumPy arrays"
        )

    return step


STEPS = _steps()


def _filled(table: Any, items: list[Any]) -> dict[Any, Any]:
    if type(table) is not dict or len(items) % 2:
        raise pickle.UnpicklingError("items of what is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        table[_key(key)] = value
    return table


def _key(key: Any) -> Any:
    """A key of a dictionary: nested ones take forever to hash, and large numbers can be made to collide."""
    if isinstance(key, tuple) and len(key) <= 8:
        for part in key:
            if not isinstance(part, KEYS):
                raise pickle.UnpicklingError(f"a key that holds a {type(part).__name__}")
    elif isinstance(key, np.integer | np.str_):
        return key.item()
    elif not isinstance(key, KEYS):
        raise pickle.UnpicklingError(f"a key that is a {type(key).__name__}")
    if isinstance(key, int | float) and abs(key) > LARGEST_KEY:
        raise pickle.UnpicklingError("a key that is a very large number")
    return key


def _check_plain(file: Path, thing: Any) -> None:
    """DataError unless there is nothing but data in it, not too deep: no functions, and no arrays without content."""
    level, seen = [thing], set[int]()
    for _ in range(DEEPEST):
        deeper: list[Any] = []
        for one in level:
            match one:
                case dict() | list() | tuple() | set() | frozenset():
                    if id(one) not in seen:
                        seen.add(id(one))
                        deeper += one.values() if isinstance(one, dict) else one
                case np.ndarray() if one.dtype.hasobject:
                    deeper += one.ravel().tolist() if one.size else []
                case str() | bytes() | bytearray() | int() | float() | complex() | None | np.ndarray() | np.generic():
                    pass
                case _:
                    raise DataError(f"{file} is a damaged pickle (an array without content); copy or download it again")
        if not deeper:
            return
        level = deeper
    raise DataError(f"{file} is refused: its lists lie more than {DEEPEST} deep in each other; store them as arrays")


def _shown(name: str) -> str:
    """A name from a file, fit for a sentence."""
    return name if name.isprintable() and len(name) < 80 else repr(name[:80])
