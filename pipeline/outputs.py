"""`outputs/<recipe>/<step>`: links to the current artifact of each step, so that results are plain files to open.

A variant of a matrix has a folder of its own, `outputs/<recipe>/<variant>/<step>`; a step that variants share is linked
in each. Two recipe files of one name cannot both be shown there: in one command they are refused, and where a later
command takes over the folder, it says so and drops the links that it does not own. Only links go, never results.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cache.store import Artifact
from pipeline.errors import RecipeError, StageError
from pipeline.recipe import Recipe, Step
from pipeline.stored import Stored
from pipeline.toml import shown
from pipeline.workspace import Workspace

_OWNER = ".recipe"
"""A link beside the results to the recipe file that they belong to."""


def places(workspace: Workspace, recipe: Recipe, step: Step) -> list[Path]:
    """Where a step's results are to be found: in one place, or in each variant that has the step."""
    folder = workspace.outputs / recipe.name
    if not recipe.variants:
        return [folder / step.base]
    return [folder / name / step.base for name, steps in recipe.variants.items() if steps[step.base] == step.name]


def check(workspace: Workspace) -> None:
    """StageError where links cannot be made; asked before the first step runs."""
    try:
        workspace.outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StageError(
            f"{workspace.outputs} cannot hold the links to results ({error.strerror}); choose another folder with "
            "--outputs or PIPE_OUTPUTS"
        ) from None


def check_names(recipes: Sequence[Recipe]) -> None:
    """RecipeError where recipes of one command would share a folder of results."""
    owners: dict[str, Path] = {}
    for recipe in recipes:
        other = owners.setdefault(recipe.name, recipe.path)
        if other.resolve() != recipe.path.resolve():
            raise RecipeError(
                f"{shown(other)} and {shown(recipe.path)} are both named {recipe.name!r}, and one folder of results "
                'cannot show both; give one of them a name of its own: name = "…" in its [recipe]'
            )


def claim(workspace: Workspace, recipe: Recipe) -> str:
    """Make the folder of results this recipe's; a sentence where it was that of another file, else ""."""
    folder, mine = workspace.outputs / recipe.name, os.path.abspath(recipe.path)
    try:
        owner = os.readlink(folder / _OWNER)
    except OSError:
        owner = ""
    if owner == mine or not recipe.path.is_file():
        return ""
    try:
        _point(folder / _OWNER, mine)
        if not owner or not os.path.exists(owner):
            return ""
        for link in list(_links(folder)):
            link.unlink()
    except OSError:  # read only: its links cannot be changed either, and `link` says so where one must be
        return ""
    return (
        f"{shown(folder)} showed the results of {shown(Path(owner))}; it now shows those of {shown(recipe.path)}, "
        'which has the same name. Give one of them another: name = "…" in its [recipe]'
    )


def _links(folder: Path) -> Iterator[Path]:
    for path in [*folder.iterdir(), *folder.glob("*=*/*")]:
        if path.is_symlink() and path.name != _OWNER:
            yield path


def link(workspace: Workspace, recipe: Recipe, step: Step, artifact: Artifact) -> None:
    """Point a step's links at its artifact; does nothing where they point there already, nor for what a command only
    reads out of the store."""
    for path in [] if isinstance(step.stage, Stored) else places(workspace, recipe, step):
        target = os.path.relpath(artifact.path, path.parent)
        try:
            if os.readlink(path) == target:
                continue
        except FileNotFoundError:
            pass
        except OSError:
            raise StageError(f"{path} is in the way of the link to the results; move it elsewhere") from None
        try:
            _point(path, target)
        except OSError as error:
            raise StageError(
                f"the link {path} to the results in {artifact.path} cannot be made ({error.strerror}); run again, or "
                "choose another folder with --outputs or PIPE_OUTPUTS"
            ) from None


def _point(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, path)
