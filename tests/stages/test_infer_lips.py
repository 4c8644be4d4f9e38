"""What a face that reads lips writes beside its motion."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.text import Vocabulary
from pipeline.errors import StageError
from stages.infer import Infer, Params, long
from stages.kinds.predictions import Predictions, Text
from stages.kinds.sequences import Sequences
from stages.train import Params as TrainParams
from stages.train import Train
from tests.stages import lip_face
from tests.stages.fake_job import FakeJob
from tests.stages.speaking_runs import features_of
from tests.stages.tiny import make_sequences

HEARD = {"D_s01": "a bad cab", "D_s02": ""}


def trained(folder: Path, inputs: dict[str, Path], **settings: Any) -> Path:
    job = FakeJob.under(folder, inputs)
    Train(TrainParams(model=lip_face.NAME, epochs=3, lr=1e-2), {"model": lip_face.Settings(**settings)}).run(job)
    return job.out


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    data = make_sequences(root / "sequences")
    silent = features_of(data, root / "f")
    found = {"data": data, "features": lip_face.with_text(silent, root / "text", HEARD)}
    return found | {"checkpoint": trained(root / "t", found), "silent": silent}


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {slot: inputs[slot] for slot in ("checkpoint", "data", "features")})
    Infer(Params(**params)).run(job)
    return job


def texts(job: FakeJob) -> dict[str, Text | None]:
    made = Predictions(job.out)
    return {name: made.text(name) for name in made.items}


def test_every_motion_is_read(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path, inputs)
    made, data, found = Predictions(job.out), Sequences(inputs["data"]), texts(job)
    face = lip_face.LipFace.build(lip_face.Settings(), _facts(inputs))
    for name, item in made.items.items():
        motion = torch.from_numpy(np.array(made.motion(name)).reshape(item.frames, -1))
        template = torch.from_numpy(data.templates[item.subject].reshape(-1))
        said = Vocabulary(lip_face.VOCABULARY).read(face.read_lips(motion, template).numpy())
        assert found[name] == Text(HEARD.get(item.id, "abc"), said)
    assert len({text.lip_read for text in found.values() if text}) > 4
    assert len(found["D_s01_condition_A"].lip_read or "") > 5  # type: ignore[union-attr]
    assert set(job.done["D_s01"]) == {
        job.out / folder / f"D_s01_condition_{style}.{ending}"
        for style in "AB" for folder, ending in (("npy", "npy"), ("text", "json"))
    }  # fmt: skip


def _facts(inputs: dict[str, Path]) -> Any:
    from stages.kinds.checkpoint import Checkpoint

    return Checkpoint(inputs["checkpoint"]).facts


def test_a_text_is_the_same_however_its_motion_was_made(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, job = run(tmp_path / "a", inputs), FakeJob.under(tmp_path / "b", _slots(inputs))
    for folder in ("npy", "text"):
        (job.out / folder).mkdir()
        for file in (first.out / folder).glob("D_s01*"):
            os.link(file, job.out / folder / file.name)
    job.done["D_s01"] = []
    Infer(Params()).run(job)
    for file in first.out.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (job.out / file.relative_to(first.out)).read_bytes()

    def in_blocks(self: Any, speech: Any, length: int) -> Any:
        yield from self.predict(speech.features, speech.template, speech.styles).split(length, dim=1)

    monkeypatch.setattr(lip_face.LipFace, "predict_blocks", in_blocks, raising=False)
    monkeypatch.setattr(lip_face.LipFace, "predict_all", None)
    monkeypatch.setattr(long, "LONG", 0)
    monkeypatch.setattr(long, "HELD", 4 * 36 * 2 * 7)
    assert texts(run(tmp_path / "c", inputs)) == texts(first)


def _slots(inputs: dict[str, Path]) -> dict[str, Path]:
    return {slot: inputs[slot] for slot in ("checkpoint", "data", "features")}


def test_nothing_is_read_where_nothing_can_be_or_is_wished(inputs: dict[str, Path], tmp_path: Path) -> None:
    mute = trained(tmp_path / "t", _slots(inputs), reads=False)
    jobs = [run(tmp_path / "a", inputs, read_lips=False), run(tmp_path / "b", inputs | {"checkpoint": mute})]
    for job in jobs:
        assert not (job.out / "text").exists()
        assert set(texts(job).values()) == {None}


def test_features_without_text(inputs: dict[str, Path], tmp_path: Path) -> None:
    found = texts(run(tmp_path, inputs | {"features": inputs["silent"]}))
    assert all(text and text.heard is None and text.lip_read for text in found.values())


def test_logits_of_another_vocabulary(inputs: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "features"
    broken.mkdir()
    os.link(inputs["features"] / "features.h5", broken / "features.h5")
    facts = json.loads((inputs["features"] / "encoder.json").read_text())
    (broken / "encoder.json").write_text(json.dumps(facts | {"vocabulary": ["<pad>", "a"]}))
    with pytest.raises(DataError, match=r"logits of \w+ that are not numbers, or not of the vocabulary beside them"):
        run(tmp_path / "run", inputs | {"features": broken})


def test_a_broken_interpreter(inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lip_face.LipFace, "read_lips", lambda self, motion, template: torch.full((3, 6), torch.nan))
    with pytest.raises(StageError, match="reads off the lips of B_s03 is not finite: train it again"):
        run(tmp_path, inputs)


def test_texts_of_another_set(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path, inputs)
    file = job.out / "text" / "D_s01_condition_A.json"
    good = file.read_text()
    for bad in ("{", '{"heard": "a"}', '{"heard": 1, "lip_read": null}', "[]"):
        file.write_text(bad)
        with pytest.raises(DataError, match=r"D_s01_condition_A\.json is not the text of a prediction .*with infer"):
            Predictions(job.out).text("D_s01_condition_A")
    file.rename(file.with_name("E_s01_condition_A.json")).write_text(good)
    with pytest.raises(DataError, match=r"text lacks the text of D_s01_condition_A, unlike predictions\.json"):
        Predictions(job.out).text("B_s03_condition_B")
    file.write_text(good)
    with pytest.raises(DataError, match=r"text is also of E_s01_condition_A, unlike predictions\.json"):
        Predictions(job.out).text("B_s03_condition_B")
    with pytest.raises(DataError, match="has no prediction E_s01"):
        Predictions(job.out).text("E_s01")
