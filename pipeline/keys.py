"""The key of a step: everything that determines its result, as one JSON value that also explains it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cache.digest import of_file, of_tree
from cache.files import walk
from cache.store import Artifact
from pipeline import libraries, pretrained
from pipeline.errors import StageError
from pipeline.params import key_values
from pipeline.recipe import Recipe, Step
from pipeline.stage import Given
from pipeline.workspace import Workspace

KEY_VERSION = 1
"""Raised when the engine itself changes what a result is."""

Key = dict[str, Any]

_WORTH_TELLING = 1_000_000_000
_read = {"bytes": 0}
"""Of all files that this process had to read to know them: a corpus may be a hundred thousand small ones."""


def key_of(step: Step, recipe: Recipe, inputs: Mapping[str, Artifact], workspace: Workspace) -> Key:
    """The key of a step whose inputs exist.

    Raises:
        StageError: an outside file is missing or a pretrained checkpoint is not here.
    """
    stage = step.stage
    pretrained_sources = list(stage.sources().pretrained.values())
    params = key_values(step.params, step.values)
    key: Key = {
        "version": KEY_VERSION,
        "stage": stage.name,
        "stage_version": stage.version,
        # the name of a pretrained checkpoint may be a folder of this machine; its content is among the sources
        "params": {name: value for name, value in params.items() if value not in pretrained_sources},
        "code": workspace.code.closure(_modules(step, recipe)),
        "inputs": {slot: dict(read) for slot, read in sorted(_reads(step, inputs).items())},
        "sources": _sources(step, workspace),
    }
    if recipe.strict and stage.libraries:
        key["libraries"] = libraries.for_key(stage)
    if stage.seeded:
        key["seed"] = recipe.seed_of(step)
    return key


def _modules(step: Step, recipe: Recipe) -> Iterable[str]:
    yield type(step.stage).__module__
    yield from step.components
    yield from step.stage.components(recipe.upstream(step))


def given(step: Step, inputs: Mapping[str, Artifact]) -> dict[str, Given]:
    """What a stage may see of its inputs while planning: what it uses of each, all of it where `uses` is empty."""
    found = {}
    for slot, artifact in inputs.items():
        uses = step.stage.uses(slot)
        content = {top: hash_ for top, hash_ in artifact.content.items() if not uses or top in uses}
        found[slot] = Given(artifact.path, content, artifact.manifest)
    return found


def _reads(step: Step, inputs: Mapping[str, Artifact]) -> Mapping[str, Mapping[str, str]]:
    """What the stage reads of its inputs. What it cannot make sense of is for its run to tell, in its own words."""
    if not inputs:  # asked before they exist, for what is wrong with outside files
        return {}
    seen = given(step, inputs)
    try:
        return step.stage.reads(seen)
    except Exception as error:
        if not hasattr(type(error), "exit_code"):
            raise
    return {slot: entry.content for slot, entry in seen.items()}


def _sources(step: Step, workspace: Workspace) -> dict[str, Any]:
    sources = step.stage.sources()
    found: dict[str, Any] = {}
    for name, path in sources.files.items():
        try:
            digest = _file_digest(name.removesuffix("?"), path, workspace, optional=name.endswith("?"))
        except StageError as error:
            raise StageError(f"{error}{_written(step, path)}") from error
        if digest:
            found[name.removesuffix("?")] = digest
    for name, source in sources.pretrained.items():
        found[name] = pretrained.identity(source, workspace.stats)
    return found


def _file_digest(name: str, path: Path, workspace: Workspace, *, optional: bool) -> str:
    try:
        if path.is_dir():
            return of_tree({inside: _content_digest(entry.path, workspace) for inside, entry in walk(path)})
        return _content_digest(path, workspace)
    except FileNotFoundError:
        if optional:
            return ""
        raise StageError(_missing(name, path)) from None
    except IsADirectoryError as error:
        raise StageError(
            f"{error.filename} is a link to a folder, and below a folder that is read such links are not followed: put "
            "the folder itself there, or leave the link out"
        ) from None
    except PermissionError:
        raise StageError(f"{path} may not be read; ask its owner for permission") from None


def _content_digest(path: Path | str, workspace: Workspace) -> str:
    digest: str = workspace.stats.get(path, _told_digest)
    return digest


def _told_digest(path: Path) -> str:
    """The content digest; what takes seconds is told, on stderr, since a plan may be read by a program."""
    size = path.stat().st_size
    before, _read["bytes"] = _read["bytes"], _read["bytes"] + size
    if size >= _WORTH_TELLING:
        print(f"reading {path.name} once, {size / 1e9:.1f} GB", file=sys.stderr)
    elif _read["bytes"] // _WORTH_TELLING > before // _WORTH_TELLING:
        print(f"reading new input files once, {_read['bytes'] / 1e9:.0f} GB so far", file=sys.stderr)
    return of_file(path)


def _written(step: Step, path: Path) -> str:
    """Where the path, or the folder it is in, was given."""
    for name, param in step.params.items():
        value = step.values[name]
        if param.path and value and name in step.origins and path.is_relative_to(value):
            return f" ({name} = {value!r}, {step.origins[name]})"
    return ""


def _missing(name: str, path: Path) -> str:
    folder = path.parent
    if folder.is_dir():
        return f"{path} is missing; {name} must be there"
    while not folder.parent.is_dir():
        folder = folder.parent
    return f"the folder {folder} does not exist, so {path.name} cannot be read; check the path"
