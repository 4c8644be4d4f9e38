"""Versions of libraries: told where they differ, part of keys where a recipe is strict."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from pipeline import libraries
from pipeline.errors import RecipeError
from pipeline.plan import plan
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.test_cli import pipe
from tests.pipeline.toy import Double


@pytest.fixture
def here(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`Double` hangs on two libraries, whose versions can be set."""
    monkeypatch.setattr(Double, "libraries", ("numpy", "torch"))
    install(monkeypatch, numpy="2.4.6", torch="2.12.0+cpu")
    return here


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    monkeypatch.setattr(libraries, "_installed", lambda path: versions)


def strict(here: Path) -> None:
    path = here / "toy.toml"
    path.write_text(path.read_text().replace("seed = 7", 'seed = 7\nlibraries = "strict"'))


def test_versions_are_those_that_importlib_tells() -> None:
    names = ["numpy", "torch", "typer", "huggingface_hub", "no-such-library"]
    assert libraries.versions(names) == {name: metadata.version(name) for name in names[:-1]}


def test_a_record_tells_what_the_stage_hangs_on(here) -> None:
    pipe("run", "toy.toml")
    record = json.loads(next(Path(".pipe/double").glob("*/record.json")).read_text())
    assert record["provenance"]["libraries"] == {"numpy": "2.4.6", "torch": "2.12.0+cpu"} | {
        name: version for name, version in record["provenance"]["libraries"].items() if name not in ("numpy", "torch")
    }
    assert "libraries" not in record["key"]


def test_another_version_is_told_and_runs_nothing(here, capsys, monkeypatch) -> None:
    pipe("run", "toy.toml")
    install(monkeypatch, numpy="2.4.9", torch="2.13.0")
    capsys.readouterr()
    assert pipe("status", "toy.toml") == 0
    out = capsys.readouterr().out
    assert ", made with torch 2.12, here is 2.13" in out
    assert "numpy" not in out  # the last number is not told
    assert pipe("run", "toy.toml") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: nothing to do, 3 steps are cached"
    assert lines[1].startswith("double: double/")
    assert lines[1].endswith(", made with torch 2.12, here is 2.13")
    assert pipe("why", "toy.toml", "double") == 0
    assert 'not run again for that unless the recipe says libraries = "strict"' in capsys.readouterr().out
    assert pipe("why", "toy.toml", "double", "--json") == 0
    assert json.loads(capsys.readouterr().out)["other_libraries"] == "made with torch 2.12, here is 2.13"


def test_a_strict_recipe_runs_again_for_a_release(here, capsys, monkeypatch) -> None:
    strict(here)
    pipe("run", "toy.toml")
    install(monkeypatch, numpy="2.4.9", torch="2.12.4")
    capsys.readouterr()
    assert pipe("run", "toy.toml") == 0
    assert "nothing to do" in capsys.readouterr().out
    install(monkeypatch, numpy="2.4.9", torch="2.13.0")
    assert pipe("run", "toy.toml") == 0
    out = capsys.readouterr().out
    assert "double  running   library torch: '2.12' → '2.13'" in out
    assert "sum     cached" in out  # the same bytes came out


def test_a_library_that_is_gone_or_new_is_no_error(here, capsys, monkeypatch) -> None:
    pipe("run", "toy.toml")
    install(monkeypatch, numpy="2.4.6")
    assert pipe("run", "toy.toml") == 0
    strict(here)
    entry = plan(load(Path("toy.toml")), Workspace.find())["double"]
    assert entry.reason == "library numpy: absent → '2.4'"


def test_a_policy_that_is_none(here) -> None:
    strict(here)
    text = (here / "toy.toml").read_text().replace('"strict"', '"loose"')
    (here / "toy.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"toy.toml:4 \[recipe\]: 'libraries' must be \"report\" .* or \"strict\""):
        load(here / "toy.toml")


def test_real_stages_name_what_is_installed() -> None:
    from pipeline import registry

    named = {name for stage in registry.names("stages") for name in registry.load_stage(stage).libraries}
    assert named
    assert set(libraries.versions(named)) == named
