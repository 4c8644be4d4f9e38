"""The road of a motion prior: train it, ask it, build a talking face upon it, rebuild motion with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Input, Upstream
from stages.encode import Encode
from stages.encode import Params as EncodeParams
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.codes import Codes
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.reconstruct import Params as ReconstructParams
from stages.reconstruct import Reconstruct
from stages.train import Params, Train
from tests.stages import fake_code_face, fake_face, fake_prior
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import make_sequences
from tests.stages.train_runs import inputs as heard

__all__ = ["heard"]


def train_prior(folder: Path, inputs: dict[str, Any], *, levels: int = 5, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {"data": inputs["data"]})
    given: dict[str, Any] = {"model": fake_prior.NAME, "epochs": 4, "lr": 1e-3} | params
    Train(Params(**given), {"model": fake_prior.Settings(levels)}).run(job)
    return job


def encode(folder: Path, inputs: dict[str, Any], prior: Path, *slots: str, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {"data": inputs["data"], "prior": prior} | {slot: inputs[slot] for slot in slots})
    Encode(EncodeParams(**params)).run(job)
    return job


def train_face(folder: Path, inputs: dict[str, Any], prior: Path, codes: Path, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs | {"prior": prior, "codes": codes})
    given: dict[str, Any] = {"model": fake_code_face.NAME, "epochs": 2, "lr": 1e-2} | params
    Train(Params(**given), {"model": fake_code_face.Settings()}).run(job)
    return job


@pytest.fixture(scope="module")
def made(heard: dict[str, Input], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The whole road once: slot → folder."""
    root = tmp_path_factory.mktemp("prior")
    prior = train_prior(root / "prior", heard).out
    codes = encode(root / "codes", heard, prior).out
    face = train_face(root / "face", heard, prior, codes).out
    return {"data": heard["data"].path, "features": heard["features"].path, "prior": prior, "codes": codes} | {
        "checkpoint": face
    }


def test_a_prior_is_trained_without_speech(heard: dict[str, Input], tmp_path: Path) -> None:
    job = train_prior(tmp_path, heard, epochs=5)
    checkpoint = Checkpoint(job.out)
    history = checkpoint.history()
    assert history[-1]["train"]["loss"] < history[0]["train"]["loss"]
    for record in history:
        for part in ("train", "val"):
            assert 0 < record[part]["codebook_usage"] <= 1
            assert 0.999 <= record[part]["codebook_perplexity"] <= 5
    assert checkpoint.facts.encoder == ""
    assert checkpoint.load_prior().codes == 5
    assert checkpoint.training()["motion_energy"] >= 0


def test_usage_counts_a_whole_epoch(heard: dict[str, Input], tmp_path: Path) -> None:
    """With nothing learned, the epoch's numbers are those of all training frames together."""
    checkpoint = Checkpoint(train_prior(tmp_path / "prior", heard, lr=0.0, epochs=1, batch_size=2).out)
    codes, data = Codes(encode(tmp_path / "codes", heard, checkpoint.path).out), Sequences(heard["data"].path)
    counts = sum(np.bincount(codes[name].ravel(), minlength=5) for name in data.ids("train"))
    share = counts / counts.sum()
    recorded = checkpoint.history()[0]["train"]
    assert recorded["codebook_usage"] == np.count_nonzero(counts) / 5
    assert recorded["codebook_perplexity"] == pytest.approx(np.exp(-(share * np.log(share + 1e-10)).sum()), rel=1e-5)


def test_codes_are_what_the_prior_says(made: dict[str, Path]) -> None:
    codes, data = Codes(made["codes"]), Sequences(made["data"])
    prior = Checkpoint(made["prior"]).load_prior()
    assert set(codes.info.frames) == set(data.ids())
    for name in data.ids():
        vertices = torch.from_numpy(data.vertices(name).reshape(len(data.vertices(name)), -1).copy())
        template = torch.from_numpy(data.templates[data.entry(name).subject].reshape(-1))
        np.testing.assert_array_equal(codes[name], prior.encode(vertices, template))


