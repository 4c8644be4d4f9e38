"""`pipe infer`: sound of the user's own in, a talking face out, as a plan of a few steps on the same cache.

    the network (stored, or taken over by `adopt`), and the data that it was trained on, where they are in the store
    voice → features → infer → render, the last where it is wished for
    clip → clip-features → style before them, where a new speaker's style is fitted: its network is the one that speaks

A step's key tells what it needs, so that another style makes inference and rendering anew, and one more file in a
folder that file only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import assembled
from pipeline.commands.infer_show import Place, show, show_way
from pipeline.errors import RecipeError
from pipeline.plan import Planned, State, plan
from pipeline.recipe import Recipe, Step, load
from pipeline.registry import load_command
from pipeline.stored import step_for
from pipeline.trained import ADOPT, CLIP, FEATURES, INFER, RENDER, STYLE, VOICE, Trained, Wanted, find
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.execute import Means

COMMAND = "pipe infer"
NETWORK, DATA = "network", "data"
LOG_MEL = "log-mel"
UNNAMED = ("track", "local")
"""What begins the name of an encoder that is neither a hub id nor a folder: of features that somebody else computed,
and of a folder that another machine had."""
HEARD = "clip-features"
"""The step that hears the clips of a new speaker."""
FITTED = (CLIP, HEARD, STYLE)
SPOKEN = (VOICE, FEATURES, INFER, RENDER)
OURS = (*FITTED, *SPOKEN)
STAGES = (CLIP, STYLE, *SPOKEN)
ONLY_HERE = tuple(f"step.{name}." for name in (CLIP, STYLE, VOICE))
"""Settings of steps that few recipes have: beside one that has none of that name they are for this command's."""
NOT_TAKEN = ("splits", "columns", "limit", "conditions")
"""Parameters of a recipe's steps that say which of its own sentences are made and shown."""


@dataclass(frozen=True)
class Wish:
    """What is to be said, by whom and how.

    audio: a file or folder; empty with --stream. subject: a name or a mesh file; empty: whom the recipe tests first.
    styles: words after --style. weights: "best", "last", or "" for the recipe's. out: where results go. style_from:
    a new speaker's clips, "" for none. samples: of a network that draws its motion, how many of each sound; 0 for the
    recipe's. seed: the number of the first.
    """

    audio: str
    subject: str = ""
    styles: Sequence[str] = ()
    weights: str = ""
    render: bool = False
    out: str = ""
    style_from: str = ""
    samples: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Speaking:
    """A network, a face and styles that have been settled: what a plan is made of, and a stream. newcomer: whose style
    is fitted beforehand."""

    trained: Trained
    subject: str
    mesh: str | None
    conditions: str | list[str]
    weights: str
    newcomer: Any = None


def run(wanted: Wanted, wish: Wish, workspace: Workspace, means: Means, *, dry: bool = False) -> None:
    """Make the motion, and the videos if wished, put them where they are looked for and say so."""
    if not wish.audio:
        raise RecipeError("say what is to be spoken: --audio FILE or FOLDER, or --stream for standard input")
    theirs, ours = _shared_out(wanted)
    speaking = settle(theirs, wish, workspace)
    speaker = speaking.trained.speaker
    if wish.render and speaker.faceless:
        raise RecipeError(f"--render: this network makes {speaker.faceless}. Leave --render out")
    recipe = _recipe(speaking, wish, assembled.settings(ours, STAGES))
    if dry:
        from pipeline.commands.run import show_plan

        show_plan(recipe, {name: entry for name, entry in plan(recipe, workspace).items() if name in OURS})
        return
    planned = bring_up(recipe, workspace, means)
    artifacts = {name: entry.artifact for name, entry in planned.items() if entry.artifact is not None}
    show({name: artifacts[name] for name in OURS if name in artifacts}, Place.of(wish.out, workspace.outputs))
    if speaker.faceless:
        show_way(speaker, speaking.trained.data, artifacts[INFER], artifacts[VOICE])


def settle(wanted: Wanted, wish: Wish, workspace: Workspace) -> Speaking:
    """Find the network and what the words mean for it. RecipeError, with what there is, where they mean nothing."""
    trained = find(wanted, workspace)
    data = trained.data.path if trained.data else None
    where = wanted.target if trained.step.name == ADOPT else trained.step.name
    word = os.path.expanduser(wish.subject)
    subject, mesh = load_command("infer face")(word, data, trained.splits, where)
    speaker, styles, newcomer = trained.speaker, wish.styles, None
    if wish.style_from:
        newcomer = load_command("infer clip")(os.path.expanduser(wish.style_from), speaker.model, speaker.subjects)
        speaker, styles = replace(speaker, subjects=[*speaker.subjects, newcomer.name]), styles or [newcomer.name]
    conditions = load_command("infer styles")(styles, subject, speaker)
    weights = wish.weights or trained.values.get(INFER, {}).get("weights", "best")
    return Speaking(trained, subject, mesh, conditions, weights, newcomer)


def bring_up(recipe: Recipe, workspace: Workspace, means: Means, *, quiet: bool = False) -> dict[str, Planned]:
    """All steps as they stand once they are made; what runs them is not loaded where all are cached."""
    planned = plan(recipe, workspace)
    if any(entry.state is not State.CACHED for entry in planned.values()):
        from pipeline import execute
        from pipeline.progress import reporter

        planned = execute.run(recipe, workspace, reporter(quiet=quiet), means=means)
    workspace.stats.save()
    return planned


