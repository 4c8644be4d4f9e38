"""What a frozen encoder says of each frame: computed, read off FaceTalk's track, trained on and spoken from."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.facetalk.settings import Settings
from models.resample import interpolate
from pipeline.errors import RecipeError
from pipeline.stage import Given, Input, Items, Sources, Upstream
from stages.audio import speech
from stages.features import ExtractFeatures, Params
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import BEST, Checkpoint, read_weights, write_weights
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Track, write_index, write_rows
from stages.preprocess.sound import Clip, write_wav
from stages.train import Params as TrainParams
from stages.train import Train, session
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.facetalk_files import FRAMES, IDS, RATE, run_facetalk, write_facetalk
from tests.stages.test_features import tiny_encoder
from tests.stages.tiny import make_sequences

TRACK = "speech_features"
SMALL = Settings(
    track="nphm_expression", feature_dim=16, layers=1, heads=2, feedforward=24, diffusion_steps=20, crop=4,
)  # fmt: skip


def features(folder: Path, data: Path, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {"data": data})
    stage = ExtractFeatures(Params(**params))
    assert list(stage.check()) == []
    stage.run(job)
    return job


def lengthen(root: Path) -> None:
    """Sound that ends 20 ms after the last frame, so that as many frames are made of it as there are."""
    for name in IDS:
        count = round(RATE * (FRAMES[name] / 24 + 0.02))
        samples = np.random.default_rng(IDS.index(name)).integers(-3000, 3000, count, dtype=np.int16)
        write_wav(root / name / "audio" / "cleaned_audio.wav", Clip(samples, RATE))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """FaceTalk's layout twice: as it is, and with what our encoder says in the place of its authors' features."""
    folder = tmp_path_factory.mktemp("frames")
    root = write_facetalk(folder / "root")
    lengthen(root)
    found = {"encoder": tiny_encoder(folder / "encoder", "Wav2Vec2"), "plain": run_facetalk(folder / "p", root).out}
    found["conv"] = features(folder / "conv", found["plain"], encoder=str(found["encoder"])).out
    found["computed"] = features(folder / "c", found["plain"], encoder=str(found["encoder"]), per_frame=True).out
    computed = Features(found["computed"])
    for name in IDS:
        (root / name / "audio" / "wave2vec_audio_feats.pkl").write_bytes(pickle.dumps(computed[name][None]))
    found["data"] = run_facetalk(folder / "d", root, audio_features=True).out
    found["read"] = features(folder / "r", found["data"], encoder="track", track=TRACK).out
    return found


def test_computed_features_are_the_encoders_last_states_at_the_frame_rate(made: dict[str, Path]) -> None:
    """Against `transformers` itself: convolutions, linear resampling with aligned ends, projection, transformer."""
    from models.hub import load_encoder
    from models.sound import standardise

    network: Any = load_encoder(str(made["encoder"]))
    found = Features(made["computed"])
    assert (found.encoder.kind, found.channels, found.encoder.name) == ("frames", 24, "local wav2vec2")
    for name in IDS:
        wave = standardise(speech(Sequences(made["plain"]).wav(name)))
        with torch.no_grad():
            convolved = network.feature_extractor(torch.from_numpy(wave)[None])[0].T
            projected, _ = network.feature_projection(interpolate(convolved, FRAMES[name])[None])
            expected = network.encoder(projected).last_hidden_state[0].numpy()
        assert found[name].shape == (FRAMES[name], 24)
        np.testing.assert_allclose(found[name], expected, atol=1e-5)


def test_read_features_are_those_that_were_computed(made: dict[str, Path]) -> None:
    read, computed = Features(made["read"]), Features(made["computed"])
    for name in IDS:
        np.testing.assert_array_equal(read[name], computed[name])
    assert (read.encoder.name, read.encoder.kind, read.channels) == ("track speech_features", "frames", 24)
    assert (read.encoder.weights, read.encoder.config) == ("", {})


def test_the_encoder_that_is_named_is_held_against_the_track(made: dict[str, Path], tmp_path: Path) -> None:
    named = features(tmp_path / "a", made["data"], encoder=str(made["encoder"]), track=TRACK)
    first = sorted(IDS)[0]
    assert any(line.startswith(f"of {first}, local wav2vec2 says what the track holds, to ") for line in named.said)
    assert Features(named.out).encoder == Features(made["computed"]).encoder
    np.testing.assert_array_equal(Features(named.out)[first], Features(made["read"])[first])
    another = tiny_encoder(tmp_path / "other", "Wav2Vec2", seed=1)
    wrong = features(tmp_path / "b", made["data"], encoder=str(another), track=TRACK)
    assert any(line.startswith("warning: of ") and "deviations from the track" in line for line in wrong.said)


def test_rows_of_another_number_are_brought_to_the_frames(tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "d")
    rng, names = np.random.default_rng(0), Sequences(data).ids()
    rows = {name: rng.standard_normal((40 + k, 3)).astype(np.float32) for k, name in enumerate(names)}
    for name, each in rows.items():
        write_rows(data, "speech", name, each)
    write_index(data, {"speech": Track("features", framewise=False)}, names)
    job = features(tmp_path / "f", data, encoder="track", track="speech")
    assert any("sequences have other rows than frames" in line and "end points aligned" in line for line in job.said)
    for name in names:
        frames = Sequences(data).entry(name).frames
        expected = interpolate(torch.from_numpy(rows[name]), frames).numpy()
        np.testing.assert_allclose(Features(job.out)[name], expected, atol=1e-6)
        np.testing.assert_array_equal(Features(job.out)[name][[0, -1]], rows[name][[0, -1]])


def test_sound_alone_has_the_frames_that_networks_make_of_it(made: dict[str, Path], tmp_path: Path) -> None:
    data = tmp_path / "d"
    make_sequences(data, fps=24.0)
    told = json.loads((data / "sequences.json").read_text())
    told["sequences"]["A_s01"]["frames"] = 0
    (data / "sequences.json").write_text(json.dumps(told))
    found = Features(features(tmp_path / "f", data, encoder=str(made["encoder"]), per_frame=True).out)
    samples = told["sequences"]["A_s01"]["samples"]
    assert found.length("A_s01") == int(((samples - 400) // 320 + 1) / 50 * 24)
    write_rows(data, "speech", "A_s01", np.zeros((3, 24)))
    for name in Sequences(data).ids():
        write_rows(data, "speech", name, np.zeros((3, 24)))
    write_index(data, {"speech": Track("features", framewise=False)}, Sequences(data).ids())
    with pytest.raises(DataError, match="holds the sound of A_s01 alone, so that nobody knows how many frames"):
        features(tmp_path / "g", data, encoder="track", track="speech")


def test_weights_of_a_file_take_the_place_of_the_encoders_own(made: dict[str, Path], tmp_path: Path) -> None:
    from models.hub import load_encoder

    other: Any = load_encoder(str(tiny_encoder(tmp_path / "other", "Wav2Vec2", seed=3)))
    torch.save({f"audio_encoder.{name}": value for name, value in other.state_dict().items()}, tmp_path / "w.pt")
    by_file = features(
        tmp_path / "a", made["plain"], encoder=str(made["encoder"]), per_frame=True, weights=str(tmp_path / "w.pt")
    )
    by_name = features(tmp_path / "b", made["plain"], encoder=str(tmp_path / "other"), per_frame=True)
    for name in IDS:
        np.testing.assert_allclose(Features(by_file.out)[name], Features(by_name.out)[name], atol=1e-6)
    assert Features(by_file.out).encoder.weights != Features(made["computed"]).encoder.weights


# -- training and speaking ---------------------------------------------------------------------------------------------


def train(folder: Path, data: Path, heard: Path, settings: Settings = SMALL, **params: Any) -> Path:
    told = {"encoder": str(heard.parents[1] / "encoder")}  # whose transformer a network with its own begins with
    given = {"data": data, "features": Input(heard, "features", "features", told)}
    job = FakeJob.under(folder, given, seed=5)
    Train(TrainParams(model="facetalk", **params), {"model": settings}).run(job)
    return job.out


def speak(folder: Path, checkpoint: Path, data: Path, heard: Path) -> dict[str, np.ndarray]:
    job = FakeJob.under(folder, {"checkpoint": checkpoint, "data": data, "features": heard}, seed=2)
    Infer(InferParams(splits=["test", "val"], samples=2, steps=6)).run(job)
    return {file.name: np.load(file) for file in sorted((job.out / "npy").iterdir())}


def test_the_motion_is_that_of_the_network_with_the_encoder(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same weights, same random numbers: two epochs upon read features learn, and then draw, what two epochs with the
    frozen encoder in the network do."""
    start = train(tmp_path / "0", made["plain"], made["conv"], epochs=1)
    state = read_weights(start / BEST)
    assert any(name.startswith("audio_encoder.") for name in state)
    write_weights(tmp_path / "bare.safetensors", {k: v for k, v in state.items() if not k.startswith("audio_encoder.")})
    build = session._network

    def drawn_alike(*arguments: Any) -> Any:  # what is drawn to build an encoder is not drawn without
        network = build(*arguments)
        torch.manual_seed(11)
        return network

    monkeypatch.setattr(session, "_network", drawn_alike)
    common: dict[str, Any] = {"epochs": 2, "lr": 1e-2, "batch_size": 2, "settings": replace(SMALL, dropout=0.0)}
    own = train(tmp_path / "own", made["plain"], made["conv"], weights=str(start / BEST), **common)
    read = train(tmp_path / "read", made["data"], made["read"], weights=str(tmp_path / "bare.safetensors"), **common)
    learnt, expected = read_weights(read / BEST), read_weights(own / BEST)
    assert learnt.keys() == {name for name in expected if not name.startswith("audio_encoder.")}
    assert (state["denoiser.outward.weight"] - learnt["denoiser.outward.weight"]).abs().max() > 1e-3
    for name, value in learnt.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-5)
    facts = Checkpoint(read).facts
    assert (facts.framewise, facts.encoder, facts.channels) == (True, "track speech_features", 24)
    motion = speak(tmp_path / "m", read, made["data"], made["read"])
    wanted = speak(tmp_path / "n", own, made["plain"], made["conv"])
    assert motion.keys() == wanted.keys()
    for name, rows in motion.items():
        assert np.ptp(rows, axis=0).max() > 1e-2
        np.testing.assert_allclose(rows, wanted[name], rtol=0, atol=1e-5)
    # sound that has no track is heard by the encoder that made it
    computed = speak(tmp_path / "o", read, made["plain"], made["computed"])
    for name, rows in computed.items():
        np.testing.assert_allclose(rows, wanted[name], rtol=0, atol=1e-5)


