"""`outputs/<recipe>/<step>`: links to the current artifact of each step, so that results are plain files to open."""

from __future__ import annotations

import os
from pathlib import Path

from cache.store import Artifact
from pipeline.errors import StageError
from pipeline.recipe import Recipe, Step
from pipeline.workspace import Workspace


def place(workspace: Workspace, recipe: Recipe, step: str) -> Path:
    """Where a step's results are to be found."""
    return workspace.outputs / recipe.name / step


def check(workspace: Workspace) -> None:
    """StageError where links cannot be made; asked before the first step runs."""
    try:
        workspace.outputs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StageError(
            f"{workspace.outputs} cannot hold the links to results ({error.strerror}); choose another folder with "
            "--outputs or PIPE_OUTPUTS"
        ) from None


def link(workspace: Workspace, recipe: Recipe, step: Step, artifact: Artifact) -> None:
    """Point a step's link at its artifact; does nothing where it points there already."""
    path = place(workspace, recipe, step.name)
    target = os.path.relpath(artifact.path, path.parent)
    try:
        if os.readlink(path) == target:
            return
    except FileNotFoundError:
        pass
    except OSError:
        raise StageError(f"{path} is in the way of the link to the results; move it elsewhere") from None
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        os.replace(temporary, path)
    except OSError as error:
        raise StageError(
            f"the link {path} to the results in {artifact.path} cannot be made ({error.strerror}); run again, or "
            "choose another folder with --outputs or PIPE_OUTPUTS"
        ) from None
