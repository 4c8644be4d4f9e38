"""Versions of the libraries that a stage's results hang on: recorded always, told where they differ, or part of keys.

A recipe says which: `libraries = "report"` (the default) serves what another version made and says so in a few words;
"strict" puts major.minor into the key. A version is read off the name of the library's folder of metadata, one
listing for all of them, since `importlib.metadata` takes longer than a whole plan; a library that is not found so
has no version here, which is no error.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Mapping

from cache.store import Artifact
from pipeline.stage import Stage


def versions(names: Iterable[str]) -> dict[str, str]:
    """Library → its version here, for those that are installed."""
    wanted = list(names)
    if not wanted:
        return {}
    found = _installed(tuple(sys.path))
    return {name: found[_plain(name)] for name in wanted if _plain(name) in found}


def significant(version: str) -> str:
    """What results may hang on: major.minor."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def for_key(stage: Stage) -> dict[str, str]:
    """What a strict recipe puts into a key."""
    return {name: significant(version) for name, version in versions(stage.libraries).items()}


def remark(stage: Stage, artifact: Artifact) -> str:
    """Which other versions made an artifact: "made with torch 2.12, here is 2.13", or ""."""
    made: Mapping[str, str] = artifact.record["provenance"].get("libraries") or {}
    here = versions(name for name in stage.libraries if name in made)
    others = [
        f"{name} {significant(made[name])}, here is {significant(version)}"
        for name, version in here.items()
        if significant(made[name]) != significant(version)
    ]
    return f"made with {' and '.join(others)}" if others else ""


@functools.cache
def _installed(path: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in path:
        if not folder.endswith("-packages"):
            continue
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):  # "torch-2.13.0+cpu.dist-info"
                library, _, rest = name.rpartition(".")[0].partition("-")
                found.setdefault(_plain(library), rest.partition("-")[0])
    return found


def _plain(name: str) -> str:
    return name.replace("_", "-").replace(".", "-").lower()
