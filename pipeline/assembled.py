"""Steps that a command puts together in memory, checked as those of a recipe's file are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import params as typed
from pipeline.errors import RecipeError
from pipeline.recipe import Problems, Recipe, Step, declarations, instantiate
from pipeline.registry import load_stage, nearest


def step(command: str, name: str, given: Mapping[str, Any], inputs: Mapping[str, str]) -> Step:
    """One use of the stage `name`. RecipeError, with a line for every problem, where the values do not suit it.

    command: what the user wrote, for the sentences. inputs: slot → step.
    """
    stage_class = load_stage(name)
    params, components = declarations(stage_class, given)
    problems = Problems(Path(command))
    for sentence in typed.unknown(given, params, f"stage {name!r}").values():
        problems.add(sentence, None)
    values = typed.with_paths_expanded(params, typed.fill(params, given, lambda _, text: problems.add(text, None)))
    problems.stop()
    stage = instantiate(stage_class, components, values)
    for sentence in stage.check():
        problems.add(sentence, None)
    problems.stop()
    return Step(name, stage, params, values, {}, dict(inputs), tuple(path for path, _ in components.values()))


def recipe(name: str, command: str, steps: Sequence[Step]) -> Recipe:
    """A recipe of steps, each after those it reads from."""
    return Recipe(name, Path(command), {"seed": 0}, {one.name: one for one in steps}, {})


def settings(words: Sequence[str], steps: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Step → parameter → value of `--set` words "step.render.size=256", for steps called after their stages."""
    found: dict[str, dict[str, Any]] = {}
    for word in words:
        place, equals, text = word.partition("=")
        table, _, rest = place.strip().partition(".")
        name, _, key = rest.partition(".")
        if not equals or table != "step" or not key:
            raise RecipeError(f"--set {word!r} must read step.NAME.PARAMETER=VALUE, for example step.render.size=256")
        if name not in steps:
            raise RecipeError(
                f"--set {word!r}: there is no step {name!r}, only {', '.join(steps)}.{nearest(name, steps)}"
            )
        declared = typed.declared(load_stage(name).Params)
        if sentences := typed.unknown([key], declared, f"stage {name!r}"):
            raise RecipeError(f"--set {word!r}: {sentences[key]}")
        found.setdefault(name, {})[key] = typed.from_text(text, declared[key].type)
    return found
