"""Where things are on this machine: the store, the outputs folder, the host-local stat cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast, get_args

from cache import digest
from cache.code import CodeDigests
from cache.statcache import StatCache, Trust
from cache.store import Store
from pipeline.errors import RecipeError

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds the project's packages, and its recipes."""


@dataclass(frozen=True)
class Workspace:
    """The places of one invocation.

    store: the artifacts; may be shared by a group. outputs: plain links to the current results of each recipe.
    trust: how unchanged files are recognised, see `cache.statcache`.
    """

    store: Store
    outputs: Path
    trust: Trust = "stat"

    @classmethod
    def find(cls, store: str | None = None, outputs: str | None = None) -> Workspace:
        """From options, else PIPE_STORE and PIPE_OUTPUTS, else `.pipe` and `outputs` in the current folder."""
        trust = os.environ.get("PIPE_TRUST", "stat")
        if trust not in get_args(Trust):
            raise RecipeError(f"PIPE_TRUST is {trust!r}; allowed: {', '.join(get_args(Trust))}")
        return cls(
            Store(Path(store or os.environ.get("PIPE_STORE") or ".pipe").expanduser().absolute()),
            Path(outputs or os.environ.get("PIPE_OUTPUTS") or "outputs").expanduser().absolute(),
            cast("Trust", trust),
        )

    @cached_property
    def stats(self) -> StatCache:
        """Digests of outside files and of code, remembered on this host."""
        base = os.environ.get("PIPE_STATE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "facepipe"
        )
        return StatCache(Path(base), digest.short(digest.of_bytes(os.fsencode(self.store.root)), 16), self.trust)

    @cached_property
    def code(self) -> CodeDigests:
        return CodeDigests(self.stats, [PROJECT])
