"""BIWI's layouts in, the kind `sequences` out: every form of frames gives the same heads, normalised as published."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.sequences import Sequences
from stages.preprocess.biwi import Settings
from stages.preprocess.biwi.variants import VARIANTS
from tests.stages.preprocess.biwi_files import (
    OTHER,
    RATE,
    SENTENCES,
    TRAIN,
    TRIANGLES,
    UNSEEN,
    biwi_data,
    published,
    run_biwi,
)

NAMES = [(subject, sentence) for subject in (TRAIN, OTHER, UNSEEN) for sentence in SENTENCES]


@pytest.mark.parametrize("ending", [".vl", ".obj"])
def test_the_raw_layout_is_normalised_as_published(tmp_path: Path, ending: str) -> None:
    data = biwi_data()
    job = run_biwi(tmp_path / "job", data.write(tmp_path / "raw", ending))
    read = Sequences(job.out)
    assert (read.info.dataset, read.fps, read.units, read.info.up) == ("biwi", 25.0, "unit-area", "y")
    assert read.ids() == sorted("_".join(name) for name in NAMES)
    for name in NAMES:
        expected = np.stack([published(frame) for frame in data.motion[name]])
        np.testing.assert_allclose(read.vertices("_".join(name)), expected, atol=2e-7)
    for subject, template in data.templates.items():  # 1.3 m away, in float32
        np.testing.assert_allclose(read.templates[subject], published(template), atol=1e-6)
    np.testing.assert_array_equal(read.faces, TRIANGLES)
    assert "frames: each by itself, as published; templates: each by itself, as published" in job.said


def test_sound_arrives_unchanged(tmp_path: Path) -> None:
    data = biwi_data()
    read = Sequences(run_biwi(tmp_path / "job", data.write(tmp_path / "raw")).out)
    for name in NAMES:
        samples, rate = soundfile.read(read.wav("_".join(name)), dtype="int16")
        np.testing.assert_array_equal(samples, data.audio[name])
        assert (rate, read.entry("_".join(name)).samples) == (RATE, len(samples))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ready_arrays_are_taken_as_they_are(tmp_path: Path, dtype: type) -> None:
    ready = biwi_data().normalised
    job = run_biwi(tmp_path / "job", ready.write_ready(tmp_path / "ready", dtype))
    read = Sequences(job.out)
    for name in NAMES:
        np.testing.assert_array_equal(read.vertices("_".join(name)), ready.motion[name].astype(np.float32))
    for subject, template in ready.templates.items():
        np.testing.assert_array_equal(read.templates[subject], template.astype(np.float32))
    assert read.units == "unit-area"
    assert "frames: taken as they are; templates: taken as they are" in job.said
    assert not [line for line in job.said if "mean" in line]


def test_arrays_of_three_axes_and_templates_as_an_archive(tmp_path: Path) -> None:
    ready = biwi_data().normalised
    root = ready.write_ready(tmp_path / "ready")
    name = (TRAIN, "e01")
    np.save(root / "vertices_npy" / "F2_e01.npy", ready.motion[name])
    (root / "templates.pkl").unlink()
    np.savez(root / "templates.npz", **{subject: t.reshape(-1) for subject, t in ready.templates.items()})
    read = Sequences(run_biwi(tmp_path / "job", root).out)
    np.testing.assert_array_equal(read.vertices("F2_e01"), ready.motion[name].astype(np.float32))
    np.testing.assert_array_equal(read.templates[TRAIN], ready.templates[TRAIN].astype(np.float32))


def test_raw_frames_beside_ready_templates(tmp_path: Path) -> None:
    """Each is treated by what it is: `auto` normalises the frames and leaves the templates alone."""
    data = biwi_data()
    root = data.write(tmp_path / "raw")
    (root / "templates.pkl").write_bytes(pickle.dumps(data.normalised.templates, protocol=2))
    mesh = root / "rigid_scans" / "F2.obj"
    one = Sequences(run_biwi(tmp_path / "one", root).out)
    two = Sequences(run_biwi(tmp_path / "two", root, templates=str(root / "templates.pkl"), topology=str(mesh)).out)
    np.testing.assert_array_equal(one.vertices("F2_e01"), two.vertices("F2_e01"))
    np.testing.assert_allclose(one.templates[TRAIN], two.templates[TRAIN], atol=1e-6)
    assert two.units == "unit-area"


def test_by_template_heads_neither_move_nor_shrink(tmp_path: Path) -> None:
    data = biwi_data()
    data.motion[TRAIN, "e01"][:] = data.templates[TRAIN]
    data.motion[TRAIN, "e01"][4, 3] += [0, 60, 0]  # one vertex moves, as a jaw does
    root = data.write(tmp_path / "raw")
    frame, template = (Sequences(run_biwi(tmp_path / rule, root, normalise=rule).out) for rule in ("frame", "template"))
    still = np.array([0, 1, 2, 4, 5])
    for read, most, least in ((template, 1e-6, 0), (frame, 1, 0.01)):
        moved = np.abs(read.vertices("F2_e01")[4] - read.templates[TRAIN])[still].max()
        assert least <= moved <= most
    np.testing.assert_array_equal(frame.templates[TRAIN], template.templates[TRAIN])
    assert (frame.units, template.units) == ("unit-area", "template-area")


def test_official_splits_with_both_tests(tmp_path: Path) -> None:
    read = Sequences(run_biwi(tmp_path / "job", biwi_data().write(tmp_path / "raw")).out)
    assert list(read.info.subjects) == ["train", "val", "test-a", "test-b"]
    assert read.train_subjects == ["F2", "F3", "F4", "M3", "M4", "M5"]
    found = {split: read.ids(split) for split in (*read.info.subjects, "")}
    assert found == {
        "train": ["F2_e01", "M3_e01"],
        "val": ["F2_e33", "M3_e33"],
        "test-a": ["F2_e37", "M3_e37"],
        "test-b": ["F1_e37"],
        "": ["F1_e01", "F1_e33"],
    }


@pytest.mark.parametrize(("sentences", "count"), [("emotional", 3), ("neutral", 2), ("all", 5)])
def test_emotional_sentences_alone_as_published_or_others(tmp_path: Path, sentences: str, count: int) -> None:
    root = biwi_data((TRAIN,), ("e01", "e33", "e37", "01", "37")).write(tmp_path / "raw")
    job = run_biwi(tmp_path / "job", root, sentences=sentences)
    read = Sequences(job.out)
    assert len(read.ids()) == count
    assert not set(read.ids("test-a")) & {"F2_37"}
    left_out = f"sentences = {sentences!r}: {5 - count} other sequences are left out"
    assert (left_out in job.said) == (count < 5)


@pytest.mark.parametrize("form", ["vl", "ready"])
def test_every_second_frame(tmp_path: Path, form: str) -> None:
    data = biwi_data()
    root = data.write(tmp_path / "raw") if form == "vl" else data.normalised.write_ready(tmp_path / "raw")
    whole, half = (Sequences(run_biwi(tmp_path / f"{fps}", root, fps=fps).out) for fps in (25.0, 12.5))
    assert (half.fps, half.entry("F2_e33").frames) == (12.5, 5)
    np.testing.assert_array_equal(half.vertices("F2_e33"), whole.vertices("F2_e33")[::2])


def test_another_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"does not divide biwi's 25 evenly; use 25, 12\.5"):
        run_biwi(tmp_path / "job", biwi_data().write(tmp_path / "raw"), fps=30.0)


def test_frames_are_ordered_by_number_and_may_count_from_zero(tmp_path: Path) -> None:
    data = biwi_data((TRAIN,))
    root = data.write(tmp_path / "raw")
    plain = Sequences(run_biwi(tmp_path / "one", root).out).vertices("F2_e37")
    folder = root / "faces" / "F2" / "e37"
    for number in range(1, 12):  # 0.vl … 10.vl, which sort otherwise as text
        (folder / f"frame_{number:03d}.vl").rename(folder / f"{number - 1}.vl")
    (folder / "._0.vl").write_bytes(b"what other systems leave behind")
    np.testing.assert_array_equal(Sequences(run_biwi(tmp_path / "two", root).out).vertices("F2_e37"), plain)


def test_published_regions_have_our_names(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    (root / "regions" / "nose.txt").write_text("4")
    one = Sequences(run_biwi(tmp_path / "one", root).out)
    assert {name: list(one.region(name)) for name in one.region_names} == {  # type: ignore[arg-type]
        "lips": [2, 0],
        "nose": [4],
        "upper_face": [3, 0],
    }
    (root / "regions" / "lips.txt").write_text("1")  # then the published list keeps its own name
    assert Sequences(run_biwi(tmp_path / "two", root).out).region_names == ["lips", "lve", "nose", "upper_face"]
    for file in (root / "regions").iterdir():
        file.rename(root / file.name)
    (root / "regions").rmdir()
    assert Sequences(run_biwi(tmp_path / "three", root).out).region_names == ["lips", "upper_face"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("1")
    read = Sequences(run_biwi(tmp_path / "four", root, regions=str(elsewhere)).out)
    assert read.region_names == ["mine"]


def test_other_papers_names_of_the_same_lists_are_known(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    regions = root / "regions"
    (regions / "BIWI_lip.pkl").write_bytes(pickle.dumps([2, 0]))
    assert Sequences(run_biwi(tmp_path / "both", root).out).region_names == ["BIWI_lip", "lips", "upper_face"]
    (regions / "lve.txt").unlink()
    read = Sequences(run_biwi(tmp_path / "one", root).out)
    assert read.region_names == ["lips", "upper_face"]
    assert list(read.region("lips")) == [2, 0]  # type: ignore[arg-type]
    np.save(regions / "fdd.npy", np.array([1]))
    with pytest.raises(DataError, match=r"fdd\.(txt|npy) and fdd\.(txt|npy) are both the region fdd; remove one"):
        run_biwi(tmp_path / "twice", root)


def test_parts_may_lie_elsewhere(tmp_path: Path) -> None:
    root, far = biwi_data().write(tmp_path / "raw"), tmp_path / "far"
    plain = run_biwi(tmp_path / "one", root)
    far.mkdir()
    for folder in ("faces", "audio", "rigid_scans"):
        (root / folder).rename(far / f"my_{folder}")
    settings = {"frames": "my_faces", "audio": "my_audio", "templates": "my_rigid_scans"}
    moved = run_biwi(tmp_path / "two", root, **{name: str(far / folder) for name, folder in settings.items()})
    assert (moved.out / "sequences.json").read_bytes() == (plain.out / "sequences.json").read_bytes()


def test_limit_takes_the_first_of_each_subject_and_split(tmp_path: Path) -> None:
    root = biwi_data((TRAIN,), ("e01", "e02", "e37", "e38")).write(tmp_path / "raw")
    assert Sequences(run_biwi(tmp_path / "job", root, limit=1).out).ids() == ["F2_e01", "F2_e37"]


def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    one, two = (run_biwi(tmp_path / name, root).out for name in ("one", "two"))
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert len(files) == 2 * 9 + 4 + 2
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_the_plan_knows_what_is_read_and_nothing_else(tmp_path: Path) -> None:
    root = biwi_data((TRAIN,), ("e01", "e33", "01")).write(tmp_path / "raw")
    (root / "faces" / "F2" / "e02.tar").write_bytes(b"")
    files = Settings(root=str(root), skip=["F2_e33"]).sources().files
    assert files == {
        "the frames of F2_e01": root / "faces" / "F2" / "e01",
        "the frames of F2_e02": root / "faces" / "F2" / "e02.tar",
        "the sound of F2_e01": root / "audio" / "F2_e01_cut.wav",
        "the template of F2": root / "rigid_scans" / "F2.obj",
        "regions/lips": root / "regions" / "lve.txt",
        "regions/upper_face": root / "regions" / "fdd.txt",
        "the split file": VARIANTS["codetalker"].splits,
    }


def test_the_plan_knows_what_is_read_of_ready_arrays(tmp_path: Path) -> None:
    root = biwi_data((TRAIN,), ("e01",)).normalised.write_ready(tmp_path / "ready")
    files = Settings(root=str(root)).sources().files
    assert files["the frames of F2_e01"] == root / "vertices_npy" / "F2_e01.npy"
    assert files["the templates, or templates.pkl beside ready arrays,"] == root / "templates.pkl"
    assert files["the mesh of the topology (or name one with `topology`)"] == root / "BIWI.ply"


def test_what_is_missing_is_in_the_plan_too(tmp_path: Path) -> None:
    files = Settings(root=str(tmp_path), regions=str(tmp_path / "nowhere")).sources().files
    assert files["the frames, or ready arrays in vertices_npy,"] == tmp_path / "faces"
    assert files["the templates, or templates.pkl beside ready arrays,"] == tmp_path / "rigid_scans"
    assert files["regions/<region>"] == tmp_path / "nowhere" / "<region>.txt"
