"""A small recipe of toy stages in a folder of its own, and a workspace beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.progress import Reporter
from pipeline.workspace import Workspace
from tests.pipeline.toy import Double

RECIPE = """\
[recipe]
title = "numbers"
seed = 7

[step.read]
stage = "tests.pipeline.toy:Read"
file = "numbers.txt"

[step.double]
stage = "tests.pipeline.toy:Double"
factor = 2.0

[step.sum]
stage = "tests.pipeline.toy:Sum"

[tiny]
step.double.factor = 1.0
"""


class Recorder(Reporter):
    """Keeps the lines instead of printing them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.watched: list[tuple[str, str]] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def watch(self, step: str, text: str) -> None:
        self.watched.append((step, text))

    @property
    def ran(self) -> list[str]:
        """Names of the steps that ran."""
        return [line.split()[0] for line in self.lines if len(line.split()) > 1 and line.split()[1] == "running"]

    def standings(self) -> dict[str, str]:
        """Step → "cached", "3 of 4" where items were taken over, or "made"."""
        found: dict[str, str] = {}
        for line in self.lines:
            step, _, rest = line.partition(" ")
            if rest.strip().startswith(("cached", "running")):
                found[step] = "cached" if rest.strip().startswith("cached") else "made"
            elif taken := re.search(r"(\d+ of \d+) \w+ are as they were", rest):
                found[step] = taken[1]
        return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `toy.toml` and its input; store and state are below it too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("PIPE_STORE", "PIPE_OUTPUTS", "PIPE_TRUST", "PIPE_REMOTE", "PIPE_REMOTE_MODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "toy.toml").write_text(RECIPE)
    (tmp_path / "numbers.txt").write_text("1\n2\n3\n")
    Double.made.clear()
    return tmp_path


@pytest.fixture
def workspace(here: Path) -> Workspace:
    return Workspace.find()
