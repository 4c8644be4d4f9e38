"""Typed parameters: from the values of a recipe or of the command line to a stage's dataclasses, and back to JSON.

Types are those TOML has: bool, int, float, str, lists of them, tables of str to them, and `X | None`. Every problem
is collected, none is raised, so that a recipe's author sees all of them at once.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipeline.registry import nearest

Report = Callable[[str, str], None]
"""Called with (key, sentence) for each problem."""

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}


@dataclasses.dataclass(frozen=True)
class Param:
    """One declared parameter, whichever dataclass it comes from."""

    name: str
    type: Any
    default: Any
    help: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    exec: bool
    selects: bool
    component: str | None
    path: bool

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


def declared(owner: type[Any]) -> dict[str, Param]:
    """The parameters that a `Params` or `Settings` dataclass declares, in order."""
    hints = typing.get_type_hints(owner)
    return {field.name: _declared(field, hints[field.name]) for field in dataclasses.fields(owner)}


def _declared(field: dataclasses.Field[Any], hint: Any) -> Param:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    meta = field.metadata
    return Param(
        field.name,
        hint,
        default,
        help=meta.get("help", ""),
        choices=tuple(meta.get("choices") or ()),
        low=meta.get("low"),
        high=meta.get("high"),
        exec=bool(meta.get("exec")),
        selects=bool(meta.get("selects")),
        component=meta.get("component"),
        path=bool(meta.get("path")),
    )


def describe(hint: Any) -> str:
    """A type in the user's words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments if argument is not type(None))
    if origin in (list, tuple):
        return f"a list, each {describe(arguments[0])}"
    if origin is dict:
        return f"a table, each value {describe(arguments[1])}"
    return WORDS.get(hint, str(hint))


_BAD = object()


def convert(value: Any, hint: Any) -> Any:
    """`value` as the type `hint`, or a marker that `is_bad` knows. Whole numbers pass as numbers, no other bends."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        found = [convert(value, argument) for argument in arguments]
        return next((item for item in found if item is not _BAD), _BAD)
    if origin in (list, tuple):
        return _convert_all(value, list, list, lambda item: convert(item, arguments[0]))
    if origin is dict:
        return convert_table(value, arguments[1])
    if hint is type(None):
        return None if value is None else _BAD
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if type(value) is hint else _BAD


def _convert_all(value: Any, accepted: type, made: Callable[[Any], Any], each: Callable[[Any], Any]) -> Any:
    if not isinstance(value, accepted):
        return _BAD
    items = [each(item) for item in typing.cast("Iterable[Any]", value)]
    return _BAD if any(item is _BAD for item in items) else made(items)


def convert_table(value: Any, hint: Any) -> Any:
    """A table with every value converted."""
    if not isinstance(value, dict):
        return _BAD
    made = {key: convert(item, hint) for key, item in value.items()}
    return _BAD if any(item is _BAD for item in made.values()) else made


def is_bad(value: Any) -> bool:
    """Whether `convert` could not."""
    return value is _BAD


def fill(params: Mapping[str, Param], given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Every parameter's value, given or default. Problems go to `report`; their parameters keep the default."""
    values: dict[str, Any] = {}
    for name, param in params.items():
        if name in given:
            values[name] = _checked(param, given[name], report)
        elif param.required:
            report(name, f"{name!r} must be given: {param.help}")
            values[name] = None
        else:
            values[name] = param.default
    return values


def unknown(given: Iterable[str], params: Iterable[str], owner: str) -> dict[str, str]:
    """Key → sentence for keys that no parameter has."""
    known = list(params)
    return {
        key: f"unknown key {key!r} for {owner}; it takes {', '.join(known)}.{nearest(key, known)}"
        for key in given
        if key not in known
    }


def _checked(param: Param, value: Any, report: Report) -> Any:
    converted = convert(value, param.type)
    if is_bad(converted):
        report(param.name, f"{param.name!r} must be {describe(param.type)}, not {value!r}")
        return param.default
    for word in converted if isinstance(converted, list) else [converted]:
        if param.choices and word not in param.choices:
            allowed = ", ".join(param.choices)
            report(param.name, f"{param.name!r} is {word!r}; allowed: {allowed}.{nearest(str(word), param.choices)}")
    if isinstance(converted, float) and not math.isfinite(converted):
        report(param.name, f"{param.name!r} must be a finite number, not {converted}")
    elif isinstance(converted, int | float) and not _in_range(converted, param):
        report(param.name, f"{param.name!r} is {converted}, outside {_range(param)}")
    return converted


def _in_range(value: float, param: Param) -> bool:
    return (param.low is None or value >= param.low) and (param.high is None or value <= param.high)


def _range(param: Param) -> str:
    if param.high is None:
        return f"the range from {param.low:g} up"
    return f"the range {param.low:g} to {param.high:g}" if param.low is not None else f"the range up to {param.high:g}"


def from_text(text: str, hint: Any) -> Any:
    """A value typed on the command line: TOML where it is TOML and fits, else the bare text, lists by comma."""
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    if not is_bad(convert(value, hint)):
        return value
    if typing.get_origin(hint) is list:
        inner = typing.get_args(hint)[0]
        return [from_text(part.strip(), inner) for part in text.split(",") if part.strip()]
    return text if not is_bad(convert(text, hint)) else value


def key_values(params: Mapping[str, Param], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that enter a key: result parameters, without paths, whose content enters instead."""
    return {name: values[name] for name, param in params.items() if not param.exec and not param.path}


def with_paths_expanded(params: Mapping[str, Param], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, "~" in paths resolved."""
    return {
        name: os.path.expanduser(value) if params[name].path and isinstance(value, str) else value
        for name, value in values.items()
    }
