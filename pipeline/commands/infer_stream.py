"""`pipe infer --stream`: the same finding of network, face and style, and no plan: what is spoken is not kept."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import assembled
from pipeline.commands.infer import COMMAND, NETWORK, Speaking, Wish, bring_up, network_steps, settle
from pipeline.errors import RecipeError, StageError
from pipeline.execute import Means
from pipeline.registry import load_command
from pipeline.stored import Stored
from pipeline.trained import INFER, Wanted
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Pace:
    """Seconds of sound beyond a frame that are waited for, below 0 all; seconds of motion made at a time; None for the
    network's own habit."""

    ahead: float | None
    hop: float | None


def run(wanted: Wanted, wish: Wish, workspace: Workspace, means: Means, pace: Pace) -> None:
    """Speak what comes in on standard input. RecipeError where the words do not suit a stream."""
    _check(wish, pace)
    speaking = settle(wanted, wish, workspace)
    if faceless := speaking.trained.speaker.faceless:
        raise RecipeError(f"--stream sends vertices, and this network makes {faceless}. Give --audio FILE")
    if speaking.trained.speaker.framewise:
        raise RecipeError(
            "--stream feeds a network its own features, and this one hears what a speech encoder that it does not hold "
            "says of whole sentences: give --audio FILE"
        )
    given = dict(speaking.trained.values.get(INFER, {})) | _settings(wanted)
    folder = _network(speaking, workspace, means)
    load_command("infer stream")(
        checkpoint=folder,
        data=speaking.trained.data.path if speaking.trained.data else None,
        subject=speaking.subject,
        mesh=speaking.mesh,
        conditions=speaking.conditions,
        weights=speaking.weights,
        ahead=pace.ahead,
        hop=pace.hop,
        out=wish.out,
        device=means.device,
        workers=means.threads,
        context=int(given.get("context", 0)),
    )


def _settings(wanted: Wanted) -> dict[str, Any]:
    """`--set` words of a stream without a recipe. RecipeError for what a stream does not take."""
    if wanted.target.endswith(".toml"):
        return {}
    found = assembled.settings(wanted.settings, [INFER]).get(INFER, {})
    if other := set(found) - {"context"}:
        raise RecipeError(f"--set step.infer.{min(other)}: a stream takes step.infer.context alone")
    return found


def _check(wish: Wish, pace: Pace) -> None:
    if wish.audio or wish.render:
        raise RecipeError("--stream hears standard input and makes no video: leave --audio and --render out")
    if pace.ahead is not None and not math.isfinite(pace.ahead):
        raise RecipeError(f"--ahead {pace.ahead}: give the seconds of sound to wait for, or a number below 0 for all")
    if pace.hop is not None and not 0 < pace.hop < math.inf:
        raise RecipeError(f"--hop {pace.hop:g}: give the seconds of motion that are made at a time, above 0")
    if wish.out and not wish.out.endswith(".npy"):
        raise RecipeError(f"--out {wish.out}: a stream is written to one file, which ends in .npy")
    if sys.stdin.isatty():
        raise RecipeError(
            "--stream hears standard input, and that is a terminal: send sound, `… | pipe infer --stream`"
        )
    if not wish.out and sys.stdout.isatty():
        raise RecipeError("--stream writes raw frames to standard output, and that is a terminal: give --out FILE.npy")


def _network(speaking: Speaking, workspace: Workspace, means: Means) -> Path:
    """The folder of the network; weights from elsewhere are taken over first."""
    step = network_steps(speaking.trained)[0]
    if isinstance(step.stage, Stored):
        return step.stage.artifact.path
    found = bring_up(assembled.recipe("infer", COMMAND, [step]), workspace, means, quiet=True)[NETWORK].artifact
    if found is None:
        raise StageError("the weights were taken over and are gone; did somebody remove them? Run again")
    return found.path
