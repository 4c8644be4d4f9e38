"""`pipe run`, `pipe status`, `pipe graph`: recipes and how they stand."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import outputs
from pipeline.forms import PLAIN, Form
from pipeline.plan import Planned, State, plan
from pipeline.progress import reporter, table
from pipeline.recipe import Recipe, load
from pipeline.toml import shown
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.execute import Choice, Means

_MOST_VARIANTS = 16
"""That are named at the end of a run."""


def run(
    paths: Sequence[Path],
    settings: Sequence[str],
    workspace: Workspace,
    choice: Choice,
    means: Means,
    *,
    form: Form = PLAIN,
    dry: bool = False,
    variants: Sequence[str] = (),
) -> None:
    """Bring recipes up to date, or with `dry` say what would run."""
    recipes = [load(path, settings, **form._asdict(), variants=variants) for path in dict.fromkeys(paths)]
    outputs.check_names(recipes)
    if dry:
        for recipe in recipes:
            _show_choice(recipe, workspace, choice)
    elif to_run := [recipe for recipe in recipes if not _all_cached(recipe, workspace, choice)]:
        from pipeline import execute  # what runs steps is not needed to see that none must run

        outputs.check(workspace)
        for recipe in to_run:
            _claim(recipe, workspace)
        execute.run_all(to_run, workspace, reporter(), choice, means)
        for recipe in to_run:
            _say_where(recipe, workspace, choice.steps(recipe))


def _show_choice(recipe: Recipe, workspace: Workspace, choice: Choice) -> None:
    from pipeline.execute import choose

    planned = choose(recipe, workspace, choice)
    show_plan(recipe, {name: planned[name] for name in planned if name in choice.steps(recipe)})
    workspace.stats.save()


def _all_cached(recipe: Recipe, workspace: Workspace, choice: Choice) -> bool:
    """Whether nothing has to run; then the links are made right and one line is said."""
    if choice.force:
        return False
    chosen = choice.steps(recipe)
    planned = plan(recipe, workspace)
    if any(planned[name].state is not State.CACHED for name in chosen):
        return False
    settle(recipe, workspace, planned, chosen)
    return True


def settle(recipe: Recipe, workspace: Workspace, planned: Mapping[str, Planned], chosen: set[str]) -> None:
    """The end of a run that had nothing to do."""
    _claim(recipe, workspace)
    for name in chosen:
        if (artifact := planned[name].artifact) is not None:
            outputs.link(workspace, recipe, recipe.steps[name], artifact)
    workspace.stats.save()
    print(f"{recipe.name}: nothing to do, {len(chosen)} steps are cached")
    for name, entry in planned.items():
        if name in chosen and entry.artifact is not None and entry.reason != entry.artifact.name:
            print(f"{name}: {entry.reason}")
    _say_where(recipe, workspace, chosen)


def _claim(recipe: Recipe, workspace: Workspace) -> None:
    if told := outputs.claim(workspace, recipe):
        print(told, file=sys.stderr)


def _say_where(recipe: Recipe, workspace: Workspace, chosen: set[str]) -> None:
    names = list(dict.fromkeys(recipe.steps[name].base for name in recipe.steps if name in chosen))
    steps = f"{{{','.join(names)}}}" if names[1:] else names[0]
    print(f"results: {shown(workspace.outputs)}/{recipe.name}/{'VARIANT/' if recipe.variants else ''}{steps}")
    whole = [name for name, nodes in recipe.variants.items() if chosen >= set(nodes.values())]
    for name in whole[:_MOST_VARIANTS]:
        print(f"  {name}")
    if len(whole) > _MOST_VARIANTS:
        print(f"  and {len(whole) - _MOST_VARIANTS} more variants")


def status(
    paths: Sequence[Path],
    settings: Sequence[str],
    workspace: Workspace,
    *,
    form: Form = PLAIN,
    as_json: bool,
    variants: Sequence[str] = (),
) -> None:
    """How every step of the recipes stands."""
    found = []
    for path in paths:
        recipe = load(path, settings, **form._asdict(), variants=variants)
        planned = plan(recipe, workspace)
        workspace.stats.save()
        found.append(_json(recipe, planned))
        if not as_json:
            show_plan(recipe, planned)
    if as_json:
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))


def show_plan(recipe: Recipe, planned: Mapping[str, Planned]) -> None:
    """A table of steps, states and reasons."""
    print(f"{recipe.name} ({shown(recipe.path)})")
    print(table([(f"  {name}", entry.standing, entry.reason) for name, entry in planned.items()]))


def _json(recipe: Recipe, planned: Mapping[str, Planned]) -> dict[str, Any]:
    steps = [
        {
            "step": entry.step.name,
            "stage": entry.step.stage.name,
            "state": entry.state.value,
            "items": _items(entry),
            "reason": entry.reason,
            "artifact": str(entry.artifact.path) if entry.artifact else None,
            "key": entry.key,
        }
        for entry in planned.values()
    ]
    return {"recipe": recipe.name, "steps": steps} | ({"variants": recipe.variants} if recipe.variants else {})


def _items(entry: Planned) -> dict[str, int | None] | None:
    return {"cached": entry.reuse.cached, "of": entry.reuse.total} if entry.reuse.base else None


def graph(path: Path, settings: Sequence[str], *, style: str, form: Form = PLAIN) -> None:
    """The steps and what they read, as a table, a Mermaid or a Graphviz drawing."""
    recipe = load(path, settings, **form._asdict())
    if style == "text":
        rows = [
            (name, step.stage.name, step.stage.output, "← " + ", ".join(_wires(step.inputs)) if step.inputs else "")
            for name, step in recipe.steps.items()
        ]
        print(table(rows, ("step", "stage", "makes", "reads")))
        return
    arrows = [(source, name, slot) for name, step in recipe.steps.items() for slot, source in step.inputs.items()]
    if style == "mermaid":
        boxes = [f'  {_mermaid(name)}["{name}"]' for name in recipe.steps if _mermaid(name) != name]
        lines = [f"  {_mermaid(source)} -- {slot} --> {_mermaid(name)}" for source, name, slot in arrows]
        print("\n".join(["graph LR", *boxes, *lines]))
    else:
        body = "\n".join(f'  "{source}" -> "{name}" [label="{slot}"];' for source, name, slot in arrows)
        print(f"digraph {json.dumps(recipe.name)} {{\n  rankdir=LR;\n{body}\n}}")


def _mermaid(name: str) -> str:
    return re.sub(r"\W", "_", name)  # in Mermaid, "@" and "=" mean something


def _wires(inputs: Mapping[str, str]) -> list[str]:
    return [source if slot == source else f"{source} ({slot})" for slot, source in inputs.items()]
