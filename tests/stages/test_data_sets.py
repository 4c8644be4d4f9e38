"""The smaller data sets through the engine: planned light, prepared, trained on, and made again no more than needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess.sound import Clip, write_wav
from tests.pipeline.test_cli import ROOT, pipe
from tests.stages.fake_face import NAME
from tests.stages.preprocess import facetalk_files, mead_files, multiface_files

RECIPE = """\
[step.preprocess]
dataset = "{dataset}"
root = "raw"
{more}

[step.features]
encoder = "log-mel"

[step.train]
model = "{model}"
width = 4
epochs = 1

[step.infer]
splits = {splits}

[step.metrics]
figures = false
"""

Case = tuple[str, str, str, Callable[[Path], Path], str, int]

CASES: list[Case] = [
    (
        "mead",
        'fps = 25.0\nflame = "raw/model.npz"',
        '["test"]',
        mead_files.write_param,
        f"wav/{mead_files.IDS[0]}.wav",
        5,
    ),
    ("multiface", "fps = 30.0", '["test-a", "test-b"]', multiface_files.write_ready, "wav/2_46.wav", 4),
    (
        "facetalk",
        "fps = 24.0",
        '["test"]',
        facetalk_files.write_facetalk,
        f"{facetalk_files.IDS[3]}/audio/cleaned_audio.wav",
        4,
    ),
]


@pytest.fixture(params=CASES, ids=[case[0] for case in CASES])
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The data in `raw`, a recipe beside them, and no stage may read what it does not declare."""
    dataset, more, splits, write, _, _ = request.param
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PIPE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PIPE_AUDIT", "error")
    write(tmp_path / "raw")
    Path("r.toml").write_text(RECIPE.format(dataset=dataset, more=more, model=NAME, splits=splits))
    found: Case = request.param
    return found


def result(step: str) -> Path:
    return Path("outputs/r", step)


def test_from_raw_files_to_numbers(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, _, _, _, sound, count = case
    assert pipe("run", "r.toml", "--device", "cpu") == 0
    assert (result("metrics") / "metrics.json").is_file()
    data, made = Sequences(result("preprocess")), Predictions(result("infer"))
    assert (data.info.dataset, len(data.ids()), made.info.units) == (dataset, count, data.units)
    assert made.info.items
    capsys.readouterr()
    assert pipe("run", "r.toml", "--device", "cpu") == 0
    assert "nothing to do" in capsys.readouterr().out
    tracks = {name: dict(rows.track.rows) for name, rows in read_tracks(result("preprocess")).items()}

    write_wav(Path("raw", sound), Clip(mead_files.samples(mead_files.IDS[0])[::-1].copy(), 8000))
    assert pipe("run", "r.toml", "--device", "cpu", "--until", "preprocess") == 0
    assert f"{count - 1} of {count} sequences are as they were and are taken over" in capsys.readouterr().out
    assert {name: dict(rows.track.rows) for name, rows in read_tracks(result("preprocess")).items()} == tracks


def test_planning_loads_nothing_heavy(case: Case) -> None:
    code = (
        "import sys; from pipeline.recipe import load; from pipeline.plan import plan\n"
        "from pipeline.workspace import Workspace; from pathlib import Path\n"
        "plan(load(Path('r.toml')), Workspace.find('store'))\n"
        "print(sorted({'numpy', 'h5py', 'torch', 'av', 'soundfile'} & set(sys.modules)))"
    )
    Path("r.toml").write_text(Path("r.toml").read_text().partition("[step.train]")[0])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_command_for_one_stage(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, more, *_ = case
    options = [word for line in more.splitlines() for word in line.replace('"', "").split(" = ")]
    words = [f"--{word}" if k % 2 == 0 else word for k, word in enumerate(options)]
    assert pipe("stage", "preprocess", "--dataset", dataset, "--root", "raw", *words) == 0
    assert f"preprocess/{dataset}--" in capsys.readouterr().out
    assert pipe("stage", "preprocess", "--dataset", dataset, "--root", "raw", "--help") == 0
    assert "--skip" in capsys.readouterr().out
