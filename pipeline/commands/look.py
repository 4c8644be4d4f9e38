"""`pipe recipe …`: looking at recipes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.progress import table
from pipeline.recipe import load
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


def recipe_show(path: Path, settings: Sequence[str], *, tiny: bool) -> None:
    """The resolved recipe, a valid TOML file, with the origin of every value."""
    recipe = load(path, settings, tiny=tiny)
    lines = ["[recipe]", *(_line(key, value, "") for key, value in recipe.info.items())]
    for name, step in recipe.steps.items():
        lines += ["", f"[step.{name}]", _line("stage", step.stage.name, "")]
        if step.inputs:
            wires = ", ".join(f'{slot} = "{source}"' for slot, source in step.inputs.items())
            lines.append(f"inputs = {{ {wires} }}")
        for key, value in step.values.items():
            origin = str(step.origins.get(key, "default"))
            lines.append(_line(key, value, origin) if value is not None else f"# {key} is not set")
    print("\n".join(lines))


def recipe_check(paths: Sequence[Path]) -> None:
    """Load recipes; a line each, or the problems."""
    for path in paths:
        recipe = load(path)
        print(f"{shown(path)}: fine, {len(recipe.steps)} steps: {', '.join(recipe.steps)}")


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
