"""`pipe bench`: the names are checked here, what is measured and how is found through the registry."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from pipeline.errors import RecipeError
from pipeline.registry import load_command, load_component, lookup, names, nearest, speaks


def bench(models: Sequence[str], wishes: dict[str, Any], *, as_json: bool) -> bool:
    """Measure networks by name, all that talk where none is named. Whether all of them could be measured.

    RecipeError for unknown words, before anything is imported that takes time.
    """
    for model in models:
        lookup("models", model)
        if not talks(model):
            why = "learns with an expert" if guided(model) else "does not talk, it turns no speech into motion"
            raise RecipeError(f"{model!r} {why}; there are {', '.join(talking())}")
    for option, words in (("size", ("official", "small")), ("data", ("vocaset", "biwi"))):
        if wishes[option] not in words:
            near = nearest(wishes[option], words)
            raise RecipeError(f"--{option} {wishes[option]!r}: there are {' and '.join(words)}.{near}")
    if min(wishes["seconds"]) <= 0:
        raise RecipeError(f"--seconds {min(wishes['seconds']):g}: speech has a length; give more than 0")
    if wishes["device"].partition(":")[0] not in ("auto", "cpu", "cuda", "mps"):
        raise RecipeError(f"--device {wishes['device']!r}: give auto, cpu, cuda, cuda:1 or mps")
    wishes = wishes | {"threads": wishes["threads"] or os.cpu_count() or 1}
    measured: bool = load_command("bench")(list(dict.fromkeys(models)) or talking(), wishes, as_json=as_json)
    return measured


def talking() -> list[str]:
    """The built-in networks that turn speech into motion, and learn it by themselves."""
    return [name for name in names("models") if talks(name)]


def talks(model: str) -> bool:
    return speaks(load_component("models", model).Settings) and not guided(model)


def guided(model: str) -> bool:
    """Whether it learns with an expert, which the loop that is measured has not."""
    return bool(getattr(load_component("models", model).Settings, "expert_model", ""))
