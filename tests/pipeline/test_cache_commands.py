"""`pipe cache …` as a user meets it: what is shown, what is done, and what running again makes of it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cache import lastuse, marks
from pipeline import damage
from pipeline.commands.cache import _short
from pipeline.execute import Choice, Means, run
from pipeline.recipe import load
from pipeline.units import ago, seconds_of, size_of
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_cli import pipe, process
from tests.pipeline.toy import Double

STEPS = ("read", "double", "sum")


@pytest.fixture
def made(here: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    """The toy recipe has run, forty days ago; step → its artifact's folder."""
    assert pipe("run", "toy.toml") == 0
    capsys.readouterr()
    found = {step: next((here / ".pipe" / step).iterdir()) for step in STEPS}
    for path in found.values():
        age(path)
    return found


def age(path: Path, days: float = 40) -> None:
    then = time.time() - days * 86400
    os.utime(path / "record.json", (then, then))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def rot(path: Path, text: str) -> None:
    path.chmod(0o644)
    path.write_text(text)
    path.chmod(0o444)


def test_ls(made, capsys) -> None:
    assert pipe("cache", "ls") == 0
    out = capsys.readouterr().out
    assert name(made["sum"]) in out
    assert "40 d" in out
    assert "3 artifacts" in out
    assert pipe("cache", "ls", "--stage", "read", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["recipe"], entry["step"]) == (name(made["read"]), "toy", "read")
    assert pipe("cache", "ls", "--recipe", "another") == 0
    assert capsys.readouterr().out.startswith("0 artifacts")
    age(made["double"], 50)
    for sort in ("size", "used", "made"):
        assert pipe("cache", "ls", "--sort", sort, "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        values = [entry["bytes" if sort == "size" else sort] for entry in shown]
        assert values == sorted(values, reverse=True)
    assert pipe("cache", "ls", "--sort", "colour") == 2
    assert "allowed are name, size, used, made" in capsys.readouterr().err
    assert lastuse.of(made["double"] / "record.json") < time.time() - 49 * 86400  # looking is no use


def test_long_names_keep_their_key() -> None:
    assert _short("train/" + "x" * 60 + "--0123abcd", 30) == "train/" + "x" * 13 + "…--0123abcd"
    assert _short("train/x--0123abcd", 30) == "train/x--0123abcd"


def test_show_traces_both_ways(made, capsys) -> None:
    assert pipe("cache", "show", "double") == 0
    out = capsys.readouterr().out
    assert f"reads       data ← {name(made['read'])}" in out
    assert f"read by     {name(made['sum'])}" in out
    assert "parameters  factor = 2.0" in out
    assert "by toy/double in" in out
    assert "last used   40 d ago" in out
    assert pipe("cache", "show", made["sum"].name[-8:], "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "total"
    (made["double"] / "n0.txt").unlink()
    pipe("cache", "show", "double")
    assert "damaged: n0.txt is missing" in capsys.readouterr().out


def test_names_that_mean_nothing_or_several(made, capsys) -> None:
    assert pipe("run", "toy.toml", "--set", "step.sum.weight=2") == 0
    capsys.readouterr()
    assert pipe("cache", "show", "sum/none--00000000") == 2
    assert "`pipe cache ls` shows what it has" in capsys.readouterr().err
    assert pipe("cache", "show", "sum") == 2
    assert "'sum' may be sum/" in capsys.readouterr().err


def test_du_counts_everything_once(made, here, capsys) -> None:
    (here / ".pipe" / "foreign.txt").write_text("not ours")
    victim, twin = made["double"] / "n0.txt", made["double"] / "n1.txt"
    twin.unlink()
    os.link(victim, twin)
    assert pipe("cache", "du", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    inodes = {path.stat().st_ino: path.stat().st_size for path in (here / ".pipe").rglob("*") if path.is_file()}
    assert told["total"] == sum(inodes.values())
    assert told["groups"]["recipe toy"]["parts"] == 3
    assert told["groups"]["no artifact"]["bytes"] == len("not ours")
    assert pipe("cache", "du") == 0
    assert "stage double" in capsys.readouterr().out


def test_verify_reports_repairs_and_the_next_run_mends(made, here, capsys) -> None:
    assert pipe("cache", "verify") == 0
    assert "3 artifacts, 8 files read" in capsys.readouterr().out
    rot(made["double"] / "n1.txt", "9.0")
    assert pipe("cache", "verify") == 1
    out = capsys.readouterr().out
    assert f"{name(made['double'])}: damaged" in out
    assert "n1.txt has other bytes than were published" in out
    assert "made by toy/double; --repair sets it aside" in out
    assert made["double"].exists()
    assert pipe("cache", "verify", "sum") == 0
    assert pipe("cache", "verify", "double", "--json") == 1
    capsys.readouterr()
    assert pipe("cache", "verify", "--repair") == 0
    assert "the next run makes it again" in capsys.readouterr().out
    assert pipe("run", "toy.toml") == 0
    assert (made["double"] / "n1.txt").read_text() == "4.0"
    assert "sum     cached" in capsys.readouterr().out
    assert pipe("cache", "verify", "--repair", "--json") == 0
    assert all(entry["sound"] for entry in json.loads(capsys.readouterr().out))


def test_verify_a_sample(made, capsys) -> None:
    rot(made["double"] / "n1.txt", "9.0")
    codes = [pipe("cache", "verify", "--sample", f"{part}/4") for part in (1, 2, 3, 4)]
    assert sorted(codes) == [0, 0, 0, 1]
    assert pipe("cache", "verify", "--sample", "half") == 2
    assert pipe("cache", "verify", "--sample", "1%", "--full") == 2
    assert pipe("cache", "verify", "nothing") == 2


def test_gc_shows_first_and_does_it_then(made, here, capsys) -> None:
    assert pipe("cache", "gc", "--older-than", "30d") == 0
    out = capsys.readouterr().out
    assert "nothing was removed; --yes does it" in out
    assert "not used for 40 days; after read" in out
    assert all(path.exists() for path in made.values())
    assert pipe("cache", "pin", "read") == 0
    assert pipe("cache", "gc", "--max-size", "0", "--yes") == 0
    out = capsys.readouterr().out
    assert "kept: 1 pinned" in out
    assert "more than --max-size" in out
    assert [path.exists() for path in made.values()] == [True, False, False]
    assert sorted(path.name for path in (here / "outputs/toy").iterdir()) == [".recipe", "read"]
    assert not list((here / ".pipe/trash").iterdir())
    assert pipe("run", "toy.toml") == 0
    assert "read    cached" in capsys.readouterr().out
    assert (here / "outputs/toy/sum/total.json").exists()
    assert pipe("cache", "unpin", "read") == 0
    assert pipe("cache", "unpin", "read") == 0
    assert "is not pinned" in capsys.readouterr().out


def test_gc_keeps_what_a_recipe_needs(made, here, capsys) -> None:
    assert pipe("run", "toy.toml", "--set", "step.sum.weight=2") == 0
    for path in (here / ".pipe/sum").iterdir():
        age(path)
    capsys.readouterr()
    assert pipe("cache", "gc", "--max-size", "0", "--keep-recipe", "toy.toml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["kept"]) == {name(path) for path in made.values()}
    assert told["kept"][name(made["sum"])] == "needed by toy/sum"
    (gone,) = told["goes"]
    assert gone["name"].startswith("sum/")
    assert not told["done"]


def test_gc_keeps_later_results_of_a_recipe_whose_first_step_is_gone(made, capsys) -> None:
    rot(made["read"] / "numbers" / "n0.txt", "77")
    assert pipe("cache", "gc", "--max-size", "0", "--keep-recipe", "toy.toml", "--json") == 0
    assert {name(made["double"]), name(made["sum"])} <= set(json.loads(capsys.readouterr().out)["kept"])


def test_gc_removes_nothing_for_a_recipe_that_cannot_be_planned(made, here, capsys) -> None:
    (here / "numbers.txt").unlink()
    assert pipe("cache", "gc", "--max-size", "0", "--keep-recipe", "toy.toml", "--yes") == 2
    assert "what step 'read' needs cannot be told" in capsys.readouterr().err
    assert all(path.exists() for path in made.values())


@pytest.mark.parametrize("words", [["--max-size", "much"], ["--older-than", "long"], ["--leftovers", "3"]])
def test_gc_limits_that_make_no_sense(here, capsys, words) -> None:
    assert pipe("cache", "gc", *words) == 2
    assert "write a" in capsys.readouterr().err


def test_gc_of_an_empty_store(here, capsys) -> None:
    assert pipe("cache", "gc", "--max-size", "0", "--yes") == 0
    assert "0 parts go" in capsys.readouterr().out
    assert pipe("cache", "verify") == 0
    assert pipe("cache", "du") == 0
    assert pipe("cache", "ls") == 0
    assert not (here / ".pipe").exists()


def test_a_run_marks_what_it_reads(here, workspace, monkeypatch) -> None:
    seen: list[set[str]] = []
    real = Double.run

    def spy(self: Double, job: object) -> None:
        seen.append(set(marks.in_use(workspace.store.root)))
        real(self, job)

    monkeypatch.setattr(Double, "run", spy)
    run(load(Path("toy.toml"), []), workspace, Recorder(), Choice(), Means("cpu", 1))
    assert [artifact.split("/")[0] for artifact in seen[0]] == ["read"]
    assert marks.in_use(workspace.store.root) == {}


def test_export_and_import(made, here, capsys) -> None:
    assert pipe("cache", "export", "double", "x.pipe") == 0
    assert "→ x.pipe" in capsys.readouterr().out
    assert pipe("cache", "import", "x.pipe", "--store", "other") == 0
    assert "is in the store now" in capsys.readouterr().out
    assert pipe("cache", "import", "x.pipe") == 0
    assert "was in the store already" in capsys.readouterr().out
    assert (here / "other" / name(made["double"]) / "n2.txt").read_text() == "6.0"
    assert pipe("cache", "import", "none.pipe") == 1
    assert "No such file" in capsys.readouterr().err
    assert pipe("cache", "import", "toy.toml") == 1
    assert "is no file that `pipe cache export` writes" in capsys.readouterr().err


def test_a_rotten_input_is_named_and_set_aside_when_a_step_fails(made, here, capsys) -> None:
    rot(made["read"] / "numbers" / "n1.txt", "?")  # the size is as it was
    settings = ["--set", "step.double.factor=5"]
    assert pipe("run", "toy.toml", *settings) == 1
    err = capsys.readouterr().err
    assert f"its input data, {name(made['read'])}, is damaged: numbers/n1.txt has other bytes" in err
    assert "it was set aside, run again to make it anew (ValueError: could not convert" in err
    assert pipe("run", "toy.toml", *settings) == 0
    assert json.loads((here / "outputs/toy/sum/total.json").read_text())["total"] == 30.0


def test_a_sound_input_is_left_alone_when_a_step_fails(made, capsys) -> None:
    settings = ["--set", "step.double.factor=5", "--set", "step.double.stop_at=n0", "--set", "step.double.how=defect"]
    assert pipe("run", "toy.toml", *settings) == 1
    assert "unexpected TypeError: a bug" in capsys.readouterr().err
    assert made["read"].exists()


def test_large_inputs_are_not_read_but_told_of(made, capsys, monkeypatch) -> None:
    monkeypatch.setattr(damage, "CHEAP_BYTES", 1)
    settings = ["--set", "step.double.factor=5", "--set", "step.double.stop_at=n0", "--set", "step.double.how=defect"]
    assert pipe("run", "toy.toml", *settings) == 1
    assert f"`pipe cache verify {name(made['read'])}` does that" in capsys.readouterr().out


def test_looking_at_the_store_imports_nothing_heavy(made) -> None:
    code = (
        "import sys\nfrom pipeline.__main__ import main\ntry:\n    main()\nfinally:\n"
        "    print('heavy:', [m for m in ('numpy', 'torch', 'h5py') if m in sys.modules], file=sys.stderr)"
    )
    for words in (["ls"], ["du"], ["show", "sum"], ["verify"], ["gc"]):
        assert "heavy: []" in process("cache", *words, code=code).stderr


def test_a_run_without_work_asks_for_no_lease(made) -> None:
    code = "import sys\nfrom pipeline.__main__ import planned_only\nassert planned_only(sys.argv[1:])\n"
    code += "print([m for m in ('cache.lease', 'cache.marks', 'cache.verify', 'socket') if m in sys.modules])"
    assert process("run", "toy.toml", code=code).stdout.endswith("[]\n")


def test_sizes_and_ages_as_people_write_them() -> None:
    sizes = {"200GB": 200e9, "1.5 TB": 1.5e12, "64GiB": 64 * 2**30, "500": 500, "2k": 2000, "0": 0}
    assert {text: size_of(text, "--x") for text in sizes} == sizes
    ages = {"30d": 30 * 86400, "12h": 43200, "45min": 2700, "2w": 14 * 86400, "0": 0, "1.5 y": 1.5 * 365 * 86400}
    assert {text: seconds_of(text, "--x") for text in ages} == ages
    assert [ago(s) for s in (-5, 3, 1500, 7200, 40 * 86400, 1e8)] == [
        "just now",
        "just now",
        "25 min",
        "2 h",
        "40 d",
        "3.2 y",
    ]
