"""The train stage: what it reads, what it publishes, what it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from faces.errors import DataError
from models import faceformer
from models.talking_face import DataFacts
from pipeline.errors import StageError
from pipeline.stage import Input, Sources, Upstream
from stages.kinds.checkpoint import Checkpoint, build, write_weights
from stages.train import Params, Train
from stages.train.clips import Take
from tests.stages import fake_face
from tests.stages.tiny import VERTICES, make_sequences
from tests.stages.train_runs import FILES, clips, inputs, new_job, run

__all__ = ["inputs"]


def test_reader_pads_and_names_styles(inputs: dict[str, Input]) -> None:
    reader = clips(inputs)
    takes = [Take("A_s01", 0), Take("B_s02", 1)]
    batch = reader.batch(takes)
    assert batch.vertices is not None
    assert batch.frames is not None
    for i, take in enumerate(takes):
        length, frames = int(batch.feature_lengths[i]), int(batch.frames[i])
        np.testing.assert_array_equal(batch.features[i, :length], reader.features[take.name])
        assert not batch.features[i, length:].any()
        truth = reader.data.vertices(take.name).reshape(frames, -1)
        np.testing.assert_array_equal(batch.vertices[i, :frames], truth)
        assert not batch.vertices[i, frames:].any()
    assert batch.style.tolist() == [[1, 0], [0, 1]]
    np.testing.assert_array_equal(batch.template[1], reader.data.templates["B"].reshape(-1))


def test_conditions_are_the_published_rule(inputs: dict[str, Input]) -> None:
    reader = clips(inputs)
    assert sorted(take for takes in reader.takes("train") for take in takes) == [
        ("A_s01", 0), ("A_s02", 0), ("A_s03", 0), ("B_s01", 1),
    ]  # fmt: skip
    by_name = {takes[0].name: [take.style for take in takes] for takes in reader.takes("val")}
    assert by_name == {"B_s02": [1], "C_s01": [0, 1], "C_s02": [0, 1], "C_s03": [0, 1]}


def test_training_learns_and_publishes(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs)
    checkpoint = run(job, epochs=30)
    assert sorted(path.name for path in job.out.iterdir()) == sorted(FILES)
    history = checkpoint.history()
    assert [record["epoch"] for record in history] == list(range(1, 31))
    assert history[-1]["step"] == 30 * 4
    assert history[-1]["val"]["loss"] < 0.5 * history[0]["val"]["loss"]
    assert history[0]["train"]["half"] == pytest.approx(history[0]["train"]["loss"] / 2)
    best = min(history, key=lambda record: record["val"]["loss"])
    assert checkpoint.training()["best_epoch"] == best["epoch"]
    assert checkpoint.training()["best_loss"] == best["val"]["loss"]
    assert checkpoint.training()["motion_energy"] > 0.05
    assert not any("warning" in line for line in job.said)
    assert job.notes["training_steps"] == 120


def test_validation_counts_every_condition_once(inputs: dict[str, Input], tmp_path: Path) -> None:
    """The recorded number, recomputed by hand from the published weights."""
    checkpoint = run(new_job(tmp_path, inputs), epochs=1)
    network, reader = checkpoint.load_network(weights="last.safetensors"), clips(inputs)
    takes = [take for group in reader.takes("val") for take in group]
    assert len(takes) == 7
    with torch.no_grad():
        losses = [network.validation_losses(reader.batch([take]))["loss"].item() for take in takes]
    assert checkpoint.history()[0]["val"]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_checkpoint_knows_its_network(inputs: dict[str, Input], tmp_path: Path) -> None:
    checkpoint = run(new_job(tmp_path, inputs), fake_face.Settings(width=5))
    config = checkpoint.config
    assert (config.model, config.dataset, config.units) == (fake_face.NAME, "tiny", "m")
    assert config.settings == {"width": 5, "break_at": -1}
    assert checkpoint.facts.train_subjects == ["A", "B"]
    assert (checkpoint.facts.vertices, checkpoint.facts.fps, checkpoint.facts.channels) == (VERTICES, 30.0, 80)
    network: Any = checkpoint.load_network()
    assert not network.training
    for name, value in load_file(checkpoint.path / "model.safetensors").items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0)


def test_two_runs_give_equal_bytes(inputs: dict[str, Input], tmp_path: Path) -> None:
    a, b = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    run(a)
    run(b)
    for name in FILES:
        assert (a.out / name).read_bytes() == (b.out / name).read_bytes(), name


def test_accumulated_batches_are_one_large_batch(inputs: dict[str, Input], tmp_path: Path) -> None:
    large = run(new_job(tmp_path / "large", inputs, seed=3), epochs=1, batch_size=4)
    small = run(new_job(tmp_path / "small", inputs, seed=3), epochs=1, accumulate=4)
    assert large.history()[0]["step"] == small.history()[0]["step"] == 1
    for name, value in load_file(large.path / "last.safetensors").items():
        # The fake network draws other noise for one batch than for four; it is 1e-4 of the data.
        torch.testing.assert_close(value, load_file(small.path / "last.safetensors")[name], rtol=0, atol=2e-2)


def test_order_depends_on_seed_and_epoch(inputs: dict[str, Input], tmp_path: Path) -> None:
    a = run(new_job(tmp_path / "a", inputs, seed=1))
    b = run(new_job(tmp_path / "b", inputs, seed=2))
    assert a.history() != b.history()


def test_nan_stops_with_a_sentence(inputs: dict[str, Input], tmp_path: Path) -> None:
    """And says where the last good weights lie, from which training can begin again."""
    job = new_job(tmp_path / "a", inputs)
    sentence = r"the loss is not finite in epoch 2, step 3 \([AB]_s0\d\); lower lr \(now 0\.01\).*weights="
    with pytest.raises(StageError, match=sentence) as told:
        run(job, fake_face.Settings(break_at=6))
    good = str(told.value).split("weights=")[1]
    again = run(new_job(tmp_path / "b", inputs), weights=good, epochs=1, lr=0.0)
    left = load_file(good)
    for name, value in load_file(again.path / "last.safetensors").items():
        torch.testing.assert_close(value, left[name], rtol=0, atol=0)


def test_frozen_mouth_is_told(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path, inputs)
    checkpoint = run(job, lr=0.0, epochs=1)
    assert checkpoint.training()["motion_energy"] == pytest.approx(0.0, abs=1e-9)
    assert any(line.startswith("warning: the predicted faces hardly move") for line in job.said)


def test_patience_and_rare_validation(inputs: dict[str, Input], tmp_path: Path) -> None:
    job = new_job(tmp_path / "a", inputs)
    stuck = run(job, epochs=50, lr=0.0, patience=2)
    assert len(stuck.history()) == 3
    assert "stopped after epoch 3 of 50: 2 validations without a better loss than that of epoch 1" in job.said
    rare = run(new_job(tmp_path / "b", inputs), epochs=5, validate_every=2)
    assert [record["epoch"] for record in rare.history() if "val" in record] == [2, 4, 5]


def test_mixed_precision_and_clipping_train(inputs: dict[str, Input], tmp_path: Path) -> None:
    checkpoint = run(new_job(tmp_path, inputs), epochs=20, precision="bf16", grad_clip=1.0)
    history = checkpoint.history()
    assert history[-1]["val"]["loss"] < 0.7 * history[0]["val"]["loss"]
    assert all(value.dtype == torch.float32 for value in load_file(checkpoint.path / "model.safetensors").values())


def test_published_weights_are_published_as_they_are(inputs: dict[str, Input], tmp_path: Path) -> None:
    network: Any = fake_face.FakeFace(fake_face.Settings(), clips(inputs).facts())
    with torch.no_grad():
        network.move.weight.normal_()
    torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "paper.pth")
    job = new_job(tmp_path / "run", inputs)
    checkpoint = run(job, epochs=0, weights=str(tmp_path / "paper.pth"))
    assert sorted(path.name for path in job.out.iterdir()) == sorted(set(FILES) - {"curves.png"})
    assert checkpoint.history() == []
    for name, value in load_file(job.out / "model.safetensors").items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=0, atol=0)


def test_own_weights_go_on(inputs: dict[str, Input], tmp_path: Path) -> None:
    first = run(new_job(tmp_path / "first", inputs), epochs=10)
    weights = str(first.path / "model.safetensors")
    second = run(new_job(tmp_path / "second", inputs), epochs=1, lr=0.0, weights=weights)
    assert second.history()[0]["val"]["loss"] == pytest.approx(first.training()["best_loss"], rel=1e-6)


def test_weights_of_another_size_or_kind(inputs: dict[str, Input], tmp_path: Path) -> None:
    first = run(new_job(tmp_path / "first", inputs))
    with pytest.raises(DataError, match="of another size"):
        run(
            new_job(tmp_path / "wide", inputs),
            fake_face.Settings(width=9),
            weights=str(first.path / "model.safetensors"),
        )
    save_file({"elsewhere.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"other\.safetensors does not fit"):
        run(new_job(tmp_path / "other", inputs), weights=str(tmp_path / "other.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match=r"broken\.safetensors cannot be read as weights"):
        run(new_job(tmp_path / "broken", inputs), weights=str(tmp_path / "broken.safetensors"))


def test_checkpoint_reader_refuses(inputs: dict[str, Input], tmp_path: Path) -> None:
    checkpoint = run(new_job(tmp_path, inputs))
    config = json.loads((checkpoint.path / "config.json").read_text())
    for key, value, sentence in [
        ("settings", {"width": 9}, "of another size"),
        ("settings", {"depth": 9}, "cannot build"),
        ("model", "no-such-face", "cannot build"),
    ]:
        (checkpoint.path / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(DataError, match=sentence):
            Checkpoint(checkpoint.path).load_network()
    (checkpoint.path / "config.json").write_text("{")
    with pytest.raises(DataError, match="does not describe a network"):
        Checkpoint(checkpoint.path).load_network()
    with pytest.raises(DataError, match="does not describe a network"):
        _ = Checkpoint(tmp_path / "absent").config


def test_the_rate_is_multiplied_every_so_many_epochs(inputs: dict[str, Input], tmp_path: Path) -> None:
    falling = run(new_job(tmp_path / "a", inputs), epochs=5, lr=1e-2, schedule="step", lr_step=2, lr_factor=0.1)
    assert [record["lr"] for record in falling.history()] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4])
    still = run(new_job(tmp_path / "b", inputs), epochs=3, schedule="step", lr_step=1, lr_factor=0.0)
    states = [load_file(still.path / name)["move.bias"] for name in ("model.safetensors", "last.safetensors")]
    first = run(new_job(tmp_path / "c", inputs), epochs=1)
    for state in states:
        torch.testing.assert_close(state, load_file(first.path / "last.safetensors")["move.bias"], rtol=0, atol=0)


def test_adamw_decays_weights(inputs: dict[str, Input], tmp_path: Path) -> None:
    """Decay alone, by hand: the gradients of the two optimisers are the same in the first step."""
    plain = run(new_job(tmp_path / "a", inputs), epochs=1, batch_size=99)
    decayed = run(new_job(tmp_path / "b", inputs), epochs=1, batch_size=99, optimiser="adamw", weight_decay=0.5)
    torch.manual_seed(0)
    a, b = (load_file(made.path / "last.safetensors")["listen.weight"] for made in (plain, decayed))
    start = (a - b) / (1e-2 * 0.5)  # what decay took off is lr·decay·start
    assert start.abs().max() <= 1 / 80**0.5 * 1.01  # torch's uniform initialisation over 80 channels
    assert start.std() > 0.03


def test_features_of_other_data(inputs: dict[str, Input], tmp_path: Path) -> None:
    more = make_sequences(tmp_path / "more", sentences=4)
    with pytest.raises(DataError, match="no features of A_s04"):
        run(new_job(tmp_path / "run", inputs | {"data": Input(more, "sequences", "more", {})}))


def test_pretrained_source_comes_from_the_features_step(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = Input(tmp_path / "features", "features", "f", {"encoder": "some/encoder"})
    features.path.mkdir()
    (features.path / "features.h5").write_bytes((inputs["features"].path / "features.h5").read_bytes())
    facts = {"name": "encoder", "kind": "conv", "channels": 80, "config": {"conv_dim": [80]}, "weights": "abc"}
    (features.path / "encoder.json").write_text(json.dumps(facts))
    loaded: list[str] = []
    monkeypatch.setattr(fake_face.FakeFace, "load_speech_weights", lambda self, source: loaded.append(source))
    checkpoint = run(new_job(tmp_path / "run", inputs | {"features": features}))
    assert loaded == ["some/encoder"]
    assert checkpoint.config.encoder_weights == "abc"
    assert checkpoint.facts.encoder_config == {"conv_dim": [80]}


def test_declarations() -> None:
    stage = Train(Params(model="faceformer", epochs=0))
    assert "weights" in next(iter(stage.check()))
    assert stage.sources() == Sources()
    given = Train(Params(model="faceformer", epochs=0, weights="paper.pth"))
    assert list(given.check()) == []
    assert given.sources().files == {"weights": Path("paper.pth")}
    upstream = {"features": Upstream("f", "vocaset-log-mel", {}), "data": Upstream("d", "vocaset", {})}
    assert given.label(upstream) == "vocaset-log-mel-faceformer"
    assert {field.name for field in dataclasses.fields(Params)} >= {"model", "epochs", "lr", "weights"}


def test_tied_tensors_can_be_written(tmp_path: Path) -> None:
    one = torch.arange(6.0)
    write_weights(tmp_path / "w.safetensors", {"b": one, "a": one.reshape(2, 3).T})
    back = load_file(tmp_path / "w.safetensors")
    torch.testing.assert_close(back["a"], one.reshape(2, 3).T)
    facts = DataFacts(VERTICES, 30.0, ("A",), 80, "log-mel")
    assert isinstance(build(fake_face.NAME, {}, facts, where=tmp_path), fake_face.FakeFace)


@pytest.mark.parametrize("bad", ["inf", "nan"])
def test_weights_that_are_no_numbers_are_not_published(inputs: dict[str, Input], tmp_path: Path, bad: str) -> None:
    """Each loss is finite, the last step is not; the motion it would make hides it from nobody."""

    class Breaking(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            super().step(closure)
            with torch.no_grad():
                self.param_groups[0]["params"][-1].view(-1)[0] = float(bad)

    job = new_job(tmp_path, without_validation(inputs, tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Breaking)
        with pytest.raises(StageError, match=r"training diverged: .*move\.bias.* not finite; lower lr \(now 0\.01\)"):
            run(job, epochs=1, batch_size=4)
    assert not list(job.out.iterdir())


def without_validation(inputs: dict[str, Input], folder: Path) -> dict[str, Input]:
    """The same data with no validation split, so that no validation notices."""
    data = folder / "unvalidated"
    shutil.copytree(inputs["data"].path, data)
    text = (data / "sequences.json").read_text()
    (data / "sequences.json").write_text(text.replace('"split": "val"', '"split": "test"'))
    return inputs | {"data": Input(data, "sequences", "tiny", {})}


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_motion_that_is_no_number_is_not_published(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    predict = fake_face.FakeFace.predict
    monkeypatch.setattr(fake_face.FakeFace, "predict", lambda self, *given: predict(self, *given) * bad)
    with pytest.raises(StageError, match=r"training was stopped after epoch 1: .*motion.* not finite; lower lr"):
        run(new_job(tmp_path / "a", inputs), epochs=1)
    with pytest.raises(StageError, match=r"training diverged: .*motion.* not finite; lower lr \(now 0\.01\)"):
        run(new_job(tmp_path / "b", without_validation(inputs, tmp_path)), epochs=1)


def test_given_weights_that_are_no_numbers_are_not_published(inputs: dict[str, Input], tmp_path: Path) -> None:
    network: Any = fake_face.FakeFace(fake_face.Settings(), clips(inputs).facts())
    with torch.no_grad():
        network.move.bias.fill_(float("nan"))
    write_weights(tmp_path / "w.safetensors", network.state_dict())
    with pytest.raises(DataError, match=r"w\.safetensors.*move\.bias.* not finite"):
        run(new_job(tmp_path / "run", inputs), epochs=0, weights=str(tmp_path / "w.safetensors"))


def test_mistakes_in_the_networks_settings_are_found_while_planning() -> None:
    stage = Train(Params(model="faceformer"), {"model": faceformer.Settings(feature_dim=15, encoder_width=40)})
    assert list(stage.check()) == [
        "feature_dim = 15 is no multiple of heads = 4",
        "encoder_width = 40 must be a multiple of 16 and of encoder_heads = 4",
    ]
    assert list(Train(Params(model="faceformer"), {"model": faceformer.Settings()}).check()) == []
    assert list(Train(Params(model=fake_face.NAME), {"model": fake_face.Settings()}).check()) == []


def test_validation_hears_a_sequence_once(inputs: dict[str, Input], tmp_path: Path) -> None:
    """Two styles of a sequence come as one clip in two styles."""
    reader = clips(inputs)
    takes = [Take("C_s01", 0), Take("C_s01", 1)]
    one, two = reader.in_styles(takes), reader.batch(takes)
    assert one.features.shape[0] == one.template.shape[0] == 1
    assert one.style.tolist() == two.style.tolist()
    torch.testing.assert_close(one.vertices, two.vertices[:1])  # type: ignore[index]
