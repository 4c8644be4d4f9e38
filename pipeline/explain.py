"""Why a step would run: its key against the nearest earlier artifact of the same stage, root cause first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cache.store import Artifact
from pipeline.keys import Key
from pipeline.recipe import Recipe, Step
from pipeline.workspace import Workspace

_ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One entry in which two keys differ. part: "params", "sources", "inputs", "code", "seed", …"""

    part: str
    name: str
    old: Any
    new: Any
    place: str = ""

    def __str__(self) -> str:
        where = f"   {self.place}" if self.place else ""
        if self.part == "params":
            return f"parameter {self.name}: {_shown(self.old)} → {_shown(self.new)}{where}"
        if self.part == "inputs":
            return f"input {self.name} has other content"
        if self.part == "sources":
            return f"file {self.name} {_change(self.old, self.new)}"
        if self.part == "code":
            return f"code of {self.name} {_change(self.old, self.new)}"
        return f"{self.name}: {_shown(self.old)} → {_shown(self.new)}"


def _shown(value: Any) -> str:
    return _ABSENT if value is None else repr(value) if isinstance(value, str) else str(value)


def _change(old: Any, new: Any) -> str:
    return "is new" if old is None else "is gone" if new is None else "changed"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], step: Step | None = None) -> list[Difference]:
    """All entries in which two keys differ: what the user set first, then files, inputs, code."""
    found: list[Difference] = []
    for part in ("params", "seed", "sources", "inputs", "code", "stage_version", "version"):
        before, after = old.get(part), new.get(part)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _inside(part, before, after, step)
        elif before != after:
            found.append(Difference(part, part.replace("_", " "), before, after))
    return found


def _inside(part: str, old: Mapping[str, Any], new: Mapping[str, Any], step: Step | None) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if part == "inputs" and isinstance(before, Mapping) and isinstance(after, Mapping):
            tops = [top for top in sorted(before.keys() | after.keys()) if before.get(top) != after.get(top)]
            yield Difference(part, f"{name} ({', '.join(tops)})", before, after)
        else:
            origin = step.origins.get(name) if step and part == "params" else None
            yield Difference(part, name, before, after, str(origin) if origin else "")


def nearest(step: Step, recipe: Recipe, key: Key, workspace: Workspace) -> Artifact | None:
    """The earlier artifact to compare with: of this step in this recipe if there is one, least different, newest.

    Those of another component, another data set say, are no earlier version of this one.
    """
    named = [name for name, param in step.params.items() if param.component]
    best: tuple[tuple[bool, int, str], Artifact] | None = None
    for artifact in workspace.store.artifacts(step.stage.name):
        if any(artifact.key["params"].get(name) != key["params"].get(name) for name in named):
            continue
        made_by = artifact.record["provenance"]
        foreign = (made_by.get("recipe"), made_by.get("step")) != (recipe.name, step.name)
        rank = (not foreign, -len(differences(artifact.key, key)), str(made_by.get("finished", "")))
        if best is None or rank > best[0]:
            best = (rank, artifact)
    return best[1] if best else None


def headline(step: Step, recipe: Recipe, key: Key, workspace: Workspace) -> str:
    """One line: the first difference and how many more there are, or "first run"."""
    earlier = nearest(step, recipe, key, workspace)
    if earlier is None:
        return "first run"
    found = differences(earlier.key, key, step)
    if not found:
        return "the earlier result is gone"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"
