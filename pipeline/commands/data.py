"""`pipe data …`: where the data lie is settled here, what is in them by what the registry names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import RecipeError
from pipeline.forms import PLAIN, Form
from pipeline.plan import plan
from pipeline.recipe import load
from pipeline.registry import load_command
from pipeline.stored import named
from pipeline.toml import shown
from pipeline.workspace import Workspace

KIND, INDEX = "sequences", "sequences.json"


def card(
    targets: Sequence[str], workspace: Workspace, settings: Sequence[str] = (), *, form: Form = PLAIN, as_json: bool
) -> None:
    """Show the data cards of artifacts, folders and recipes, these with `settings`; of the whole store where none is
    named."""
    if not targets:
        folders = _all(workspace)
    else:
        folders = [folder for target in targets for folder in _meant(target, workspace, settings, form)]
    load_command("data card")(list(dict.fromkeys(folders)), as_json=as_json)


def _all(workspace: Workspace) -> list[Path]:
    found = [artifact.path for artifact in workspace.store.artifacts() if artifact.kind == KIND]
    if not found:
        raise RecipeError(f"the store {shown(workspace.store.root)} holds no prepared data set; run a recipe first")
    return found


def _meant(target: str, workspace: Workspace, settings: Sequence[str], form: Form) -> Iterator[Path]:
    path = Path(target)
    if path.suffix == ".toml":
        yield from _of_recipe(path, workspace, settings, form)
    elif (path / INDEX).is_file():
        yield path
    else:
        artifact = named(workspace.store, target)
        if artifact.kind != KIND:
            raise RecipeError(f"{artifact.name} is of the kind {artifact.kind}; data cards are of {KIND}")
        yield artifact.path


def _of_recipe(path: Path, workspace: Workspace, settings: Sequence[str], form: Form) -> list[Path]:
    """The data sets that a recipe's steps have made, as it stands."""
    whole = plan(load(path, settings, **form._asdict()), workspace)
    planned = {name: entry for name, entry in whole.items() if entry.step.stage.output == KIND}
    found = [entry.artifact.path for entry in planned.values() if entry.artifact]
    if not found:
        steps = " and ".join(planned) or "preprocess"
        words = "".join([*(f" --set {setting}" for setting in settings), *(f" {option}" for option in form.options)])
        raise RecipeError(f"{shown(path)}: {steps} must run first: pipe run {shown(path)}{words} --until {steps}")
    return found
