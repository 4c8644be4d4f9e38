"""`pipe accept`: an earlier result is adopted under the key that its step has now.

For an author who knows that a change leaves a result as it is. The payload is shared with the earlier artifact by hard
links (copied where links fail), its content is checked against the earlier manifest first, and the record tells both
keys, the reason, who and when. It is published like any result: whole or not at all, under the lease of its key.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.files import walk
from cache.lease import lease
from cache.manifest import Made, Manifest
from cache.store import MANIFEST, RECORD, Artifact, Work
from pipeline import explain
from pipeline.errors import RecipeError
from pipeline.plan import Planned, State
from pipeline.recipe import Recipe
from pipeline.toml import shown
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Wish:
    """What the author says. source: name of the earlier artifact, "" for the nearest. inputs: even if they changed."""

    reason: str
    source: str = ""
    inputs: bool = False


def accept(
    recipe: Recipe, name: str, planned: Mapping[str, Planned], workspace: Workspace, wish: Wish
) -> tuple[Artifact, Artifact]:
    """(the earlier artifact, the one it now also is).

    Raises:
        RecipeError: there is nothing to accept, or accepting would be a lie. Nothing was written.
    """
    entry = planned[name]
    if not wish.reason.strip():
        raise RecipeError('say in a few words why the earlier result stands: --reason "…"')
    key = _acceptable(entry)
    above = {step: other.artifact for step, other in planned.items() if other.artifact is not None}
    earlier = _source(entry, recipe, key, workspace, wish)
    cause = explain.compare(entry.step, recipe, key, earlier, workspace, above)
    _refuse_inputs(name, earlier, cause, wish)
    work = workspace.store.work(entry.step.stage.name, key)
    # A folder of its own: were the payload put into the key's, a kill could leave it there for finished work.
    own = Work(work.path.with_name(f"{work.path.name}.accepted"), work.stage, key)
    workspace.store.begin(own)  # a store that cannot be written to says so in its own words
    with lease(work.lease):
        found = workspace.store.find(work.stage, key)
        if found is not None:
            raise RecipeError(f"step {name!r} is cached by now, as {found.name}; there is nothing to accept")
        shutil.rmtree(own.path, ignore_errors=True)
        workspace.store.begin(own)
        _share_payload(earlier, own)
        label = entry.step.stage.label(recipe.upstream(entry.step))
        inputs = {slot: above[source].name for slot, source in entry.step.inputs.items()}
        facts = _facts(recipe, entry, earlier, cause, wish) | {"inputs": inputs}
        made = workspace.store.publish(own, label, earlier.kind, _items(entry, earlier), facts)
        shutil.rmtree(work.path, ignore_errors=True)  # what was half made of it
    return earlier, made


def _acceptable(entry: Planned) -> explain.Key:
    name = entry.step.name
    if entry.state is State.CACHED:
        raise RecipeError(f"step {name!r} is cached ({entry.reason}); there is nothing to accept")
    if entry.key is None:
        raise RecipeError(
            f"step {name!r} cannot be accepted yet ({entry.reason}); first run or accept the steps above it, "
            "since their results are part of its key"
        )
    return entry.key


def _source(entry: Planned, recipe: Recipe, key: explain.Key, workspace: Workspace, wish: Wish) -> Artifact:
    """The artifact to adopt: sound, and of this stage and kind."""
    step, store = entry.step, workspace.store
    if not wish.source:
        earlier = explain.nearest(step, recipe, key, workspace)
        if earlier is None:
            raise RecipeError(f"step {step.name!r} has no earlier result to accept; run it")
    else:
        word = wish.source if "/" in wish.source else f"{step.stage.name}/{wish.source}"
        earlier = store.by_name(word)
        if earlier is None:
            raise RecipeError(
                f"--from {wish.source}: the store has no such artifact; `pipe cache ls` shows what it has"
            )
        if (earlier.record["stage"], earlier.kind) != (step.stage.name, step.stage.output):
            raise RecipeError(
                f"--from {wish.source}: that is {earlier.kind} of stage {earlier.record['stage']!r}; step "
                f"{step.name!r} makes {step.stage.output} with stage {step.stage.name!r}"
            )
    damage = store.damage(earlier) or _rot(earlier)
    if damage:
        raise RecipeError(f"{earlier.name} is damaged ({damage}), so it cannot be accepted; run the step")
    return earlier


def _rot(artifact: Artifact) -> str:
    """What differs in content from when it was published; an adopted artifact must not hide damage."""
    now = Manifest.of_folder(artifact.path).files
    changed = [name for name, entry in artifact.manifest().files.items() if now.get(name) != entry]
    return f"{changed[0]} has other content than it was published with" if changed else ""


def _refuse_inputs(name: str, earlier: Artifact, cause: explain.Cause, wish: Wish) -> None:
    changed = [difference for difference in cause.differences if difference.part in ("inputs", "sources")]
    if changed and not (wish.source and wish.inputs):
        raise RecipeError(
            f"step {name!r} reads other data than {earlier.name} was made from ({changed[0].headline()}); only a "
            f"change of code or parameters can be accepted. If you are sure: --from {earlier.name} --even-inputs"
        )


def _items(entry: Planned, earlier: Artifact) -> dict[str, Made]:
    """The items under the keys that they have now, so that one more tomorrow is one item of work."""
    manifest = earlier.manifest()
    digests = {name: hash_ for name, (_, hash_) in manifest.files.items()}
    return {
        name: Made(
            entry.reuse.key(name), item.files, item.late, known={f: digests[f] for f in item.files}, content=item.digest
        )
        for name, item in manifest.items.items()
    }


def _share_payload(earlier: Artifact, work: Work) -> None:
    for name, entry in walk(earlier.path):
        if name not in (RECORD, MANIFEST):
            _share(Path(entry.path), work.out / name)


def _share(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _facts(recipe: Recipe, entry: Planned, earlier: Artifact, cause: explain.Cause, wish: Wish) -> dict[str, Any]:
    """The provenance: that of the earlier result, which it still is, and how it came to be accepted."""
    step, now = entry.step, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = dict(earlier.record["provenance"])
    return made | {
        "recipe": recipe.name,
        "recipe_file": shown(recipe.path),
        "step": step.base,
        "variant": step.variant,
        "params": dict(step.values),
        "seed": recipe.seed_of(step),
        "reason": f"accepted: {wish.reason}",
        "started": now,
        "finished": now,
        "accepted": {
            "reason": wish.reason,
            "by": _user(),
            "host": socket.gethostname(),
            "when": now,
            "from": earlier.name,
            "key_digest": earlier.record["key_digest"],
            "key": dict(earlier.key),
            "differences": [str(difference) for difference in cause.differences],
            "made": made,
        },
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())
