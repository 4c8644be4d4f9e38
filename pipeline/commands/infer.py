"""`pipe infer`: sound of the user's own in, a talking face out, as a plan of a few steps on the same cache.

    the network (stored, or taken over by `adopt`), and the data that it was trained on, where they are in the store
    voice → features → infer → render, the last where it is wished for

A step's key tells what it needs, so that another style makes inference and rendering anew, and one more file in a
folder that file only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline import assembled
from pipeline.commands.infer_show import Place, show
from pipeline.errors import RecipeError
from pipeline.plan import Planned, State, plan
from pipeline.recipe import Recipe, Step
from pipeline.registry import load_command
from pipeline.stored import step_for
from pipeline.trained import ADOPT, INFER, RENDER, VOICE, Trained, Wanted, find
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.execute import Means

COMMAND = "pipe infer"
NETWORK, DATA = "network", "data"
FEATURES, LOG_MEL = "features", "log-mel"
OURS = (VOICE, FEATURES, INFER, RENDER)
NOT_TAKEN = ("splits", "columns", "limit", "conditions")
"""Parameters of a recipe's steps that say which of its own sentences are made and shown."""


@dataclass(frozen=True)
class Wish:
    """What is to be said, by whom and how.

    audio: a file or folder; empty with --stream. subject: a name or a mesh file; empty: whom the recipe tests first.
    styles: words after --style. weights: "best", "last", or "" for the recipe's. out: where results go.
    """

    audio: str
    subject: str = ""
    styles: Sequence[str] = ()
    weights: str = ""
    render: bool = False
    out: str = ""


@dataclass(frozen=True)
class Speaking:
    """A network, a face and styles that have been settled: what a plan is made of, and a stream."""

    trained: Trained
    subject: str
    mesh: str | None
    conditions: str | list[str]
    weights: str


def run(wanted: Wanted, wish: Wish, workspace: Workspace, means: Means, *, dry: bool = False) -> None:
    """Make the motion, and the videos if wished, put them where they are looked for and say so."""
    if not wish.audio:
        raise RecipeError("say what is to be spoken: --audio FILE or FOLDER, or --stream for standard input")
    speaking = settle(wanted, wish, workspace)
    recipe = _recipe(speaking, wish, _own_settings(wanted))
    if dry:
        from pipeline.commands.run import show_plan

        show_plan(recipe, {name: entry for name, entry in plan(recipe, workspace).items() if name in OURS})
        return
    planned = bring_up(recipe, workspace, means)
    artifacts = {name: entry.artifact for name, entry in planned.items() if entry.artifact is not None}
    show({name: artifacts[name] for name in OURS if name in artifacts}, Place.of(wish.out, workspace.outputs))


def settle(wanted: Wanted, wish: Wish, workspace: Workspace) -> Speaking:
    """Find the network and what the words mean for it. RecipeError, with what there is, where they mean nothing."""
    trained = find(wanted, workspace)
    data = trained.data.path if trained.data else None
    where = wanted.target if trained.step.name == ADOPT else trained.step.name
    word = os.path.expanduser(wish.subject)
    subject, mesh = load_command("infer face")(word, data, trained.splits, where)
    conditions = load_command("infer styles")(wish.styles, subject, trained.speaker)
    weights = wish.weights or trained.values.get(INFER, {}).get("weights", "best")
    return Speaking(trained, subject, mesh, conditions, weights)


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


def _own_settings(wanted: Wanted) -> dict[str, dict[str, Any]]:
    """`--set` words for the steps of this command; those for a recipe were the recipe's."""
    return {} if wanted.target.endswith(".toml") else assembled.settings(wanted.settings, OURS)


def _recipe(speaking: Speaking, wish: Wish, settings: Mapping[str, Mapping[str, Any]]) -> Recipe:
    trained = speaking.trained
    data = {DATA: DATA} if trained.data else {}
    audio = os.path.expanduser(wish.audio)
    values: dict[str, dict[str, Any]] = {
        VOICE: {"audio": audio} | ({"mesh": speaking.mesh} if speaking.mesh else {"subject": speaking.subject}),
        FEATURES: {"encoder": LOG_MEL if trained.speaker.encoder == LOG_MEL else "checkpoint"},
        INFER: {"splits": [VOICE], "conditions": speaking.conditions, "weights": speaking.weights},
        RENDER: {"columns": ["prediction"], "limit": 0},
    }
    inputs: dict[str, dict[str, str]] = {
        VOICE: {"checkpoint": NETWORK, **data},
        FEATURES: {"data": VOICE} | ({} if trained.speaker.encoder == LOG_MEL else {"checkpoint": NETWORK}),
        INFER: {"checkpoint": NETWORK, "data": VOICE, "features": FEATURES},
        RENDER: {"data": VOICE, "predictions": INFER},
    }
    steps = network_steps(trained)
    for name in OURS if wish.render else OURS[:-1]:
        theirs = {key: value for key, value in trained.values.get(name, {}).items() if key not in NOT_TAKEN}
        given = theirs | values[name] | dict(settings.get(name, {}))
        steps.append(assembled.step(COMMAND, name, given, inputs[name]))
    return assembled.recipe("infer", COMMAND, steps)
