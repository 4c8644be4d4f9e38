"""A golden case: `<case>.json` and `<case>.npz`, their weights rebuilt from names and a seed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.seeded import seeded_array

_DEFINITION = re.compile(r"out/([^\s:]+):")
_TOLERANCE = re.compile(r"tolerance(?: is)? (\d+(?:\.\d+)?(?:e-?\d+)?)")


class UnknownOutput(Exception):
    """The runner does not know how to compute an output, or what it needs is not in the case."""


@dataclass(frozen=True)
class Case:
    """One case. `arrays` holds in/…, out/… and state/… as stored."""

    name: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def model(self) -> str:
        return str(self.facts["model"])

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.facts.get("config", {})
        return config

    @property
    def expected(self) -> dict[str, np.ndarray]:
        """Output name → the stored array."""
        return {name.removeprefix("out/"): array for name, array in self.arrays.items() if name.startswith("out/")}

    def input(self, name: str) -> np.ndarray:
        if f"in/{name}" not in self.arrays:
            raise UnknownOutput(f"needs in/{name}, which the case does not hold")
        return self.arrays[f"in/{name}"]

    def state(self) -> dict[str, np.ndarray]:
        """Every parameter by its published name: drawn, scaled where the case says so, or kept."""
        scales = self.config.get("scales", {})
        kept = set(self.facts.get("kept", ()))
        state = {}
        for name, shape in self.facts.get("state", {}).items():
            if name not in kept:
                drawn = seeded_array(name, shape, int(self.facts["seed"]))
                state[name] = drawn * np.asarray(scales[name], drawn.dtype) if name in scales else drawn
        return state | {name: self.arrays[f"state/{name}"] for name in kept}

    def stored_part(self, name: str, full: np.ndarray) -> np.ndarray:
        """What of a whole output is stored: `full[::a, ::b, …]` where the case gives strides."""
        strides = self.config.get("output_strides", {})
        steps = strides.get(name, strides.get(f"out/{name}", ()))
        return full[tuple(slice(None, None, step) for step in steps)]

    def tolerance(self, name: str) -> float:
        """The largest difference allowed for an output: the notes' own for it, or the case's."""
        own = [value for pattern, value in self._own_tolerances if fnmatchcase(name, pattern)]
        return own[0] if own else float(self.facts["tolerance"])

    @cached_property
    def _own_tolerances(self) -> list[tuple[str, float]]:
        notes = self.facts.get("notes", [])
        return [found for note in ([notes] if isinstance(notes, str) else notes) for found in _stated(note)]


def _stated(note: str) -> list[tuple[str, float]]:
    """(output pattern, tolerance) for every "out/<pattern>: … tolerance is <number>" of a note."""
    starts: list[Any] = list(_DEFINITION.finditer(note))
    stated = []
    for start, following in pairwise([*starts, None]):
        end = following.start() if following else len(note)
        found = _TOLERANCE.search(note, start.end(), end)
        if found:
            stated.append((re.sub(r"<[^>]*>", "*", start[1]), float(found[1])))
    return stated


def find_cases(folder: Path) -> list[Path]:
    """The .json files of a folder that name a model or that stand beside an .npz, in order of name."""
    files = sorted(folder.glob("*.json"))
    return [path for path in files if path.with_suffix(".npz").is_file() or '"model"' in path.read_text()]


def read_case(path: Path) -> Case:
    """Read a case from its .json file and the .npz beside it."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return Case(path.stem, json.loads(path.read_text()), arrays)
