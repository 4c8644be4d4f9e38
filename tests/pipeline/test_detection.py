"""The detection matrix: which edits of a small project run a step again, asked of `pipe` as a user would."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.test_cli import pipe

STAGE = '''
"""A laboratory's own stage."""
from dataclasses import dataclass
from pathlib import Path

from pipeline.stage import Sources, Stage, param
from toylab.helpers import scale

LIMIT = 3
TABLE = Path(__file__).with_name("table.csv")


@dataclass(frozen=True)
class Params:
    file: str = param(help="numbers", path=True)
    model: str = param(help="the network", component="models")


def clip(x):
    return min(x, LIMIT)


class Work(Stage):
    """Numbers, scaled and clipped."""

    name = "work"
    Params = Params
    output = "numbers"

    def sources(self):
        return Sources(files={"numbers": Path(self.params.file), "table": TABLE})

    def run(self, job):
        """Do it."""
        # a remark
        numbers = map(int, Path(self.params.file).read_text().split())
        (job.out / "numbers.txt").write_text(" ".join(str(scale(clip(x))) for x in numbers) + TABLE.read_text())
'''
HELPERS = "def scale(x):\n    return 2 * x\n"
RECIPE = '[step.work]\nstage = "toylab.stage:Work"\nfile = "input.txt"\nmodel = "toylab.red"\n'
MODELS = {"red": "WIDTH = 1\n", "blue": "WIDTH = 2\n"}


@pytest.fixture
def lab(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project beside its recipe, run once."""
    monkeypatch.setattr("cache.statcache.GRAIN_NS", -(10**12))  # files count as old, so that stats are trusted
    files = {"__init__": "", "stage": STAGE, "helpers": HELPERS, **MODELS}
    (here / "toylab").mkdir()
    for name, text in files.items():
        (here / "toylab" / f"{name}.py").write_text(text)
    (here / "toylab" / "table.csv").write_text("1,2,3")
    (here / "input.txt").write_text("1 2 3 4")
    (here / "lab.toml").write_text(RECIPE)
    monkeypatch.syspath_prepend(here)  # before the folder of the test before
    for name in [name for name in sys.modules if name.partition(".")[0] == "toylab"]:
        monkeypatch.delitem(sys.modules, name)
    assert pipe("run", "lab.toml") == 0
    return here


def replace(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def touch(file: str) -> None:
    later = time.time() + 100
    os.utime(file, (later, later))


def edit_in_secret(file: str) -> None:
    """Other bytes of the same number, and the time put back."""
    before = os.stat(file)
    Path(file).write_text("4 3 2 1")
    assert os.stat(file).st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CODE, HELPER = "toylab/stage.py", "toylab/helpers.py"
MATRIX = {
    "comment": (replace, (CODE, "# a remark", "# another remark"), ""),
    "docstring": (replace, (CODE, '"""Do it."""', '"""Do it well."""'), ""),
    "reformat": (replace, (CODE, "return min(x, LIMIT)", "return min(\n        x,\n        LIMIT,\n    )"), ""),
    "function body": (replace, (CODE, "scale(clip(x))", "scale(clip(x) + 1)"), "code of toylab.stage changed"),
    "helper in the same module": (replace, (CODE, "min(x, LIMIT)", "max(x, LIMIT)"), "code of toylab.stage changed"),
    "helper in an imported module": (replace, (HELPER, "2 * x", "3 * x"), "code of toylab.helpers changed"),
    "module constant": (replace, (CODE, "LIMIT = 3", "LIMIT = 4"), "code of toylab.stage changed"),
    "input touched": (touch, ("input.txt",), ""),
    "input edited, size and time kept": (edit_in_secret, ("input.txt",), "file numbers changed"),
    # beyond the nine of the notes
    "data file of the stage": (replace, ("toylab/table.csv", "2", "5"), "file table changed"),
    "the component in use": (replace, ("toylab/red.py", "1", "5"), "code of toylab.red changed"),
    "another component": (replace, ("toylab/blue.py", "2", "5"), ""),
}


@pytest.mark.parametrize("edit", MATRIX)
def test_what_an_edit_runs_again(lab, capsys, edit) -> None:
    """Empty reason: nothing runs. Afterwards one run settles it."""
    change, arguments, reason = MATRIX[edit]
    change(*arguments)
    capsys.readouterr()
    assert pipe("status", "lab.toml", "--json") == 0
    (step,) = json.loads(capsys.readouterr().out)["steps"]
    assert step["state"] == ("to run" if reason else "cached"), step["reason"]
    assert step["reason"].startswith(reason)
    assert pipe("run", "lab.toml") == 0
    lines = capsys.readouterr().out
    assert (" running " in lines) is bool(reason)
    assert pipe("run", "lab.toml") == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_touched_input_is_read_once_and_then_known_again(lab, monkeypatch) -> None:
    touch("input.txt")
    assert pipe("run", "lab.toml") == 0
    monkeypatch.setattr("pipeline.keys._told_digest", lambda path: pytest.fail(f"{path} was read again"))
    assert pipe("run", "lab.toml") == 0


def test_a_truncated_output_is_seen_and_made_again(lab, capsys) -> None:
    result = Path("outputs", "lab", "work", "numbers.txt")
    whole = result.read_bytes()
    result.chmod(0o644)
    result.write_bytes(whole[:3])
    capsys.readouterr()
    assert pipe("status", "lab.toml") == 0
    assert "the stored result is damaged: numbers.txt has 3 bytes" in capsys.readouterr().out
    assert pipe("run", "lab.toml") == 0
    assert result.read_bytes() == whole


def test_the_other_component_stands_although_this_one_changed(lab, capsys) -> None:
    assert pipe("run", "lab.toml", "--set", "step.work.model=toylab.blue") == 0
    replace("toylab/red.py", "1", "9")
    capsys.readouterr()
    assert pipe("run", "lab.toml", "--set", "step.work.model=toylab.blue") == 0
    assert "nothing to do" in capsys.readouterr().out
