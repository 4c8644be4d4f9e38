"""`pipe why`: the root cause first, also when it lies above and the steps above have run meanwhile."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pipeline import commits, explain
from tests.pipeline.test_cli import pipe
from tests.pipeline.test_detection import lab, replace

__all__ = ["lab"]


def why(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert pipe("why", *words) == 0
    return capsys.readouterr().out


def test_first_run_and_what_waits(here, capsys) -> None:
    assert why(capsys, "toy.toml", "read").splitlines() == [
        "read  to run  first run",
        "  no earlier result of step read in the store to compare with",
    ]
    assert "read must run: first run" in why(capsys, "toy.toml", "sum")


def test_another_step_of_the_same_stage_is_no_earlier_version(here, capsys) -> None:
    more = '[step.again]\nstage = "tests.pipeline.toy:Double"\nfactor = 9.0\ninputs = { data = "read" }\n'
    text = Path("toy.toml").read_text().partition("[step.sum]")[0]
    Path("toy.toml").write_text(text + more)
    pipe("run", "toy.toml", "--until", "double")
    assert why(capsys, "toy.toml", "again").startswith("again  to run  first run\n")
    Path("another.toml").write_text(text + more)
    assert "parameter factor" in why(capsys, "another.toml", "again")


def test_a_step_that_waits_is_told_the_root_above(here, capsys) -> None:
    pipe("run", "toy.toml")
    out = why(capsys, "toy.toml", "sum", "--set", "step.read.offset=1")
    assert out.splitlines()[0] == "sum  waits  after double"
    assert "  read must run: parameter offset: 0 → 1   --set" in out
    assert "double must run" not in out  # it waits itself


def test_an_input_is_followed_up_although_the_steps_above_have_run(here, capsys) -> None:
    """Two levels: the parameter of `read` is why `sum` would run, long after `read` and `double` were made anew."""
    pipe("run", "toy.toml")
    replace("toy.toml", 'file = "numbers.txt"', 'file = "numbers.txt"\noffset = 5')
    assert pipe("run", "toy.toml", "--until", "double") == 0
    assert "running   input data (numbers), by step read" not in capsys.readouterr().out
    root = "parameter offset: 0 → 5   toy.toml:8"
    lines = [line.strip() for line in why(capsys, "toy.toml", "sum").splitlines()]
    assert lines[0] == f"sum  to run  input left, by step read: {root}"
    assert lines[2] == "input left (n0.txt, n1.txt, n2.txt) has other content"
    assert lines[4] == "input data (numbers) has other content"
    assert lines[6] == root
    assert pipe("run", "toy.toml") == 0
    assert f"input left, by step read: {root}" in capsys.readouterr().out
    assert f"because: input left, by step read: {root}" in why(capsys, "toy.toml", "sum")


def test_json_is_complete(here, capsys) -> None:
    pipe("run", "toy.toml")
    pipe("run", "toy.toml", "--set", "step.read.offset=5", "--until", "double")
    words = ("toy.toml", "sum", "--json", "--set", "step.read.offset=5", "--set", "step.sum.weight=2")
    found = json.loads(why(capsys, *words))
    assert found["state"] == "to run"
    assert found["reason"] == "parameter weight: 1.0 → 2.0   --set (and 1 more)"
    assert found["compared_with"].startswith("sum/")
    weight, left = found["differences"]
    assert (weight["part"], weight["name"], weight["old"], weight["new"], weight["place"]) == (
        "params", "weight", 1.0, 2.0, "--set",
    )  # fmt: skip
    (data,) = left["behind"]["differences"]
    (offset,) = data["behind"]["differences"]
    assert (left["behind"]["step"], data["behind"]["step"], offset["name"]) == ("double", "read", "offset")
    found = json.loads(why(capsys, "toy.toml", "sum", "--json", "--set", "step.read.offset=6"))
    assert [(root["step"], root["reason"]) for root in found["roots"]] == [
        ("read", "parameter offset: 5 → 6   --set"),
    ]
    assert json.loads(why(capsys, "toy.toml", "sum", "--json"))["made_because"] == "first run"


def test_files_seeds_and_defaults_have_places(here, capsys) -> None:
    pipe("run", "toy.toml")
    (here / "numbers.txt").write_text("4\n")
    assert "file numbers changed   numbers.txt" in why(capsys, "toy.toml", "read")
    (here / "numbers.txt").write_text("1\n2\n3\n")
    replace("toy.toml", "seed = 7", "seed = 8")
    assert "sum  to run  seed: 7 → 8   toy.toml:3" in why(capsys, "toy.toml", "sum")
    pipe("run", "toy.toml", "--set", "step.sum.weight=3")
    assert "parameter weight: 3.0 → 1.0   default" in why(capsys, "toy.toml", "sum")


def test_what_is_no_longer_in_the_store_is_said(here, capsys) -> None:
    import shutil

    pipe("run", "toy.toml", "--until", "double")
    first = next((here / ".pipe/read").iterdir())
    pipe("run", "toy.toml", "--set", "step.read.offset=5", "--until", "read")
    shutil.rmtree(first)
    out = why(capsys, "toy.toml", "double", "--set", "step.read.offset=5")
    assert "input data, by step read: its earlier result is no longer in the store" in out


def test_a_forced_step_that_came_out_otherwise_is_said(lab, capsys) -> None:
    """What a key does not tell: an environment variable here, a GPU's order of sums elsewhere."""
    replace("toylab/stage.py", "TABLE.read_text()", "__import__('os').environ.get('LAB_MOOD', '')")
    text = Path("lab.toml").read_text() + '[step.next]\nstage = "tests.pipeline.toy:Count"\n'
    Path("lab.toml").write_text(text)
    import os
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "toylab"]:
        del sys.modules[name]
    assert pipe("run", "lab.toml") == 0
    os.environ["LAB_MOOD"] = "fine"
    try:
        assert pipe("run", "lab.toml", "--force", "work", "--until", "work") == 0
    finally:
        del os.environ["LAB_MOOD"]
    assert "input data, by step work: it was made again and came out otherwise" in why(capsys, "lab.toml", "next")


