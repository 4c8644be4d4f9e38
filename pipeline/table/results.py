"""The results that a table is made of: of recipes as they stand now, and of metrics files that are named.

Only what the store holds under the key that the recipe has now counts. A result that is missing is a row without
numbers and a sentence that says what makes it; nothing runs here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.files import read_json
from cache.store import RECORD
from pipeline import registry
from pipeline.errors import RecipeError
from pipeline.plan import Planned, State, plan
from pipeline.recipe import Recipe
from pipeline.table.report import FILE, Report, read
from pipeline.toml import shown
from pipeline.wiring import ancestors
from pipeline.workspace import Workspace

KIND = "metrics"
"""The kind of artifact, and the usual name of the step, that holds results."""


@dataclass(frozen=True)
class Result:
    """One row to be. report: None where there is no result; then `missing` says what makes it.

    origin: recipe, or recipe and step, or folder. hears: False for a motion prior's reconstruction of the truth, which
    is a ceiling and no competitor.
    """

    model: str
    origin: str
    dataset: str
    hears: bool
    report: Report | None
    missing: str = ""


def of_recipe(recipe: Recipe, workspace: Workspace, *, words: Sequence[str]) -> list[Result]:
    """A result per metrics step, so one per variant. words: options that `pipe run` needs to make the same results."""
    steps = [name for name, step in recipe.steps.items() if step.stage.output == KIND]
    if not steps:
        raise RecipeError(
            f"{shown(recipe.path)} has no step that makes metrics, so it has nothing for a table; it has "
            f"{', '.join(recipe.steps)}"
        )
    planned = plan(recipe, workspace)
    workspace.stats.save()
    command = shlex.join(["pipe", "run", shown(recipe.path), *words])
    return [
        _of_step(name, recipe, planned, command)
        for name in sorted(steps, key=lambda name: recipe.steps[name].base != KIND)
    ]


def of_file(path: Path) -> Result:
    """The result in a folder, or in a metrics file itself."""
    file = path / FILE if path.is_dir() else path
    report = read(file)
    return Result(report.model, _made_by(file) or shown(path), report.dataset, _hears(report.model), report)


def is_file(path: Path) -> bool:
    """Whether a word names results themselves rather than a recipe."""
    return path.is_dir() or path.suffix == ".json"


def _of_step(name: str, recipe: Recipe, planned: Mapping[str, Planned], command: str) -> Result:
    step, entry = recipe.steps[name], planned[name]
    origin = _origin(recipe.name, step.base, step.variant)
    if entry.artifact is not None and entry.state is State.CACHED:
        report = read(entry.artifact.path / FILE)
        return Result(report.model, origin, report.dataset, _hears(report.model), report)
    model, dataset = (next(_above(recipe, name, key), "") for key in ("model", "dataset"))
    cause = _cause(recipe, name, planned)
    reason = " ".join(cause.reason.split())
    missing = f"{origin}: no result as the recipe stands (step {cause.step.name}: {reason}); {command}"
    missing += " makes it" if cause.state is not State.BLOCKED else " makes it once that is mended"
    return Result(model or recipe.name, origin, dataset, _hears(model), None, missing)


def _above(recipe: Recipe, name: str, key: str) -> Iterator[str]:
    """What the steps behind a step say under a parameter, nearest first."""
    waiting, seen = [name], set()
    while waiting:
        step = recipe.steps[waiting.pop(0)]
        if step.name not in seen:
            seen.add(step.name)
            waiting += step.inputs.values()
            if isinstance(value := step.values.get(key), str):
                yield value


def _cause(recipe: Recipe, name: str, planned: Mapping[str, Planned]) -> Planned:
    """The first step that keeps a result from being there."""
    needed = ancestors({step: entry.inputs for step, entry in recipe.steps.items()}, name)
    first = (planned[step] for step in recipe.steps if step in needed and planned[step].state is not State.CACHED)
    return next(first, planned[name])


def _origin(recipe: str, step: str, variant: str) -> str:
    return ", ".join([recipe, *([] if step == KIND else [step]), *([variant] if variant else [])])


def _made_by(file: Path) -> str:
    """The recipe and step that made an artifact's file, or "" where the file lies elsewhere."""
    record = read_json(file.parent / RECORD)
    made: Any = record.get("provenance") if isinstance(record, dict) else None
    names_them = isinstance(made, dict) and {"recipe", "step"} <= made.keys()
    return _origin(str(made["recipe"]), str(made["step"]), str(made.get("variant", ""))) if names_them else ""


def _hears(model: str) -> bool:
    """False for a motion prior; a model that is not known here is taken for one that listens.

    A dotted path is not followed: a metrics file may come from anywhere, and importing runs code.
    """
    if "." in model or ":" in model:
        return True
    try:
        settings = getattr(registry.load_component("models", model), "Settings", None)
    except RecipeError:
        return True
    return bool(getattr(settings, "hears", True))
