"""`pipe run --audit`: what a stage reads beyond its declared inputs is told, what belongs to it is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.pipeline.test_cli import pipe

STAGE = '''
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.stage import Slot, Sources, Stage, param


@dataclass(frozen=True)
class Params:
    reads: list[str] = param([], help="files", path=False)
    declared: str = param("", help="a file", path=True)


class Look(Stage):
    """Reads what it is told to."""

    name = "look"
    Params = Params
    inputs = {"data": Slot("numbers", uses=("numbers",))}
    output = "seen"

    def sources(self):
        return Sources(files={"declared": Path(self.params.declared)} if self.params.declared else {})

    def run(self, job):
        with tempfile.NamedTemporaryFile("w+") as stream:
            stream.write("x")
            stream.flush()
            Path(stream.name).read_text()
        for name in self.params.reads:
            (job.inputs["data"].path / name if name.startswith("n") else Path(name)).read_bytes()
        (job.out / "seen.txt").write_text("seen")
        (job.out / "seen.txt").read_text()
'''


@pytest.fixture
def looks(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "caches"))
    monkeypatch.delenv("PIPE_AUDIT", raising=False)
    (here / f"{module(here)}.py").write_text(STAGE)
    (here / "table.csv").write_text("1")
    (here / "caches/matplotlib").mkdir(parents=True)
    (here / "caches/matplotlib/fontlist.json").write_text("{}")
    (here / "mine.egg-info").mkdir()
    (here / "mine.egg-info/entry_points.txt").write_text("")
    for path in here.rglob("*"):
        past = time.time() - 100
        os.utime(path, (past, past))
    text = (here / "toy.toml").read_text().partition("[step.sum]")[0]
    (here / "look.toml").write_text(f'{text}[step.look]\nstage = "{module(here)}:Look"\n')
    return here


def module(here: Path) -> str:
    return f"looks_{here.name}"


def look(*reads: str, audit: bool = True, declared: str = "") -> int:
    time.sleep(0.05)  # so that the files are older than the step
    words = ["--set", f"step.look.reads={','.join(reads)}", "--set", f"step.look.declared={declared}"]
    return pipe("run", "look.toml", *words, *(["--audit"] if audit else []))


def test_an_undeclared_file_is_told_once(looks, capsys) -> None:
    assert look("table.csv", "table.csv") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if " warning " in line]
    assert len(lines) == 1
    assert f"look read {looks / 'table.csv'}, which it does not declare" in lines[0]
    assert "name it in the stage's sources()" in lines[0]


def test_a_part_of_an_input_that_is_not_declared_is_told(looks, capsys) -> None:
    assert look("numbers/n0.txt", "notes.txt") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " warning " in line]
    assert "notes.txt, which it does not declare" in line


def test_what_belongs_to_the_step_is_not_told(looks, capsys) -> None:
    own = [
        "numbers/n0.txt",
        "table.csv",
        "/proc/self/status",
        os.__file__,
        str(looks / "caches/matplotlib/fontlist.json"),
        "mine.egg-info/entry_points.txt",
    ]
    assert look(*own, declared="table.csv") == 0
    assert " warning " not in capsys.readouterr().out


def test_many_files_are_counted(looks, capsys) -> None:
    for number in range(30):
        (looks / f"{number}.csv").write_text("1")
    assert look(*(f"{number}.csv" for number in range(30))) == 0
    out = capsys.readouterr().out
    assert out.count("which it does not declare") == 20
    assert "read 10 more files that it does not declare" in out


def test_without_the_option_nothing_is_watched(looks, capsys) -> None:
    assert look("table.csv", audit=False) == 0
    assert " warning " not in capsys.readouterr().out


def test_the_environment_asks_for_it_or_makes_it_an_error(looks, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PIPE_AUDIT", "1")
    assert look("table.csv", audit=False) == 0
    assert "table.csv, which it does not declare" in capsys.readouterr().out
    monkeypatch.setenv("PIPE_AUDIT", "error")
    assert look("table.csv", "numbers/n0.txt", audit=False) == 1
    assert "step 'look': reads " in capsys.readouterr().err
    assert look("numbers/n0.txt", audit=False) == 0


def test_data_files_of_our_own_packages_are_declared() -> None:
    """Whatever is no code in a package of ours is a source of the component that reads it."""
    from pipeline.params import declared, fill
    from pipeline.registry import load_component, names
    from pipeline.workspace import PROJECT
    from stages.metrics import Metrics
    from stages.preprocess import Preprocess

    found = {path for top in ("stages", "models", "faces") for path in (PROJECT / top).rglob("*") if path.is_file()}
    data = {path for path in found if path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts}
    sources: set[Path] = set()
    for name in names("datasets"):
        settings = load_component("datasets", name).Settings
        params = declared(settings)
        given = {key: "." for key, param in params.items() if param.required}
        filled = {"dataset": settings(**fill(params, given, lambda *_: None))}
        sources |= set(Preprocess(Preprocess.Params(dataset=name), filled).sources().files.values())
    sources |= set(Metrics(Metrics.Params(), {}).sources().files.values())
    assert data
    from stages.preprocess.biwi.variants import VARIANTS  # a choice of one parameter; `split_file` is what is declared

    assert data <= sources | {variant.splits for variant in VARIANTS.values()}
