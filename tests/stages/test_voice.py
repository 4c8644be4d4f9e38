"""Sound of the user's own and a face: what becomes of it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from faces.mesh import read_mesh
from faces.obj import read_obj
from faces.ply import write_ply
from pipeline.errors import StageError
from pipeline.stage import of_json
from stages.datacard.facts import gather
from stages.kinds.predictions import Info, Item, Predictions, write_index
from stages.kinds.sequences import Sequences
from stages.metrics.choose import _takes
from stages.render.choice import choose
from stages.voice import Params, Voice
from stages.voice.sound_files import plain_id, sounds_in
from tests.assets import asset, needs_assets
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import VERTICES, make_sequences
from tests.stages.voices import describe, given, tone, write_tone

HERE = {"subject": "D"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_sequences(tmp_path_factory.mktemp("data") / "tiny")


def voice(
    folder: Path, audio: Path, data: Path | None, *, about: dict[str, Any] | None = None, **params: Any
) -> FakeJob:
    job = FakeJob.under(folder / "job", given(describe(folder / "checkpoint", **(about or {})), data))
    Voice(Params(audio=str(audio), **params)).run(job)
    return job


def refusal(folder: Path, audio: Path, data: Path | None, **params: Any) -> str:
    with pytest.raises((DataError, StageError)) as caught:
        voice(folder, audio, data, **params)
    return str(caught.value)


# -- what is sound, and what it is called ------------------------------------------------------------------------------


def test_files_are_counted_as_a_person_would(tmp_path):
    for name in ("take10.wav", "take2.flac", "Take 1.WAV", ".hidden.wav", "notes.txt", "b/deep.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert list(sounds_in(tmp_path)) == ["Take_1", "take2", "take10"]


def test_names_are_made_safe_and_unique(tmp_path):
    for name in ("a b.wav", "a_b.wav", "a b.mp3", "..x.wav", "übung.ogg"):
        (tmp_path / name).write_bytes(b"x")
    found = {name: file.name for name, file in sounds_in(tmp_path).items()}
    assert found["a_b"] == "a b.wav"
    assert {found["a_b-2"], found["a_b-3"]} == {"a b.mp3", "a_b.wav"}
    assert "übung" in found
    assert plain_id("..") == "sound"


def test_a_number_that_is_given_is_no_name_that_another_file_has(tmp_path):
    for name in ("x.flac", "x.ogg", "x-2.wav"):
        (tmp_path / name).write_bytes(b"x")
    found = {name: file.name for name, file in sounds_in(tmp_path).items()}
    assert found["x-2"] == "x-2.wav"
    assert found.keys() == {"x", "x-2", "x-3"}


def test_a_folder_without_sound_and_no_folder(tmp_path):
    with pytest.raises(StageError, match=r"holds no sound: none of its files ends in \.wav, \.flac"):
        sounds_in(tmp_path)
    with pytest.raises(StageError, match="gone is not there: give a file of sound"):
        sounds_in(tmp_path / "gone")


# -- what is made ------------------------------------------------------------------------------------------------------


def test_sound_and_a_face_of_the_data(tmp_path, data):
    write_tone(tmp_path / "in" / "hello.wav", rate=44_100, channels=2)
    write_tone(tmp_path / "in" / "bye.flac", seconds=0.7, rate=8000)
    job = voice(tmp_path, tmp_path / "in", data, subject="D")
    made, known = Sequences(job.out), Sequences(data)
    assert made.ids("voice") == ["bye", "hello"]
    assert (made.entry("hello").samples, made.entry("hello").sample_rate) == (22_050, 44_100)
    assert (made.entry("bye").subject, made.entry("bye").frames) == ("D", 0)
    assert (made.fps, made.units, made.info.up) == (30.0, "m", "y")
    assert made.train_subjects == ["A", "B"]
    assert list(made.templates) == ["D"]
    assert np.array_equal(made.template_of("hello"), known.templates["D"])
    assert np.array_equal(made.faces, known.faces)
    assert made.region_names == known.region_names
    heard, rate = soundfile.read(made.wav("hello"), dtype="int16")
    assert rate == 44_100
    np.testing.assert_allclose(heard / 32767, tone(0.5, 44_100)[:, 0], atol=1e-4)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
def test_formats(tmp_path, data, name):
    job = voice(tmp_path, write_tone(tmp_path / name, rate=22_050), data, subject="A")
    assert Sequences(job.out).entry("x").sample_rate == 22_050


def test_sound_alone_is_a_state_that_readers_know(tmp_path, data):
    """It is drawn as prediction alone, and nothing is measured or trained on it, in a sentence."""
    made = Sequences(voice(tmp_path, write_tone(tmp_path / "x.wav"), data, subject="D").out)
    assert not made.has_motion("x")
    assert Sequences(data).has_motion("A_s01")
    with pytest.raises(DataError, match="no motion of x, which is sound alone"):
        made.vertices("x")
    items = {"x_condition_A": Item("x", "D", "A", "voice", 14)}
    (tmp_path / "predictions").mkdir()
    write_index(tmp_path / "predictions", Info(30.0, "m", "tiny", "faceformer", items))
    predictions = Predictions(tmp_path / "predictions")
    (clip,) = choose(made, predictions, ("truth", "prediction", "error"), [], 0)
    assert (clip.columns, clip.frames) == (("prediction",), 14)
    with pytest.raises(DataError, match="there is no truth to train on or to measure against"):
        _takes(made, "model", predictions, ["x_condition_A"])
    assert gather(made.path).total.frames == 0


def test_a_part_that_cannot_be_used_is_left_out_and_told(tmp_path, data):
    folder = tmp_path / "in"
    write_tone(folder / "good.wav")
    soundfile.write(folder / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(folder / "silent.wav", np.zeros(8000), 16_000)
    (folder / "nothing.mp3").touch()
    job = voice(tmp_path, folder, data, subject="A")
    made = Sequences(job.out)
    assert made.ids() == ["good"]
    empty = "its sound is empty"
    assert made.info.skipped == {"empty": empty, "nothing": empty, "silent": "its sound is silent"}
    assert job.said == [
        f"skipped empty.wav: {empty}",
        f"skipped nothing.mp3: {empty}",
        "skipped silent.wav: its sound is silent",
    ]


def test_items_are_sounds_and_another_subject_hears_none_anew(data):
    sources = {"sound a": "b3:1", "sound b": "b3:2", "mesh": "b3:3"}
    items = Voice(Params(audio="x", subject="A")).items({}, sources)
    assert items.each == {"a": "b3:1", "b": "b3:2"}
    assert items.shared is None
    assert not items.whole


def test_what_is_read_of_the_data_is_one_template(data):
    class Looked:
        path, content = data, {"regions": "r", "topology.ply": "t", "templates.npz": "n", "sequences.json": "s"}

    read = Voice(Params(audio="x", subject="A")).reads({"data": Looked})["data"]  # type: ignore[dict-item]
    digests = Sequences(data).template_digests
    assert read["templates.npz"] == of_json(digests["A"])
    assert "s" not in read.values()
    assert "templates.npz" not in Voice(Params(audio="x", mesh="m.ply")).reads({"data": Looked})["data"]  # type: ignore[dict-item]


def test_somebody_must_speak():
    assert [*Voice(Params(audio="x")).check()] == [
        "subject names nobody and mesh no file: one of them must say whose face speaks"
    ]


# -- bad sound ---------------------------------------------------------------------------------------------------------


def test_nothing_to_speak(tmp_path, data):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    assert "there is nothing to speak" in refusal(tmp_path, tmp_path / "empty.wav", data, subject="A")


def test_samples_that_are_no_numbers(tmp_path, data):
    wave = tone()
    wave[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", wave, 16_000, subtype="FLOAT")
    said = refusal(tmp_path, tmp_path / "nan.wav", data, subject="A")
    assert "nan.wav: samples that are not numbers (NaN or infinity): export it again as wav" in said


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.m4a", "x.txt"])
def test_what_is_no_sound(tmp_path, data, name):
    (tmp_path / name).write_bytes(b"this is no sound at all" * 40)
    said = refusal(tmp_path, tmp_path / name, data, subject="A")
    assert f"{name} cannot be read as sound" in said
    assert said.endswith("export it again as wav, or leave it out")


# -- faces -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path) -> Path:
    return write_tone(tmp_path / "x.wav")


def test_a_mesh_of_the_users(tmp_path, data, sound):
    known = Sequences(data)
    file = write_ply(tmp_path / "my face.ply", known.templates["C"] * 1.1, known.faces)
    made = Sequences(voice(tmp_path, sound, data, mesh=str(file)).out)
    assert list(made.templates) == ["my_face"]
    assert np.array_equal(made.templates["my_face"], known.templates["C"] * np.float32(1.1))
    assert made.region_names == known.region_names


def test_a_mesh_without_the_data(tmp_path, data, sound):
    known = Sequences(data)
    file = tmp_path / "face.obj"
    points = [f"v {x} {y} {z}\n" for x, y, z in known.templates["C"]]
    file.write_text("".join(points + [f"f {a} {b} {c}\n" for a, b, c in known.faces + 1]))
    made = Sequences(voice(tmp_path, sound, None, mesh=str(file), subject="me").out)
    assert np.array_equal(made.templates["me"], read_obj(file).vertices)
    assert made.region_names == []


def test_a_mesh_of_another_topology(tmp_path, data, sound):
    file = write_ply(tmp_path / "face.ply", np.ones((9, 3), np.float32), np.array([[0, 1, 2]]))
    said = refusal(tmp_path, sound, data, mesh=str(file))
    assert f"face.ply has 9 vertices and the network was trained on faces of {VERTICES}" in said


def test_a_mesh_of_another_size(tmp_path, data, sound):
    known = Sequences(data)
    file = write_ply(tmp_path / "face.ply", known.templates[min(known.templates)] * 1000, known.faces)
    said = refusal(tmp_path, sound, data, mesh=str(file))
    assert "1e+03 times as large as the faces of tiny: give it in m" in said


def test_a_mesh_whose_vertices_stand_in_another_order(tmp_path, sound):
    """On a grid, whose edges are short, an order that was lost shows."""
    across, down = np.meshgrid(np.arange(12), np.arange(12))
    points = np.stack([across, down, np.sin(across / 3)], axis=-1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(11)[:, None] * 12 + np.arange(11)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 12], 1), np.stack([corner + 1, corner + 13, corner + 12], 1)]
    )
    folder = make_sequences(tmp_path / "data", regions=False)
    np.savez(folder / "templates.npz", **dict.fromkeys("ABCD", points))
    write_ply(folder / "topology.ply", points, faces)
    index = (folder / "sequences.json").read_text()
    (folder / "sequences.json").write_text(index.replace(f'"vertices": {VERTICES}', '"vertices": 144'))
    order = np.random.default_rng(0).permutation(144)
    file = write_ply(tmp_path / "face.ply", points[order], faces)
    said = refusal(tmp_path, sound, folder, about={"vertices": 144}, mesh=str(file))
    assert "has as many vertices as the faces of tiny, and it is such a face with its vertices in another order" in said


def test_a_mesh_of_a_known_size_that_joins_other_vertices(tmp_path, sound):
    """FLAME's numbers, and triangles that are not FLAME's: with no data at hand, the table of topologies tells."""
    rng = np.random.default_rng(0)
    points, faces = rng.normal(size=(5023, 3)).astype(np.float32), rng.integers(0, 5023, (9976, 3))
    file = write_ply(tmp_path / "face.ply", points, faces)
    said = refusal(tmp_path, sound, None, about={"vertices": 5023}, mesh=str(file))
    assert "its triangles join others: its vertices stand in another order" in said


@needs_assets
def test_a_published_mesh_in_another_unit(tmp_path, sound):
    """Of a released network no data are at hand; that a head has the size of one is known."""
    mesh = read_mesh(asset("meshes/FLAME_sample.ply"))
    about = {"vertices": 5023, "units": "m"}
    file = write_ply(tmp_path / "face.ply", 1000 * mesh.vertices, mesh.faces)
    said = refusal(tmp_path / "a", sound, None, about=about, mesh=str(file))
    assert "981 times as large as a head: give it in m" in said
    right = write_ply(tmp_path / "right.ply", mesh.vertices, mesh.faces)
    voice(tmp_path / "b", sound, None, about=about, mesh=str(right))


def test_a_mesh_with_holes_in_its_numbers(tmp_path, data, sound):
    points = Sequences(data).templates["A"].copy()
    points[3, 1] = np.nan
    said = refusal(tmp_path, sound, data, mesh=str(write_ply(tmp_path / "face.ply", points, Sequences(data).faces)))
    assert "NaN" in said


def test_data_that_the_network_is_not_of(tmp_path, data, sound):
    assert "was trained for another frame rate: 25" in refusal(tmp_path, sound, data, about={"fps": 25.0}, subject="A")


def test_a_subject_without_data(tmp_path, sound):
    assert "no data to take the face of A from" in refusal(tmp_path, sound, None, subject="A")