def network_steps(trained: Trained) -> list[Step]:
    """The network, and its data where they are known, under short names: their artifacts' are told beside them."""
    data = [replace(step_for(DATA, trained.data), name=DATA)] if trained.data else []
    return [replace(trained.step, name=NETWORK), *data]


def _shared_out(wanted: Wanted) -> tuple[Wanted, list[str]]:
    """What is wanted but for `--set` words of this command's own steps, and these words: beside a checkpoint all,
    beside a recipe those of `ONLY_HERE`, unless it has such a step."""
    if not wanted.target.endswith(".toml"):
        return wanted, list(wanted.settings)
    meant = {word: word.split(".")[1] for word in wanted.settings if word.startswith(ONLY_HERE)}
    theirs = [word for word in wanted.settings if word not in meant]
    if meant:
        recipe = load(Path(wanted.target).expanduser(), theirs, **wanted.form._asdict())
        has = {step.base for step in recipe.steps.values()}
        theirs = [word for word in wanted.settings if word not in meant or meant[word] in has]
    return replace(wanted, settings=theirs), [word for word in wanted.settings if word not in theirs]


def _recipe(speaking: Speaking, wish: Wish, settings: Mapping[str, Mapping[str, Any]]) -> Recipe:
    trained = speaking.trained
    face = {"mesh": speaking.mesh} if speaking.mesh else {"subject": speaking.subject}
    heard = _hearing(trained, settings.get(FEATURES, {}))
    values, inputs = _spoken(speaking, os.path.expanduser(wish.audio), face, heard)
    if wish.samples:
        values[INFER]["samples"] = wish.samples
    if speaking.newcomer:
        fitted_values, fitted_inputs = _fitted(speaking, face, heard)
        values, inputs = fitted_values | values, fitted_inputs | inputs
    steps = network_steps(trained)
    for name in (name for name in values if wish.render or name != RENDER):
        stage = FEATURES if name == HEARD else name
        theirs = {key: value for key, value in trained.values.get(stage, {}).items() if key not in NOT_TAKEN}
        given = theirs | values[name] | dict(settings.get(stage, {}))
        seed = wish.seed if name == INFER else None
        steps.append(replace(assembled.step(COMMAND, stage, given, inputs[name]), name=name, seed=seed))
    return assembled.recipe("infer", COMMAND, steps)


class Hearing(NamedTuple):
    """Parameters and inputs of a features step."""

    values: dict[str, Any]
    inputs: dict[str, str]


Values = dict[str, dict[str, Any]]
"""Step → parameter, or slot → value."""


def _spoken(speaking: Speaking, audio: str, face: Mapping[str, str], heard: Hearing) -> tuple[Values, Values]:
    """Parameters and inputs of the steps that speak."""
    network = STYLE if speaking.newcomer else NETWORK
    # What the style was fitted to is the network of that step, and it has one file of weights.
    weights = "best" if speaking.newcomer else speaking.weights
    values: Values = {
        VOICE: {"audio": audio, **face},
        FEATURES: heard.values,
        INFER: {"splits": [VOICE], "conditions": speaking.conditions, "weights": weights},
        RENDER: {"columns": ["prediction"], "limit": 0},
    }
    inputs: Values = {
        VOICE: {"checkpoint": NETWORK, **_data(speaking.trained)},
        FEATURES: {"data": VOICE, **heard.inputs},
        INFER: {"checkpoint": network, "data": VOICE, "features": FEATURES},
        RENDER: {"data": VOICE, "predictions": INFER},
    }
    return values, inputs


def _fitted(speaking: Speaking, face: Mapping[str, str], heard: Hearing) -> tuple[Values, Values]:
    """Those of the steps that fit a new speaker's style."""
    newcomer = speaking.newcomer
    neutral = {"mesh": newcomer.mesh} if newcomer.mesh else face
    model = speaking.trained.speaker.model
    values: Values = {
        CLIP: {"motion": newcomer.clip, "name": newcomer.name, **neutral},
        HEARD: heard.values,
        STYLE: {"model": model, "subject": newcomer.name, "weights": speaking.weights},
    }
    inputs: Values = {
        CLIP: {"checkpoint": NETWORK, **_data(speaking.trained)},
        HEARD: {"data": CLIP, **heard.inputs},
        STYLE: {"checkpoint": NETWORK, "data": CLIP, "features": HEARD},
    }
    return values, inputs


def _data(trained: Trained) -> dict[str, str]:
    return {DATA: DATA} if trained.data else {}


def _hearing(trained: Trained, told: Mapping[str, Any]) -> Hearing:
    """What makes the features that the network was trained on. told: what the user sets of the features step.
    RecipeError where nobody knows what made them."""
    if trained.speaker.encoder == LOG_MEL:
        return Hearing({"encoder": LOG_MEL}, {})
    if not trained.speaker.framewise:
        return Hearing({"encoder": "checkpoint"}, {"checkpoint": NETWORK})
    heard = told if "encoder" in told else trained.heard
    encoder = heard.get("encoder", trained.speaker.encoder)
    if encoder.split()[0] in UNNAMED:
        name = "FOLDER" if trained.step.name == ADOPT else trained.step.name
        raise RecipeError(
            f"this network hears what a speech encoder says of each frame, and nobody said which ({encoder}): name the "
            f"one that made its features, pipe infer {name} --audio … --set step.features.encoder=NAME, such as "
            "facebook/wav2vec2-base-960h"
        )
    weights = {"weights": heard["weights"]} if heard.get("weights") else {}
    return Hearing({"encoder": encoder, "per_frame": True, **weights}, {})