def git(*words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], check=True, capture_output=True, cwd="."
    )


def test_commits_that_changed_a_module_are_named(lab, capsys) -> None:
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all", "--date", "2020-01-01T00:00:00Z")
    replace("toylab/helpers.py", "2 * x", "3 * x")
    out = why(capsys, "lab.toml", "work")
    assert "code of toylab.helpers changed" in out
    assert "edited, not committed" in out
    git("commit", "-q", "-am", "Scale by three")
    commits._git.cache_clear()
    out = why(capsys, "lab.toml", "work")
    assert "Scale by three" in out
    assert "not committed" not in out
    (difference,) = json.loads(why(capsys, "lab.toml", "work", "--json"))["differences"]
    assert difference["edited"] is False
    assert any("Scale by three" in commit for commit in difference["commits"])


def test_the_commits_of_the_project_itself_are_counted_from_the_records(tmp_path, monkeypatch) -> None:
    """A record tells the commit of the project it was made with: what came later on the file counts, by git's graph."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.commits.PROJECT", tmp_path.resolve())
    git("init", "-q")
    (tmp_path / "module.py").write_text("x = 1")
    git("add", ".")
    git("commit", "-q", "-m", "One")
    made = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "module.py").write_text("x = 2")
    git("commit", "-q", "-am", "Two")
    commits._git.cache_clear()
    history = commits.since(tmp_path / "module.py", {"git": f"{made}+"})
    assert [line.partition(" ")[2] for line in history.commits] == ["Two"]
    assert history.edited is False


def test_outside_a_repository_there_are_no_commits(tmp_path) -> None:
    assert commits.since(tmp_path / "module.py", {}).lines() == []
    assert commits.since(None, {}).lines() == []


def test_pretrained_weights_and_inputs_that_come_and_go() -> None:
    old = {"sources": {"encoder": {"hub": "lab/enc", "commit": "a" * 40}}, "inputs": {}, "seed": 1, "stage_version": 1}
    new = {
        "sources": {"encoder": {"hub": "lab/enc", "commit": "b" * 40}},
        "inputs": {"more": {"x": "1"}},
        "stage_version": 2,
    }
    assert [str(difference) for difference in explain.differences(old, new)] == [
        "seed: 1 → absent",
        "pretrained weights encoder: lab/enc at aaaaaaaa → lab/enc at bbbbbbbb",
        "input more is new",
        "stage version: 1 → 2",
    ]
    folder = {"sources": {"encoder": {"config.json": "1", "model.safetensors": "2"}}}
    other = {"sources": {"encoder": {"config.json": "1", "model.safetensors": "3"}, "list": "4"}}
    assert [str(difference) for difference in explain.differences(folder, other)] == [
        "pretrained weights encoder changed (model.safetensors)",
        "file list is new",
    ]
    many = explain.differences(
        {"inputs": {"d": {c: "1" for c in "abcde"}}}, {"inputs": {"d": {c: "2" for c in "abcde"}}}
    )
    assert str(many[0]) == "input d (a, b, c, …) has other content"
