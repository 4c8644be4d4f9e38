"""`pipe run` started as torchrun starts it: process 0 runs the recipe, the other follows it, to whatever end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages.kinds.checkpoint import read_weights
from tests.pipeline.test_cli import pipe
from tests.stages import steady_face
from tests.threads import one_thread

__all__ = ["one_thread"]

ROOT = Path(__file__).parents[2]
RECIPE = f"""\
[recipe]
title = "two processes"
seed = 3

[step.preprocess]
dataset = "synthetic"
subjects = 4
sentences = 4
seconds = 0.6

[step.features]
encoder = "log-mel"

[step.train]
model = "{steady_face.NAME}"
epochs = 2
batch_size = 4
lr = 1e-2
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launched")
    (folder / "two.toml").write_text(RECIPE)
    return folder


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(store)
    monkeypatch.setenv("PIPE_STATE", str(store / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(store / "config"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if not (store / "outputs").exists():
        assert pipe("run", "two.toml", "--until", "features", "--device", "cpu") == 0
    return store


def words(*settings: str) -> list[str]:
    return ["run", "two.toml", "--device", "cpu", *(part for one in settings for part in ("--set", one))]


def start(rank: int, port: int, *given: str) -> subprocess.Popen[str]:
    place = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *given],
        env=os.environ | place | {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def together(*given: str) -> list[tuple[int, str]]:
    """(exit code, what was printed) of both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(rank, port, *given) for rank in range(2)]
    printed = [process.communicate()[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, printed, strict=True)]


def results(here: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, dict[str, float]]]]:
    out = here / "outputs/two/train"
    return read_weights(out / "last.safetensors"), [
        json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()
    ]


def assert_as_alone(here: Path, *settings: str) -> None:
    weights, history = results(here)
    assert pipe(*words(*settings), "--force", "train") == 0
    alone, told = results(here)
    for name, value in alone.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-5)
    for a, b in zip(history, told, strict=True):
        assert a["train"] == pytest.approx(b["train"], abs=1e-5)
        assert a["val"] == pytest.approx(b["val"], abs=1e-5)


def test_the_result_is_that_of_one_process(here: Path) -> None:
    (first, told), (second, silent) = together(*words())
    assert (first, second) == (0, 0), told + silent
    assert "train       done" in told
    assert silent == ""
    assert_as_alone(here)


def test_stopped_and_resumed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM at process 1 alone: both stop after the same step, and go on from there."""
    monkeypatch.setenv(steady_face.EVENT, "1 2 SIGTERM")
    (first, told), (second, silent) = together(*words("step.train.epochs=3"))
    assert (first, second) == (75, 0), told + silent
    assert "run the same command again to go on from there" in told
    monkeypatch.delenv(steady_face.EVENT)
    (first, told), _ = together(*words("step.train.epochs=3"))
    assert first == 0
    assert "going on after step 2 of" in told
    assert_as_alone(here, "step.train.epochs=3")


@pytest.mark.parametrize(
    ("dies", "lives", "sentence"),
    [(1, 0, "another of the 2 processes that train together has left"), (0, 1, "ends: process 0 is gone")],
)
def test_one_is_killed(here: Path, monkeypatch: pytest.MonkeyPatch, dies: int, lives: int, sentence: str) -> None:
    monkeypatch.setenv(steady_face.EVENT, f"{dies} 2 SIGKILL")
    ends = together(*words("step.train.epochs=4"))
    assert ends[dies][0] == -9
    code, told = ends[lives]
    assert code == 1, told
    assert sentence in told
    assert told.count("error: ") == 1
    assert "Traceback" not in told


def test_torchrun(here: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pipeline"]
    done = subprocess.run(
        [sys.executable, *launcher, *words("step.train.epochs=1")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("train       done") == 1
    (record,) = results(here)[1]
    assert record["val"]["loss"] > 0


def test_what_has_nothing_to_train_ends_too(here: Path) -> None:
    ends = together("recipe", "check", "two.toml")
    assert [code for code, _ in ends] == [0, 0], ends
