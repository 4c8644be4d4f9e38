from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Input, Upstream
from stages.infer import Infer, Params
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.speaking_runs import trained
from tests.stages.tiny import VERTICES, make_sequences


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    return trained(root, fake_face.NAME, fake_face.Settings(), epochs=5, lr=1e-2)


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> Predictions:
    job = FakeJob.under(folder, inputs)
    Infer(Params(**params)).run(job)
    return Predictions(job.out)


def test_published_conditions_and_names(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path, inputs)
    assert sorted(made.items) == [
        "B_s03_condition_B",
        *(f"D_s0{i}_condition_{condition}" for i in (1, 2, 3) for condition in "AB"),
    ]
    assert sorted(path.stem for path in (made.path / "npy").iterdir()) == sorted(made.items)
    item = made.items["D_s02_condition_A"]
    assert (item.id, item.subject, item.condition, item.split) == ("D_s02", "D", "A", "test")
    info = json.loads((made.path / "predictions.json").read_text())
    assert {key: info[key] for key in ("fps", "units", "dataset", "model")} == {
        "fps": 30.0, "units": "m", "dataset": "tiny", "model": fake_face.NAME,
    }  # fmt: skip
    assert made.info.in_style("lips", item) == "lips, style of A"


def test_motion_is_what_the_network_says(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path, inputs)
    network, data = Checkpoint(inputs["checkpoint"]).load_network(), Sequences(inputs["data"])
    features = torch.from_numpy(Features(inputs["features"])["D_s01"])
    template = torch.from_numpy(data.templates["D"].reshape(-1))
    expected = network.predict(features, template, torch.eye(2))
    for style, condition in enumerate("AB"):
        motion = made.motion(f"D_s01_condition_{condition}")
        assert motion.dtype == np.float32
        assert motion.shape == (network.frames_for(len(features)), VERTICES, 3)
        np.testing.assert_allclose(motion.reshape(len(motion), -1), expected[style], atol=1e-6)
    raw = np.load(made.path / "npy" / "D_s01_condition_A.npy")
    assert raw.shape == (made.items["D_s01_condition_A"].frames, 3 * VERTICES)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("all", "A_s01:AB B_s01:AB"),
        ("own", "A_s01:A B_s01:B"),
        (["B"], "A_s01:B B_s01:B"),
        ("published", "A_s01:A B_s01:B"),
    ],
)
def test_condition_rules(inputs: dict[str, Path], tmp_path: Path, rule: Any, expected: str) -> None:
    made = run(tmp_path, inputs, splits=["train"], conditions=rule)
    found: dict[str, str] = {}
    for item in made.items.values():
        found[item.id] = found.get(item.id, "") + item.condition
    assert {f"{name}:{''.join(sorted(found[name]))}" for name in ("A_s01", "B_s01")} == set(expected.split())


def test_several_splits(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path, inputs, splits=["val", "test"], weights="last")
    assert {item.split for item in made.items.values()} == {"val", "test"}


