"""`pipe why`, `pipe accept`: what a step's result stands on, why it would run, and taking an earlier one for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import commits, explain, libraries, outputs
from pipeline.accept import Wish
from pipeline.errors import RecipeError
from pipeline.explain import Cause, Difference
from pipeline.plan import Planned, State, plan
from pipeline.recipe import Recipe
from pipeline.toml import shown
from pipeline.wiring import ancestors
from pipeline.workspace import Workspace

Plan = Mapping[str, Planned]


def one(recipe: Recipe, word: str) -> str:
    """The one step that a word means. RecipeError where it has several variants."""
    names = recipe.named(word)
    if len(names) > 1:
        raise RecipeError(f"step {word!r} has {len(names)} variants: {', '.join(names)}; name one of them")
    return names[0]


def why(recipe: Recipe, word: str, workspace: Workspace, *, as_json: bool) -> None:
    """Why a step would run, or what its cached result stands on."""
    name = one(recipe, word)
    planned = plan(recipe, workspace)
    workspace.stats.save()
    if as_json:
        print(json.dumps(_json(recipe, name, planned, workspace), indent=1, ensure_ascii=False))
    else:
        print("\n".join(_lines(recipe, name, planned, workspace)))


def _lines(recipe: Recipe, name: str, planned: Plan, workspace: Workspace) -> Iterator[str]:
    entry = planned[name]
    yield f"{name}  {entry.standing}  {entry.reason}"
    if entry.state is State.CACHED:
        yield from _cached(entry)
    elif entry.key is not None:
        yield from _cause(_why(recipe, entry, planned, workspace), workspace, "  ")
    for above in _roots(recipe, name, planned):
        yield f"  {above.step.name} {'must run' if above.state is State.TO_RUN else 'cannot run'}: {above.reason}"
        if above.key is not None:
            yield from _cause(_why(recipe, above, planned, workspace), workspace, "    ")


def _cached(entry: Planned) -> Iterator[str]:
    artifact = entry.artifact
    if artifact is None:
        return
    record, made = artifact.record, artifact.record["provenance"]
    if accepted := made.get("accepted"):
        yield f"  accepted by {accepted['by']} on {accepted['when']}, because: {accepted['reason']}"
        yield f"  from {accepted['from']}, which differs in:"
        yield from (f"    {text}" for text in accepted["differences"] or ["nothing"])
        made = accepted["made"]
    yield f"  made {made['finished']} on {made['host']} in {made['seconds']:.1f} s, because: {made['reason']}"
    yield f"  folder {artifact.path}"
    if remark := libraries.remark(entry.step.stage, artifact):
        yield f'  {remark}; it is not run again for that unless the recipe says libraries = "strict"'
    for name, value in sorted(record["key"]["params"].items()):
        origin = entry.step.origins.get(name)
        yield f"  {name} = {value!r}{f'   {origin}' if origin else ''}"


def _why(recipe: Recipe, entry: Planned, planned: Plan, workspace: Workspace) -> Cause:
    above = {name: other.artifact for name, other in planned.items() if other.artifact is not None}
    return explain.cause(entry.step, recipe, entry.key or {}, workspace, above)


def _cause(cause: Cause, workspace: Workspace, indent: str) -> Iterator[str]:
    if cause.earlier is None:
        yield f"{indent}no earlier result of step {cause.step} in the store to compare with"
        return
    made = cause.earlier.record["provenance"]
    yield f"{indent}{cause.step} compared with {cause.earlier.name}, made {made.get('finished', 'once')}:"
    if not cause.differences:
        yield f"{indent}  no difference: it was made again and came out otherwise, or is gone"
    for difference in cause.differences:
        yield f"{indent}  {difference}"
        if difference.part == "code":
            yield from (f"{indent}    {line}" for line in _history(difference, cause, workspace).lines())
        if difference.behind is not None:
            yield from _cause(difference.behind, workspace, f"{indent}    ")


def _history(difference: Difference, cause: Cause, workspace: Workspace) -> commits.History:
    made: Mapping[str, Any] = cause.earlier.record["provenance"] if cause.earlier else {}
    return commits.since(workspace.code.file(difference.name), made)


def _roots(recipe: Recipe, name: str, planned: Plan) -> Iterator[Planned]:
    """The steps above that wait for no other one and have no result: where it begins."""
    needed = ancestors({step: entry.inputs for step, entry in recipe.steps.items()}, name) - {name}
    for step in recipe.steps:
        if step in needed and planned[step].state in (State.TO_RUN, State.BLOCKED):
            yield planned[step]


def _json(recipe: Recipe, name: str, planned: Plan, workspace: Workspace) -> dict[str, Any]:
    entry = planned[name]
    made: Mapping[str, Any] = entry.artifact.record["provenance"] if entry.artifact else {}
    found: dict[str, Any] = {
        "step": name,
        "stage": entry.step.stage.name,
        "state": entry.state.value,
        "reason": entry.reason,
        "artifact": str(entry.artifact.path) if entry.artifact else None,
        "key": entry.key,
        "made": made.get("finished"),
        "made_because": made.get("reason"),
        "accepted": made.get("accepted"),
        "other_libraries": libraries.remark(entry.step.stage, entry.artifact) if entry.artifact else "",
        "compared_with": None,
        "differences": [],
        "roots": [_root_json(recipe, above, planned, workspace) for above in _roots(recipe, name, planned)],
    }
    if entry.key is not None and entry.state is not State.CACHED:
        found |= _cause_json(_why(recipe, entry, planned, workspace), workspace)
    return found


def _root_json(recipe: Recipe, entry: Planned, planned: Plan, workspace: Workspace) -> dict[str, Any]:
    facts = {"step": entry.step.name, "state": entry.state.value, "reason": entry.reason}
    return facts | (_cause_json(_why(recipe, entry, planned, workspace), workspace) if entry.key is not None else {})


def _cause_json(cause: Cause, workspace: Workspace) -> dict[str, Any]:
    return {
        "compared_with": cause.earlier.name if cause.earlier else None,
        "differences": [_difference_json(difference, cause, workspace) for difference in cause.differences],
    }


def _difference_json(difference: Difference, cause: Cause, workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {
        "part": difference.part,
        "name": difference.name,
        "old": difference.old,
        "new": difference.new,
        "place": difference.place,
        "text": str(difference),
    }
    if difference.part == "code":
        history = _history(difference, cause, workspace)
        found |= {"commits": list(history.commits), "edited": history.edited}
    if difference.behind is not None:
        found["behind"] = {"step": difference.behind.step} | _cause_json(difference.behind, workspace)
    return found


def accept(recipe: Recipe, word: str, workspace: Workspace, wish: Wish) -> None:
    """Adopt an earlier result under the step's key of now; a line says what was done."""
    from pipeline import accept as adoption

    name = one(recipe, word)
    planned = plan(recipe, workspace)
    earlier, made = adoption.accept(recipe, name, planned, workspace, wish)
    workspace.stats.save()
    outputs.link(workspace, recipe, recipe.steps[name], made)
    print(f"{name}: {earlier.name} is accepted as {made.name}")
    for difference in made.record["provenance"]["accepted"]["differences"]:
        print(f"  although {difference}")
    print(f"to make it after all: pipe run {shown(recipe.path)} --force {name}")
