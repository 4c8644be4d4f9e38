"""Weights from elsewhere: released files of small networks, and folders of checkpoints, as artifacts of our own."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.codetalker.face import CodeTalker
from models.faceformer.face import FaceFormer
from models.selftalk.face import SelfTalk
from models.talking_face import Speech
from models.talkingstyle.face import TalkingStyle
from models.text import ENGLISH
from pipeline.errors import StageError
from stages.adopt import Adopt, Params
from stages.adopt.about import recognise
from stages.adopt.take import period_of
from stages.features import ExtractFeatures
from stages.features import Params as Heard
from stages.features.own_encoder import own_encoder
from stages.kinds.checkpoint import Checkpoint, read_weights
from tests.models import tiny_selftalk
from tests.models.released_files import (
    BIWI_PRIOR,
    ENCODER,
    codetalker,
    faceformer,
    motion_prior,
    talkingstyle,
    write,
)
from tests.stages.fake_job import FakeJob


def adopt(folder: Path, **params: Any) -> Path:
    job = FakeJob.under(folder)
    Adopt(Params(**params)).run(job)
    return job.out


def speech(subjects: int, channels: int = 16, vertices: int = 11) -> Speech:
    draw = torch.Generator().manual_seed(1)
    styles = torch.eye(subjects)
    return Speech(torch.randn(60, channels, generator=draw), torch.randn(3 * vertices, generator=draw), styles)


def check_alike(made: Checkpoint, network: FaceFormer | TalkingStyle | CodeTalker) -> None:
    """The very weights, and their motion to rounding, which where they lie in memory may change."""
    loaded: Any = made.load_network()
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    (found,), (expected,) = loaded.predict_all([speech(3)]), network.predict_all([speech(3)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_faceformer_speaks_as_before(tmp_path):
    network = faceformer(subjects=3)
    file = write(network, tmp_path / "vocaset.pth")
    made = Checkpoint(adopt(tmp_path / "job", weights=str(file), model="faceformer"))
    check_alike(made, network)
    assert made.facts.train_subjects == ["subject1", "subject2", "subject3"]
    assert (made.facts.fps, made.config.settings["alignment"], made.config.settings["period"]) == (
        30.0,
        "interpolate",
        30,
    )


def test_the_table_of_positions_tells_the_rate(tmp_path):
    """The period of the position table is a second of frames; at 25 two features make a frame."""
    network = faceformer(fps=25.0)
    made = Checkpoint(adopt(tmp_path / "job", weights=str(write(network, tmp_path / "x.pth")), model="faceformer"))
    assert (made.facts.fps, made.config.settings["alignment"], made.config.settings["period"]) == (25.0, "pairs", 25)
    check_alike(made, network)


def test_without_a_table_the_rate_is_said(tmp_path):
    state = torch.load(write(faceformer(fps=25.0), tmp_path / "x.pth"))
    del state["PPE.pe"]
    assert period_of(state, "PPE.pe") == 0
    torch.save(state, tmp_path / "x.pth")
    made = Checkpoint(adopt(tmp_path / "job", weights=str(tmp_path / "x.pth"), model="faceformer", fps=25.0))
    assert (made.config.settings["period"], made.config.settings["alignment"]) == (25, "pairs")


@pytest.mark.parametrize(("vertices", "subjects", "dataset", "fps", "units", "first"), [
    (5023, 8, "vocaset", 30.0, "m", "FaceTalk_170728_03272_TA"),
    (5023, 2, "vocaset", 30.0, "m", "subject1"),
    (23370, 6, "biwi", 25.0, "unit-area", "F2"),
])  # fmt: skip
def test_the_mesh_tells_the_data_set(tmp_path, vertices, subjects, dataset, fps, units, first):
    file = write(faceformer(vertices, subjects, fps), tmp_path / "x.pth")
    made = Checkpoint(adopt(tmp_path / "job", weights=str(file), model="faceformer"))
    assert (made.config.dataset, made.facts.fps, made.config.units) == (dataset, fps, units)
    assert made.facts.train_subjects[0] == first
    assert len(made.facts.train_subjects) == subjects


@pytest.mark.parametrize("fps", [30.0, 25.0])
def test_talkingstyle_speaks_as_before(tmp_path, fps):
    network = talkingstyle(fps=fps)
    made = Checkpoint(adopt(tmp_path / "job", weights=str(write(network, tmp_path / "x.pth")), model="talkingstyle"))
    check_alike(made, network)
    assert (made.facts.fps, made.config.settings["period"], made.config.settings["layers"]) == (fps, fps, 3)
    assert made.facts.encoder_config["model_type"] == "hubert"
    extractor = own_encoder(made.path, device="cpu")
    wave = np.random.default_rng(1).normal(size=4000).astype(np.float32)
    heard = network.audio_encoder.convolve(torch.from_numpy((wave - wave.mean()) / wave.std())[None])[0]
    np.testing.assert_allclose(extractor.encode(wave).features, heard, atol=1e-4)


@pytest.mark.parametrize(("fps", "alignment"), [(0.0, "interpolate"), (25.0, "pairs"), (24.0, "interpolate")])
def test_3d_mead_is_faces_of_flame_at_the_rate_that_is_said(tmp_path, fps, alignment):
    """A file of it says nothing of its rate, and has other subjects than VOCASET."""
    network = talkingstyle(5023, subjects=5)
    file = write(network, tmp_path / "mead.pth")
    assert recognise(file).subjects == [f"subject{number}" for number in range(1, 6)]
    made = Checkpoint(adopt(tmp_path / "job", weights=str(file), model="talkingstyle", fps=fps))
    assert (made.facts.fps, made.config.settings["alignment"]) == (fps or 30.0, alignment)
    assert made.facts.train_subjects == [f"subject{number}" for number in range(1, 6)]
    (spoken,) = made.load_network().predict_all([speech(5, vertices=5023)])
    assert spoken.shape == (5, 30 if fps == 25 else int(60 / 50 * (fps or 30)), 15069)


@pytest.mark.parametrize(
    ("period", "fps", "told"),
    [
        (25.0, 0.0, ["warning: mead.pth is taken as vocaset's, at 30 frames per second"]),
        (25.0, 25.0, []),
        (30.0, 0.0, []),
    ],
)
def test_positions_of_another_rate_than_the_data_sets_are_told(tmp_path, period, fps, told):
    file = write(talkingstyle(5023, subjects=5, fps=period), tmp_path / "mead.pth")
    job = FakeJob.under(tmp_path / "job")
    Adopt(Params(weights=str(file), model="talkingstyle", fps=fps)).run(job)
    assert [line.partition(";")[0] for line in job.said] == told


@pytest.mark.parametrize("flavour", ["vocaset", "biwi"])
def test_codetalker_is_taken_over_with_its_prior(tmp_path, flavour):
    prior = motion_prior(settings=BIWI_PRIOR) if flavour == "biwi" else motion_prior()
    network = codetalker(prior, fps=25.0 if flavour == "biwi" else 30.0)
    first, second = write(prior, tmp_path / "s1.pth.tar"), write(network, tmp_path / "s2.pth.tar")
    made = adopt(tmp_path / "job", weights=str(second), prior=str(first), model="codetalker")
    check_alike(Checkpoint(made), network)


@pytest.mark.parametrize("settings", tiny_selftalk.BOTH, ids=["vocaset", "biwi"])
def test_selftalk_has_one_style_and_knows_no_lips(tmp_path, settings):
    """Its motion's rate shows in the width of what a frame hears, and its recogniser's letters in no shape."""
    network, file = tiny_selftalk.network(settings, encoder="some/encoder", config=ENCODER), tmp_path / "vocaset.pth"
    torch.save(tiny_selftalk.published(network), file)
    made = Checkpoint(adopt(tmp_path / "job", weights=str(file), model="selftalk"))
    state, loaded = network.state_dict(), made.load_network()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    assert not any("text_encoder" in name for name in read_weights(made.path / "model.safetensors"))
    (found,), (expected,) = loaded.predict_all([speech(1)]), network.predict_all([speech(1)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert made.facts.train_subjects == ["anyone"]
    assert (made.facts.fps, made.config.settings["alignment"]) == (network.fps, settings.alignment)
    assert (made.facts.vocabulary, made.facts.text_width, made.config.settings["lip_vertices"]) == ([], 24, 4)
    assert not loaded.reads


def test_selftalks_english_letters_are_known(tmp_path):
    facts = replace(tiny_selftalk.facts(tiny_selftalk.VOCASET, "some/encoder", ENCODER), vocabulary=ENGLISH)
    state = tiny_selftalk.published(SelfTalk.build(tiny_selftalk.VOCASET, facts))
    torch.save(state, tmp_path / "vocaset.pth")
    made = Checkpoint(adopt(tmp_path / "job", weights=str(tmp_path / "vocaset.pth"), model="selftalk"))
    assert made.load_network().vocabulary == ENGLISH


def test_codetalker_needs_its_prior(tmp_path):
    prior = motion_prior()
    first, second = write(prior, tmp_path / "s1.pth.tar"), write(codetalker(prior), tmp_path / "s2.pth.tar")
    with pytest.raises(StageError, match=r"built upon 'codetalker-vq': give that file as prior"):
        adopt(tmp_path / "a", weights=str(second), model="codetalker")
    with pytest.raises(StageError, match=r"prior is of 'codetalker', and .* give the first stage"):
        adopt(tmp_path / "b", weights=str(second), prior=str(second), model="codetalker")
    with pytest.raises(StageError, match=r"model = 'faceformer', and .* is of 'codetalker-vq'"):
        adopt(tmp_path / "c", weights=str(first), model="faceformer")
    assert [*Adopt(Params(weights="x.pth", model="faceformer", prior="y.pth")).check()]


def test_a_file_of_no_model_names_the_nearest(tmp_path):
    state = torch.load(write(faceformer(), tmp_path / "x.pth"))
    del state["vertice_map_r.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"x\.pth is of no model known here \(.*\): 8 of the 9 entries that mark face"):
        recognise(tmp_path / "x.pth")
    with pytest.raises(DataError, match=r"of our own checkpoints give the folder"):
        recognise(tmp_path / "model.safetensors")


def test_a_damaged_file_and_weights_that_are_no_numbers(tmp_path):
    file = write(faceformer(), tmp_path / "x.pth")
    state = torch.load(file)
    state["audio_feature_map.bias"][0] = torch.nan
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(DataError, match=r"nan\.pth holds weights that are no numbers, in audio_feature_map\.bias"):
        adopt(tmp_path / "a", weights=str(tmp_path / "nan.pth"), model="faceformer")
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"cut\.pth"):
        recognise(tmp_path / "cut.pth")


def test_subjects_may_be_named(tmp_path):
    file = str(write(faceformer(subjects=2), tmp_path / "x.pth"))
    made = Checkpoint(adopt(tmp_path / "a", weights=file, model="faceformer", subjects=["ann", "bob"]))
    assert made.facts.train_subjects == ["ann", "bob"]
    with pytest.raises(StageError, match=r"subjects names 1, and .* was trained on 2"):
        adopt(tmp_path / "b", weights=file, model="faceformer", subjects=["ann"])


def test_a_folder_of_ours_is_copied(tmp_path):
    source = adopt(tmp_path / "a", weights=str(write(faceformer(), tmp_path / "x.pth")), model="faceformer")
    copy = tmp_path / "elsewhere"
    shutil.copytree(source, copy)
    made = adopt(tmp_path / "b", weights=str(copy), model="faceformer")
    assert {file.name: file.read_bytes() for file in made.iterdir()} == {
        file.name: file.read_bytes() for file in source.iterdir()
    }
    (copy / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"has no model\.safetensors: copy the whole folder"):
        adopt(tmp_path / "c", weights=str(copy), model="faceformer")
    with pytest.raises(StageError, match="holds 'faceformer'"):
        adopt(tmp_path / "d", weights=str(copy), model="codetalker")


def test_its_own_convolutions_hear(tmp_path):
    network = faceformer()
    made = adopt(tmp_path / "job", weights=str(write(network, tmp_path / "x.pth")), model="faceformer")
    wave = np.random.default_rng(1).normal(size=4000).astype(np.float32)
    extractor = own_encoder(made, device="cpu")
    heard = network.audio_encoder.convolve(torch.from_numpy((wave - wave.mean()) / wave.std())[None])[0]
    np.testing.assert_allclose(extractor.encode(wave).features, heard, atol=1e-4)
    checkpoint = Checkpoint(made)
    assert extractor.facts.weights == checkpoint.config.encoder_weights != ""
    assert extractor.facts.channels == checkpoint.facts.channels == 16


def test_a_network_without_convolutions_says_what_it_hears(tmp_path):
    made = adopt(tmp_path / "job", weights=str(write(faceformer(), tmp_path / "x.pth")), model="faceformer")
    config = json.loads((made / "config.json").read_text())
    config["facts"] |= {"encoder": "log-mel", "encoder_config": {}}
    (made / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="without convolutions of its own; it hears log-mel"):
        own_encoder(made, device="cpu")


def test_the_label_is_the_files_name():
    assert Adopt(Params(weights="a b/biwi_stage2.pth.tar", model="codetalker")).label({}) == "biwi_stage2-codetalker"
    assert Adopt(Params(weights="my net--x/", model="faceformer")).label({}) == "my-net-faceformer"


def test_prior_weights_are_stored_beside(tmp_path):
    prior = motion_prior()
    first, second = write(prior, tmp_path / "s1.pth.tar"), write(codetalker(prior), tmp_path / "s2.pth.tar")
    made = adopt(tmp_path / "job", weights=str(second), prior=str(first), model="codetalker")
    stored = read_weights(made / "prior.safetensors")
    assert torch.equal(stored["quantize.embedding.weight"], prior.state_dict()["quantize.embedding.weight"])


def test_features_want_a_network_only_for_its_convolutions():
    own, mel = ExtractFeatures(Heard(encoder="checkpoint")), ExtractFeatures(Heard(encoder="log-mel"))
    assert {slot: spec.optional for slot, spec in own.slots().items()} == {"data": False, "checkpoint": False}
    assert list(mel.slots()) == ["data"]
    assert not own.sources().pretrained
    (said,) = ExtractFeatures(Heard(encoder="checkpoint", hidden=True)).check()
    assert "a network's own transformer is trained, not frozen" in said