def test_other_features_are_refused(made: dict[str, Path], tmp_path: Path) -> None:
    network = train(tmp_path / "t", made["data"], made["read"], epochs=1)
    with pytest.raises(DataError, match=r"another feature channels: 24, this is 16; make features with track speech_f"):
        speak(tmp_path / "a", network, made["plain"], made["conv"])
    told = json.loads((made["data"] / "sequences.json").read_text())
    other = tmp_path / "d"
    other.mkdir()
    for file in made["data"].iterdir():
        (other / file.name).symlink_to(file)
    (other / "sequences.json").unlink()
    told["sequences"][IDS[0]]["frames"] += 1
    (other / "sequences.json").write_text(json.dumps(told))
    settings = replace(SMALL, track="")
    with pytest.raises(DataError, match=rf"features of 5 frames of {IDS[0]}, which has 6: run the features step"):
        train(tmp_path / "u", other, made["read"], settings, epochs=1)
    told["sequences"] = {name: told["sequences"][name] | {"frames": 9} for name in told["sequences"]}
    (other / "sequences.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=rf"features of 8 frames of {IDS[3]}, which has 9: run the features step"):
        speak(tmp_path / "v", network, other, made["read"])


def test_known_encoders_must_be_the_same(made: dict[str, Path], tmp_path: Path) -> None:
    network = train(tmp_path / "t", made["plain"], made["computed"], epochs=1)
    another = tiny_encoder(tmp_path / "other", "Wav2Vec2", seed=1)
    heard = features(tmp_path / "f", made["plain"], encoder=str(another), per_frame=True).out
    with pytest.raises(
        DataError, match=r"another speech encoder's weights: .* make features with local wav2vec2, one a"
    ):
        speak(tmp_path / "a", network, made["plain"], heard)


# -- what is planned ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"encoder": "track"}, "encoder = 'track' reads a track of the data: name it in track"),
        ({"encoder": "log-mel", "track": "x"}, "encoder = 'log-mel' has no frozen transformer, and track = 'x' is"),
        (
            {"encoder": "checkpoint", "per_frame": True},
            "encoder = 'checkpoint' has no frozen transformer, and",
        ),
        ({"encoder": "a/b", "per_frame": True, "hidden": True}, "hidden = true is kept at 50 Hz"),
        ({"encoder": "a/b", "track": "x", "text": True}, "text = true is kept at 50 Hz"),
        ({"encoder": "a/b", "weights": "w.pt"}, "weights = 'w.pt' is read with a pretrained encoder and per_frame"),
        ({"encoder": "track", "track": "x", "weights": "w.pt"}, "weights = 'w.pt' is read with a pretrained encoder"),
    ],
)
def test_parameters_that_do_not_go_together(params: dict[str, Any], match: str) -> None:
    assert any(match in sentence for sentence in ExtractFeatures(Params(**params)).check())


