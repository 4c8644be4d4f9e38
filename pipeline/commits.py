"""Which commits changed a module since a result was made, as far as git knows. No git, no repository: no commits."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.workspace import PROJECT

_MOST = 5


@dataclass(frozen=True)
class History:
    """commits: "1f2e3d4 subject", newest first. edited: there are changes that are not committed."""

    commits: tuple[str, ...] = ()
    edited: bool = False

    def lines(self) -> list[str]:
        """As `pipe why` tells it."""
        shown = list(self.commits[:_MOST])
        if len(self.commits) > _MOST:
            shown.append(f"and {len(self.commits) - _MOST} earlier commits")
        return [f"commit {line}" if line in self.commits else line for line in shown] + (
            ["edited, not committed"] if self.edited else []
        )


def since(file: Path | None, provenance: Mapping[str, Any]) -> History:
    """What happened to a file since an artifact was made.

    The record tells the project's own commit; a file of another repository is asked by the time of the artifact.
    """
    if file is None or not (top := _git(file.parent, "rev-parse", "--show-toplevel")):
        return History()
    commit = str(provenance.get("git", "")).removesuffix("+")
    own = Path(top[0]).resolve() == PROJECT and commit
    span = f"{commit}..HEAD" if own else f"--since={provenance.get('finished', '')}"
    commits = _git(file.parent, "log", "--format=%h %s", span, "--", str(file))
    return History(tuple(commits), bool(_git(file.parent, "status", "--porcelain", "--", str(file))))


@functools.cache
def _git(folder: Path, *words: str) -> list[str]:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()
