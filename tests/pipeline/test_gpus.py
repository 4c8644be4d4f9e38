"""Two steps never share a GPU, in one run or in two, unless that is allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import gpus
from pipeline.errors import RecipeError, StageError
from pipeline.execute import Choice, Means, run
from pipeline.gpus import Gpu, Pool
from pipeline.recipe import load
from pipeline.workspace import Workspace
from tests.pipeline.conftest import Recorder
from tests.pipeline.test_conduct import ROOT, go, step, write
from tests.pipeline.toy_meeting import until

TWO = (Gpu(0, "GPU-aa/1", "0"), Gpu(1, "GPU-bb", "1"))


def pool(folder: Path, device: str = "auto", *, share: bool = False) -> Pool:
    return Pool(device, share=share, find=lambda: TWO, folder=folder / "gpus")


def test_each_is_lent_once_and_given_back(tmp_path) -> None:
    first, second = pool(tmp_path), pool(tmp_path)
    one, other = first.lend(1), second.lend(1)
    assert (str(one), str(other)) == ("GPU 0", "GPU 1")
    assert first.lend(1) is None
    assert first.holders == ""  # it is this very run that has them
    one.release()
    assert str(second.lend(1)) == "GPU 0"
    other.release()
    assert second.lend(2) is None
    assert str(second.lend(1)) == "GPU 1"  # what could not be had together was given back


def test_a_pinned_device_is_the_only_one(tmp_path) -> None:
    assert [gpu.index for gpu in pool(tmp_path, "cuda:1").gpus] == [1]
    assert list(pool(tmp_path, "cpu").gpus) == []
    assert not pool(tmp_path, "cuda:1").lend(1).first
    assert pool(tmp_path).lend(1).first


def test_sharing_takes_no_lease_and_goes_round(tmp_path) -> None:
    shared = pool(tmp_path, share=True)
    lent = [shared.lend(1) for _ in range(4)]
    assert sorted(str(gpu) for gpu in lent) == ["GPU 0", "GPU 0", "GPU 1", "GPU 1"]
    assert not (tmp_path / "gpus").exists()


def test_a_lease_of_another_process_is_named_and_ends_with_it(tmp_path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.gpus import *; "
        "held = Pool('auto', find=lambda: [Gpu(0, 'GPU-aa/1', '0')], folder=Path(sys.argv[1])).lend(1); "
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "gpus")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with other:
        assert other.stdout.readline() == b"held\n"
        mine = pool(tmp_path, "cuda:0")
        assert mine.lend(1) is None
        assert mine.holders == f"GPU 0 is used by process {other.pid}"
        other.kill()
    assert str(mine.lend(1)) == "GPU 0"


def test_where_no_lease_can_be_kept_the_device_is_used(tmp_path) -> None:
    (tmp_path / "gpus").write_text("in the way")
    assert str(pool(tmp_path).lend(1)) == "GPU 0"


def test_a_torn_lease_still_counts(tmp_path) -> None:
    held = pool(tmp_path).lend(2)
    for path in (tmp_path / "gpus").iterdir():
        path.write_text("{torn")
    again = pool(tmp_path)
    assert again.lend(1) is None
    assert "another process" in again.holders
    held.release()


@pytest.fixture
def two_gpus(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Pool.__init__, "__kwdefaults__", {"share": False, "find": lambda: TWO, "folder": here / "gpus"})
    (here / "room").mkdir()
    return here / "room"


def gpu_steps(*names: str, **params: object) -> list[str]:
    others = {name: [other for other in names if other != name] for name in names}
    return [step(name, guests=others[name], **params) + "needs = { gpu = 1 }\n" for name in names]


def test_two_steps_on_two_devices_each_sees_its_own(here, two_gpus) -> None:
    recorder = Recorder()
    recipe = load(write("gpus", *gpu_steps("a", "b", how="device")))
    run(recipe, Workspace.find(), recorder, Choice(), Means("cuda", 2))
    assert sorted(path.read_text() for path in two_gpus.glob("*.device")) == ["0", "1"]


def test_a_step_waits_for_a_device_that_another_run_uses(here, two_gpus) -> None:
    held = pool(here, "cuda").lend(2)
    for path in (here / "gpus").iterdir():
        path.write_text(json.dumps({"pid": 1}))
    released = []

    class Releasing(Recorder):
        def step(self, name: str, state: str, text: str = "", **facts: object) -> None:
            super().step(name, state, text, **facts)
            if state == "waiting" and not released:
                released.append(text)
                held.release()

    recipe = load(write("gpu", step("a") + "needs = { gpu = 1 }\n"))
    run(recipe, Workspace.find(), Releasing(), Choice(), Means("cuda", 2))
    assert released == ["for a GPU: GPU 0 is used by process 1; GPU 1 is used by process 1"]


def test_more_devices_than_there_are(here, two_gpus) -> None:
    recipe = load(write("gpu", step("a") + "needs = { gpu = 3 }\n"))
    with pytest.raises(StageError, match="step 'a' needs 3 GPUs, and this run may use 2"):
        run(recipe, Workspace.find(), Recorder(), Choice(), Means("cuda", 2))


def test_on_the_cpu_nobody_looks_for_a_gpu(here, monkeypatch) -> None:
    monkeypatch.setattr(gpus, "visible", lambda: pytest.fail("looked"))
    (here / "room").mkdir()
    go(write("cpu", step("a") + "needs = { gpu = 1 }\n"))
    until(lambda: list((here / "room").iterdir()), "the step")


def test_words_of_cuda_visible_devices(monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(gpus, "_sign_of_one", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(gpus, "_own_name", lambda index: f"uuid{index}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert gpus.visible() == (Gpu(0, "uuid0", "3"), Gpu(1, "uuid1", "5"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.visible()[1] == Gpu(1, "uuid1", "1")


def divided(here: Path, means: Means, needs: str = "") -> tuple[str, Recorder]:
    step_of_it = step("a").replace(":Meet", ":Divided") + needs
    recipe = load(write("divided", step_of_it))
    recorder = Recorder()
    planned = run(recipe, Workspace.find(), recorder, Choice(force=frozenset(["a"])), means)
    return (planned["a"].artifact.path / "processes.txt").read_text(), recorder


def test_a_step_that_can_be_divided_is_lent_more(here, two_gpus) -> None:
    assert divided(here, Means("cuda", 2))[0] == "1"
    assert divided(here, Means("cuda", 2, gpus=2))[0] == "2"
    assert divided(here, Means("cuda", 2), "needs = { gpu = 2 }\n")[0] == "2"
    assert pool(here, "cuda").lend(2) is not None  # all were given back


def test_one_that_cannot_is_not(here, two_gpus) -> None:
    recipe = load(write("gpu", step("a") + "needs = { gpu = 1 }\n"))
    held = pool(here, "cuda:1").lend(1)
    run(recipe, Workspace.find(), Recorder(), Choice(), Means("cuda", 2, gpus=2))  # it waits for no second one
    held.release()


def test_gpus_that_are_not_there_are_bad_usage(here, two_gpus) -> None:
    with pytest.raises(RecipeError, match="--gpus 3: this run may use 2; on a CPU torchrun"):
        divided(here, Means("cuda", 2, gpus=3))
    with pytest.raises(RecipeError, match="--gpus 2: there are no GPUs that this run may use"):
        divided(here, Means("cpu", 2, gpus=2))


def test_under_a_launcher_every_process_has_its_own(here, two_gpus, monkeypatch) -> None:
    for name, word in {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, word)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(gpus, "visible", lambda: TWO)
    assert gpus.own_device("auto") == "cuda:0"
    assert divided(here, Means("auto"), "needs = { gpu = 2 }\n")[0] == "4"
    with pytest.raises(RecipeError, match="--gpus 2: a launcher has started 4 processes already"):
        divided(here, Means("auto", gpus=2))
