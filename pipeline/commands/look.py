"""`pipe recipe …`: looking at recipes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import forms
from pipeline.errors import RecipeError
from pipeline.forms import PLAIN, Form
from pipeline.progress import table
from pipeline.recipe import Recipe, Step, load
from pipeline.toml import shown
from pipeline.workspace import PROJECT


def recipe_files() -> Iterator[Path]:
    """The recipes of the current folder's `recipes/`, or those that come with the project."""
    here = Path("recipes")
    folder = here if here.is_dir() else PROJECT / "recipes"
    yield from sorted(folder.glob("*.toml"))


def recipe_ls() -> None:
    """Name, title and steps of every recipe."""
    rows = []
    for path in recipe_files():
        head = tomllib.loads(path.read_text(encoding="utf-8")).get("recipe", {})
        rows.append((shown(path), head.get("title") or head.get("paper", "")))
    print(table(rows, ("recipe", "what")))


def recipe_show(path: Path, settings: Sequence[str], *, form: Form = PLAIN) -> None:
    """The resolved recipe, a valid TOML file, with the origin of every value; of a sweep, the matrix too."""
    recipe = load(path, settings, **form._asdict())
    hidden = {address[1] for address in (*recipe.matrix, forms.SWITCH) if address[0] == "recipe"}
    lines = ["[recipe]", *(_line(key, value, "") for key, value in recipe.info.items() if key not in hidden)]
    if recipe.info.get(forms.AS_PUBLISHED):  # what is shown holds it already, and has no such table
        lines += [f"# the form as published: {recipe.leaves[forms.SWITCH].origin}"]
    if recipe.matrix:
        rows = [_line(".".join(address), leaf.value, str(leaf.origin)) for address, leaf in recipe.matrix.items()]
        lines += ["", f"[matrix]  # {len(recipe.variants)} variants", *rows]
    siblings: dict[str, list[Step]] = {}
    for step in recipe.steps.values():
        siblings.setdefault(step.base, []).append(step)
    for name, steps in siblings.items():
        lines += ["", f"[step.{name}]", *_step_lines(recipe, steps)]
    print("\n".join(lines))


def _step_lines(recipe: Recipe, variants: Sequence[Step]) -> Iterator[str]:
    """What all variants of a step have in common; what only some have is a comment, since the matrix says it."""
    first = variants[0]
    yield _line("stage", first.stage.name, "")
    if first.inputs and ("step", first.base, "inputs") not in {address[:3] for address in recipe.matrix}:
        wires = ", ".join(f'{slot} = "{recipe.steps[source].base}"' for slot, source in first.inputs.items())
        yield f"inputs = {{ {wires} }}"
    for key in dict.fromkeys(key for step in variants for key in step.values):
        values = [step.values.get(key) for step in variants]
        if ("step", first.base, key) in recipe.matrix:
            yield f"# {key} is in the matrix"
        elif any(key not in step.values or step.values[key] != values[0] for step in variants):
            yield f"# {key} differs: {', '.join(dict.fromkeys(map(_toml, values)))}"
        elif values[0] is None:
            yield f"# {key} is not set"
        else:
            yield _line(key, values[0], str(first.origins.get(key, "default")))


def recipe_check(paths: Sequence[Path]) -> None:
    """Load recipes in all their forms; a line for each recipe, or the problems of all of them."""
    problems: dict[str, None] = {}
    for path in paths:
        found = _mistakes(path)
        problems |= found
        if not found:
            print(_fine(path))
    if problems:
        raise RecipeError("\n".join(problems))


def _mistakes(path: Path) -> dict[str, None]:
    """The problems of all forms, each told once."""
    try:
        found = forms.had(path)
    except RecipeError as error:
        return dict.fromkeys(str(error).splitlines())
    return dict.fromkeys(line for form in found for line in _mistakes_of(path, form))


def _mistakes_of(path: Path, form: Form) -> list[str]:
    try:
        load(path, **form._asdict())
    except RecipeError as error:
        return str(error).splitlines()
    return []


def _fine(path: Path) -> str:
    recipe = load(path)
    bases = dict.fromkeys(step.base for step in recipe.steps.values())
    swept = f", {len(recipe.variants)} variants with {len(recipe.steps)} steps in all" if recipe.variants else ""
    others = dict.fromkeys(" ".join(form.options) for form in forms.had(path)[1:])
    also = f"; also with {', '.join(others)}" if others else ""
    return f"{shown(path)}: fine, {len(bases)} steps: {', '.join(bases)}{swept}{also}"


def _line(key: str, value: Any, origin: str) -> str:
    text = f"{key} = {_toml(value)}"
    return f"{text:<48}# {origin}" if origin else text


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