def counted_batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Styles of every speech, batch by batch, as they are asked of the network."""
    asked: list[list[int]] = []
    original = fake_face.FakeFace.predict_all

    def counted(self: Any, speeches: Any) -> Any:
        asked.append([len(speech.styles) for speech in speeches])
        return original(self, speeches)

    monkeypatch.setattr(fake_face.FakeFace, "predict_all", counted)
    return asked


@pytest.mark.parametrize(
    ("at_once", "expected"),
    [(8, [[1, 2, 2, 2]]), (4, [[2, 2], [1, 2]]), (2, [[1], [2], [2], [2]]), (1, [[1]] * 7)],
)
def test_motions_are_made_together(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, expected: list[list[int]]
) -> None:
    together = run(tmp_path / "a", inputs)
    asked = counted_batches(monkeypatch)
    apart = run(tmp_path / "b", inputs, at_once=at_once)
    assert sorted(sorted(batch) for batch in asked) == sorted(expected)
    for name in together.items:
        np.testing.assert_allclose(together.motion(name), apart.motion(name), atol=1e-6)


def test_styles_are_mixed(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path / "a", inputs, conditions=["A:0.25+B:0.75", "B"])
    assert {item.condition for item in made.items.values()} == {"A-0.25+B-0.75", "B"}
    network, data = Checkpoint(inputs["checkpoint"]).load_network(), Sequences(inputs["data"])
    features, template = torch.from_numpy(Features(inputs["features"])["D_s01"]), data.templates["D"].reshape(-1)
    expected = network.predict(features, torch.from_numpy(template), torch.tensor([[0.25, 0.75]]))[0]
    motion = made.motion("D_s01_condition_A-0.25+B-0.75")
    np.testing.assert_allclose(motion.reshape(len(motion), -1), expected, atol=1e-6)
    mean = run(tmp_path / "b", inputs, conditions="mean")
    listed = run(tmp_path / "c", inputs, conditions=["B", "mean"])
    assert {item.condition for item in listed.items.values()} == {"B", "mean"}
    expected = network.predict(features, torch.from_numpy(template), torch.tensor([[0.5, 0.5]]))[0]
    motion = mean.motion("D_s01_condition_mean")
    np.testing.assert_allclose(motion.reshape(len(motion), -1), expected, atol=1e-6)


@pytest.mark.parametrize("text", ["A:0.3+", "A:x", "A:0.3+A:0.7", "A:0.3+B", "A:nan+B:1", "A:30+B:70"])
def test_mixtures_that_cannot_be_read(inputs: dict[str, Path], tmp_path: Path, text: str) -> None:
    with pytest.raises(StageError, match=r"write a mixture as SUBJECT:WEIGHT\+SUBJECT:WEIGHT"):
        run(tmp_path, inputs, conditions=[text])
    assert "weights adding up to 1" in next(iter(Infer(Params(conditions=["B", text])).check()))


def test_two_mixtures_of_one_name(inputs: dict[str, Path], tmp_path: Path) -> None:
    same = ["A:0.30000001+B:0.69999999", "A:0.3+B:0.7"]
    with pytest.raises(StageError, match=r"two styles whose files would be called A-0\.3\+B-0\.7"):
        run(tmp_path, inputs, conditions=same)


def test_speech_that_is_too_short_is_named(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: Any, speeches: Any) -> Any:
        raise DataError("1 speech features are too short")

    monkeypatch.setattr(fake_face.FakeFace, "predict_all", refuses)
    monkeypatch.setattr(fake_face.FakeFace, "frames_for", lambda self, length: 1 if length == shortest else 9)
    features = Features(inputs["features"])
    names = ["B_s03", "D_s01", "D_s02", "D_s03"]
    shortest = min(features.length(name) for name in names)
    named = ", ".join(sorted(name for name in names if features.length(name) == shortest))
    with pytest.raises(DataError, match=rf"^{named}: 1 speech features are too short; leave it out with skip"):
        run(tmp_path, inputs)


def test_two_runs_and_a_resumed_one_give_equal_bytes(inputs: dict[str, Path], tmp_path: Path) -> None:
    first, job = run(tmp_path / "a", inputs), FakeJob.under(tmp_path / "b", inputs)
    (job.out / "npy").mkdir()
    for name in ("D_s01_condition_A.npy", "D_s01_condition_B.npy"):
        os.link(first.path / "npy" / name, job.out / "npy" / name)
    job.done["D_s01"] = []  # and yet it is computed again with those that it shares a batch with
    Infer(Params()).run(job)
    for file in first.path.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (job.out / file.relative_to(first.path)).read_bytes()


def test_what_does_not_fit_is_said(inputs: dict[str, Path], tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "slow", fps=25.0)
    with pytest.raises(DataError, match=r"another frame rate: 30\.0, this is 25\.0"):
        run(tmp_path / "a", inputs | {"data": data})
    other = tmp_path / "features"
    other.mkdir()
    (other / "features.h5").write_bytes((inputs["features"] / "features.h5").read_bytes())
    facts = {"name": "hubert", "kind": "conv", "channels": 512, "config": {}, "weights": "x"}
    for key, sentence in (
        ("channels", "feature channels"),
        ("name", "kind of features: log-mel"),
        ("weights", "weights"),
    ):
        (other / "encoder.json").write_text(json.dumps(facts))
        with pytest.raises(DataError, match=sentence):
            run(tmp_path / key, inputs | {"features": other})
        facts[key] = {"channels": 80, "name": "log-mel", "weights": ""}[key]


def test_conditions_that_cannot_be(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="D was not trained on"):
        run(tmp_path / "a", inputs, conditions="own")
    with pytest.raises(StageError, match=r"conditions names Z; .* was trained on A, B"):
        run(tmp_path / "b", inputs, conditions=["A", "Z"])
    with pytest.raises(DataError, match="no sequence in test"):
        only_train = make_sequences(tmp_path / "two", sentences=1)
        index = json.loads((only_train / "sequences.json").read_text())
        index["sequences"] = {name: entry for name, entry in index["sequences"].items() if entry["split"] == "train"}
        (only_train / "sequences.json").write_text(json.dumps(index))
        run(tmp_path / "c", inputs | {"data": only_train})


def test_a_broken_network_is_not_published(inputs: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from stages.kinds.checkpoint import write_weights

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in inputs["checkpoint"].iterdir():
        os.link(file, broken / file.name)
    state = load_file(broken / "model.safetensors")
    state["move.bias"][3] = float("nan")
    write_weights(broken / "model.safetensors", state)
    with pytest.raises(StageError, match="is not finite"):
        run(tmp_path / "run", inputs | {"checkpoint": broken})


def test_reader_refuses(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = run(tmp_path / "a", inputs)
    np.save(made.path / "npy" / "B_s03_condition_B.npy", np.zeros((3, 36)))
    with pytest.raises(DataError, match="holds float64"):
        made.motion("B_s03_condition_B")
    (made.path / "npy" / "B_s03_condition_B.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        made.motion("B_s03_condition_B")
    with pytest.raises(DataError, match="is not an index of predictions"):
        _ = Predictions(tmp_path).info


def test_declarations(inputs: dict[str, Path]) -> None:
    stage = Infer(Params(conditions="ownn"))
    assert "training subjects" in next(iter(stage.check()))
    assert list(Infer(Params(conditions=["A"])).check()) == []
    assert list(Infer(Params(splits=[])).check())
    upstream = {"checkpoint": Upstream("train", "tiny-face", {"model": "faceformer"})}
    assert list(stage.components(upstream)) == ["models.faceformer"]
    assert stage.label(upstream) == "tiny-face-test"
    assert stage.uses("checkpoint") == ("model.safetensors", "prior.safetensors", "config.json")
    assert Infer(Params(weights="last")).uses("checkpoint") == ("last.safetensors", "prior.safetensors", "config.json")
    assert stage.uses("data") == Infer.inputs["data"].uses
    assert Input(inputs["data"], "sequences", "x", {}).kind == Infer.inputs["data"].kind
