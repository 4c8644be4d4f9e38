"""Two processes that train one guided network, here in lockstep: the result is that of one."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from models.avguidance.face import GuidedFaceFormer
from pipeline.stage import Input
from stages.kinds.checkpoint import MOUTHS, Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.train import Params
from stages.train.clips import ClipReader
from stages.train.looking import look, spelling_of
from stages.train.trainer import Trainer
from tests.stages.fake_job import FakeJob
from tests.stages.guidance_runs import CALM, made
from tests.stages.test_train_group import Member, Table, fitted, same, together, weights


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Input]:
    return made(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def drawn(inputs) -> GuidedFaceFormer:
    torch.manual_seed(0)
    return GuidedFaceFormer.build(CALM, reader(inputs).facts())


def reader(inputs: dict[str, Input]) -> ClipReader:
    data, features = Sequences(inputs["data"].path), Features(inputs["features"].path)
    spelling = spelling_of("avguidance", CALM, Checkpoint(inputs["expert"].path))
    return ClipReader(data, features, wants=CALM.wants(), spelling=spelling)


def trainer(job: FakeJob, inputs: dict[str, Input], drawn: GuidedFaceFormer, group: Member | None = None) -> Trainer:
    clips, network = reader(inputs), deepcopy(drawn)
    look(network, CALM, clips.data, Checkpoint(inputs["expert"].path), "cpu")
    params = Params(model="avguidance", epochs=2, lr=1e-3, batch_size=3)
    return Trainer(job, network, clips, params, group)


def test_two_processes_give_what_one_gives(inputs, drawn, tmp_path: Path) -> None:
    alone = trainer(FakeJob.under(tmp_path / "alone", inputs), inputs, drawn)
    expected = alone.fit()
    table = Table(2)
    jobs = [FakeJob.under(tmp_path / str(rank), inputs) for rank in range(2)]
    jobs[1].state = jobs[0].state
    both = together([lambda r=r: trainer(jobs[r], inputs, drawn, Member(table, r)) for r in range(2)])
    progress = fitted(both)
    assert progress[0].history == progress[1].history
    for one, found in zip(both, progress, strict=True):
        same(weights(alone), weights(one), atol=1e-4)
        for record, wanted in zip(found.history, expected.history, strict=True):
            for part in ("train", "val", "gradients"):
                assert record[part] == pytest.approx(wanted[part], rel=1e-2)
    assert [file.name for file in sorted((jobs[0].state / MOUTHS).iterdir())] == ["epoch-0001.mp4", "epoch-0002.mp4"]
