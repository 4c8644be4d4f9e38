"""The README and the docs agree with the code: commands parse, files that are named exist, tables are complete."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cache.manifest import Manifest
from pipeline import registry
from pipeline.commands.stage import help_text
from pipeline.recipe import load
from pipeline.stage import Given, Items
from tests.pipeline.test_cli import pipe
from tests.stages.fake_job import FakeJob

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = (
    *("run", "status", "why", "accept", "graph", "stage", "table", "infer", "runs", "show", "doctor", "config"),
    "bench",
)
GROUPS = (
    *("recipe ls", "recipe show", "recipe check", "regions ls", "regions show"),
    *("data init", "data check", "data card"),
    *(
        f"cache {name}"
        for name in ("ls", "show", "du", "verify", "gc", "pin", "unpin", "export", "import", "push", "pull")
    ),
)
FOLDERS = "recipes|docs|benchmarks|tests|pipeline|cache|stages|models|faces"


def commands(page: Path) -> list[list[str]]:
    """The `pipe …` lines of a page's code blocks and inline code, comments cut."""
    text = page.read_text(encoding="utf-8")
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(pipe [^`]+)`", text)
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("pipe ")]


def options_of(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """The help of the command that the words begin with."""
    name = " ".join(words[:2]) if words[0] in ("recipe", "cache", "data", "regions") else words[0]
    assert name in (*COMMANDS, *GROUPS), f"`pipe {name}` is no command"
    if name == "stage":
        if len(words) < 2 or words[1] == "NAME":
            return "--help"
        components = [(o[2:], v) for o, v in pairwise(words) if o in ("--dataset", "--model")]
        return help_text(words[1], components) + " --input --store --help"
    capsys.readouterr()
    pipe(*name.split(), "--help")
    return capsys.readouterr().out + " --help"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for words in commands(page):
        if not words or words[0].isupper() or words[0] in ("…", "--help", "--debug"):
            continue
        known = options_of(capsys, words)
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert option in known, f"{page.name}: `pipe {' '.join(words)}`: no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"(?:{FOLDERS})/[\w/.-]+\.(?:toml|md|py)", text))
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")}
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [link for link in linked if not (page.parent / link).exists()]
    assert not missing, f"{page.name} names {missing}"


def test_benchmarks_that_are_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"python -m (benchmarks\.\w+|tests\.golden)", page.read_text(encoding="utf-8")):
            path = ROOT / name.replace(".", "/")
            assert path.with_suffix(".py").exists() or path.is_dir(), f"{page.name}: python -m {name}"


@pytest.mark.parametrize("stage", registry.names("stages"))
def test_every_stage_has_help_for_every_option(stage) -> None:
    text = help_text(stage, [])
    options = [line for line in text.splitlines() if line.startswith("  --") and not line.startswith("  --input")]
    assert options
    assert all(len(re.split(r"\s{2,}", line.strip())) >= 3 for line in options), text


def test_dependencies_are_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    explained = (ROOT / "docs/dependencies.md").read_text()
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    for requirement in project["dependencies"] + extras:
        name = re.split(r"[<>=!\[ ]", requirement)[0]
        assert name in explained, f"docs/dependencies.md does not say why {name}"


def test_the_stage_of_the_page_on_extending_works(tmp_path, monkeypatch) -> None:
    """The page's own code, written beside a recipe and run."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.DOTALL)
    (tmp_path / "page_stages.py").write_text(code)
    (tmp_path / "page.toml").write_text(
        f'extends = "{ROOT}/recipes/quickstart.toml"\n[step.smooth]\nstage = "page_stages:Smooth"\nwindow = 3\n'
    )
    step = load(tmp_path / "page.toml").steps["smooth"]
    assert step.inputs == {"predictions": "infer"}
    (tmp_path / "predictions" / "npy").mkdir(parents=True)
    np.save(tmp_path / "predictions" / "npy" / "clip.npy", np.eye(6, dtype=np.float32))
    given = Given(tmp_path, {}, lambda: Manifest({"npy/clip.npy": (1, "b3:1"), "predictions.json": (1, "b3:2")}))
    assert step.stage.items({"predictions": given}, {}) == Items({"clip": "b3:1"})
    job = FakeJob.under(tmp_path / "job", {"predictions": tmp_path / "predictions"})
    step.stage.run(job)
    expected = np.array([[1, 1, 0], [1, 1, 1]]) / 3
    np.testing.assert_allclose(np.load(job.out / "clip.npy")[:2, :3], expected, atol=1e-6)


def test_no_merge_was_left_half_done():
    marks = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    texts = [*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "recipes").rglob("*.toml")]
    assert [path.name for path in texts if marks.search(path.read_text(encoding="utf-8"))] == []
