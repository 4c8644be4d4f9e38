from __future__ import annotations

import json
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from models.logmel import BANDS, filter_bank, log_mel
from models.resample import feature_length
from models.sound import standardise
from pipeline.stage import Sources, Upstream
from stages.audio import speech
from stages.features import ExtractFeatures, Params
from stages.kinds.features import Features
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import make_sequences

FAMILIES = ("Wav2Vec2", "Hubert", "WavLM")


def run(folder: Path, data: Path, **params: Any) -> Path:
    job = FakeJob.under(folder, {"data": data})
    ExtractFeatures(Params(**params)).run(job)
    return job.out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sequences(tmp_path_factory.mktemp("data") / "sequences")


@pytest.fixture(scope="module")
def logmel(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("logmel"), data, encoder="log-mel")


def tiny_encoder(folder: Path, family: str, seed: int = 0) -> Path:
    import torch

    from models import hub

    hub._without_torchaudio()
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(
        conv_dim=(16,) * 7, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    return folder


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(16000 * seconds)) / 16000).astype(np.float32)


def test_log_mel_has_no_empty_filter_and_equal_height() -> None:
    bank = filter_bank()
    assert bank.shape == (513, BANDS)
    assert (bank.sum(axis=0) > 1).all()
    assert bank.max() <= 1.0


def test_log_mel_finds_the_tone_and_the_time() -> None:
    wave = np.concatenate([tone(300.0), tone(3000.0)])
    features = log_mel(standardise(wave))
    assert features.shape == (feature_length(32000), BANDS)
    peaks = features.argmax(axis=1)
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (20.0, 8000.0))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    assert abs(edges[peaks[10] + 1] - 300) < 40
    assert abs(edges[peaks[80] + 1] - 3000) < 150
    assert np.flatnonzero(peaks != peaks[0])[0] in (49, 50)


def test_log_mel_does_not_know_loudness() -> None:
    wave = standardise(tone(440.0))
    np.testing.assert_allclose(log_mel(standardise(0.01 * wave)), log_mel(wave), atol=1e-2)


def test_log_mel_window_is_the_convolutions_window() -> None:
    """A click is seen by exactly the steps whose 400 samples hold it."""
    wave = np.zeros(4000, np.float32)
    wave[1000] = 1.0
    loud = log_mel(wave).mean(axis=1) > log_mel(np.zeros(4000, np.float32)).mean()
    expected = [i for i in range(feature_length(4000)) if 320 * i < 1000 < 320 * i + 400]
    np.testing.assert_array_equal(np.flatnonzero(loud), expected)


def test_stage_keeps_every_sequence(data: Path, logmel: Path) -> None:
    features = Features(logmel)
    assert features.ids() == sorted(path.stem for path in (data / "wav").iterdir())
    assert features.channels == BANDS
    for name in features.ids():
        wave = speech(data / "wav" / f"{name}.wav")
        np.testing.assert_array_equal(features[name], log_mel(standardise(wave)))
    assert "A_s01" in features
    assert "nobody" not in features


def test_two_runs_give_equal_bytes(data: Path, logmel: Path, tmp_path: Path) -> None:
    again = run(tmp_path, data, encoder="log-mel")
    for name in ("features.h5", "encoder.json"):
        assert (again / name).read_bytes() == (logmel / name).read_bytes()


def test_file_is_contiguous_and_tells_what_it_holds(logmel: Path) -> None:
    import h5py

    with h5py.File(logmel / "features.h5", "r") as file:
        assert dict(file.attrs) == {"encoder": "log-mel", "kind": "log-mel", "rate": 50.0, "channels": 80}
        assert all(file[name].chunks is None and file[name].compression is None for name in file)


def test_half_precision(data: Path, logmel: Path, tmp_path: Path) -> None:
    half = Features(run(tmp_path, data, encoder="log-mel", dtype="float16"))["A_s01"]
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, Features(logmel)["A_s01"], rtol=1e-3, atol=1e-3)


def test_finished_clips_are_not_made_again(data: Path, logmel: Path, tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path, {"data": data})
    (job.state / "items").mkdir()
    kept = np.full((7, BANDS), 2.5, np.float32)
    np.save(job.state / "items" / "A_s01.npy", kept)
    job.done["A_s01"] = []
    ExtractFeatures(Params(encoder="log-mel")).run(job)
    np.testing.assert_array_equal(Features(job.out)["A_s01"], kept)
    np.testing.assert_array_equal(Features(job.out)["A_s02"], Features(logmel)["A_s02"])


