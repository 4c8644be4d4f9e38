"""`pipe bench` as a user meets it: one small run, what it refuses, and networks that end their process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.bench.report import tables
from tests.pipeline.test_cli import ROOT, pipe

SMALL = ("--size", "small", "--seconds", "1", "--repeats", "1", "--batch", "2", "--device", "cpu", "--jobs", "1")
MODULE = """\
import os, signal, tempfile, threading
from dataclasses import dataclass

@dataclass(frozen=True)
class Settings:
    width: int = 8

class Network:
    @classmethod
    def build(cls, settings, facts):
        {ends}

def network():
    return Network
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that networks of the user's own are found in."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "lab"


def test_a_small_run_as_json_and_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("bench", *SMALL, "--model", "faceformer", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["size"], report["data"], report["device"], report["threads"]) == ("small", "vocaset", "cpu", 1)
    assert report["processor"]
    assert report["torch"]
    (model,) = report["models"]
    assert (model["model"], model["precision"], model["error"]) == ("faceformer", "float32", None)
    assert model["left_out"] == []
    assert model["parameters"] > model["trained_parameters"] > 0
    assert [(row["clips"], row["seconds"], row["frames"]) for row in model["inference"]] == [(1, 1, 29), (2, 1, 29)]
    for row in model["inference"]:
        assert row["time"] > 0
        assert row["real_time_factor"] == pytest.approx(row["clips"] * row["seconds"] / row["time"])
        assert 0 < row["first_frame"] <= row["time"]
        assert row["peak_memory_mb"] > 50
    assert [row["batch"] for row in model["training"]] == [1, 2]
    for row in model["training"]:
        assert row["steps_per_second"] == pytest.approx(1 / row["step_seconds"])
        assert row["clips_per_second"] == pytest.approx(row["batch"] * row["steps_per_second"])
        assert row["clips_per_second"] > 0
        assert row["peak_memory_mb"] > 50
    text = tables(report)
    assert f"torch {report['torch']}" in text
    assert [line.split()[:2] for line in text.splitlines()].count(["faceformer", "float32"]) == 4


def test_unknown_words_are_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("bench", "--model", "facefromer") == 2
    assert "Did you mean 'faceformer'?" in capsys.readouterr().err
    assert pipe("bench", "--size", "smal") == 2
    assert "Did you mean 'small'?" in capsys.readouterr().err
    assert pipe("bench", "--data", "voca") == 2
    assert "vocaset and biwi" in capsys.readouterr().err
    assert pipe("bench", "--model", "codetalker-vq") == 2
    assert "does not talk" in capsys.readouterr().err
    assert pipe("bench", "--seconds", "0") == 2
    assert "give more than 0" in capsys.readouterr().err
    assert pipe("bench", "--device", "gpu") == 2
    assert "'gpu'" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("bench", "--device", "cuda:99") == 1
    assert "torch sees no such device" in capsys.readouterr().err


def test_a_network_that_does_not_fit_leaves_the_others_alone(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(lab / "scratch"))
    (lab / "large.py").write_text(MODULE.format(ends="raise MemoryError"))
    (lab / "killed.py").write_text(MODULE.format(ends="tempfile.mkdtemp(); os.kill(os.getpid(), signal.SIGKILL)"))
    chosen = [word for name in ("lab.large", "lab.killed", "faceformer") for word in ("--model", name)]
    assert pipe("bench", *SMALL, *chosen) == 1
    out = capsys.readouterr().out
    assert "lab.large, float32: not measured to the end: it does not fit into memory" in out
    assert "lab.killed, float32: not measured to the end: its process was killed, for lack of memory" in out
    assert out.count("\nfaceformer") == 4
    assert not list((lab / "scratch").iterdir()), "files of a killed process were left behind"


def test_ctrl_c_shows_what_there_is_and_leaves_no_process(lab: Path) -> None:
    os.mkfifo(lab / "pid")
    waits = "open('lab/pid', 'w').write(str(os.getpid())); threading.Event().wait()"
    (lab / "slow.py").write_text(MODULE.format(ends=waits))
    (lab / "large.py").write_text(MODULE.format(ends="raise MemoryError"))
    words = ["-m", "pipeline", "bench", *SMALL, "--model", "lab.large", "--model", "lab.slow"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    child = int((lab / "pid").read_text())
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert "lab.large, float32: not measured to the end" in out
    assert "Traceback" not in error
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
