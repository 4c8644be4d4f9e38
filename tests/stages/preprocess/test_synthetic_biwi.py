"""The synthetic data set in BIWI's raw layout: BIWI's protocol in small, read by BIWI's reader, nothing left lying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from faces.vl import read_vl
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess, biwi
from stages.preprocess.synthetic.cast import perform, voice
from stages.preprocess.synthetic_biwi import Settings
from stages.preprocess.synthetic_biwi.raw import BiwiCast, write_frames, write_raw
from tests.stages.fake_job import FakeJob

TINY = Settings(subjects=2, sentences=3, seconds=0.6)
CAST = BiwiCast(TINY.subjects, TINY.sentences, TINY.seconds, TINY.data_seed, TINY.noise)


def make(folder: Path, settings: Settings = TINY) -> FakeJob:
    job = FakeJob.under(folder)
    Preprocess(Preprocess.Params(dataset="synthetic-biwi", fps=25.0), {"dataset": settings}).run(job)
    return job


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FakeJob:
    return make(tmp_path_factory.mktemp("synthetic_biwi") / "job")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw layout, all of it on disk at once."""
    root = tmp_path_factory.mktemp("synthetic_biwi") / "raw"
    write_raw(root, CAST)
    for number, sentence in CAST.sequences:
        subject = CAST.subject(number)
        folder = root / "faces" / subject.name / CAST.sentence(sentence)
        write_frames(folder, perform(CAST, subject, number, sentence)[0])
    return root


def test_it_is_an_ordinary_artifact_of_biwis_size(made: FakeJob) -> None:
    read = Sequences(made.out)
    assert (read.info.dataset, read.fps, read.units, read.info.vertices) == ("synthetic-biwi", 25.0, "unit-area", 23370)
    splits = {split: read.ids(split) for split in read.info.subjects}
    assert splits == {
        "train": ["Synthetic_01_e01"],
        "val": ["Synthetic_01_e02"],
        "test-a": ["Synthetic_01_e03"],
        "test-b": ["Synthetic_02_e03"],
    }
    assert {"lips", "upper_face", "lip_upper", "lip_lower"} <= set(read.region_names)
    assert not read.info.skipped
    assert made.said == ["frames: each by itself, as published; templates: each by itself, as published"]
    for name in read.ids():
        entry = read.entry(name)
        assert (entry.sample_rate, soundfile.info(read.wav(name)).samplerate) == (44100, 44100)
        assert abs(entry.frames / 25 - entry.samples / 44100) < 0.05


def test_heads_stand_upright_and_speak(made: FakeJob) -> None:
    read = Sequences(made.out)
    lips, upper_face, top, low = (read.region(name) for name in ("lips", "upper_face", "lip_upper", "lip_lower"))
    for template in read.templates.values():
        assert template[lips, 1].mean() < template[upper_face, 1].mean() - 0.05  # y is up
        assert template[lips, 2].mean() > 0.05  # and the face looks along z
    vertices = read.vertices("Synthetic_01_e01")
    opening = np.linalg.norm(vertices[:, top].mean(axis=1) - vertices[:, low].mean(axis=1), axis=1)
    assert opening.min() < 0.003
    assert opening.max() > 0.01


def test_no_frame_stays_on_the_disk(made: FakeJob) -> None:
    assert not list((made.state / "raw").rglob("*.vl"))
    assert {folder.name for folder in (made.state / "raw").iterdir()} == {
        "audio", "faces", "regions", "rigid_scans", "splits.toml", "transcripts.json",
    }  # fmt: skip