@pytest.mark.parametrize("family", FAMILIES)
def test_pretrained_encoders(data: Path, tmp_path: Path, family: str) -> None:
    import torch

    from models.hub import load_encoder

    source = tiny_encoder(tmp_path / "encoder", family)
    features = Features(run(tmp_path, data, encoder=str(source), hidden=True))
    wave = torch.from_numpy(standardise(speech(data / "wav" / "C_s02.wav")))[None]
    network: Any = load_encoder(str(source))
    with torch.no_grad():
        hidden = network(wave).last_hidden_state[0].numpy()
        convolved = network.feature_extractor(wave)[0].T.numpy()
    np.testing.assert_allclose(features["C_s02"], convolved, atol=1e-6)
    np.testing.assert_allclose(features.hidden("C_s02"), hidden, atol=1e-5)
    assert len(features["C_s02"]) == feature_length(wave.shape[1])
    assert (features.encoder.kind, features.channels, features.encoder.name) == ("conv", 16, f"local {family.lower()}")
    assert features.encoder.config["conv_dim"] == [16] * 7


def test_a_clip_gets_what_it_gets_alone(data: Path, tmp_path: Path) -> None:
    """Group norm runs over the whole clip: a clip that saw another's padding or length would differ."""
    source = tiny_encoder(tmp_path / "encoder", "Wav2Vec2")
    together = Features(run(tmp_path / "all", data, encoder=str(source)))
    (tmp_path / "one" / "wav").mkdir(parents=True)
    (tmp_path / "one" / "wav" / "B_s01.wav").write_bytes((data / "wav" / "B_s01.wav").read_bytes())
    alone = Features(run(tmp_path / "single", tmp_path / "one", encoder=str(source)))
    np.testing.assert_array_equal(together["B_s01"], alone["B_s01"])


def test_other_transformer_weights_are_another_artifact(data: Path, tmp_path: Path) -> None:
    """Equal convolutions, another transformer: training would differ, so the artifact must."""
    import torch

    from models.hub import load_encoder

    first = tiny_encoder(tmp_path / "encoder", "Wav2Vec2")
    network: Any = load_encoder(str(first))
    with torch.no_grad():
        network.encoder.layers[1].final_layer_norm.bias += 0.1
    network.save_pretrained(tmp_path / "other" / "encoder")
    a = run(tmp_path / "a", data, encoder=str(first))
    b = run(tmp_path / "b", data, encoder=str(tmp_path / "other" / "encoder"))
    again = run(tmp_path / "c", data, encoder=str(first))
    assert (a / "features.h5").read_bytes() == (b / "features.h5").read_bytes()
    assert (a / "encoder.json").read_bytes() != (b / "encoder.json").read_bytes()
    assert (a / "encoder.json").read_bytes() == (again / "encoder.json").read_bytes()
    assert str(tmp_path) not in (a / "encoder.json").read_text()


def shapes(features: Features) -> list[tuple[int, ...]]:
    return [features[name].shape for name in features.ids()]


def test_reader_serves_threads_and_processes(logmel: Path) -> None:
    features = Features(logmel)
    expected = shapes(features)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(shapes, [features] * 8)) == [expected] * 8
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        assert workers.map(shapes, [features]) == [expected]
    copied = pickle.loads(pickle.dumps(features))
    assert shapes(copied) == expected
    features.close()
    assert shapes(features) == expected


def test_reader_says_what_is_missing(logmel: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sequence nobody"):
        Features(logmel)["nobody"]
    with pytest.raises(DataError, match="hidden = true"):
        Features(logmel).hidden("A_s01")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        Features(tmp_path)["A_s01"]
    with pytest.raises(DataError, match=r"encoder\.json"):
        _ = Features(tmp_path).encoder


def test_bad_sound_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "A_s09.wav", np.zeros(16000), 16000)
    with pytest.raises(DataError, match=r"A_s09\.wav is silent"):
        run(tmp_path / "run", tmp_path, encoder="log-mel")
    with pytest.raises(DataError, match="holds no wav file"):
        run(tmp_path / "run2", tmp_path / "run", encoder="log-mel")


def test_declarations() -> None:
    assert ExtractFeatures(Params(encoder="log-mel")).sources() == Sources()
    pretrained = ExtractFeatures(Params(encoder="facebook/wav2vec2-base-960h", hidden=True))
    assert pretrained.sources().pretrained == {"encoder": "facebook/wav2vec2-base-960h"}
    assert pretrained.label({"data": Upstream("p", "vocaset", {})}) == "vocaset-wav2vec2-base-960h-hidden"
    assert list(pretrained.check()) == []
    assert "log-mel" in next(iter(ExtractFeatures(Params(encoder="log-mel", hidden=True)).check()))


def test_encoder_record_is_readable_json(logmel: Path) -> None:
    facts = json.loads((logmel / "encoder.json").read_text())
    texts = {"vocabulary": [], "text_weights": ""}
    assert facts == {"name": "log-mel", "kind": "log-mel", "channels": 80, "config": {}, "weights": "", **texts}


def test_pretrained_encoders_use_the_jobs_workers(data: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    job = FakeJob.under(tmp_path / "run", {"data": data}, workers=before + 1)
    try:
        ExtractFeatures(Params(encoder=str(tiny_encoder(tmp_path / "encoder", "Wav2Vec2")))).run(job)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
