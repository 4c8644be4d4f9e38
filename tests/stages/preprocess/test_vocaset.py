"""VOCASET's raw layout becomes the kind `sequences`: the right frames, sound, templates, regions and splits."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Sources
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess
from stages.preprocess.vocaset import OFFICIAL_SPLITS, Settings
from tests.stages.preprocess.raw_files import RATE, SENTENCES, TEST, TRAIN, TRIANGLES, VAL, raw_data, run_stage


def test_frames_sound_and_templates_arrive_unchanged(tmp_path: Path) -> None:
    raw = raw_data()
    read = Sequences(run_stage(tmp_path / "job", raw.write(tmp_path / "raw")).out)
    assert read.ids() == sorted(f"{subject}_{s}" for subject in (TRAIN, VAL, TEST) for s in SENTENCES)
    for subject in (TRAIN, VAL, TEST):
        np.testing.assert_array_equal(read.templates[subject], raw.templates[subject].astype(np.float32))
        for sentence in SENTENCES:
            name = f"{subject}_{sentence}"
            np.testing.assert_array_equal(read.vertices(name), raw.vertices[raw.rows(subject, sentence)[::2]])
            samples, rate = soundfile.read(read.wav(name), dtype="int16")
            np.testing.assert_array_equal(samples, raw.audio[subject][sentence]["audio"])
            assert rate == read.entry(name).sample_rate == RATE
            assert read.entry(name).samples == len(samples)
    np.testing.assert_array_equal(read.faces, TRIANGLES)
    assert (read.fps, read.units, read.info.up, read.info.dataset) == (30.0, "m", "y", "vocaset")
    assert soundfile.info(read.wav(read.ids()[0])).subtype == "PCM_16"


def test_the_published_files_are_there_as_they_are_named(tmp_path: Path) -> None:
    out = run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw")).out
    array = np.load(out / "vertices_npy" / f"{TRAIN}_sentence21.npy")
    assert (array.shape, array.dtype) == ((6, 12), np.float32)
    assert (out / "wav" / f"{TRAIN}_sentence21.wav").is_file()
    facts = json.loads((out / "sequences.json").read_text())
    assert facts["sequences"][f"{TRAIN}_sentence21"]["split"] == "train"


def test_sixty_frames_per_second_keep_all(tmp_path: Path) -> None:
    raw = raw_data()
    read = Sequences(run_stage(tmp_path / "job", raw.write(tmp_path / "raw"), fps=60).out)
    np.testing.assert_array_equal(read.vertices(f"{VAL}_sentence21"), raw.vertices[raw.rows(VAL, "sentence21")])


@pytest.mark.parametrize("fps", [25.0, 59.0, 120.0, 7.0])
def test_a_rate_that_does_not_divide_60_is_refused(tmp_path: Path, fps: float) -> None:
    root = raw_data().write(tmp_path / "raw")
    stage = Preprocess(Preprocess.Params(dataset="vocaset", fps=fps), {"dataset": Settings(root=str(root))})
    assert "does not divide vocaset's 60 evenly; use 60, 30, 20, 15" in next(iter(stage.check()))
    with pytest.raises(StageError, match="evenly"):
        run_stage(tmp_path / "job", root, fps=fps)


def test_rows_are_taken_in_the_order_of_the_frame_numbers(tmp_path: Path) -> None:
    raw = raw_data()
    table = raw.index[TRAIN]["sentence01"]
    raw.index[TRAIN]["sentence01"] = dict(reversed(table.items()))
    read = Sequences(run_stage(tmp_path / "job", raw.write(tmp_path / "raw")).out)
    np.testing.assert_array_equal(read.vertices(f"{TRAIN}_sentence01"), raw.vertices[list(table.values())[::2]])


def test_official_splits_by_subject_and_sentence(tmp_path: Path) -> None:
    read = Sequences(run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw")).out)
    assert read.ids("train") == [f"{TRAIN}_{s}" for s in SENTENCES]
    assert read.ids("val") == [f"{VAL}_sentence21", f"{VAL}_sentence40"]
    assert read.ids("test") == [f"{TEST}_sentence21", f"{TEST}_sentence40"]
    assert read.ids("") == [f"{TEST}_sentence01", f"{VAL}_sentence01"]
    order = "170728_03272 170904_00128 170725_00137 170915_00223 170811_03274 170913_03279 170904_03276 170912_03278"
    assert " ".join(read.train_subjects) == " ".join(f"FaceTalk_{name}_TA" for name in order.split())
    assert len(read.subjects("val")) == len(read.subjects("test")) == 2


def test_a_split_file_of_ones_own(tmp_path: Path) -> None:
    splits = tmp_path / "mine.toml"
    splits.write_text(
        f'[train]\nsubjects = ["{VAL}"]\nsentences = "1-39"\n[val]\nsubjects = ["{VAL}"]\nsentences = "40"\n'
        f'[test]\nsubjects = ["{TRAIN}", "{TEST}"]\nsentences = "1, 40"\n'
    )
    read = Sequences(run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw"), splits=str(splits)).out)
    assert read.train_subjects == [VAL]
    assert read.ids("val") == [f"{VAL}_sentence40"]
    assert len(read.ids("test")) == 4


def test_limit_takes_the_first_of_each_subject_and_split(tmp_path: Path) -> None:
    job = run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw"), limit=1)
    read = Sequences(job.out)
    assert read.ids("train") == [f"{TRAIN}_sentence01"]
    assert read.ids("test") == [f"{TEST}_sentence21"]
    assert not read.info.skipped
    assert any("5 of 9 sequences taken" in line for line in job.said)


def test_masks_and_region_files_keep_order_and_duplicates(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / "masks.pkl").write_bytes(pickle.dumps({"lips": np.array([2, 1, 2]), "nose": [3]}, protocol=2))
    (root / "lists").mkdir()
    (root / "lists" / "lve.txt").write_text("3, 0,1\n")
    (root / "lists" / "nose.txt").write_text("1\n2\n")
    job = run_stage(tmp_path / "job", root, masks=str(root / "masks.pkl"), regions=str(root / "lists"))
    read = Sequences(job.out)
    assert read.region_names == ["lips", "lve", "nose"]
    regions = {name: read.region(name) for name in read.region_names}
    assert {name: list(r) for name, r in regions.items() if r is not None} == {
        "lips": [2, 1, 2],
        "lve": [3, 0, 1],
        "nose": [1, 2],
    }
    assert (job.out / "regions" / "lips.txt").read_text() == "2\n1\n2\n"
    assert read.region("ears") is None


def test_masks_beside_the_raw_files_are_found(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    assert not list((run_stage(tmp_path / "without", root).out / "regions").glob("*"))
    (root / "FLAME_masks.pkl").write_bytes(pickle.dumps({"lips": np.array([2, 1, 2])}, protocol=2))
    assert Settings(root=str(root)).sources().files["the masks of regions"] == root / "FLAME_masks.pkl"
    job = run_stage(tmp_path / "with", root)
    assert (job.out / "regions" / "lips.txt").read_text().split() == ["2", "1", "2"]


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    one, two = (run_stage(tmp_path / name, root).out for name in ("one", "two"))
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert len(files) == 2 * 9 + 4
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_finished_sequences_are_not_made_again(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    job = run_stage(tmp_path / "job", root)
    file = job.out / "vertices_npy" / f"{TRAIN}_sentence01.npy"
    file.write_bytes(b"kept")
    Preprocess(Preprocess.Params(dataset="vocaset"), {"dataset": Settings(root=str(root))}).run(job)
    assert file.read_bytes() == b"kept"


def test_the_plan_knows_every_file_that_is_read(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / "lists").mkdir()
    (root / "lists" / "lips.txt").write_text("1")
    settings = Settings(root=str(root), masks=str(root / "masks.pkl"), regions=str(root / "lists"))
    sources = Preprocess(Preprocess.Params(dataset="vocaset"), {"dataset": settings}).sources()
    assert isinstance(sources, Sources)
    assert sources.files == {
        "the vertices": root / "data_verts.npy",
        "the sound": root / "raw_audio_fixed.pkl",
        "the templates": root / "templates.pkl",
        "the index of sequences": root / "subj_seq_to_idx.pkl",
        "the mesh of the topology (or name one with `topology`)": root / "FLAME_sample.ply",
        "the masks of regions": root / "masks.pkl",
        "the split file": OFFICIAL_SPLITS,
        "regions/lips": root / "lists" / "lips.txt",
    }


def test_an_absent_folder_of_regions_is_a_missing_source(tmp_path: Path) -> None:
    files = Settings(root=str(tmp_path), regions=str(tmp_path / "nowhere")).sources().files
    assert files["vertex indices of a region"] == tmp_path / "nowhere" / "<region>.txt"
    with pytest.raises(DataError, match=r"the folder .*nowhere holds no <region>\.txt"):
        run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw"), regions=str(tmp_path / "nowhere"))
