"""What RECIPE|CHECKPOINT means: the trained network that a recipe, a name, a folder or a released file stands for,
and the data that it was trained on as far as they are in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache.store import Artifact
from pipeline import assembled, outputs
from pipeline.errors import RecipeError
from pipeline.forms import PLAIN, Form
from pipeline.plan import Planned, State, plan
from pipeline.recipe import Recipe, Step, load
from pipeline.registry import load_command, speaks
from pipeline.stored import named, step_for
from pipeline.toml import shown
from pipeline.workspace import Workspace

KIND = "checkpoint"
ADOPT, CLIP, INFER, RENDER, STYLE = "adopt", "clip", "infer", "render", "style"
FEATURES, TRAIN, VOICE = "features", "train", "voice"
CONFIG = "config.json"
RELEASED = (".pth", ".pt", ".tar")
"""Endings of files that others released."""


@dataclass(frozen=True)
class Wanted:
    """What a command says of the network.

    target: a recipe, or a checkpoint's name, folder or released file. settings, form: of the recipe. prior: file of a
    released first stage. fps: of a released file that does not tell.
    """

    target: str
    settings: Sequence[str] = ()
    form: Form = PLAIN
    prior: str = ""
    fps: float = 0.0


@dataclass(frozen=True)
class Trained:
    """A network that can be had.

    step: the step that is it, or makes it of weights from elsewhere. speaker: what it was trained for. data: what it
    was trained on, None where that is not in the store. splits: of the data, whom it is tested on. values: step →
    parameters, as the recipe has them. heard: parameters of the step that made its features, where that is known.
    """

    step: Step
    speaker: Any
    data: Artifact | None = None
    splits: Sequence[str] = ("test",)
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heard: Mapping[str, Any] = field(default_factory=dict)


def find(wanted: Wanted, workspace: Workspace) -> Trained:
    """The network that the command means. RecipeError or DataError where there is none."""
    path = Path(wanted.target).expanduser()
    if path.suffix != ".toml" and wanted.form.options:
        raise RecipeError(f"{' '.join(wanted.form.options)}: {wanted.target} is no recipe and has no other forms")
    if path.suffix == ".toml":
        return _refuse_rate(_of_recipe(path, wanted, workspace), wanted)
    if path.is_file():
        return _of_file(path, wanted, workspace)
    if path.is_dir() and (path / CONFIG).is_file():
        return _refuse_rate(_of_folder(path, workspace), wanted)
    if path.is_dir() or path.is_absolute() or path.suffix in RELEASED:
        raise RecipeError(
            f"{path} {f'has no {CONFIG}' if path.is_dir() else 'is not there'}: give a recipe, a checkpoint's name or "
            "folder, or a released file (.pth, .pth.tar, .pt)"
        )
    return _refuse_rate(_of_artifact(named(workspace.store, wanted.target), workspace), wanted)


def _refuse_rate(trained: Trained, wanted: Wanted) -> Trained:
    if wanted.fps and wanted.fps != trained.speaker.fps:
        raise RecipeError(
            f"--fps {wanted.fps:g}: this network moves at {trained.speaker.fps:g} frames a second, as it was trained; "
            "the option is for released files that do not tell"
        )
    if wanted.prior:
        raise RecipeError("--prior is for released files; a checkpoint of ours holds its prior")
    return trained


def _of_recipe(path: Path, wanted: Wanted, workspace: Workspace) -> Trained:
    recipe = load(path, wanted.settings, **wanted.form._asdict())
    name = _speaking_step(recipe)
    planned = plan(recipe, workspace)
    artifact = planned[name].artifact
    if artifact is None:
        options = [word for setting in wanted.settings for word in ("--set", setting)] + wanted.form.options
        words = "".join(f" {word}" for word in options)
        raise RecipeError(
            f"{recipe.name} is not trained as it stands ({name}: {_standing(planned[name])}); train it first: "
            f"pipe run {shown(path)}{words} --until {recipe.steps[name].base}{_earlier(recipe, name, workspace)}"
        )
    behind = recipe.steps[name].inputs.get("data")
    data = planned[behind].artifact if behind else None
    values = {one.stage.name: dict(one.values) for one in recipe.steps.values() if one.stage.name in (INFER, RENDER)}
    splits = values.get(INFER, {}).get("splits", ["test"])
    heard = recipe.steps[name].inputs.get(FEATURES)
    speaker = load_command("infer folder")(artifact.path)
    told = recipe.steps[heard].values if heard else {}
    return Trained(_sound(artifact, workspace), speaker, data, splits, values, told)


def _earlier(recipe: Recipe, name: str, workspace: Workspace) -> str:
    """Where an earlier run of the recipe has left its network, "" where none has."""
    places = [place for place in outputs.places(workspace, recipe, recipe.steps[name]) if (place / CONFIG).is_file()]
    return f"; what it trained before still speaks: pipe infer {shown(places[0])}" if places else ""


def _standing(entry: Planned) -> str:
    return f"waits, {entry.reason}" if entry.state is State.WAITS else entry.reason


def _speaking_step(recipe: Recipe) -> str:
    """The step whose network the recipe's inference uses, or the only one that trains a network that speaks."""
    used = {step.inputs["checkpoint"] for step in recipe.steps.values() if step.stage.name == INFER}
    trains = [step for step in recipe.steps.values() if step.stage.name == TRAIN]
    speaking = {step.name for step in trains if speaks(step.stage.settings.get("model"))}
    found = sorted(used or speaking)
    if len(found) != 1:
        what = f"trains several ({', '.join(found)})" if found else "trains no network that speaks"
        raise RecipeError(
            f"{shown(recipe.path)} {what}: name a checkpoint as `pipe cache ls` shows it, or pin a sweep with --set"
        )
    return found[0]