def test_the_raw_files_are_biwis_and_give_the_same_heads(made: FakeJob, raw: Path, tmp_path: Path) -> None:
    frame = read_vl(raw / "faces" / "Synthetic_01" / "e01" / "frame_001.vl")
    assert frame.shape == (23370, 3)
    assert 1000 < frame[:, 2].mean() < 2000  # millimetres from the scanner
    assert (raw / "audio" / "Synthetic_02_e03_cut.wav").is_file()
    corners = (raw / "rigid_scans" / "Synthetic_01.obj").read_text().rpartition("f ")[2]
    assert [len(corner.split("/")) for corner in corners.split()] == [3, 3, 3]
    job = FakeJob.under(tmp_path / "job")
    settings = biwi.Settings(root=str(raw), splits=str(raw / "splits.toml"))
    Preprocess(Preprocess.Params(dataset="biwi", fps=25.0), {"dataset": settings}).run(job)
    one, two = Sequences(made.out), Sequences(job.out)
    assert one.ids() == two.ids()
    assert one.region_names == two.region_names
    for name in one.ids():
        np.testing.assert_array_equal(one.vertices(name), two.vertices(name))
        assert one.wav(name).read_bytes() == two.wav(name).read_bytes()


def test_the_published_normalisation_moves_a_still_head_and_the_other_does_not(made: FakeJob, tmp_path: Path) -> None:
    settings = Settings(subjects=2, sentences=3, seconds=0.6, normalise="template")
    other = Sequences(make(tmp_path / "job", settings).out)
    published = Sequences(made.out)
    eyes = published.region("eyes")
    assert eyes is not None
    travel = [
        np.ptp(read.vertices("Synthetic_01_e01")[:, eyes].mean(axis=1), axis=0).max() for read in (published, other)
    ]
    assert travel[0] > 1e-3  # of a head's size: eyeballs, which nothing moves
    assert travel[1] < 1e-4  # the noise of the capture
    np.testing.assert_array_equal(published.templates["Synthetic_01"], other.templates["Synthetic_01"])
    assert other.units == "template-area"


def test_what_stops_half_way_goes_on_and_gives_the_same_bytes(made: FakeJob, tmp_path: Path, monkeypatch) -> None:
    def full(file: Path, points: np.ndarray) -> None:
        raise DataError("no space left on the device")

    monkeypatch.setattr("stages.preprocess.synthetic_biwi.raw.write_vl", full)
    job = FakeJob.under(tmp_path / "job")
    stage = Preprocess(Preprocess.Params(dataset="synthetic-biwi", fps=25.0), {"dataset": TINY})
    with pytest.raises(DataError, match="no space left"):
        stage.run(job)
    monkeypatch.undo()
    stage.run(job)
    files = sorted(file.relative_to(job.out) for file in job.out.rglob("*") if file.is_file())
    assert len(files) > 10
    assert [str(file) for file in files if (job.out / file).read_bytes() != (made.out / file).read_bytes()] == []


@pytest.mark.parametrize(("subjects", "sentences", "unseen", "held"), [(2, 3, 1, 1), (4, 12, 1, 1), (14, 40, 4, 4)])
def test_splits_follow_biwis_protocol(subjects: int, sentences: int, unseen: int, held: int) -> None:
    parts = BiwiCast(subjects, sentences, 1.0, 0, 0.0).splits.parts
    assert list(parts) == ["train", "val", "test-a", "test-b"]
    assert parts["train"].subjects == parts["val"].subjects == parts["test-a"].subjects
    assert len(parts["train"].subjects) == subjects - unseen
    assert len(parts["test-b"].subjects) == unseen
    assert [len(parts[name].sentences) for name in parts] == [sentences - 2 * held, held, held, held]
    assert parts["test-a"].sentences == parts["test-b"].sentences


def test_the_voice_does_not_change_with_the_rate_but_in_its_detail() -> None:
    subject = CAST.subject(0)
    fine, coarse = (voice(BiwiCast(2, 3, 0.6, 0, 0.0, rate=rate), subject, 0, 1) for rate in (44100, 22050))
    assert abs(len(fine) - 2 * len(coarse)) <= 1
    low = [np.abs(np.fft.rfft(sound / 2**15))[: int(0.5 * 2000)] / len(sound) for sound in (fine, coarse)]
    assert np.corrcoef(*low)[0, 1] > 0.9
    assert perform(CAST, subject, 0, 1)[1].tolist() == voice(CAST, subject, 0, 1).tolist()
