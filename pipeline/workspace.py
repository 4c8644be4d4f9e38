"""Where things are on this machine: the store, the outputs folder, the remote, the host-local stat cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from cache import digest
from cache.code import CodeDigests
from cache.statcache import StatCache, Trust
from cache.store import Store
from pipeline import config

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds the project's packages, and its recipes."""


@dataclass(frozen=True)
class Workspace:
    """The places of one invocation.

    store: the artifacts; may be shared by a group. outputs: plain links to the current results of each recipe.
    trust: how unchanged files are recognised, see `cache.statcache`. remote: where artifacts are fetched from and
    uploaded to, "" for nowhere; remote_mode: "rw", "ro" or "off".
    """

    store: Store
    outputs: Path
    trust: Trust = "stat"
    remote: str = ""
    remote_mode: str = "off"

    @classmethod
    def find(
        cls,
        store: str | None = None,
        outputs: str | None = None,
        remote: str | None = None,
        remote_mode: str | None = None,
    ) -> Workspace:
        """From options, else the environment, else `pipe.toml`, else `.pipe` and `outputs` in the current folder."""
        options = {"store": store, "outputs": outputs, "remote": remote, "remote_mode": remote_mode}
        found = {name: setting.value for name, setting in config.settings(options).items()}
        return cls(
            Store(Path(found["store"])),
            Path(found["outputs"]),
            cast("Trust", found["trust"]),
            found["remote"],
            found["remote_mode"],
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