def test_declarations() -> None:
    data = {"data": Upstream("p", "facetalk", {})}
    read = ExtractFeatures(Params(encoder="track", track=TRACK))
    assert read.sources() == Sources()
    assert (read.label(data), read.needs().gpu) == ("facetalk-speech_features-frames", 0)
    assert read.uses("data") == ("sequences.json", "tracks.json", "tracks")
    named = ExtractFeatures(Params(encoder="a/b", track=TRACK, weights="w.pt"))
    assert named.sources() == Sources({"weights": Path("w.pt")}, {"encoder": "a/b"})
    computed = ExtractFeatures(Params(encoder="a/b", per_frame=True))
    assert computed.uses("data") == ("sequences.json", "wav")
    assert computed.label(data) == "facetalk-b-frames"


def test_a_key_hangs_on_the_track_and_the_numbers_of_frames_alone(made: dict[str, Path]) -> None:
    stage = ExtractFeatures(Params(encoder="track", track=TRACK))
    files = {
        file.relative_to(made["data"]).as_posix(): (1, file.read_bytes().hex())
        for file in made["data"].rglob("*")
        if file.is_file()
    }

    def asked(**changed: str) -> tuple[Any, Items]:
        told = files | {name.replace("|", "/"): (1, digest) for name, digest in changed.items()}
        tops = {name.partition("/")[0] for name in told}
        content = {top: str([told[name] for name in sorted(told) if name.split("/")[0] == top]) for top in tops}
        used = {top: digest for top, digest in content.items() if top in stage.uses("data")}
        given = {"data": Given(made["data"], used, lambda: Manifest(told))}
        found = stage.items(given, {})
        assert found is not None
        return stage.reads(given), found

    reads, items = asked()
    assert items.each is not None
    assert set(items.each) == set(IDS)
    same = [f"wav/{IDS[0]}.wav", f"vertices_npy/{IDS[0]}.npy", f"tracks/nphm_expression/{IDS[0]}.npy", "templates.npz"]
    for name in same:
        assert name in files
        assert asked(**{name.replace("/", "|"): "changed"}) == (reads, items)
    other, parts = asked(**{f"tracks|{TRACK}|{IDS[0]}.npy": "changed"})
    assert other != reads
    assert parts.each is not None
    assert [name for name in IDS if parts.each[name] != items.each[name]] == [IDS[0]]