def _of_artifact(artifact: Artifact, workspace: Workspace) -> Trained:
    if artifact.kind != KIND:
        raise RecipeError(f"{artifact.name} is of the kind {artifact.kind}; name one that holds a checkpoint")
    speaker = load_command("infer folder")(artifact.path)
    data, heard = _data(artifact, speaker, workspace), _heard(artifact, workspace)
    return Trained(_sound(artifact, workspace), speaker, data, heard=heard)


def _of_folder(path: Path, workspace: Workspace) -> Trained:
    """A folder in the store, or a copy elsewhere, which is taken over."""
    artifact = workspace.store.at(path.resolve())
    if artifact is not None and path.resolve().parent.parent == workspace.store.root.resolve():
        return _of_artifact(workspace.store.by_name(artifact.name) or artifact, workspace)
    speaker = load_command("infer folder")(path)
    values = {"weights": str(path), "model": speaker.model}
    data = _data(artifact, speaker, workspace)
    return Trained(assembled.step("pipe infer", ADOPT, values, {}), speaker, data)


def _of_file(path: Path, wanted: Wanted, workspace: Workspace) -> Trained:
    file = load_command("infer recognise")(path)
    speaker = load_command("infer file")(file, wanted.fps)
    if (prior := load_command("infer prior")(file.model)) and not wanted.prior:
        raise RecipeError(
            f"{path} is of {file.model!r}, which is built upon {prior!r}: give that file with --prior FILE"
        )
    values: dict[str, Any] = {"weights": str(path), "model": file.model, "fps": wanted.fps}
    if wanted.prior:
        values["prior"] = wanted.prior
    return Trained(assembled.step("pipe infer", ADOPT, values, {}), speaker, _data(None, speaker, workspace))


def _heard(artifact: Artifact, workspace: Workspace) -> Mapping[str, Any]:
    """Parameters of the step that made a checkpoint's features, by their records."""
    name = artifact.record["provenance"].get("inputs", {}).get(FEATURES, "")
    found = workspace.store.by_name(name) if name else None
    told: Mapping[str, Any] = found.record["provenance"].get("params", {}) if found is not None else {}
    return told


def _data(artifact: Artifact | None, speaker: Any, workspace: Workspace) -> Artifact | None:
    """The data behind a checkpoint by its record, else those in the store that are of the same data set."""
    inputs = artifact.record["provenance"].get("inputs", {}) if artifact is not None else {}
    if "data" in inputs and (found := workspace.store.by_name(inputs["data"])) is not None:
        return found
    fits = load_command("infer data")
    known = (one for one in workspace.store.artifacts() if one.kind == "sequences")
    return next((one for one in known if fits(one.path, speaker)), None)


def _sound(artifact: Artifact, workspace: Workspace) -> Step:
    if damage := workspace.store.damage(artifact):
        raise RecipeError(f"{artifact.name} is damaged ({damage}); train again, or name another")
    return step_for(KIND, artifact)
