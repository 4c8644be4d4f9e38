"""A golden case: `<case>.json` and `<case>.npz`, their weights rebuilt from names and a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.facts import DamagedCase, Facts, read_raw
from tests.golden.seeded import seeded_array


class UnknownOutput(Exception):
    """The runner does not know how to compute an output, or what it needs is not in the case."""


class NoNetwork(Exception):
    """The network that several outputs rest on cannot be had. Complained of once, not once per output."""


def reason(error: Exception) -> str:
    """An error in words. Our own say all there is to say; others need the name of their kind."""
    ours = isinstance(error, DamagedCase | UnknownOutput | NoNetwork)
    return str(error) if ours else f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Case:
    """One case. `arrays` holds in/…, out/… and state/… as stored."""

    name: str
    facts: Facts
    arrays: Mapping[str, np.ndarray]

    @property
    def config(self) -> Mapping[str, Any]:
        return self.facts.config

    @property
    def expected(self) -> dict[str, np.ndarray]:
        """Output name → the stored array."""
        return self._under("out/")

    def input(self, name: str) -> np.ndarray:
        if f"in/{name}" not in self.arrays:
            raise UnknownOutput(f"needs in/{name}, which the case does not hold")
        return self.arrays[f"in/{name}"]

    def state(self) -> dict[str, np.ndarray]:
        """Every parameter by its published name: stored, or drawn and scaled where the case says so.

        A kept one that is not stored is left out: tables that a formula gives may be missing.
        """
        scales, stored = self.config.get("scales", {}), self._under("state/")
        state = {}
        for name, shape in self.facts.shapes.items():
            if name not in stored and name not in self.facts.kept:
                drawn = seeded_array(name, shape, self.facts.seed)
                state[name] = drawn * np.asarray(scales[name], drawn.dtype) if name in scales else drawn
        return state | stored

    def stored_part(self, name: str, full: np.ndarray) -> np.ndarray:
        """What of a whole output is stored: `full[::a, ::b, …]` where the case gives strides, for the axes it has."""
        strides = self.config.get("output_strides", {})
        steps = strides.get(name, strides.get(f"out/{name}", ()))
        return full[tuple(slice(None, None, step) for step in steps[: full.ndim])]

    def _under(self, prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}


def find_cases(folder: Path) -> list[Path]:
    """The .json files of a folder that are cases, in order of name: all but sound ones that have nothing of a case.

    One that is damaged may have been a case, so it counts as one, and whoever reads it gets to know.
    """
    return [path for path in sorted(folder.glob("*.json")) if not path.is_dir() and _is_case(path)]


def _is_case(path: Path) -> bool:
    if path.with_suffix(".npz").exists():
        return True
    try:
        content = path.read_bytes()
        json.loads(content)
    except (OSError, ValueError, RecursionError):
        return True
    return b'"model"' in content


def read_case(path: Path) -> Case:
    """Read a case from its .json file and the .npz beside it. DamagedCase where either is no good."""
    return Case(path.stem, Facts.of(read_raw(path)), read_arrays(path.with_suffix(".npz")))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. DamagedCase where it is absent, damaged or holds anything else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # zip, zlib, pickle and numpy each have errors of their own
        raise DamagedCase(f"{path} cannot be read as arrays: {error}") from error
    strangers = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise DamagedCase(f"{path} holds {', '.join(strangers)}, which is no array")
    return arrays
