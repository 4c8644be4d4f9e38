"""Two recipes meet at the steps on which they agree, and get out of each other's way where they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.plan import State, plan
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.test_cli import pipe
from tests.pipeline.toy import Double

ROOT = Path(__file__).parents[2]


def other(here: Path, name: str, factor: str = "2.0") -> Path:
    path = here / name
    path.parent.mkdir(exist_ok=True)
    path.write_text((here / "toy.toml").read_text().replace("factor = 2.0", f"factor = {factor}"))
    return path


def test_the_second_recipe_finds_what_the_first_has_made(here, capsys) -> None:
    second = here / "second.toml"
    text = (here / "toy.toml").read_text().replace("[step.sum]", "[step.total]").replace("seed = 7", "seed = 8")
    second.write_text(text)
    assert pipe("run", "toy.toml") == 0
    planned = plan(load(second), Workspace.find())
    assert [(name, entry.state) for name, entry in planned.items()] == [
        ("read", State.CACHED), ("double", State.CACHED), ("total", State.TO_RUN),
    ]  # fmt: skip
    assert planned["read"].artifact.record["provenance"]["recipe"] == "toy"
    Double.made.clear()
    capsys.readouterr()
    assert pipe("run", "second.toml") == 0
    assert "total   running   seed: 7 → 8   second.toml:3" in capsys.readouterr().out
    assert not Double.made
    assert (here / "outputs/toy/double").resolve() == (here / "outputs/second/double").resolve()


def test_recipes_of_one_command_share_too(here, capsys) -> None:
    other(here, "second.toml", "3.0")
    assert pipe("run", "toy.toml", "second.toml") == 0
    assert capsys.readouterr().out.count("read    running") == 1


def test_real_recipes_meet_at_preprocess_and_features(here, monkeypatch) -> None:
    """Two papers on one data set: the keys of what comes before training are equal. Made up results stand in."""
    workspace = Workspace.find()
    recipes = [load(ROOT / f"recipes/{name}.toml", tiny=True) for name in ("quickstart", "codetalker_synthetic")]
    for step in ("preprocess", "features"):
        entry = plan(recipes[0], workspace)[step]
        assert entry.state is State.TO_RUN, entry.reason
        work = workspace.store.work(entry.step.stage.name, entry.key or {})
        workspace.store.begin(work)
        (work.out / "wav").mkdir()
        (work.out / "wav" / "a.wav").write_text("made up")
        facts = {"recipe": "quickstart", "step": step, "finished": "", "reason": ""}
        workspace.store.publish(work, step, entry.step.stage.output, {}, facts)
    planned = plan(recipes[1], workspace)
    assert [planned[step].state for step in ("preprocess", "features")] == [State.CACHED, State.CACHED]
    assert {planned[step].artifact.record["provenance"]["recipe"] for step in ("preprocess", "features")} == {
        "quickstart"
    }


def test_one_step_name_with_other_content_stands_in_each_recipes_own_folder(here) -> None:
    other(here, "second.toml", "3.0")
    assert pipe("run", "toy.toml", "second.toml") == 0
    texts = [(here / "outputs" / name / "double/n0.txt").read_text() for name in ("toy", "second")]
    assert texts == ["2.0", "3.0"]


@pytest.mark.parametrize("command", [["run"], ["run", "-n"], ["run", "--until", "sum"]])
def test_two_files_of_one_name_in_one_command_are_refused(here, capsys, command) -> None:
    other(here, "lab/toy.toml", "3.0")
    assert pipe(*command, "toy.toml", "lab/toy.toml") == 2
    told = capsys.readouterr().err
    assert "toy.toml and lab/toy.toml are both named 'toy', and one folder of results cannot show both" in told
    assert not (here / "outputs").exists()


def test_the_same_file_twice_is_no_quarrel(here) -> None:
    assert pipe("run", "toy.toml", "./toy.toml") == 0
    assert pipe("run", "toy.toml", "./toy.toml") == 0


def test_a_later_recipe_of_one_name_says_that_it_takes_over(here, capsys) -> None:
    """Its links are the truth from then on, those of the other are gone, and nothing made is lost."""
    second = other(here, "lab/toy.toml", "3.0")
    second.write_text(second.read_text().replace("[step.sum]", "[step.total]"))
    assert pipe("run", "toy.toml") == 0
    assert capsys.readouterr().err == ""
    assert pipe("run", "lab/toy.toml") == 0
    told = capsys.readouterr().err
    assert "outputs/toy showed the results of toy.toml; it now shows those of lab/toy.toml" in told
    assert sorted(path.name for path in (here / "outputs/toy").iterdir()) == [".recipe", "double", "read", "total"]
    assert pipe("run", "lab/toy.toml") == 0
    assert capsys.readouterr().err == ""
    assert pipe("run", "toy.toml") == 0
    captured = capsys.readouterr()
    assert "it now shows those of toy.toml" in captured.err
    assert "nothing to do" in captured.out
    assert (here / "outputs/toy/double/n0.txt").read_text() == "2.0"


def test_a_recipe_that_was_moved_takes_its_results_along(here, capsys) -> None:
    pipe("run", "toy.toml")
    (here / "lab").mkdir()
    os.rename("toy.toml", "lab/toy.toml")
    assert pipe("run", "lab/toy.toml") == 0
    assert capsys.readouterr().err == ""
