"""The command line as a user meets it: words, exit codes, and what is not imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import race
from pipeline.__main__ import main

ROOT = Path(__file__).parents[2]


def pipe(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(words)
    return int(left.value.code or 0)


def process(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """`pipe …` in a process of its own, or `code` with the words as arguments."""
    command = [sys.executable, "-c", code or "from pipeline.__main__ import main; main()", *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


def test_run_then_nothing_to_do(here, capsys) -> None:
    assert pipe("run", "toy.toml") == 0
    assert "done" in capsys.readouterr().out
    assert pipe("run", "toy.toml") == 0
    assert capsys.readouterr().out.splitlines() == [
        "toy: nothing to do, 3 steps are cached",
        "results: outputs/toy/{read,double,sum}",
    ]


def test_status_why_graph(here, capsys) -> None:
    pipe("run", "toy.toml")
    capsys.readouterr()
    assert pipe("status", "toy.toml", "--set", "step.double.factor=3") == 0
    out = capsys.readouterr().out
    assert "double  to run  parameter factor: 2.0 → 3.0   --set" in out
    assert "sum     waits   after double" in out
    assert pipe("why", "toy.toml", "double", "--set", "step.double.factor=3") == 0
    assert "compared with double/" in capsys.readouterr().out
    assert pipe("why", "toy.toml", "sum", "--set", "step.double.factor=3") == 0
    assert "double must run: parameter factor" in capsys.readouterr().out
    assert pipe("why", "toy.toml", "sum") == 0
    assert "because: first run" in capsys.readouterr().out
    assert pipe("graph", "toy.toml") == 0
    assert "read (data)" in capsys.readouterr().out
    assert pipe("graph", "toy.toml", "--format", "mermaid") == 0
    assert "read -- data --> double" in capsys.readouterr().out
    assert pipe("graph", "toy.toml", "--format", "dot") == 0
    assert '"read" -> "double"' in capsys.readouterr().out


def test_json_output(here, capsys) -> None:
    pipe("status", "toy.toml", "--json")
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [(s["step"], s["state"]) for s in steps] == [("read", "to run"), ("double", "waits"), ("sum", "waits")]
    pipe("run", "toy.toml")
    capsys.readouterr()
    pipe("why", "toy.toml", "sum", "--json", "--set", "step.sum.weight=2")
    (difference,) = json.loads(capsys.readouterr().out)["differences"]
    assert (difference["name"], difference["old"], difference["new"]) == ("weight", 1.0, 2.0)


def test_dry_run_makes_nothing(here, capsys) -> None:
    assert pipe("run", "toy.toml", "--dry-run") == 0
    assert "first run" in capsys.readouterr().out
    assert not (here / ".pipe").exists()


def test_recipe_show_is_a_recipe_again(here, capsys) -> None:
    assert pipe("recipe", "show", "toy.toml", "--set", "step.sum.weight=2.5") == 0
    shown = capsys.readouterr().out
    assert "weight = 2.5" in shown
    assert "# --set" in shown
    assert "# toy.toml:11" in shown
    assert "# default" in shown


def test_recipe_check_and_ls(here, capsys) -> None:
    assert pipe("recipe", "check", "toy.toml") == 0
    assert "fine, 3 steps: read, double, sum" in capsys.readouterr().out
    (here / "recipes").mkdir()
    (here / "toy.toml").rename(here / "recipes" / "toy.toml")
    assert pipe("recipe", "ls") == 0
    assert "recipes/toy.toml  numbers" in capsys.readouterr().out


def test_one_stage_without_a_recipe(here, capsys) -> None:
    assert pipe("stage", "tests.pipeline.toy:Read", "--file", "numbers.txt", "--offset=1") == 0
    assert pipe("stage", "tests.pipeline.toy:Double", "--factor", "3") == 0
    assert (here / "outputs/stage/double/n0.txt").read_text() == "6.0"
    capsys.readouterr()
    assert pipe("stage", "tests.pipeline.toy:Double", "--factor", "3") == 0
    assert "cached" in capsys.readouterr().out
    assert pipe("run", "toy.toml", "--set", "step.read.offset=1", "--set", "step.double.factor=3") == 0
    assert capsys.readouterr().out.count("cached") == 2  # the same store, the same keys
    assert pipe("stage", "tests.pipeline.toy:Read", "--file", "numbers.txt") == 0
    assert pipe("stage", "tests.pipeline.toy:Double") == 2
    said = capsys.readouterr().err
    assert "which numbers? Say --input data=NAME: the store holds" in said
    name = next(word.strip(",;") for word in said.split() if "--" in word and not word.startswith("--"))
    assert pipe("stage", "tests.pipeline.toy:Double", "--factor", "3", "--data", name) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--factr", "2"], "unknown key 'factr'"),
        (["--dat", "x"], "root, data. Did you mean 'data'?"),
        (["--factor", "x"], "'factor' must be a number"),
        (["3"], "'3' has no option before it"),
        (["--input", "dta=x"], "there is no input 'dta'; the stage reads data. Did you mean 'data'?"),
        (["--input", "data=x"], "the store holds no numbers yet"),
        (["--data", "x"], "the store holds no numbers yet"),
        (["--data", "x", "--input", "data=y"], "--data x and --input data=y: name the artifact once"),
    ],
)
def test_bad_stage_options(here, capsys, words, sentence) -> None:
    assert pipe("stage", "tests.pipeline.toy:Double", *words) == 2
    assert sentence in capsys.readouterr().err


def test_help_of_no_stage_names_them(here, capsys) -> None:
    assert pipe("stage", "--help") == 0
    out = capsys.readouterr().out
    assert "pipe stage NAME [OPTIONS]: name one of preprocess, features, train" in out
    assert pipe("stage", "--factor=3") == 2
    assert "name one of preprocess" in capsys.readouterr().err


def test_stage_help_lists_its_parameters(here, capsys) -> None:
    assert pipe("stage", "tests.pipeline.toy:Double", "--help") == 0
    out = capsys.readouterr().out
    assert "--factor" in out
    assert "(plain | fancy)" in out
    assert "--input data=NAME" in out
    assert "--data NAME" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "absent.toml"], 2),
        (["run", "toy.toml", "--set", "step.double.mode=no"], 2),
        (["run", "toy.toml", "--set", "step.double.stop_at=n0", "--set", "step.double.how=defect"], 1),
        (["run", "toy.toml", "--set", "step.double.stop_at=n0"], 75),
        (["run", "toy.toml", "--set", "step.double.stop_at=n0", "--set", "step.double.how=ctrl-c"], 75),
        (["nonsense"], 2),
        (["why", "toy.toml", "summ"], 2),
    ],
)
def test_exit_codes_and_no_traceback(here, capsys, words, code) -> None:
    assert pipe(*words) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    assert captured.err


def test_debug_shows_the_traceback(here, capsys) -> None:
    settings = ["--set", "step.double.stop_at=n0", "--set", "step.double.how=defect"]
    assert pipe("--debug", "run", "toy.toml", *settings) == 1
    assert "Traceback" in capsys.readouterr().err
    assert pipe("run", "toy.toml", *settings, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


HEAVY = "('numpy', 'h5py', 'torch', 'transformers')"


@pytest.mark.parametrize("words", [["status", "toy.toml"], ["run", "toy.toml"], ["--help"], ["run", "toy.toml", "-n"]])
def test_planning_imports_nothing_heavy(here, words) -> None:
    assert process("run", "toy.toml").returncode == 0
    code = (
        "import sys\nfrom pipeline.__main__ import main\ntry:\n    main()\nfinally:\n"
        f"    print('heavy:', [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = process(*words, code=code)
    assert done.returncode == 0
    assert "heavy: []" in done.stderr


def test_a_plan_does_not_even_import_typer(here) -> None:
    assert process("run", "toy.toml").returncode == 0
    code = (
        "import sys\nfrom pipeline.__main__ import planned_only\n"
        "assert planned_only(sys.argv[1:])\nprint('typer' in sys.modules)"
    )
    assert process("run", "toy.toml", code=code).stdout.endswith("False\n")


def test_ctrl_c_in_a_running_process(here) -> None:
    """A real SIGINT: exit code 75, and the next run finishes the work."""
    (here / "slow.toml").write_text((here / "toy.toml").read_text())
    settings = ["--set", "step.double.stop_at=n1", "--set", "step.double.how=signal"]
    done = process("run", "slow.toml", *settings)
    assert done.returncode == 75, done.stderr
    assert "finished numbers are kept" in done.stderr
    again = process("run", "slow.toml")
    assert again.returncode == 0
    assert "2 of 3 numbers were finished by an earlier attempt" in again.stdout


def test_a_damaged_input_is_not_read_by_a_single_stage(here, capsys) -> None:
    assert pipe("stage", "tests.pipeline.toy:Read", "--file", "numbers.txt") == 0
    victim = next((here / ".pipe/read").glob("*/numbers/n0.txt"))
    victim.chmod(0o644)
    victim.write_text("torn apart")
    assert pipe("stage", "tests.pipeline.toy:Double") == 2
    assert "is damaged (numbers/n0.txt has 10 bytes instead of 1)" in capsys.readouterr().err


def test_a_dry_run_is_held_to_the_chosen_steps(here, capsys) -> None:
    assert pipe("run", "toy.toml", "-n", "--until", "double") == 0
    assert "sum" not in capsys.readouterr().out
    assert pipe("run", "toy.toml", "-n", "--only", "sum") == 2
    assert "is left out of this run" in capsys.readouterr().err


def test_status_of_several_recipes_is_one_json_document(here, capsys) -> None:
    (here / "two.toml").write_text((here / "toy.toml").read_text())
    assert pipe("status", "toy.toml", "two.toml", "--json") == 0
    assert [entry["recipe"] for entry in json.loads(capsys.readouterr().out)] == ["toy", "two"]


def test_a_list_option_may_be_given_again() -> None:
    from pipeline.commands.stage import _sorted

    assert _sorted([("splits", "test"), ("splits", "train")]) == ({"splits": "test,train"}, {})


def test_ctrl_c_while_planning(here, monkeypatch, capsys) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.commands.run.load", interrupt)
    assert pipe("status", "toy.toml", "--json") == 75
    assert "run again to go on" in capsys.readouterr().err


def test_ctrl_c_that_a_library_makes_an_error_of(here, monkeypatch, capsys) -> None:
    def interrupt(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("the extension failed to load") from error

    monkeypatch.setattr("pipeline.commands.run.load", interrupt)
    assert pipe("status", "toy.toml", "--json") == 75
    assert capsys.readouterr().err == "interrupted; run again to go on\n"


def test_doctor_tries_the_store(here, capsys) -> None:
    assert pipe("doctor", "--store", str(here / "toy.toml")) == 1
    assert "cannot be written to" in capsys.readouterr().out


def test_version(capsys, monkeypatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.2.3")
    assert pipe("--version") == 0
    assert capsys.readouterr().out == "1.2.3\n"


def test_two_runs_at_once_from_a_shell(tmp_path) -> None:
    outcome = race.race(tmp_path, processes=4, rounds=2)
    assert race.faults(outcome, rounds=2) == []
    assert list((tmp_path / "store/work").iterdir()) == []


@pytest.mark.parametrize("words", [["run", "toy.toml"], ["stage", "tests.pipeline.toy:Read", "--file", "numbers.txt"]])
def test_no_wait_is_an_option_where_something_runs(here, words) -> None:
    assert pipe(*words, "--no-wait") == 0
