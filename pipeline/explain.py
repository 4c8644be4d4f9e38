"""Why a step would run: its key against the nearest earlier artifact of the same stage, root cause first.

An input that changed is followed up: the step above whose result is another one now, and how that step's key differs
from the one it had then, so that the cause is told even when the steps above have run meanwhile. What is no longer in
the store cannot be compared with, and that is said; nothing here fails for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cache.store import Artifact
from pipeline.recipe import Recipe, Step
from pipeline.workspace import Workspace

Key = Mapping[str, Any]

FIRST_RUN = "first run"
_ABSENT = "absent"
_PARTS = ("params", "seed", "sources", "libraries", "inputs", "code", "stage_version", "version")
"""The entries of a key: what the user set first, then what lies outside, what comes from above, and code."""


@dataclass(frozen=True)
class Difference:
    """One entry in which two keys differ.

    part: a word of the key. place: where the new value was written. tops: of an input, the parts that differ. behind:
    of an input, what changed the step above.
    """

    part: str
    name: str
    old: Any
    new: Any
    place: str = ""
    tops: tuple[str, ...] = ()
    behind: Cause | None = None

    def __str__(self) -> str:
        return _TEXTS.get(self.part, _value_text)(self)

    def headline(self) -> str:
        """With the root cause, where that lies in a step above."""
        if self.behind is None:
            return str(self)
        step, root = self.behind.root()
        return f"input {self.name}, by step {step}: {root}"


@dataclass(frozen=True)
class Cause:
    """How the key of a step differs from that of an earlier artifact. earlier: None where the store has none."""

    step: str
    earlier: Artifact | None
    differences: tuple[Difference, ...] = ()

    def root(self) -> tuple[str, str]:
        """The step that it all began with, and what changed there."""
        if self.earlier is None:
            return self.step, "its earlier result is no longer in the store"
        if not self.differences:
            return self.step, "it was made again and came out otherwise"
        first = self.differences[0]
        return first.behind.root() if first.behind is not None else (self.step, str(first))


def _value_text(difference: Difference) -> str:
    where = f"   {difference.place}" if difference.place else ""
    return f"{difference.name}: {_shown(difference.old)} → {_shown(difference.new)}{where}"


def _source_text(difference: Difference) -> str:
    old, new = difference.old, difference.new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        files = ", ".join(name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))
        if "commit" in new and "commit" in old:
            return f"pretrained weights {difference.name}: {_revision(old)} → {_revision(new)}"
        return f"pretrained weights {difference.name} changed ({files})"
    return f"file {difference.name} {_change(old, new)}" + (f"   {difference.place}" if difference.place else "")


def _revision(identity: Mapping[str, Any]) -> str:
    return f"{identity.get('hub', '')} at {str(identity['commit'])[:8]}"


def _input_text(difference: Difference) -> str:
    if difference.tops:
        some = ", ".join(difference.tops[:3]) + (", …" if difference.tops[3:] else "")
        return f"input {difference.name} ({some}) has other content"
    return f"input {difference.name} {_change(difference.old, difference.new)}"


def _code_text(difference: Difference) -> str:
    return f"code of {difference.name} {_change(difference.old, difference.new)}"


def _named_value_text(difference: Difference) -> str:
    return f"{'parameter' if difference.part == 'params' else 'library'} {_value_text(difference)}"


_TEXTS: dict[str, Callable[[Difference], str]] = {
    "params": _named_value_text,
    "libraries": _named_value_text,
    "inputs": _input_text,
    "sources": _source_text,
    "code": _code_text,
}


def _shown(value: Any) -> str:
    return _ABSENT if value is None else repr(value) if isinstance(value, str) else str(value)


def _change(old: Any, new: Any) -> str:
    return "is new" if old is None else "is gone" if new is None else "changed"


def differences(old: Key, new: Key, step: Step | None = None, recipe: Recipe | None = None) -> list[Difference]:
    """All entries in which two keys differ, likely causes first. step, recipe: for the places of new values."""
    found: list[Difference] = []
    for part in _PARTS:
        before, after = old.get(part), new.get(part)
        if before == after:
            continue
        if isinstance(before or after, Mapping):
            found += _inside(part, before or {}, after or {}, step)
        else:
            place = _seed_place(recipe) if part == "seed" and recipe else ""
            found.append(Difference(part, part.replace("_", " "), before, after, place))
    return found


def _inside(part: str, old: Mapping[str, Any], new: Mapping[str, Any], step: Step | None) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        tops: tuple[str, ...] = ()
        if part == "inputs" and isinstance(before, Mapping) and isinstance(after, Mapping):
            tops = tuple(top for top in sorted(before.keys() | after.keys()) if before.get(top) != after.get(top))
        yield Difference(part, name, before, after, _place(part, name, after, step) if step else "", tops)


def _place(part: str, name: str, new: Any, step: Step) -> str:
    if part == "params" and new is not None:
        return str(step.origins.get(name, "default"))
    if part == "sources" and isinstance(new, str):
        files = step.stage.sources().files
        path = files.get(name) or files.get(f"{name}?")
        return str(path) if path is not None else ""
    return ""


def _seed_place(recipe: Recipe) -> str:
    leaf = recipe.matrix.get(("recipe", "seed")) or recipe.leaves.get(("recipe", "seed"))
    return str(leaf.origin) if leaf else "default"


def nearest(step: Step, recipe: Recipe, key: Key, workspace: Workspace) -> Artifact | None:
    """The earlier artifact to compare with: of this step in this recipe if there is one, least different, newest.

    Those of another component, another data set say, are no earlier version of this one, nor are those of another step
    of this recipe that has the same stage.
    """
    named = [name for name, param in step.params.items() if param.component]
    closest: dict[tuple[bool, bool], list[Artifact]] = {}
    for artifact in workspace.store.artifacts(step.stage.name):
        params = artifact.key.get("params", {})
        if any(params.get(name) != key["params"].get(name) for name in named):
            continue
        made_by = artifact.record["provenance"]
        ours = made_by.get("recipe") == recipe.name
        if ours and made_by.get("step") != step.base:
            continue
        same = ours and made_by.get("variant", "") == step.variant
        closest.setdefault((ours, same), []).append(artifact)

    def rank(artifact: Artifact) -> tuple[int, str]:
        return -len(differences(artifact.key, key)), str(artifact.record["provenance"].get("finished", ""))

    return max(closest[max(closest)], key=rank) if closest else None


def cause(step: Step, recipe: Recipe, key: Key, workspace: Workspace, artifacts: Mapping[str, Artifact]) -> Cause:
    """A step's key against the nearest earlier artifact. artifacts: step → its result, of the steps above."""
    earlier = nearest(step, recipe, key, workspace)
    return Cause(step.name, None) if earlier is None else compare(step, recipe, key, earlier, workspace, artifacts)


