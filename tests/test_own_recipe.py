"""A user's folder, from `pipe data init` to a trained network, video and metrics; and what a change of it runs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from tests.pipeline.test_cli import HEAVY, pipe, process
from tests.recipe_runs import ROOT, here, run_tiny, store
from tests.stages.preprocess.own_files import People, write, write_regions

__all__ = ["here", "store"]

RECIPE = "faceformer_own.toml"


@pytest.fixture
def root(here):
    folder = here / "mine"
    if not folder.exists():
        write_regions(write(folder, "csv"), People())
        assert pipe("data", "init", str(folder), "--yes") == 0
    return f"step.preprocess.root={folder}"


def test_from_a_folder_to_video_and_metrics(here, root, capsys) -> None:
    assert run_tiny(RECIPE, root) == 0
    out = here / "outputs/faceformer_own"
    assert Sequences(out / "preprocess").train_subjects == ["anna", "bob", "cleo"]
    card = read_card(out / "preprocess")
    assert card is not None
    assert (card.source.licence, [check.passed for check in card.checks]) == ("unknown", [True, True])
    assert list(out.glob("render/*.mp4"))
    assert "LVE mm²" in capsys.readouterr().out
    assert pipe("data", "check", str(out / "preprocess")) == 0
    assert "12 sequences" in capsys.readouterr().out


def test_a_column_that_moves_nothing_trains_nothing(here, root, capsys) -> None:
    assert run_tiny(RECIPE, root) == 0
    table = here / "mine/motion/bob_s2.csv"
    before = table.read_text()
    table.write_text(before.replace("0.25", "0.26"))
    capsys.readouterr()
    assert run_tiny(RECIPE, root) == 0
    told = capsys.readouterr().out
    assert "11 of 12 sequences are as they were and are taken over" in told
    assert not any(line.startswith("train ") and "running" in line for line in told.splitlines())  # the same motion
    table.write_text(before)


def test_an_artifact_that_was_damaged_is_found(here, root, capsys, tmp_path) -> None:
    assert run_tiny(RECIPE, root) == 0
    copy = tmp_path / "copy"
    shutil.copytree(here / "outputs/faceformer_own/preprocess", copy)
    frames = np.load(copy / "vertices_npy/bob_s2.npy")
    frames[4, 7] = np.nan
    np.save(copy / "vertices_npy/bob_s2.npy", frames)
    (copy / "wav/anna_s1.wav").unlink()
    capsys.readouterr()
    assert pipe("data", "check", str(copy)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("wav/anna_s1.wav: error UNREADABLE: cannot be read as sound")
    assert lines[1].startswith("vertices_npy/bob_s2.npy: frame 4, vertex 2: error NAN")


def test_planning_on_a_described_folder_is_light(here, root) -> None:
    code = "import sys; from pipeline.__main__ import planned_only; assert planned_only(sys.argv[1:])\n"
    code += f"print('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    done = process("status", str(ROOT / "recipes" / RECIPE), "--set", root, code=code)
    assert done.stdout.endswith("heavy: []\n"), done.stderr
