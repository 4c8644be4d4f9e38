"""`pipe run`, `pipe status`, `pipe why`, `pipe graph`: recipes and how they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import explain, outputs
from pipeline.errors import RecipeError
from pipeline.plan import Planned, State, plan
from pipeline.progress import reporter, table
from pipeline.recipe import Recipe, load
from pipeline.registry import nearest
from pipeline.toml import shown
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.execute import Choice, Means


def run(
    paths: Sequence[Path],
    settings: Sequence[str],
    workspace: Workspace,
    choice: Choice,
    means: Means,
    *,
    tiny: bool = False,
    dry: bool = False,
) -> None:
    """Bring recipes up to date, or with `dry` say what would run."""
    recipes = [load(path, settings, tiny=tiny) for path in paths]
    for recipe in recipes:
        if dry:
            from pipeline.execute import choose

            planned = choose(recipe, workspace, choice)
            show_plan(recipe, {name: planned[name] for name in planned if name in choice.steps(recipe)})
            workspace.stats.save()
        elif not _all_cached(recipe, workspace, choice):
            from pipeline import execute  # what runs steps is not needed to see that none must run

            execute.run(recipe, workspace, reporter(), choice, means)
            _say_where(recipe, workspace, choice.steps(recipe))


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
    for name in chosen:
        if (artifact := planned[name].artifact) is not None:
            outputs.link(workspace, recipe, recipe.steps[name], artifact)
    workspace.stats.save()
    print(f"{recipe.name}: nothing to do, {len(chosen)} steps are cached")
    _say_where(recipe, workspace, chosen)


def _say_where(recipe: Recipe, workspace: Workspace, chosen: set[str]) -> None:
    names = [name for name in recipe.steps if name in chosen]
    print(f"results: {shown(workspace.outputs)}/{recipe.name}/" + (f"{{{','.join(names)}}}" if names[1:] else names[0]))


def status(paths: Sequence[Path], settings: Sequence[str], workspace: Workspace, *, tiny: bool, as_json: bool) -> None:
    """How every step of the recipes stands."""
    found = []
    for path in paths:
        recipe = load(path, settings, tiny=tiny)
        planned = plan(recipe, workspace)
        workspace.stats.save()
        found.append({"recipe": recipe.name, "steps": [_json(entry) for entry in planned.values()]})
        if not as_json:
            show_plan(recipe, planned)
    if as_json:
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))


def show_plan(recipe: Recipe, planned: Mapping[str, Planned]) -> None:
    """A table of steps, states and reasons."""
    print(f"{recipe.name} ({shown(recipe.path)})")
    print(table([(f"  {name}", entry.standing, entry.reason) for name, entry in planned.items()]))


def _json(entry: Planned) -> dict[str, Any]:
    return {
        "step": entry.step.name,
        "stage": entry.step.stage.name,
        "state": entry.state.value,
        "items": {"cached": entry.reuse.cached, "of": entry.reuse.total} if entry.reuse.base else None,
        "reason": entry.reason,
        "artifact": str(entry.artifact.path) if entry.artifact else None,
        "key": entry.key,
    }


def why(path: Path, step: str, settings: Sequence[str], workspace: Workspace, *, tiny: bool, as_json: bool) -> None:
    """Why a step would run, or what its cached result stands on."""
    recipe = load(path, settings, tiny=tiny)
    if step not in recipe.steps:
        known = ", ".join(recipe.steps)
        raise RecipeError(f"recipe {recipe.name} has no step {step!r}; it has {known}.{nearest(step, recipe.steps)}")
    planned = plan(recipe, workspace)
    workspace.stats.save()
    entry = planned[step]
    if as_json:
        print(json.dumps(_json(entry) | {"differences": _differences_json(recipe, entry, workspace)}, indent=1))
        return
    print(f"{step}  {entry.state.value}  {entry.reason}")
    if entry.state is State.CACHED and entry.artifact is not None:
        _explain_cached(entry)
    elif entry.state is State.WAITS:
        _explain_waiting(recipe, planned, entry)
    elif entry.key is not None:
        _explain_differences(recipe, entry, workspace)


def _explain_cached(entry: Planned) -> None:
    record = entry.artifact.record if entry.artifact else {}
    made = record["provenance"]
    print(f"  made {made['finished']} on {made['host']} in {made['seconds']:.1f} s, because: {made['reason']}")
    print(f"  folder {entry.artifact.path if entry.artifact else ''}")
    for name, value in sorted(record["key"]["params"].items()):
        origin = entry.step.origins.get(name)
        print(f"  {name} = {value!r}{f'   {origin}' if origin else ''}")


def _explain_waiting(recipe: Recipe, planned: Mapping[str, Planned], entry: Planned) -> None:
    """The steps above that must run, root first."""
    for name in recipe.steps:
        above = planned[name]
        if above.state is State.TO_RUN:
            print(f"  {name} must run: {above.reason}")


def _explain_differences(recipe: Recipe, entry: Planned, workspace: Workspace) -> None:
    earlier = explain.nearest(entry.step, recipe, entry.key or {}, workspace)
    if earlier is None:
        print("  no earlier result of this stage to compare with")
        return
    print(f"  compared with {earlier.name}, made {earlier.record['provenance']['finished']}:")
    for difference in explain.differences(earlier.key, entry.key or {}, entry.step):
        print(f"  {difference}")


def _differences_json(recipe: Recipe, entry: Planned, workspace: Workspace) -> list[dict[str, Any]]:
    if entry.key is None or entry.state is State.CACHED:
        return []
    earlier = explain.nearest(entry.step, recipe, entry.key, workspace)
    return (
        [vars(difference) for difference in explain.differences(earlier.key, entry.key, entry.step)] if earlier else []
    )


def graph(path: Path, settings: Sequence[str], *, style: str, tiny: bool) -> None:
    """The steps and what they read, as a table, a Mermaid or a Graphviz drawing."""
    recipe = load(path, settings, tiny=tiny)
    if style == "text":
        rows = [
            (name, step.stage.name, step.stage.output, "← " + ", ".join(_wires(step.inputs)) if step.inputs else "")
            for name, step in recipe.steps.items()
        ]
        print(table(rows, ("step", "stage", "makes", "reads")))
        return
    arrows = [(source, name, slot) for name, step in recipe.steps.items() for slot, source in step.inputs.items()]
    if style == "mermaid":
        print("graph LR\n" + "\n".join(f"  {source} -- {slot} --> {name}" for source, name, slot in arrows))
    else:
        body = "\n".join(f'  "{source}" -> "{name}" [label="{slot}"];' for source, name, slot in arrows)
        print(f"digraph {json.dumps(recipe.name)} {{\n  rankdir=LR;\n{body}\n}}")


def _wires(inputs: Mapping[str, str]) -> list[str]:
    return [source if slot == source else f"{source} ({slot})" for slot, source in inputs.items()]
