"""A step that stands for an artifact already in the store, so that one stage can run on it without a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cache.store import Artifact, Store
from pipeline.errors import RecipeError
from pipeline.recipe import Step
from pipeline.registry import nearest
from pipeline.stage import Slot, Stage, Upstream


@dataclass(frozen=True)
class _NoParams:
    pass


class Stored(Stage):
    """Fills a slot with a published artifact; never runs."""

    name = "stored"
    Params = _NoParams

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(_NoParams())
        self.artifact = artifact
        self.output = artifact.kind  # type: ignore[misc]

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return self.artifact.label


def step_for(slot: str, artifact: Artifact) -> Step:
    """A pseudo-step whose result is the artifact."""
    values: Mapping[str, Any] = artifact.record["provenance"].get("params", {})
    return Step(artifact.name, Stored(artifact), {}, values, {}, {}, ())


def choose(slot: str, spec: Slot, store: Store, name: str) -> Artifact:
    """The artifact for a slot: the one named, or the only one of its kind. RecipeError, with the choice, otherwise."""
    fitting = {artifact.name: artifact for artifact in store.artifacts() if artifact.kind == spec.kind}
    if name:
        if len(full := meant(name, fitting)) == 1:
            return _sound(fitting[full[0]], store)
        raise RecipeError(f"--input {slot}={name}: {_choice(spec.kind, fitting)}{nearest(name, fitting)}")
    if len(fitting) == 1:
        return _sound(next(iter(fitting.values())), store)
    raise RecipeError(f"which {spec.kind}? Say --input {slot}=NAME: {_choice(spec.kind, fitting)}")


def meant(word: str, names: Iterable[str]) -> list[str]:
    """The artifact names that a word may stand for: its own name, a beginning, the part after the stage, the key."""
    every = list(names)
    if word in every:
        return [word]
    return [name for name in every if name.startswith(word) or name.endswith(f"/{word}") or _has_key(name, word)]


def _has_key(name: str, word: str) -> bool:
    return len(word) >= 4 and name.rpartition("--")[2].startswith(word)


def named(store: Store, word: str) -> Artifact:
    """The artifact that a word stands for. RecipeError, with the choice, where it is none or several."""
    every = {artifact.name: artifact for artifact in store.artifacts()}
    found = meant(word, every)
    if len(found) == 1:
        return every[found[0]]
    if found:
        raise RecipeError(
            f"{word!r} may be {' or '.join(found[:6])}{' or others' if found[6:] else ''}; say more of it"
        )
    raise RecipeError(f"the store has no artifact {word!r}; `pipe cache ls` shows what it has.{nearest(word, every)}")


def _sound(artifact: Artifact, store: Store) -> Artifact:
    if damage := store.damage(artifact):
        raise RecipeError(f"{artifact.name} is damaged ({damage}); make it again, or name another")
    return artifact


def _choice(kind: str, fitting: Mapping[str, Artifact]) -> str:
    return f"the store holds {', '.join(fitting)}." if fitting else f"the store holds no {kind} yet; make them first."
