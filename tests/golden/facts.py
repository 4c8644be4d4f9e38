"""What a case's .json says, checked once: whoever holds `Facts` need not look at the raw JSON again.

Nothing may be taken for granted of such a file; what is wrong with one is a DamagedCase with one sentence.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.golden.notes import stated_tolerances

Raw = Mapping[str, Any]


class DamagedCase(Exception):
    """A case's files cannot be read, or do not say what a case must say."""


@dataclass(frozen=True)
class Facts:
    """A case's .json. tolerance: the largest difference allowed where the notes give none of an output's own.

    shapes: the parameters under `state`. kept: which of them are stored instead of drawn.
    """

    model: str
    tolerance: float
    seed: int = 0
    config: Raw = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: Raw) -> Facts:
        """The facts of a JSON object. DamagedCase where one is missing or of the wrong kind."""
        tolerance = tolerance_of(raw)
        if math.isnan(tolerance):
            raise DamagedCase(f"`tolerance` must be a number that is not negative, not {raw.get('tolerance')!r}")
        shapes = {name: _shape(name, shape) for name, shape in _mapping(raw, "state").items()}
        config = _mapping(raw, "config")
        tables = {name: _mapping(config, name) for name in ("scales", "output_strides")}
        return cls(model_of(raw), tolerance, _seed(raw, shapes), {**config, **tables}, shapes, _kept(raw), _notes(raw))

    def tolerance_for(self, name: str) -> float:
        """The largest difference allowed for an output: the notes' own for it, or the case's."""
        own = [(pattern != name, value) for pattern, value in self._own_tolerances if fnmatchcase(name, pattern)]
        return min(own, key=lambda found: found[0])[1] if own else self.tolerance

    @cached_property
    def _own_tolerances(self) -> list[tuple[str, float]]:
        return [found for note in self.notes for found in stated_tolerances(note)]


def read_raw(path: Path) -> Raw:
    """The JSON object of a file. DamagedCase where there is none."""
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCase(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(raw, Mapping):
        raise DamagedCase(f"{path} holds a JSON {type(raw).__name__}; a case is an object")
    return raw


def model_of(raw: Raw) -> str:
    """The word under `model`."""
    model = raw.get("model")
    if not isinstance(model, str):
        raise DamagedCase("the case names no `model`" if model is None else f"`model` must be a word, not {model!r}")
    return model


def tolerance_of(raw: Raw) -> float:
    """The number under `tolerance`; NaN where there is none that can be used."""
    tolerance = raw.get("tolerance")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        return math.nan
    return float(tolerance) if 0 <= tolerance <= sys.float_info.max else math.nan


def _mapping(raw: Raw, name: str) -> Raw:
    found = raw.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise DamagedCase(f"`{name}` must be a JSON object, not {found!r:.80}")
    return found or {}


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise DamagedCase(f"`state` must give {name} a list of sizes, not {shape!r:.80}")
    return tuple(shape)


def _seed(raw: Raw, shapes: Mapping[str, Any]) -> int:
    seed = raw.get("seed", None if shapes else 0)
    if type(seed) is not int or seed < 0:
        raise DamagedCase(f"`seed` must be a whole number, not {seed!r:.80}; the weights are drawn with it")
    return seed


def _kept(raw: Raw) -> frozenset[str]:
    kept = raw.get("kept") or []
    if not isinstance(kept, list) or not all(isinstance(name, str) for name in kept):
        raise DamagedCase(f"`kept` must be a list of names, not {kept!r:.80}")
    return frozenset(kept)


def _notes(raw: Raw) -> tuple[str, ...]:
    """Notes are for readers and come as one text, as a list, or by array name; none of it is an error."""
    notes = raw.get("notes") or []
    if isinstance(notes, Mapping):
        notes = [f"{name}: {text}" for name, text in notes.items()]
    return tuple(map(str, notes)) if isinstance(notes, list) else (str(notes),)
