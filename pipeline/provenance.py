"""What a record tells of how a result came about. None of it is part of a key."""

from __future__ import annotations

import functools
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from pipeline import libraries
from pipeline.recipe import Recipe, Step
from pipeline.toml import shown
from pipeline.workspace import PROJECT

LIBRARIES = ("numpy", "torch", "transformers", "h5py", "soxr", "soundfile", "av", "numba", "trimesh", "matplotlib")


def facts(
    recipe: Recipe, step: Step, reason: str, notes: Mapping[str, Any], started: float, device: str
) -> dict[str, Any]:
    """The provenance of a step that has just run."""
    return {
        "recipe": recipe.name,
        "recipe_file": shown(recipe.path),
        "step": step.base,
        "variant": step.variant,
        "reason": reason,
        "params": dict(step.values),
        "seed": recipe.seed_of(step),
        "notes": dict(notes),
        "device": device,
        "host": socket.gethostname(),
        "started": _stamp(started),
        "finished": _stamp(time.time()),
        "seconds": round(time.time() - started, 3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "python": platform.python_version(),
        "libraries": _libraries() | libraries.versions(step.stage.libraries),
        "git": _git(),
    }


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


_version = functools.cache(metadata.version)


def _libraries() -> dict[str, str]:
    return {name: _version(name) for name in LIBRARIES if name in sys.modules}


@functools.cache
def _git() -> str:
    """Commit of the project's checkout, "+" where it was edited; "" outside one."""
    if not (PROJECT / ".git").exists():
        return ""
    try:
        run = functools.partial(subprocess.run, cwd=PROJECT, capture_output=True, text=True, timeout=10, check=True)
        commit = run(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
        return commit + ("+" if run(["git", "status", "--porcelain", "-uno"]).stdout.strip() else "")
    except (OSError, subprocess.SubprocessError):
        return ""
