"""What is known of a released file before it is loaded: which model, of which data set, who was trained on.

Names and shapes tell the model (`models.recognise`); the number of vertices tells the data set, and that its rate, unit
and, where as many subjects were trained on as its official split has, their names. Light: nothing here loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faces.errors import DataError
from faces.texts import read_json, read_toml
from models.recognise import Released, unlike
from models.torch_shapes import read_shapes
from pipeline import registry

SPLITS = Path(__file__).resolve().parent.parent / "preprocess" / "splits"
ENDINGS = (".pth", ".pth.tar", ".pt")
"""Of released files."""
CONFIG = "config.json"


@dataclass(frozen=True)
class Home:
    """A data set that released files are of."""

    dataset: str
    fps: float
    units: str

    @property
    def split(self) -> Path:
        return SPLITS / f"{self.dataset}.toml"

    def subjects(self) -> list[str]:
        """Who is trained on, in the order of the one-hot style."""
        found: list[str] = list(read_toml(self.split)["train"]["subjects"])
        return found


HOMES: Mapping[int, Home] = {5023: Home("vocaset", 30.0, "m"), 23370: Home("biwi", 25.0, "unit-area")}
"""Vertices → the data set. BIWI as CodeTalker's script prepares it, each face scaled to an area of 1."""


@dataclass(frozen=True)
class File:
    """A file that was recognised. model: its name in recipes."""

    path: Path
    model: str
    released: Released

    @property
    def home(self) -> Home | None:
        return HOMES.get(self.released.vertices)

    @property
    def subjects(self) -> list[str]:
        """Names of who was trained on: the model's own, the official ones, or "subject1", … where the split has another
        number."""
        if self.released.names:
            return list(self.released.names)
        official = self.home.subjects() if self.home else []
        count = self.released.subjects
        return official if len(official) == count else [f"subject{number}" for number in range(1, count + 1)]


def recognise(path: Path) -> File:
    """The model of a released file. DataError, with the nearest candidates, where it is of none."""
    if not path.name.endswith(ENDINGS):
        hint = "; of our own checkpoints give the folder" if path.suffix == ".safetensors" else ""
        raise DataError(f"{path} is no released file of weights, which end in {', '.join(ENDINGS)}{hint}")
    shapes, signatures = read_shapes(path), dict[str, Sequence[str]]()
    for model, module in _released():
        found: Released | None = module.recognise(shapes)
        if found is not None:
            return File(path, model, found)
        signatures[model] = module.SIGNATURE
    raise DataError(f"{path} is of no model known here ({', '.join(signatures)}): {unlike(shapes, signatures)}")


def _released() -> list[tuple[str, Any]]:
    """Models that have released files, each with the module that knows them."""
    known = [model for model in registry.names("models") if has_released(model)]
    return [(model, registry.load_module(released_module(model))) for model in known]


def has_released(model: str) -> bool:
    """Whether a model has a module that knows released files of it."""
    try:
        return find_spec(released_module(model)) is not None
    except ModuleNotFoundError:  # a single module, no package
        return False


def released_module(model: str) -> str:
    """The dotted module that knows a model's released files."""
    return f"{registry.component_module('models', model)}.released"


def model_in(folder: Path) -> str:
    """The model of a folder that holds a checkpoint of ours. DataError where it holds none."""
    try:
        model = read_json(folder / CONFIG)["model"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{folder} holds no checkpoint: its {CONFIG} is missing or names no model") from None
    return str(model)