def test_a_track_that_is_not_there_is_said(made: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no track 'speech_features'; it has nphm_expression: name one of these"):
        features(tmp_path / "a", made["plain"], encoder="track", track=TRACK)
    data = tmp_path / "d"
    data.mkdir()
    for file in made["data"].iterdir():
        (data / file.name).symlink_to(file)
    (data / "tracks.json").unlink()
    told = json.loads((made["data"] / "tracks.json").read_text())
    del told[TRACK]["rows"][IDS[2]]
    (data / "tracks.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=f"lacks the track 'speech_features' of {IDS[2]}: leave them out with skip"):
        features(tmp_path / "b", data, encoder="track", track=TRACK)


def test_an_encoder_of_another_width_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    data = make_sequences(tmp_path / "d")
    names = Sequences(data).ids()
    for name in names:
        write_rows(data, "speech", name, np.random.default_rng(0).standard_normal((9, 5)))
    write_index(data, {"speech": Track("features", framewise=False)}, names)
    with pytest.raises(DataError, match="rows of 5 numbers, and local wav2vec2 makes 24: name the encoder that made"):
        features(tmp_path / "f", data, encoder=str(made["encoder"]), track="speech")


def test_a_network_with_an_encoder_of_its_own_is_refused_while_planning() -> None:
    given = {"data": Upstream("p", "d", {}), "features": Upstream("heard", "f", {"encoder": "a/b", "per_frame": True})}
    from models.faceformer.settings import Settings as FaceFormerSettings

    with pytest.raises(RecipeError, match=r"step 'heard' makes one of each frame \(per_frame = True\): leave that out"):
        Train(TrainParams(model="faceformer"), {"model": FaceFormerSettings()}).components(given)
    assert list(Train(TrainParams(model="facetalk"), {"model": SMALL}).components(given)) == []