def compare(
    step: Step, recipe: Recipe, key: Key, earlier: Artifact, workspace: Workspace, artifacts: Mapping[str, Artifact]
) -> Cause:
    """A step's key against that of an earlier artifact, changed inputs followed up."""
    found = differences(earlier.key, key, step, recipe)
    sources = {slot: recipe.steps[source] for slot, source in step.inputs.items()}
    read = earlier.record["provenance"].get("inputs", {})
    recoded = any(difference.part == "code" for difference in found)
    followed = [
        replace(one, behind=_behind(sources[one.name], recipe, read.get(one.name, ""), recoded, workspace, artifacts))
        if one.part == "inputs" and one.tops and one.name in sources
        else one
        for one in found
    ]
    return Cause(step.name, earlier, tuple(followed))


def _behind(
    source: Step, recipe: Recipe, name: str, recoded: bool, workspace: Workspace, artifacts: Mapping[str, Artifact]
) -> Cause | None:
    """What changed the step above. name: of the artifact that was read then. recoded: the reader's code changed too."""
    now = artifacts.get(source.name)
    if now is None or not name:
        return None
    if now.name == name:  # the same artifact, read in another way; or made anew, by force or after damage
        return None if recoded else Cause(source.name, now)
    then = workspace.store.by_name(name)
    return Cause(source.name, None) if then is None else compare(source, recipe, now.key, then, workspace, artifacts)


def headline(step: Step, recipe: Recipe, key: Key, workspace: Workspace, artifacts: Mapping[str, Artifact]) -> str:
    """One line: the root cause and how many more differences there are, or "first run"."""
    why = cause(step, recipe, key, workspace, artifacts)
    if why.earlier is None:
        return FIRST_RUN
    if not why.differences:
        return "the earlier result is gone"
    more = f" (and {len(why.differences) - 1} more)" if len(why.differences) > 1 else ""
    return f"{why.differences[0].headline()}{more}"
