"""TensorBoard and Weights & Biases get the numbers of a training; neither can stop it, or change its result."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from pipeline.errors import Interrupted, StageError
from pipeline.stage import Input
from stages.train import Params
from stages.train.sinks import Sinks, opened, run_name
from tests.stages.train_runs import FILES, inputs, new_job, run

__all__ = ["inputs"]


class FakeWriter:
    """In the place of TensorBoard's `SummaryWriter`."""

    made: ClassVar[list[FakeWriter]] = []

    def __init__(self, folder: str, purge_step: int, flush_secs: int) -> None:
        self.folder, self.purge_step, self.closed = Path(folder), purge_step, False
        self.scalars: list[tuple[str, float, int]] = []
        FakeWriter.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def close(self) -> None:
        self.closed = True


class FakeRun:
    """In the place of a run of Weights & Biases."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.logged, self.axes, self.finished = facts, [], [], False
        self.breaks = False

    def define_metric(self, name: str, step_metric: str = "") -> None:
        self.axes.append((name, step_metric))

    def log(self, values: dict[str, float]) -> None:
        if self.breaks:
            raise ConnectionError("the network is gone\nand so on")
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


class FakeWandB(ModuleType):
    """The few functions of the package that are called."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: list[FakeRun] = []
        self.mode, self.logged_in, self.error = "offline", False, ""
        self.Settings = SimpleNamespace

    def setup(self) -> Any:
        return SimpleNamespace(settings=SimpleNamespace(mode=self.mode))

    def login(self, prompt: bool) -> bool:
        assert not prompt
        return self.logged_in

    def init(self, **facts: Any) -> FakeRun:
        if self.error:
            raise ConnectionError(self.error)
        self.runs.append(FakeRun(facts))
        return self.runs[-1]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandB:
    found = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", found)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return found


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[FakeWriter]:
    module: Any = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = FakeWriter
    monkeypatch.setitem(sys.modules, "tensorboard", ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(FakeWriter, "made", [])
    return FakeWriter.made


def test_both_get_what_the_history_has_and_the_result_is_the_same(
    inputs: dict[str, Input], tmp_path: Path, wandb: FakeWandB, writers: list[FakeWriter]
) -> None:
    silent, told = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    run(silent)
    logs = tmp_path / "logs"
    checkpoint = run(told, log=["tensorboard", "wandb"], log_dir=str(logs))
    for name in FILES:
        assert (silent.out / name).read_bytes() == (told.out / name).read_bytes(), name
    (writer,), (sent,) = writers, wandb.runs
    assert writer.folder == logs / sent.facts["id"]
    assert writer.closed
    assert sent.finished
    for record in checkpoint.history():
        step = record["step"]
        scalars = {name: value for name, value, at in writer.scalars if at == step}
        assert scalars["train/loss"] == record["train"]["loss"]
        assert scalars["val/loss"] == record["val"]["loss"]
        assert scalars["health/motion_energy"] == record["health"]["motion_energy"]
        assert scalars["lr"] == record["lr"]
        assert scalars["time/seconds"] > 0
        assert scalars["memory/peak_mb"] > 10
        assert {"step": step, **scalars} in sent.logged
    assert ("*", "step") in sent.axes
    assert (sent.facts["project"], sent.facts["resume"]) == ("facepipe", "allow")
    assert (sent.facts["config"]["lr"], sent.facts["config"]["seed"]) == (1e-2, 0)
    assert any(line.startswith("log: tensorboard, wandb in") for line in told.said)


def test_a_resumed_training_goes_on_in_the_same_run(
    inputs: dict[str, Input], tmp_path: Path, wandb: FakeWandB, writers: list[FakeWriter]
) -> None:
    job, log = new_job(tmp_path, inputs), {"log": ["tensorboard", "wandb"], "log_dir": str(tmp_path / "logs")}
    job.stop_after = 5
    with pytest.raises(Interrupted):
        run(job, **log)
    assert writers[0].closed
    assert wandb.runs[0].finished
    job.stop_after = None
    run(job, **log)
    assert writers[0].folder == writers[1].folder
    assert wandb.runs[0].facts["id"] == wandb.runs[1].facts["id"]
    assert [at for name, _, at in writers[0].scalars if name == "lr"] == [4]
    assert [at for name, _, at in writers[1].scalars if name == "lr"] == [8, 12]
    assert writers[1].purge_step == 8  # void is what an attempt that was killed may have told of this step


def test_a_sink_that_fails_is_dropped_with_one_warning(
    inputs: dict[str, Input],
    tmp_path: Path,
    wandb: FakeWandB,
    writers: list[FakeWriter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Breaking(FakeRun):
        def log(self, values: dict[str, float]) -> None:
            self.breaks = values["step"] > 4
            super().log(values)

    monkeypatch.setitem(wandb.init.__globals__, "FakeRun", Breaking)
    job = new_job(tmp_path, inputs)
    run(job, log=["wandb", "tensorboard"], log_dir=str(tmp_path / "logs"))
    assert [line for line in job.said if line.startswith("warning: wandb")] == [
        "warning: wandb gets no more numbers (ConnectionError: the network is gone); the training goes on without it"
    ]
    assert [values["step"] for values in wandb.runs[0].logged] == [4]
    assert [at for name, _, at in writers[0].scalars if name == "lr"] == [4, 8, 12]


def test_one_that_cannot_even_be_closed() -> None:
    class Stuck:
        def write(self, step: int, values: Any) -> None: ...

        def close(self) -> None:
            raise TimeoutError("no answer")

    said: list[str] = []
    sinks = Sinks({"wandb": Stuck()}, said.append)
    sinks.close()
    sinks.close()
    assert len(said) == 1


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_package_that_lacks_is_told_before_training(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    job = new_job(tmp_path, inputs)
    with pytest.raises(StageError, match=rf"log = \['{package}'\] needs the package {package} .*'facepipe\[watch\]'"):
        run(job, log=[package], log_dir=str(tmp_path / "logs"))
    assert not (job.state / "history.jsonl").exists()
    assert not (tmp_path / "logs").exists()


def test_no_account_and_no_network_are_told_before_training(
    inputs: dict[str, Input], tmp_path: Path, wandb: FakeWandB
) -> None:
    params = Params(model="m", log=["wandb"], log_dir=str(tmp_path / "logs"))
    job = new_job(tmp_path, inputs)
    wandb.mode = "online"
    with pytest.raises(StageError, match="run `wandb login`, or set WANDB_MODE=offline"), opened(job, params):
        pass
    wandb.logged_in, wandb.error = True, "timed out"
    with pytest.raises(StageError, match=r"cannot begin \(timed out\); WANDB_MODE=offline"), opened(job, params):
        pass
    wandb.error = ""
    with opened(job, params):
        assert len(wandb.runs) == 1


def test_the_first_sink_is_closed_when_the_second_cannot_begin(
    inputs: dict[str, Input], tmp_path: Path, wandb: FakeWandB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    params = Params(model="m", log=["wandb", "tensorboard"], log_dir=str(tmp_path / "logs"))
    with pytest.raises(StageError, match="tensorboard"), opened(new_job(tmp_path, inputs), params):
        pass
    assert wandb.runs[0].finished


def test_runs_have_names_of_their_own_and_keep_them(inputs: dict[str, Input], tmp_path: Path) -> None:
    a, b = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    first = run_name(a, "my.models.face")
    assert first.startswith("tiny-log-mel-my-models-face-2")
    assert run_name(a, "my.models.face") == first
    assert run_name(b, "my.models.face") != first
    (a.state / "log.json").write_text("{")
    assert run_name(a, "my.models.face") != first


def test_tensorboard_reads_the_real_file(inputs: dict[str, Input], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    job = new_job(tmp_path, inputs)
    job.stop_after = 9
    with pytest.raises(Interrupted):
        run(job, log=["tensorboard"], log_dir=str(tmp_path / "logs"))
    job.stop_after = None
    checkpoint = run(job, log=["tensorboard"], log_dir=str(tmp_path / "logs"))
    (folder,) = (tmp_path / "logs").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    for part in ("train", "val"):
        found = [(event.step, event.value) for event in events.Scalars(f"{part}/loss")]
        expected = [(record["step"], pytest.approx(record[part]["loss"])) for record in checkpoint.history()]
        assert found == expected


def test_wandb_keeps_a_run_offline(inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = new_job(tmp_path, inputs)
    run(job, log=["wandb"], log_dir=str(tmp_path / "logs"))
    assert not any(line.startswith("warning") for line in job.said)
    name = json.loads((job.state / "log.json").read_text())["name"]
    (file,) = (tmp_path / "logs").rglob("*.wandb")
    assert file.name == f"run-{name}.wandb"
    assert b"val/loss" in file.read_bytes()
