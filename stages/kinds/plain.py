"""How every stage writes JSON: readable, in UTF-8, without NaN, the same bytes for the same value; and what is said of
files of an artifact that cannot be read, or are not of the form that was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from faces.errors import DataError, said
from faces.texts import read_json

T = TypeVar("T")


def write_json(file: Path, value: Any) -> Path:
    """Write a value and return its file. ValueError for NaN and infinity, which JSON does not know."""
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return file


@contextmanager
def remade_by(stage: str, file: Path) -> Iterator[None]:
    """Turn a `DataError` about a file that a stage wrote into one that names the stage: nobody has it to copy again."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{file} cannot be read ({error}); make it again with {stage}") from error


@contextmanager
def told_as(file: Path, what: str, remedy: str) -> Iterator[None]:
    """Turn what cannot be read of a file into a `DataError`: "<file> <what> (…); <remedy>"."""
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} {what} ({said(error)}); {remedy}") from error


def read_as(kind: type[T], file: Path, what: str, remedy: str) -> T:
    """A dataclass from the file that `write_json` wrote of it. DataError as of `told_as`."""
    with told_as(file, what, remedy):
        return built(kind, read_json(file))


def as_table(facts: Any) -> dict[str, Any]:
    """TypeError, the end of a sentence, where something is none."""
    if not isinstance(facts, dict):
        raise TypeError("what should be a table is none")
    return facts


def built(kind: type[T], facts: Any) -> T:
    """A dataclass from what `write_json` has written of its `asdict`.

    TypeError, the end of a sentence, where a field is missing, unknown, or of another type than it is declared with:
    plain types and dataclasses, in lists and tables by text, or None beside them.
    """
    facts = as_table(facts)
    plain, hints = _plain(kind), _hints(kind)  # type: ignore[arg-type]
    if all(type(value) in plain.get(name, ()) for name, value in facts.items()):  # most are: ten thousands of entries
        return kind(**facts)
    return kind(**{str(name): _value(hints.get(name, Any), value, name) for name, value in facts.items()})


_hints = cache(get_type_hints)


@cache
def _plain(kind: Any) -> dict[str, tuple[Any, ...]]:
    """Field → the types of a value that needs no second look; none where it may hold others."""
    scalars = (int, float, str, bool, NoneType)
    kinds = {name: get_args(hint) or (hint,) for name, hint in _hints(kind).items()}
    return {name: types for name, types in kinds.items() if all(one in scalars for one in types)}


def _value(hint: Any, value: Any, name: str) -> Any:
    outer, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return built(hint, value)  # type: ignore[arg-type]
    if outer is Mapping and isinstance(value, dict):
        return {key: _value(inner[1], one, key) for key, one in value.items()}
    if outer is Sequence and isinstance(value, list):
        return [_value(inner[0], one, name) for one in value]
    if hint is Any or type(value) in (inner if NoneType in inner else (hint,)) or (hint is float and _is_whole(value)):
        return value
    raise TypeError(f"{said(name)!r} is of another type than it should be")


def _is_whole(value: Any) -> bool:
    """JSON may write a number without a point; beyond this none is a float."""
    return type(value) is int and abs(value) < 1 << 53
