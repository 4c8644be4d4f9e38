"""One's own data in every form become the kind `sequences`, and each stays what it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess
from stages.preprocess.own import Settings
from stages.preprocess.own.description import read_description
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.own_files import FORMS, RATE, People, describe, gltf, write, write_gltf, write_regions


def run(folder: Path, out: Path, *, fps: float = 30.0, skip: tuple[str, ...] = ()) -> tuple[Sequences, FakeJob]:
    settings = Settings(str(folder), list(skip))
    stage = Preprocess(Preprocess.Params("own", fps), {"dataset": settings})
    job = FakeJob.under(out)
    stage.run(job)
    return Sequences(job.out), job


@pytest.mark.parametrize("form", FORMS)
def test_every_form_arrives_as_the_same_motion(tmp_path, form) -> None:
    people = People()
    folder = describe(write(tmp_path / "raw", form, people), form)
    read, _ = run(folder, tmp_path / "job")
    assert read.ids() == sorted(f"{subject}_{sentence}" for subject, sentence in people.names)
    for subject, sentence in people.names:
        name = f"{subject}_{sentence}"
        np.testing.assert_allclose(read.vertices(name), people.motion(subject, sentence), atol=2e-6)
        samples, rate = soundfile.read(read.wav(name))
        assert (rate, len(samples)) == (RATE, round(len(people.motion(subject, sentence)) / 30 * RATE))
        np.testing.assert_allclose(read.templates[subject], people.mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(read.faces, people.mesh.faces)
    assert (read.fps, read.units, read.info.up, read.info.dataset) == (30.0, "m", "y", "mine")
    assert {split: len(read.ids(split)) for split in ("train", "val", "test")} == {"train": 6, "val": 3, "test": 3}


def test_what_is_unknown_of_the_source_is_said_in_the_card(tmp_path) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy")
    _, job = run(folder, tmp_path / "job")
    card = read_card(job.out)
    assert card is not None
    assert (card.source.title, card.source.licence, card.source.terms) == ("mine", "unknown", "unknown")
    assert [check.passed for check in card.checks] == [True, True]


def test_units_and_axes_are_brought_to_metres_and_y_up(tmp_path) -> None:
    """Millimetres, z down and the face along -x."""
    people = People(subjects=("anna",))
    folder = write(tmp_path / "raw", "npy", people)
    turn = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], np.float32)  # rows: x, y and z of the file
    assert np.linalg.det(turn) == pytest.approx(1)
    for file in (folder / "motion").iterdir():
        np.save(file, np.load(file) @ turn.T * 1000)
    write_mesh(folder / "topology.ply", Mesh(people.mesh.vertices @ turn.T * 1000, people.mesh.faces))
    read, job = run(describe(folder, "npy", units='"mm"', up='"-z"', front='"-x"'), tmp_path / "job")
    np.testing.assert_allclose(read.vertices("anna_s2"), people.motion("anna", "s2"), atol=1e-6)
    assert (read.units, read.info.up) == ("m", "y")
    assert any("scaled from mm to metres" in line for line in job.said)


def test_z_up_is_kept(tmp_path) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy", up='"z"', front='"-y"')
    read, _ = run(folder, tmp_path / "job")
    assert read.info.up == "z"
    np.testing.assert_array_equal(read.vertices("bob_s1"), People().motion("bob", "s1"))


def test_every_second_frame(tmp_path) -> None:
    people = People(fps=60.0)
    folder = describe(write(tmp_path / "raw", "npy", people), "npy", fps="60.0")
    read, _ = run(folder, tmp_path / "job", fps=30.0)
    np.testing.assert_array_equal(read.vertices("anna_s1"), people.motion("anna", "s1")[::2])
    assert list(Preprocess(Preprocess.Params("own", 25.0), {"dataset": Settings(str(folder))}).check())


def test_templates_regions_and_other_sound(tmp_path) -> None:
    people = People()
    folder = write(tmp_path / "raw", "npy", people)
    write_regions(folder, people)
    (folder / "heads").mkdir()
    other = Mesh(people.mesh.vertices * np.float32(1.05), people.mesh.faces)
    write_mesh(folder / "heads" / "bob.obj", other)
    write_mesh(folder / "heads" / "neutral.ply", people.mesh)
    for file in (folder / "wav").iterdir():
        soundfile.write(file.with_suffix(".flac"), *soundfile.read(file))
        file.unlink()
    words = {"templates": '"heads"', "regions": '"regions"'}
    read, _ = run(describe(folder, "npy", **words), tmp_path / "job")
    np.testing.assert_array_equal(read.templates["bob"], other.vertices)
    np.testing.assert_array_equal(read.templates["cleo"], people.mesh.vertices)
    assert read.region_names == ["lips", "upper_face"]


def test_one_speaker_in_nested_folders_with_names_for_sentences(tmp_path) -> None:
    people = People(subjects=("x",), sentences=("hello", "good-bye", "rain"))
    folder = write(tmp_path / "raw", "npy", people)
    for kind, ending in (("motion", "npy"), ("wav", "wav")):
        for sentence in people.sentences:
            (folder / kind / sentence).mkdir()
            (folder / kind / f"x_{sentence}.{ending}").rename(folder / kind / sentence / f"take.{ending}")
    splits = (
        '[splits.train]\nsubjects = ["subject"]\nsentences = ["hello", "good-bye"]\n'
        '[splits.val]\nsubjects = []\n[splits.test]\nsubjects = ["subject"]\nsentences = ["rain"]\n'
    )
    read, _ = run(describe(folder, "npy", pattern='"{sentence}/take"', splits=splits), tmp_path / "job")
    assert read.ids("train") == ["subject_good-bye", "subject_hello"]
    assert read.ids("test") == ["subject_rain"]


@pytest.mark.parametrize("inline", [True, False])
def test_gltf_as_text(tmp_path, inline) -> None:
    people = People()
    folder = write(tmp_path / "raw", "gltf", people)
    for subject, sentence in people.names:
        file = folder / "motion" / f"{subject}_{sentence}.glb"
        file.unlink()
        parts = gltf(people.mesh, people.shapes, people.weights(subject, sentence), people.fps)
        write_gltf(file.with_suffix(".gltf"), *parts, inline=inline)
    settings = Settings(str(describe(folder, "gltf")))
    read, _ = run(folder, tmp_path / "job")
    np.testing.assert_allclose(read.vertices("bob_s3"), people.motion("bob", "s3"), atol=2e-6)
    assert ("the buffer 0 of bob_s3" in settings.sources().files) is not inline
    parts = settings.items({name: "d" for name in settings.sources().files}).each
    assert parts is not None
    assert len(parts["bob_s3"]) == (2 if inline else 3)


def test_what_is_not_a_shape_is_said(tmp_path) -> None:
    folder = write(tmp_path / "raw", "csv")
    for file in (folder / "motion").iterdir():
        lines = file.read_text().splitlines()
        file.write_text("\n".join([lines[0] + ",TongueOut", *(f"{line},{k}" for k, line in enumerate(lines[1:]))]))
    _, job = run(describe(folder, "csv"), tmp_path / "job")
    assert any(
        "12 of 12 sequences: columns that are no shape of the basis move nothing: tongueout" in s for s in job.said
    )


def test_a_sequence_depends_on_its_own_files_and_on_what_converts_it(tmp_path) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy")
    settings = Settings(str(folder))
    sources = {name: str(path) for name, path in settings.sources().files.items()}
    items = settings.items(sources)
    assert items.each is not None
    assert set(items.each) == {f"{s}_{t}" for s, t in People().names}
    assert len(set(map(str, items.each.values()))) == 12
    describe(folder, "npy", splits='[splits.train]\nsubjects = ["anna"]\n[splits.val]\nsubjects = ["bob"]\n')
    assert Settings(str(folder)).items(sources) == items
    describe(folder, "npy", units='"mm"')
    assert Settings(str(folder)).items(sources).shared != items.shared


def test_what_has_no_partner_is_skipped_and_listed(tmp_path) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy")
    (folder / "wav" / "anna_s1.wav").unlink()
    (folder / "motion" / "bob_s2.npy").unlink()
    soundfile.write(folder / "wav" / "cleo_s4.flac", People().sound("cleo", "s4"), RATE)
    np.save(folder / "motion" / "nobody.npy", People().motion("anna", "s1"))
    read, job = run(folder, tmp_path / "job", skip=("cleo_s1",))
    assert f"warning: {folder / 'wav/cleo_s4.wav'} is not read, cleo_s4.flac is" in job.said
    assert any("nobody.npy: its name does not fit the pattern" in line for line in job.said)
    assert dict(read.info.skipped) == {
        "anna_s1": "no sound", "bob_s2": "no motion", "cleo_s1": "left out by the parameter skip",
    }  # fmt: skip


def test_a_reordered_sequence_and_a_wrong_rate_are_warned_of(tmp_path) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy", fps="25.0")
    file = folder / "motion" / "bob_s4.npy"
    np.save(file, np.load(file)[:, np.random.default_rng(0).permutation(len(People().mesh.vertices))])
    _, job = run(folder, tmp_path / "job", fps=25.0)
    warnings = [line for line in job.said if line.startswith("warning: ")]
    assert warnings == [
        "warning: frames a second, by the length of the sound: 30.00 (expected 25)",
        "warning: vertices in the order of the triangles: all but 1, not bob_s4 (expected all sequences)",
    ]


def test_a_folder_that_is_not_described_yet(tmp_path) -> None:
    settings = Settings(str(tmp_path))
    assert not list(Preprocess(Preprocess.Params("own", 30.0), {"dataset": settings}).check())
    assert list(settings.sources().files.values()) == [tmp_path / "dataset.toml"]


def spoil_frames(folder: Path) -> str:
    frames = np.load(folder / "motion" / "bob_s2.npy")
    frames[7, 3, 1] = np.nan
    np.save(folder / "motion" / "bob_s2.npy", frames)
    return "bob_s2.npy, frame 7: NaN"


def spoil_size(folder: Path) -> str:
    np.save(folder / "motion" / "bob_s2.npy", np.zeros((4, 5, 3), np.float32))
    return "has 5 vertices, but the templates have"


def spoil_file(folder: Path) -> str:
    file = folder / "motion" / "bob_s2.npy"
    file.write_bytes(file.read_bytes()[:1000])
    return "bob_s2.npy is cut short"


def spoil_topology(folder: Path) -> str:
    (folder / "topology.ply").unlink()
    describe(folder, "npy", topology='""')
    return "holds no mesh with triangles"


def spoil_splits(folder: Path) -> str:
    describe(folder, "npy", splits='[splits.train]\nsubjects = ["anna"]\n[splits.val]\nsubjects = ["anna"]\n')
    return "puts anna's s1 into train and val"


def spoil_everything_in_the_description(folder: Path) -> str:
    (folder / "dataset.toml").write_text('fps = "x"\nunit = "mm"\nup = "y"\nfront = "-y"\n[files]\nform = "obj"\n')
    return "fps is 'x'"


@pytest.mark.parametrize(
    "spoil", [spoil_frames, spoil_size, spoil_file, spoil_topology, spoil_splits, spoil_everything_in_the_description]
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, spoil) -> None:
    folder = describe(write(tmp_path / "raw", "npy"), "npy")
    sentence = spoil(folder)
    with pytest.raises(DataError) as told:
        run(folder, tmp_path / "job")
    assert sentence in str(told.value)
    assert str(told.value).count("leave it out") <= 1


def test_all_mistakes_of_a_description_are_told_at_once(tmp_path) -> None:
    spoil_everything_in_the_description(tmp_path)
    with pytest.raises(DataError) as told:
        _ = Settings(str(tmp_path)).description
    lines = str(told.value).splitlines()
    assert len(lines) == 6
    assert any("unknown key 'unit'" in line and "Did you mean 'units'?" in line for line in lines)


def test_equal_folders_give_equal_artifacts(tmp_path) -> None:
    for name in ("one", "two"):
        run(describe(write(tmp_path / name, "meshes"), "meshes"), tmp_path / f"job {name}")
    files = [path.relative_to(tmp_path / "job one/out") for path in (tmp_path / "job one/out").rglob("*.*")]
    assert len(files) > 20
    for file in files:
        assert (tmp_path / "job one/out" / file).read_bytes() == (tmp_path / "job two/out" / file).read_bytes(), file
    json.loads((tmp_path / "job one/out/sequences.json").read_text())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fps = " + "[" * 5000, "its lists lie too deep"),
        (f"fps = 1{'0' * 400}", "fps is 1000"),
        (f"fps = 0x{'f' * 4000}", "fps is a very large number"),
        (f"units = '{'x' * 9000}'", "units is 'xxx"),
        (f"{'x' * 9000} = 1", "has the unknown key 'xxx"),
        ('files = { "a\\nb" = 1 }', r"unknown key 'a\nb'"),
        (f"files = {{ pattern = '{{{'x' * 9000}}}' }}", "pattern = "),
        (f"splits = {{ {'x' * 9000} = 1 }}", r"[splits.xxx"),
        (f"splits = {{ train = {{ subjects = [], {'x' * 9000} = 1 }} }}", "it takes no xxx"),
    ],
)
def test_a_mistake_is_a_line_whatever_the_description_holds(tmp_path, text, sentence) -> None:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DataError) as told:
        read_description(tmp_path / "dataset.toml")
    lines = str(told.value).split("\n")
    assert any(sentence in line for line in lines)
    assert all(line.startswith(str(tmp_path)) and len(line) < 1000 for line in lines)