def test_codes_are_cut_to_the_speech_where_features_are_wired(heard: dict[str, Input], tmp_path: Path) -> None:
    prior = train_prior(tmp_path / "prior", heard).out
    codes = Codes(encode(tmp_path / "codes", heard, prior, "features").out)
    data, features = Sequences(heard["data"].path), Features(heard["features"].path)
    for name, frames in codes.info.frames.items():
        assert frames == min(data.entry(name).frames, len(features[name]) // 2) == len(codes[name])


def test_the_face_is_given_codes_and_stores_the_prior_once(made: dict[str, Path], tmp_path: Path) -> None:
    checkpoint = Checkpoint(made["checkpoint"])
    assert checkpoint.config.prior == {"model": fake_prior.NAME, "settings": {"levels": 5}}
    own = load_file(checkpoint.path / "model.safetensors")
    assert not [name for name in own if "levels" in name or "direction" in name]
    assert (checkpoint.path / "prior.safetensors").read_bytes() == (made["prior"] / "model.safetensors").read_bytes()
    network: Any = checkpoint.load_network()
    torch.testing.assert_close(network.prior[0].levels, Checkpoint(made["prior"]).load_prior().levels)  # type: ignore[attr-defined]


def test_last_weights_of_the_prior(heard: dict[str, Input], tmp_path: Path) -> None:
    prior = train_prior(tmp_path / "prior", heard).out
    codes = encode(tmp_path / "codes", heard, prior, weights="last").out
    face = train_face(tmp_path / "face", heard, prior, codes, prior_weights="last").out
    assert (face / "prior.safetensors").read_bytes() == (prior / "last.safetensors").read_bytes()
    stage = Train(Params(model=fake_code_face.NAME, prior_weights="last"), {"model": fake_code_face.Settings()})
    assert stage.uses("prior") == ("last.safetensors", "config.json")


def test_speaking_upon_a_prior(made: dict[str, Path], tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path, made)
    Infer(InferParams(context=12)).run(job)
    predictions = Predictions(job.out)
    assert len(predictions.items) == 7
    assert np.isfinite(predictions.motion("D_s01_condition_A")).all()


def test_rebuilt_motion(made: dict[str, Path], tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path, {slot: made[slot] for slot in ("prior", "codes", "data")})
    Reconstruct(ReconstructParams(splits=["test", "val"])).run(job)
    predictions, data, codes = Predictions(job.out), Sequences(made["data"]), Codes(made["codes"])
    assert [item.id for item in predictions.items.values()] == sorted(data.ids("test") + data.ids("val"))
    prior = Checkpoint(made["prior"]).load_prior()
    template = torch.from_numpy(data.templates["D"].reshape(-1))
    with torch.no_grad():
        expected = prior.decode(torch.from_numpy(codes["D_s01"].astype(np.int64)), template)
    rows = predictions.motion("D_s01_condition_D")
    np.testing.assert_allclose(rows.reshape(len(rows), -1), expected, atol=1e-7)
    assert predictions.info.model == fake_prior.NAME


def test_slots_follow_the_model() -> None:
    def slots(name: str, settings: Any) -> set[str]:
        return set(Train(Params(model=name), {"model": settings}).slots())

    assert slots(fake_prior.NAME, fake_prior.Settings()) == {"data"}
    assert slots(fake_face.NAME, fake_face.Settings()) == {"data", "features"}
    assert slots(fake_code_face.NAME, fake_code_face.Settings()) == {"data", "features", "prior", "codes"}


def test_code_of_the_prior_is_in_the_keys() -> None:
    prior = Upstream("prior", "tiny", {"model": "codetalker-vq"})
    assert list(Encode(EncodeParams()).components({"prior": prior})) == ["models.codetalker_vq"]
    assert list(Reconstruct(ReconstructParams()).components({"prior": prior})) == ["models.codetalker_vq"]
    assert list(Train(Params(model="x")).components({"prior": prior})) == ["models.codetalker_vq"]
    speaking = Upstream("train", "tiny", {"model": "codetalker"})
    assert list(Infer(InferParams()).components({"checkpoint": speaking})) == [
        "models.codetalker", "models.codetalker_vq",
    ]  # fmt: skip


# -- what does not go together -----------------------------------------------------------------------------------------


def test_codes_of_another_prior(heard: dict[str, Input], made: dict[str, Path], tmp_path: Path) -> None:
    other = train_prior(tmp_path / "other", heard, levels=7).out
    with pytest.raises(DataError, match="was made by another motion prior than"):
        train_face(tmp_path / "face", heard, other, made["codes"])
    with pytest.raises(DataError, match="was made by another motion prior than"):
        job = FakeJob.under(tmp_path / "r", {"prior": other, "codes": made["codes"], "data": made["data"]})
        Reconstruct(ReconstructParams()).run(job)


def test_codes_of_other_frames_than_are_trained_on(
    heard: dict[str, Input], made: dict[str, Path], tmp_path: Path
) -> None:
    short = linked(made["codes"], tmp_path / "short")
    index = json.loads((short / "codes.json").read_text())
    index["frames"]["B_s02"] -= 2  # of the val split
    rewrite(short / "codes.json", json.dumps(index))
    with pytest.raises(DataError, match=r"has codes of \d+ frames of B_s02, and \d+ are trained on: wire `features`"):
        train_face(tmp_path / "face", heard, made["prior"], short)


def test_a_prior_of_another_topology(made: dict[str, Path], heard: dict[str, Input], tmp_path: Path) -> None:
    broken = linked(made["prior"], tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    config["facts"]["vertices"] = 99
    rewrite(broken / "config.json", json.dumps(config))
    sentence = r"was trained for another topology \(vertices\): 99, this is 12; use a checkpoint of the same topology"
    with pytest.raises(DataError, match=sentence):
        encode(tmp_path / "codes", heard, broken)
    with pytest.raises(DataError, match=sentence):
        train_face(tmp_path / "face", heard, broken, made["codes"])


def test_a_prior_of_data_in_another_unit(heard: dict[str, Input], made: dict[str, Path], tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "data", units="unit-area")
    with pytest.raises(DataError, match="another unit: m, this is unit-area"):
        encode(tmp_path / "codes", heard | {"data": data}, made["prior"])


def test_a_prior_of_another_data_set(heard: dict[str, Input], made: dict[str, Path], tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "data")
    rewrite(data / "sequences.json", (data / "sequences.json").read_text().replace('"tiny"', '"mine"'))
    sentence = r"is a prior of the data set 'tiny', and .* is 'mine': train one on this data set"
    with pytest.raises(DataError, match=sentence):
        encode(tmp_path / "codes", heard | {"data": data}, made["prior"])
    with pytest.raises(DataError, match=sentence):
        train_face(tmp_path / "face", heard | {"data": Input(data, "sequences", "x", {})}, made["prior"], made["codes"])


def test_clips_too_short_to_encode_are_named(heard: dict[str, Input], made: dict[str, Path], tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "data")
    index = json.loads((data / "sequences.json").read_text())
    index["sequences"]["C_s02"]["frames"] = 1
    rewrite(data / "sequences.json", json.dumps(index))
    with pytest.raises(DataError, match=r'C_s02 has fewer than the two frames .* skip = \["C_s02"\]'):
        encode(tmp_path / "codes", heard | {"data": data}, made["prior"])


def test_what_a_network_refuses_while_training_is_named(
    heard: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: Any, clips: Any) -> Any:
        raise DataError("a clip of one frame has no codes")

    monkeypatch.setattr(fake_prior.FakePrior, "losses", refuses)
    with pytest.raises(DataError, match=r"^a clip of one frame has no codes \(among [AB]_s0\d; skip in the preprocess"):
        train_prior(tmp_path, heard)


def test_a_face_that_encodes_speech_is_no_prior(heard: dict[str, Input], tmp_path: Path) -> None:
    from models.faceformer.settings import Settings

    small = Settings(feature_dim=8, encoder_layers=1, encoder_width=16, encoder_heads=2)
    job = FakeJob.under(tmp_path / "f", heard)
    Train(Params(model="faceformer", epochs=1), {"model": small}).run(job)
    with pytest.raises(DataError, match="'faceformer', which is no motion prior"):
        Checkpoint(job.out).load_prior()


def test_no_prior_where_one_is_needed(made: dict[str, Path], heard: dict[str, Input], tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path / "f", heard)
    Train(Params(model=fake_face.NAME, epochs=1), {"model": fake_face.Settings()}).run(job)
    with pytest.raises(DataError, match="which is no motion prior"):
        encode(tmp_path / "codes", heard, job.out)
    with pytest.raises(StageError, match=f"is built upon '{fake_prior.NAME}'"):
        train_face(tmp_path / "face", heard, job.out, made["codes"])
    with pytest.raises(DataError, match="which does not speak"):
        Infer(InferParams()).run(FakeJob.under(tmp_path / "i", made | {"checkpoint": made["prior"]}))


def test_codes_that_are_missing_or_damaged(made: dict[str, Path], heard: dict[str, Input], tmp_path: Path) -> None:
    broken = linked(made["codes"], tmp_path / "broken")
    file = broken / "codes" / "A_s01.npy"
    file.unlink()
    with pytest.raises(DataError, match=r"A_s01\.npy cannot be read .*make it again with encode"):
        _ = Codes(broken)["A_s01"]
    np.save(file, np.zeros((3, 1), np.int16))
    with pytest.raises(DataError, match=r"holds int16 \(3, 1\), not int16"):
        _ = Codes(broken)["A_s01"]
    with pytest.raises(DataError, match="has no codes of Z_s01"):
        _ = Codes(broken)["Z_s01"]
    (broken / "codes.json").unlink()
    with pytest.raises(DataError, match="is not an index of codes"):
        train_face(tmp_path / "face", heard, made["prior"], broken)


def test_context_needs_a_model_that_looks_back(heard: dict[str, Input], tmp_path: Path) -> None:
    train = FakeJob.under(tmp_path / "t", heard)
    Train(Params(model=fake_face.NAME, epochs=1), {"model": fake_face.Settings()}).run(train)
    job = FakeJob.under(tmp_path / "i", heard | {"checkpoint": train.out})
    with pytest.raises(StageError, match=r"context = 5, and .* looks back on all frames at no cost"):
        Infer(InferParams(context=5)).run(job)


def test_unknown_splits_are_said(made: dict[str, Path], tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path, {slot: made[slot] for slot in ("prior", "codes", "data")})
    with pytest.raises(DataError, match=r"has no split test-c; its splits and their sequences: train \(4\)"):
        Reconstruct(ReconstructParams(splits=["test-c"])).run(job)


def linked(folder: Path, to: Path) -> Path:
    """A copy whose files may be replaced."""
    for file in folder.rglob("*"):
        if file.is_file():
            (to / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            os.link(file, to / file.relative_to(folder))
    return to


def rewrite(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)
