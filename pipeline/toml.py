"""Reading a TOML recipe into flat leaves that know where they were written, and joining recipes by `extends`.

A leaf is addressed by the keys that lead to it: ("step", "train", "epochs"). Tables, inline ones too, are opened;
lists are leaves. Later files win leaf by leaf, so that a recipe states only what differs from its base.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import RecipeError

Address = tuple[str, ...]

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True)
class Origin:
    """Where a value was written: a file and line, or "--set"."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Leaf:
    """A value and its origin."""

    value: Any
    origin: Origin


SET = Origin("--set")


def read(path: Path, seen: tuple[Path, ...] = ()) -> dict[Address, Leaf]:
    """All leaves of a recipe file with those of the files it extends, its own winning. RecipeError if it can't be."""
    if path.resolve() in seen:
        raise RecipeError(f"{shown(path)} extends itself, by way of {', '.join(shown(p) for p in seen)}")
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{shown(path)} is not valid TOML: {error}") from error
    leaves: dict[Address, Leaf] = {}
    for base in _bases(document.pop("extends", []), path):
        if not base.is_file():
            raise RecipeError(f"{shown(path)} extends {shown(base)}, which does not exist")
        leaves |= read(base, (*seen, path.resolve()))
    lines = _lines(text)
    for address, value in _open(document):
        leaf = Leaf(value, Origin(shown(path), _line(lines, address)))
        if value != {} or not any(other[: len(address)] == address for other in leaves):
            leaves = placed(leaves, address, leaf)  # an empty table says no more than that there is one
    return leaves


def shown(path: Path) -> str:
    """A path as the user would type it: relative to the current folder where it is below it."""
    try:
        return os.fspath(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # a byte order mark is no mistake
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {shown(path)}; `pipe recipe ls` shows those that come with it") from None
    except IsADirectoryError:
        raise RecipeError(f"{shown(path)} is a folder; name a recipe file inside it") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{shown(path)} is not a text file in UTF-8 ({error.reason})") from error


def _bases(extends: Any, path: Path) -> list[Path]:
    names = [extends] if isinstance(extends, str) else extends
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{shown(path)}: 'extends' must be a file name or a list of them")
    return [path.parent / name for name in names]


def _open(table: Mapping[str, Any], prefix: Address = ()) -> Iterator[tuple[Address, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _open(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def placed(leaves: dict[Address, Leaf], address: Address, leaf: Leaf) -> dict[Address, Leaf]:
    """With `leaf` set; what it hides, a table under it or a value above it, goes."""
    size = len(address)
    kept = {
        other: old
        for other, old in leaves.items()
        if other == address or not (other[:size] == address or address[: len(other)] == other)
    }
    kept[address] = leaf
    return kept


def expand(leaves: Mapping[Address, Leaf]) -> dict[Address, Leaf]:
    """With ${NAME} and ${NAME:-default} in texts filled in from the environment. RecipeError where that is not set."""
    return {address: Leaf(_expanded(leaf.value, leaf.origin), leaf.origin) for address, leaf in leaves.items()}


def _expanded(value: Any, origin: Origin) -> Any:
    if isinstance(value, list):
        return [_expanded(item, origin) for item in value]
    return _VARIABLE.sub(lambda match: _variable(match, origin), value) if isinstance(value, str) else value


def _variable(match: re.Match[str], origin: Origin) -> str:
    found = os.environ.get(match[1]) or match[2]
    if found is None:
        raise RecipeError(
            f"{origin}: ${{{match[1]}}} is not set in the environment; set it, or give the value with --set"
        )
    return found


def _lines(text: str) -> dict[Address, int]:
    """Address of each table and key → line number."""
    found: dict[Address, int] = {}
    table: Address = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_parts(key[1])), number)
    return found


def _parts(dotted: str) -> Address:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _line(lines: Mapping[Address, int], address: Address) -> int:
    """The line of a leaf, or of the nearest table around it."""
    for size in range(len(address), 0, -1):
        if address[:size] in lines:
            return lines[address[:size]]
    return 0
