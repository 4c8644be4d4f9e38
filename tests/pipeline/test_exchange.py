"""A run fetches what others made and uploads what it made; a remote that fails costs one warning, never the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cache import transfer
from cache.store import Artifact
from pipeline.errors import Interrupted
from pipeline.exchange import Exchange, megabytes
from pipeline.execute import Choice, Means, run
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_cli import pipe
from tests.s3 import Server, free_port, point_at, s3, s3_server, silent_port

__all__ = ["free_port", "s3", "s3_server", "silent_port"]


def go(remote: object, store: str, *settings: str, mode: str = "rw", choice: Choice | None = None) -> Recorder:
    recorder = Recorder()
    workspace = Workspace.find(store, f"outputs-{store}", str(remote), mode)
    run(load(Path("toy.toml"), settings), workspace, recorder, choice or Choice(), Means("cpu", 1))
    return recorder


def states(recorder: Recorder) -> list[str]:
    return [" ".join(line.split()[:2]) for line in recorder.lines if not line.startswith("warning")]


def warnings(recorder: Recorder) -> list[str]:
    return [line for line in recorder.lines if line.startswith("warning")]


FETCHED = ["read fetched", "double fetched", "sum fetched"]
MADE = [f"{step} {state}" for step in ("read", "double", "sum") for state in ("running", "done", "uploaded")]


@pytest.mark.parametrize("address", ["remote", "s3://lab/cache"])
def test_what_one_makes_another_fetches(here, address, request) -> None:
    if address.startswith("s3"):
        request.getfixturevalue("s3")
    assert states(go(address, "one")) == MADE
    second = go(address, "two")
    assert states(second) == FETCHED
    assert f"B from {address if '://' in address else here / address} in" in second.lines[0]
    assert json.loads((here / "outputs-two/toy/sum/total.json").read_text()) == {"total": 12.0, "seed": 7}
    assert go(address, "two").lines[0].split()[:2] == ["read", "cached"]


def test_modes(here) -> None:
    assert states(go("remote", "one", mode="off")) == [word for word in MADE if "uploaded" not in word]
    assert not (here / "remote").exists()
    assert "uploaded" not in " ".join(go("remote", "two", mode="ro").lines)
    assert not (here / "remote").exists()
    go("remote", "three")
    assert states(go("remote", "four", mode="ro")) == FETCHED


def test_only_what_the_remote_lacks_is_made_and_a_forced_step_is_made_anyway(here) -> None:
    go("remote", "one")
    second = go("remote", "two", "step.sum.weight=2")
    assert states(second) == [*FETCHED[:2], "sum running", "sum done", "sum uploaded"]
    forced = go("remote", "three", choice=Choice(force=frozenset(["read"])))
    assert states(forced) == ["read running", "read done", *FETCHED[1:]]  # equal bytes: nothing to upload


def test_status_and_plan_never_contact_the_remote(here, monkeypatch, capsys) -> None:
    def contact(*_: object) -> None:
        raise AssertionError("the remote was contacted")

    monkeypatch.setattr("cache.remote.Remote.__init__", contact)
    monkeypatch.setenv("PIPE_REMOTE", str(here / "remote"))
    assert pipe("status", "toy.toml") == 0
    assert pipe("run", "toy.toml", "--dry-run") == 0
    assert pipe("why", "toy.toml", "sum") == 0


def test_what_is_damaged_there_is_made_here_and_put_right_there(here) -> None:
    go("remote", "one")
    (victim,) = (path for path in (here / "remote/objects").rglob("*") if path.is_file() and path.read_text() == "4.0")
    victim.write_text("9.0")
    second = go("remote", "two")
    assert states(second) == ["read fetched", "double running", "double done", "double uploaded", "sum fetched"]
    (warning,) = warnings(second)
    assert f"{victim.relative_to(here / 'remote')} (double/" in warning
    assert "is damaged: other bytes than its name says; step 'double' is made here instead" in warning
    assert states(go("remote", "three")) == FETCHED


def test_a_record_that_is_damaged_there_is_put_right(here) -> None:
    go("remote", "one")
    (record,) = (here / "remote/records/double").iterdir()
    record.write_text(record.read_text()[:100])
    assert len(warnings(go("remote", "two"))) == 1
    assert states(go("remote", "three")) == FETCHED


def test_what_a_newer_version_put_there_costs_one_warning_and_stays(here) -> None:
    go("remote", "one")
    (record,) = (here / "remote/records/double").iterdir()
    record.write_text(record.read_text().replace('"format":1', '"format":2'))
    before = record.read_bytes()
    second = go("remote", "two")
    (warning,) = warnings(second)
    assert "was written by a newer version of facepipe" in warning
    assert states(second) == ["read fetched", "double running", "double done", "sum running", "sum done"]
    assert record.read_bytes() == before


def test_an_artifact_that_goes_before_it_is_uploaded_costs_one_warning(here, monkeypatch) -> None:
    real = Exchange.offer

    def late(self: Exchange, step: str, artifact: Artifact) -> None:
        if step == "double":
            shutil.move(artifact.path, here / "elsewhere")
            shutil.copytree(here / "elsewhere", artifact.path, ignore=shutil.ignore_patterns("n1.txt"))
        real(self, step, artifact)

    monkeypatch.setattr(Exchange, "offer", late)
    recorder = go("remote", "one", choice=Choice(until="double"))
    (warning,) = warnings(recorder)
    assert "nothing is uploaded" in warning


def test_a_half_uploaded_artifact_is_invisible(here) -> None:
    go("remote", "one")
    shutil.rmtree(here / "remote/records/double")
    assert states(go("remote", "two"))[:3] == ["read fetched", "double running", "double done"]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/absent/disk/cache", "the folder /absent/disk does not exist"),
        ("ftp://host/x", "the protocol 'ftp' is not known"),
    ],
)
def test_a_remote_that_cannot_be_costs_one_warning(here, address, sentence) -> None:
    recorder = go(address, "one")
    (warning,) = warnings(recorder)
    assert sentence in warning
    assert warning.endswith("For the rest of this run it is left out.")
    assert states(recorder) == [word for word in MADE if "uploaded" not in word]


def test_a_server_that_is_down_is_asked_once(s3: Server, here, monkeypatch, free_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{free_port}")
    assert ["cannot be reached" in warning for warning in warnings(go("s3://lab/x", "one"))] == [True]


def test_a_server_that_hangs_is_asked_once(s3: Server, here, monkeypatch, silent_port) -> None:
    point_at(monkeypatch, f"127.0.0.1:{silent_port}")
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.3)
    recorder = go("s3://lab/x", "one")
    assert ["did not answer" in warning for warning in warnings(recorder)] == [True]
    assert recorder.ran == ["read", "double", "sum"]


def test_a_remote_that_may_only_be_read_is_still_read(here, monkeypatch) -> None:
    go("remote", "one")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("cache.transport._copy", refuse)
    made = go("remote", "two", "step.read.offset=1")
    (warning,) = warnings(made)
    assert "access was refused" in warning
    assert warning.endswith("nothing is uploaded, `pipe cache push` can do it later.")
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PIPE_STATE", str(here / "state"))
    assert states(go("remote", "three")) == FETCHED


def test_a_wish_to_stop_is_heard_while_files_arrive(here, workspace) -> None:
    go("remote", "one")
    two = Workspace.find("two", None, "remote")
    key = json.loads(next((here / "one/read").glob("*/record.json")).read_text())["key"]
    work = two.store.work("read", key)
    two.store.begin(work)
    recorder = Recorder()
    with pytest.raises(Interrupted, match="what has arrived is kept"):
        Exchange(two, recorder, lambda: True).fetch("read", work)
    assert states(go("remote", "two")) == FETCHED


def test_megabytes_are_counted_whole() -> None:
    assert len(list(megabytes([400_000, 700_000, 0, 2_000_000]))) == 3


def test_push_and_pull_by_recipe_and_name(here, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PIPE_REMOTE", "remote")
    monkeypatch.setenv("PIPE_REMOTE_MODE", "off")  # of runs; who says push means it
    assert pipe("run", "toy.toml", "--store", "one") == 0
    capsys.readouterr()
    assert pipe("cache", "push", "--recipe", "toy.toml", "--store", "one", "--dry-run") == 0
    assert "8 files, 46 B would be uploaded" in capsys.readouterr().out
    assert not (here / "remote").exists()
    assert pipe("cache", "push", "--recipe", "toy.toml", "--store", "one") == 0
    assert f"8 files, 46 B uploaded; remote {here / 'remote'}" in capsys.readouterr().out
    assert pipe("cache", "pull", "--recipe", "toy.toml", "--store", "two", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "read    there     11 B to fetch" in out
    assert "sum     waits     after double" in out
    assert pipe("cache", "pull", "--recipe", "toy.toml", "--store", "two") == 0
    assert "8 files, 46 B fetched" in capsys.readouterr().out
    assert pipe("run", "toy.toml", "--store", "two") == 0
    assert "nothing to do" in capsys.readouterr().out
    name = Workspace.find("one").store.artifacts("sum").__next__().name
    for words in ([name], [name.rpartition("--")[2]], [name.replace("--", "-")]):
        code = pipe("cache", "pull", *words, "--store", "three", "--json")
        answered = capsys.readouterr()
        assert code == (0 if words[0] in name else 1), answered.err
    assert Workspace.find("three").store.by_name(name) is not None


def test_pull_of_a_recipe_tells_what_is_absent(here, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PIPE_REMOTE", "remote")
    assert pipe("run", "toy.toml", "--until", "double", "--store", "one") == 0
    capsys.readouterr()
    assert pipe("cache", "pull", "--recipe", "toy.toml", "--store", "two", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["artifacts"]
    assert [(row["name"], row["state"]) for row in rows] == [
        ("read", "fetched"),
        ("double", "fetched"),
        ("sum", "absent"),
    ]


def test_push_refuses_what_is_damaged_here(here, capsys) -> None:
    assert pipe("run", "toy.toml") == 0
    victim = next((here / ".pipe/double").glob("*/n0.txt"))
    victim.chmod(0o644)
    victim.write_text("x")
    assert pipe("cache", "push", "--remote", "remote") == 1
    assert "is damaged (n0.txt has 1 bytes instead of 3); make it again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["push"], 2, "there is no remote; name one with --remote, PIPE_REMOTE, or `remote` in pipe.toml"),
        (["pull", "--remote", "r"], 2, "what is to be fetched?"),
        (["pull", "toy/00000000", "--remote", "r"], 1, "has no artifact 'toy/00000000'"),
        (["pull", "toy/x", "--remote", "r"], 1, "write at least 8 digits"),
        (["push", "sum/x", "--remote", "r"], 2, "the store has no artifact 'sum/x'"),
        (["push", "--recipe", "no.toml", "--remote", "r"], 2, "there is no recipe no.toml"),
    ],
)
def test_bad_words(here, capsys, words, code, sentence) -> None:
    assert pipe("cache", *words) == code
    assert sentence in capsys.readouterr().err
