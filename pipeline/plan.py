"""What a run would do: for every step whether it is cached, must run, or hangs on one that must run, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cache.store import Artifact
from pipeline import items, libraries
from pipeline.errors import PipeError
from pipeline.items import NOTHING, Reuse
from pipeline.keys import Key, key_of
from pipeline.pretrained import NotDownloaded
from pipeline.recipe import Recipe, Step
from pipeline.stored import Stored
from pipeline.workspace import Workspace

FORCED = "forced"


class State(StrEnum):
    """How a step stands."""

    CACHED = "cached"
    TO_RUN = "to run"
    WAITS = "waits"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Planned:
    """One step of a plan. `key` is known where all inputs exist; `artifact` where the step is cached; `reuse` says what
    a step that must run can take over."""

    step: Step
    state: State
    reason: str
    key: Key | None = None
    artifact: Artifact | None = None
    reuse: Reuse = NOTHING

    @property
    def standing(self) -> str:
        """The state in words: "partly cached (479 of 480)" where earlier artifacts hold some of the items."""
        if self.state is State.TO_RUN and self.reuse.cached:
            return f"partly cached ({self.reuse})"
        return self.state.value


def plan(recipe: Recipe, workspace: Workspace, force: frozenset[str] = frozenset()) -> dict[str, Planned]:
    """Step → how it stands, in running order. `force`: steps to run although they are cached."""
    found: dict[str, Planned] = {}
    for name, step in recipe.steps.items():
        found[name] = plan_step(step, recipe, workspace, found, forced=name in force)
    return found


def plan_step(
    step: Step, recipe: Recipe, workspace: Workspace, before: Mapping[str, Planned], *, forced: bool = False
) -> Planned:
    """How one step stands, given the steps it reads from."""
    if isinstance(step.stage, Stored):
        return Planned(step, State.CACHED, step.stage.artifact.name, artifact=step.stage.artifact)
    inputs: dict[str, Artifact] = {}
    for slot, source in step.inputs.items():
        artifact = before[source].artifact
        if artifact is None:
            return _waits(step, recipe, workspace, before[source])
        inputs[slot] = artifact
    try:
        key = key_of(step, recipe, inputs, workspace)
    except NotDownloaded as error:
        return Planned(step, State.TO_RUN, str(error))
    except PipeError as error:
        return Planned(step, State.BLOCKED, str(error))
    if forced:
        fresh = replace(items.find(step, key, inputs, workspace.store), donors={}, finished=frozenset())
        return Planned(step, State.TO_RUN, FORCED, key, reuse=fresh)
    artifact = workspace.store.find(step.stage.name, key)
    if artifact is not None:
        remark = libraries.remark(step.stage, artifact)
        return Planned(step, State.CACHED, f"{artifact.name}{f', {remark}' if remark else ''}", key, artifact)
    from pipeline import explain  # not on the way of a run that has nothing to do

    above = {name: entry.artifact for name, entry in before.items() if entry.artifact is not None}
    damage = workspace.store.damaged(step.stage.name, key)
    reason = (
        f"the stored result is damaged: {damage}" if damage else explain.headline(step, recipe, key, workspace, above)
    )
    return Planned(step, State.TO_RUN, reason, key, reuse=items.find(step, key, inputs, workspace.store))


def _waits(step: Step, recipe: Recipe, workspace: Workspace, source: Planned) -> Planned:
    """A step below one that must run. Its own missing files are worth saying now, not an hour later."""
    try:
        key_of(step, recipe, {}, workspace)
    except NotDownloaded:
        pass
    except PipeError as error:
        return Planned(step, State.BLOCKED, str(error))
    return Planned(step, State.WAITS, f"after {source.step.name}")
