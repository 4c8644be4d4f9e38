"""`pipe accept`: an earlier result under a new key, with its reason on record; never where that would be a lie."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cache.lease import lease
from pipeline.plan import plan
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.test_cli import pipe
from tests.pipeline.test_detection import lab, replace
from tests.pipeline.toy import Double

__all__ = ["lab"]

CHANGED = ["--set", "step.double.factor=3"]


def accept(*words: str) -> int:
    return pipe("accept", "toy.toml", "double", *CHANGED, "--reason", "rounding only", *words)


def artifacts(stage: str) -> list[Path]:
    return sorted(Path(".pipe", stage).iterdir())


def test_a_change_of_code_is_accepted_and_what_follows_stays_cached(lab, capsys) -> None:
    text = Path("lab.toml").read_text() + '[step.next]\nstage = "tests.pipeline.toy:Count"\n'
    Path("lab.toml").write_text(text)
    assert pipe("run", "lab.toml") == 0
    replace("toylab/helpers.py", "return 2 * x", "return x + x")
    capsys.readouterr()
    assert pipe("accept", "lab.toml", "work", "--reason", "the same sum") == 0
    assert "although code of toylab.helpers changed" in capsys.readouterr().out
    assert pipe("run", "lab.toml") == 0
    assert "nothing to do, 2 steps are cached" in capsys.readouterr().out
    replace("toylab/helpers.py", "return x + x", "return 3 * x")
    assert pipe("status", "lab.toml") == 0
    assert "work  to run  code of toylab.helpers changed" in capsys.readouterr().out


def test_the_payload_is_shared_and_the_record_tells_both_keys(here, capsys, monkeypatch) -> None:
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("LOGNAME", "ada")
    pipe("run", "toy.toml")
    (old,) = artifacts("double")
    assert accept() == 0
    (new,) = [path for path in artifacts("double") if path != old]
    assert (new / "n1.txt").samefile(old / "n1.txt")
    assert (old / "manifest.json").read_bytes()
    before, after = (json.loads((path / "record.json").read_text()) for path in (old, new))
    accepted = after["provenance"]["accepted"]
    assert (before["key"]["params"]["factor"], after["key"]["params"]["factor"]) == (2.0, 3.0)
    assert accepted["key"] == before["key"]
    assert accepted["key_digest"] == before["key_digest"]
    assert (accepted["reason"], accepted["by"], accepted["from"]) == ("rounding only", "ada", f"double/{old.name}")
    assert accepted["differences"] == ["parameter factor: 2.0 → 3.0   --set"]
    assert after["content"] == before["content"]
    assert after["provenance"]["params"]["factor"] == 3.0
    assert Path("outputs/toy/double").samefile(new)
    assert not list(Path(".pipe/work").iterdir())
    capsys.readouterr()
    pipe("why", "toy.toml", "double", *CHANGED)
    out = capsys.readouterr().out
    assert "accepted by ada on" in out
    assert "because: rounding only" in out
    assert "    parameter factor: 2.0 → 3.0   --set" in out
    assert "because: first run" in out
    pipe("cache", "show", f"double/{new.name}", "--json")
    assert json.loads(capsys.readouterr().out)["provenance"]["accepted"]["reason"] == "rounding only"
    assert pipe("run", "toy.toml", *CHANGED) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_an_accepted_result_may_be_accepted_again_from_one_that_is_named(here, capsys) -> None:
    pipe("run", "toy.toml")
    first = artifacts("double")[0].name
    assert accept("--from", first) == 0
    words = ["--set", "step.double.factor=4", "--reason", "again", "--from", f"double/{first}"]
    assert pipe("accept", "toy.toml", "double", *words) == 0
    assert len(artifacts("double")) == 3


def test_where_links_fail_the_payload_is_copied(here, monkeypatch) -> None:
    pipe("run", "toy.toml")

    link = os.link

    def refuse(source: str, target: str, **options: object) -> None:
        if not str(source).endswith(".tmp"):
            raise OSError(95, "Operation not supported")
        link(source, target)

    monkeypatch.setattr("os.link", refuse)
    assert accept() == 0
    old, new = artifacts("double")
    assert (old / "n1.txt").read_bytes() == (new / "n1.txt").read_bytes()
    assert not (old / "n1.txt").samefile(new / "n1.txt")


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    before = list(Path(".pipe").rglob("record.json"))
    assert pipe("accept", "toy.toml", *words, "--reason", "because") == 2
    assert list(Path(".pipe").rglob("record.json")) == before
    return capsys.readouterr().err


def test_what_cannot_be_accepted(here, capsys) -> None:
    assert "step 'read' has no earlier result to accept; run it" in refused(capsys, "read")
    assert "cannot be accepted yet (after read)" in refused(capsys, "double")
    pipe("run", "toy.toml")
    assert "step 'double' is cached (double/" in refused(capsys, "double")
    assert "the store has no such artifact" in refused(capsys, "double", *CHANGED, "--from", "double/none--00000000")
    other = f"read/{artifacts('read')[0].name}"
    assert "that is numbers of stage 'read'; step 'double' makes doubled" in refused(
        capsys, "double", *CHANGED, "--from", other
    )
    assert "no step 'duble'" in refused(capsys, "duble")
    assert pipe("accept", "toy.toml", "double", *CHANGED, "--reason", " ") == 2
    assert "why the earlier result stands: --reason" in capsys.readouterr().err
    assert pipe("accept", "toy.toml", "double", *CHANGED) == 2
    assert "why the earlier result stands: --reason" in capsys.readouterr().err


def test_other_inputs_are_refused_unless_the_author_insists(here, capsys) -> None:
    pipe("run", "toy.toml")
    (name,) = artifacts("double")
    words = ["--set", "step.read.offset=1"]
    pipe("run", "toy.toml", *words, "--only", "read")
    told = refused(capsys, "double", *words)
    assert "reads other data than double/" in told
    assert "input data, by step read: parameter offset: 0 → 1" in told
    assert f"--from double/{name.name} --even-inputs" in told
    assert "reads other data" in refused(capsys, "double", *words, "--even-inputs")
    assert pipe("accept", "toy.toml", "double", *words, "--reason", "x", "--from", name.name, "--even-inputs") == 0
    assert pipe("run", "toy.toml", *words) == 0
    assert json.loads(Path("outputs/toy/sum/total.json").read_text())["total"] == 12.0


def test_other_files_are_other_inputs(here, capsys) -> None:
    pipe("run", "toy.toml")
    (here / "numbers.txt").write_text("9\n")
    assert "file numbers changed   numbers.txt); only a change of code or parameters" in refused(capsys, "read")


@pytest.mark.parametrize(
    ("bytes_", "told"), [(b"x", "n1.txt has 1 bytes"), (b"5.0", "n1.txt has other content")], ids=["size", "content"]
)
def test_damage_is_not_adopted(here, capsys, bytes_, told) -> None:
    pipe("run", "toy.toml")
    victim = artifacts("double")[0] / "n1.txt"
    assert victim.read_bytes() == b"4.0"
    victim.chmod(0o644)
    victim.write_bytes(bytes_)
    assert f"is damaged ({told}" in refused(capsys, "double", *CHANGED)


def test_what_was_half_made_is_there_if_accepting_fails(here, capsys, monkeypatch) -> None:
    pipe("run", "toy.toml")
    assert pipe("run", "toy.toml", *CHANGED, "--set", "step.double.stop_at=n2") == 75

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cache.store.write_json", full)
        assert accept() == 1
    assert "the disk of" in capsys.readouterr().err
    assert pipe("run", "toy.toml", *CHANGED) == 0
    assert "2 of 3 numbers were finished by an earlier attempt" in capsys.readouterr().out


def test_one_who_runs_the_step_is_not_disturbed(here, capsys) -> None:
    pipe("run", "toy.toml")
    workspace = Workspace.find()
    planned = plan(load(Path("toy.toml"), ["step.double.factor=3"]), workspace)["double"]
    work = workspace.store.work("double", planned.key or {})
    with lease(work.lease):
        assert accept() == 1
    assert "is already making this" in capsys.readouterr().err
    assert len(artifacts("double")) == 1


def test_a_forced_run_makes_it_after_all(here, capsys) -> None:
    pipe("run", "toy.toml")
    assert accept() == 0
    assert "to make it after all: pipe run toy.toml --force double" in capsys.readouterr().out
    assert pipe("run", "toy.toml", *CHANGED, "--force", "double") == 0
    assert Path("outputs/toy/double/n0.txt").read_text() == "3.0"
    assert "accepted" not in json.loads(Path("outputs/toy/double/record.json").read_text())["provenance"]


def test_items_are_accepted_too(here, capsys) -> None:
    """One more number later is one item of work, not all of them under the new key."""
    pipe("run", "toy.toml")
    assert accept() == 0
    Double.made.clear()
    (here / "numbers.txt").write_text("1\n2\n3\n4\n")
    assert pipe("run", "toy.toml", *CHANGED, "--until", "double") == 0
    assert Double.made == ["n3"]
    assert Path("outputs/toy/double/n0.txt").read_text() == "2.0"  # as accepted, not three times one
    assert Path("outputs/toy/double/n3.txt").read_text() == "12.0"


def test_a_kill_while_accepting_leaves_nothing_that_counts_as_finished(here, capsys, monkeypatch) -> None:
    """Two items were finished under the new key; the old result's files, of equal size, must not pass for them."""
    pipe("run", "toy.toml")
    assert pipe("run", "toy.toml", *CHANGED, "--set", "step.double.stop_at=n2") == 75

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.accept._facts", killed)
        assert accept() == 75
    assert pipe("run", "toy.toml", *CHANGED) == 0
    assert [Path(f"outputs/toy/double/n{n}.txt").read_text() for n in range(3)] == ["3.0", "6.0", "9.0"]

    assert len(artifacts("double")) == 2
