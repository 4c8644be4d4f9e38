"""What words after --subject and --style mean for a network, and what is offered for those that mean nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from faces.errors import DataError
from pipeline.errors import RecipeError
from stages.adopt.about import recognise
from stages.kinds.checkpoint import Checkpoint
from stages.voice.speaker import Speaker, choose_face, choose_styles, fits, of_file, of_folder
from tests.models.released_files import faceformer, motion_prior, write
from tests.stages.tiny import VERTICES, make_sequences
from tests.stages.voices import describe

SPEAKER = Speaker("faceformer", ["Anna", "Bert"], VERTICES, 30.0, "tiny", "log-mel")
"""Its subjects are none of the data's: a released file with names of its own."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_sequences(tmp_path_factory.mktemp("data") / "tiny")


def test_the_first_subject_that_is_tested_speaks(data):
    assert choose_face("", data, ["test"], "net") == ("B", None)
    assert choose_face("", data, ["val"], "net") == ("B", None)
    assert choose_face("", data, ["nothing"], "net") == ("A", None)
    assert choose_face("C", data, ["test"], "net") == ("C", None)


def test_a_mesh_speaks_under_its_own_name(tmp_path):
    (tmp_path / "face.PLY").write_bytes(b"ply")
    assert choose_face(str(tmp_path / "face.PLY"), None, [], "net") == ("", str(tmp_path / "face.PLY"))
    with pytest.raises(RecipeError, match="there is no such file; give a mesh"):
        choose_face("gone.obj", None, [], "net")


def test_unknown_subjects(data):
    with pytest.raises(RecipeError, match=r"--subject AA: net knows A, B, C, D, or give a mesh file.*Did you mean 'A'"):
        choose_face("AA", data, ["test"], "net")
    with pytest.raises(RecipeError, match="give the neutral face as a mesh of the same topology"):
        choose_face("A", None, ["test"], "net")


@pytest.mark.parametrize(
    ("words", "subject", "meant"),
    [
        ([], "Anna", ["Anna"]),
        ([], "Carl", "mean"),
        (["own"], "Bert", ["Bert"]),
        (["published"], "Bert", ["Bert"]),
        (["published"], "Carl", ["Anna", "Bert"]),
        (["all"], "Anna", "all"),
        (["mean"], "Anna", "mean"),
        (["mean", "Anna"], "Carl", ["mean", "Anna"]),
        (["Bert,all"], "Carl", ["Bert", "Anna"]),
        (["own", "mean"], "Bert", ["Bert", "mean"]),
        (["Anna,Bert"], "Carl", ["Anna", "Bert"]),
        (["Bert", "Anna:0.3+Bert:0.7", "Bert"], "Carl", ["Bert", "Anna:0.3+Bert:0.7"]),
    ],
)
def test_styles(words, subject, meant):
    assert choose_styles(words, subject, SPEAKER) == meant


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["Ana"],
            "--style Ana: 'Ana' is no style of this network, which was trained on Anna, Bert.*Did you mean 'Anna'",
        ),
        (["Anna:0.5+Carla:0.5"], "'Carla' is no style"),
        (["Anna:0.5+Bert:0.6"], "write a mixture as SUBJECT:WEIGHT"),
        (["own"], "--style own: Carl was not trained on; write all, mean, or name styles: Anna, Bert"),
        (["maen"], "Did you mean 'mean'"),
    ],
)
def test_styles_that_mean_nothing(words, said):
    with pytest.raises(RecipeError, match=said):
        choose_styles(words, "Carl", SPEAKER)


def test_a_network_without_styles_has_one_manner():
    alike = replace(SPEAKER, model="selftalk")
    for words in ([], ["own"], ["all"], ["published", "mean"]):
        assert choose_styles(words, "Anna", alike) == choose_styles(words, "Carl", alike) == "mean"
    with pytest.raises(RecipeError, match="--style Anna: selftalk has no styles and speaks in one manner"):
        choose_styles(["Anna", "mean"], "Anna", alike)


def test_a_checkpoint_and_a_released_file_tell_whom_they_know(tmp_path):
    told = of_folder(describe(tmp_path / "net"))
    assert (told.subjects, told.vertices, told.fps, told.dataset) == (["A", "B"], VERTICES, 30.0, "tiny")
    file = recognise(write(faceformer(5023, 8), tmp_path / "x.pth"))
    assert of_file(file, 0.0).fps == 30.0
    assert of_file(file, 0.0).subjects[1] == "FaceTalk_170904_00128_TA"


@pytest.mark.parametrize(
    ("track", "said", "drivable"),
    [("", "", False), ("nphm_expression", "with the stage drive", True), ("controls", "nothing makes faces", False)],
)
def test_a_network_of_a_track_says_what_becomes_of_its_rows(tmp_path, track, said, drivable):
    file = describe(tmp_path / "net") / "config.json"
    whole = json.loads(file.read_text())
    file.write_text(json.dumps(whole | {"facts": whole["facts"] | {"track": track}}))
    told = of_folder(file.parent)
    assert (told.track, told.drivable) == (track, drivable)
    assert said in told.faceless
    assert bool(told.faceless) == bool(track)


def test_a_motion_prior_does_not_speak(tmp_path):
    with pytest.raises(RecipeError, match=r"holds a motion prior \(codetalker-vq\), which does not speak"):
        of_file(recognise(write(motion_prior(), tmp_path / "x.pth.tar")), 0.0)
    with pytest.raises(RecipeError, match="does not speak"):
        of_folder(describe(tmp_path / "net", encoder=""))


def test_a_description_that_is_damaged(tmp_path):
    file = describe(tmp_path / "net") / "config.json"
    file.write_text(file.read_text().replace('"vertices": 12', '"vertices": "many"'))
    with pytest.raises(DataError, match="does not say what its network was trained for"):
        of_folder(tmp_path / "net")
    whole = json.loads((describe(tmp_path / "net") / "config.json").read_text())
    for change in ({"fps": "x"}, {"fps": 0}, {"train_subjects": [1]}, {"train_subjects": []}):
        file.write_text(json.dumps(whole | {"facts": whole["facts"] | change}))
        with pytest.raises(DataError, match="does not say what its network was trained for"):
            of_folder(tmp_path / "net")
    file.write_text(json.dumps(whole | {"facts": None}))
    with pytest.raises(DataError, match="does not say what its network was trained for"):
        of_folder(tmp_path / "net")
    file.write_text(json.dumps(whole | {"facts": {"vertices": 12}}))
    with pytest.raises(DataError, match="does not say what data its network is for"):
        _ = Checkpoint(tmp_path / "net").facts
    file.write_text("{")
    with pytest.raises(DataError, match=r"config\.json does not describe a network"):
        of_folder(tmp_path / "net")


def test_which_data_are_of_a_network(data, tmp_path):
    assert fits(data, SPEAKER)
    assert fits(data, Speaker("x", ["A", "B"], VERTICES, 30.0, "tiny", "log-mel"))
    assert not fits(data, Speaker("x", ["A", "Z"], VERTICES, 30.0, "tiny", "log-mel"))
    assert not fits(data, Speaker("x", [], VERTICES, 25.0, "tiny", "log-mel"))
    assert not fits(data, Speaker("x", [], VERTICES, 30.0, "vocaset", "log-mel"))
    assert not fits(tmp_path, SPEAKER)
