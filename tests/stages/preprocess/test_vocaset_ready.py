"""VOCASET as published scripts leave it: taken by what lies in the folder, halved like the raw files, never guessed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from faces.ply import write_ply
from pipeline.stage import Items
from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.vocaset import OFFICIAL_SPLITS, Settings
from tests.stages.preprocess.raw_files import RATE, SENTENCES, TEST, TRAIN, TRIANGLES, VAL, RawData, raw_data, run_stage

FIRST = f"{TRAIN}_sentence01"


def write_ready(root: Path, raw: RawData, step: int = 1, dtype: Any = np.float32) -> Path:
    for folder in ("vertices_npy", "wav"):
        (root / folder).mkdir(parents=True)
    for subject, sentences in raw.index.items():
        for sentence in sentences:
            frames = raw.vertices[raw.rows(subject, sentence)][::step].astype(dtype)
            np.save(root / "vertices_npy" / f"{subject}_{sentence}.npy", frames.reshape(len(frames), -1))
            sound = Clip(raw.audio[subject][sentence]["audio"], RATE)
            write_wav(root / "wav" / f"{subject}_{sentence}.wav", sound)
    (root / "templates.pkl").write_bytes(pickle.dumps(raw.templates, protocol=2))
    write_ply(root / "FLAME_sample.ply", raw.topology, TRIANGLES)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_ready(tmp_path / "ready", raw_data())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_ready_folder_is_the_same_as_the_raw_files(tmp_path: Path, dtype: type) -> None:
    raw = raw_data()
    one = run_stage(tmp_path / "one", raw.write(tmp_path / "raw")).out
    two = run_stage(tmp_path / "two", write_ready(tmp_path / "ready", raw, dtype=dtype)).out
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert len(files) == 2 * 9 + 4
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_the_raw_files_win_where_both_are_there(tmp_path: Path) -> None:
    raw = raw_data()
    root = write_ready(raw.write(tmp_path / "both"), raw, step=2)
    assert not Settings(root=str(root)).is_ready
    assert len(Sequences(run_stage(tmp_path / "job", root).out).ids()) == 9


def test_frames_that_are_halved_already_are_told_by_their_sound(tmp_path: Path) -> None:
    raw = raw_data()
    root = write_ready(tmp_path / "ready", raw, step=2)
    sentence = (
        r"the arrays in .*vertices_npy hold 3\d\.\d frames for a second of sound, and not 60: if that is their rate, "
        r"say recorded_fps = 30$"
    )
    with pytest.raises(DataError, match=sentence):
        run_stage(tmp_path / "wrong", root)
    assert not (tmp_path / "wrong" / "out" / "sequences.json").exists()
    read = Sequences(run_stage(tmp_path / "job", root, recorded_fps=30.0).out)
    np.testing.assert_array_equal(read.vertices(FIRST), raw.vertices[raw.rows(TRAIN, "sentence01")[::2]])
    assert read.fps == 30.0
    stage = Preprocess(
        Preprocess.Params(dataset="vocaset", fps=60.0), {"dataset": Settings(str(root), recorded_fps=30.0)}
    )
    assert list(stage.check()) == ["fps = 60 does not divide vocaset's 30 evenly; use 30, 15, 10, 7.5, …"]


def test_a_wrong_rate_of_raw_files_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the sequences in .*data_verts\.npy hold 60\.\d frames .* recorded_fps = 60$"):
        run_stage(tmp_path / "job", raw_data().write(tmp_path / "raw"), recorded_fps=30.0)


def test_a_rate_that_nobody_uses_is_only_remarked(tmp_path: Path) -> None:
    raw = raw_data()
    for sentences in raw.audio.values():
        for sound in sentences.values():
            sound["audio"] = np.resize(sound["audio"], int(len(sound["audio"]) * 60 / 37.5))
    job = run_stage(tmp_path / "job", raw.write(tmp_path / "raw"))
    card = read_card(job.out)
    assert card is not None
    (check,) = [check for check in card.checks if check.what == "frames for a second of sound"]
    assert (check.passed, check.found, check.expected) == (False, "37.5", "60, within 10%")
    assert f"warning: {check}" in job.said


def test_the_mesh_may_lie_among_the_templates(tmp_path: Path, root: Path) -> None:
    (root / "templates").mkdir()
    (root / "FLAME_sample.ply").rename(root / "templates" / "FLAME_sample.ply")
    assert len(Sequences(run_stage(tmp_path / "job", root).out).ids()) == 9


def test_what_cannot_be_used_is_skipped_and_listed(tmp_path: Path, root: Path) -> None:
    (root / "wav" / f"{FIRST}.wav").unlink()
    np.save(root / "vertices_npy" / f"{TEST}_sentence21.npy", np.zeros((0, 12), np.float32))
    table = raw_data().templates
    del table[VAL]
    (root / "templates.pkl").write_bytes(pickle.dumps(table, protocol=2))
    read = Sequences(run_stage(tmp_path / "job", root, skip=[f"{TRAIN}_sentence40"]).out)
    assert read.info.skipped == {
        FIRST: "no sound in wav",
        f"{TRAIN}_sentence40": "left out by the parameter skip",
        f"{TEST}_sentence21": "no frames",
    } | {f"{VAL}_{sentence}": "no template of its subject in templates.pkl" for sentence in SENTENCES}


def test_every_second_frame_of_a_damaged_array(tmp_path: Path, root: Path) -> None:
    file = root / "vertices_npy" / f"{FIRST}.npy"
    frames = np.load(file)
    frames[4, 3] = np.nan
    np.save(file, frames)
    with pytest.raises(DataError, match=rf"{FIRST}\.npy, frame 4: NaN or infinite vertices; .*skip = \[\"{FIRST}\"\]"):
        run_stage(tmp_path / "job", root)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (f"vertices_npy/{FIRST}.npy", b"<html>", r"sentence01\.npy is not a NumPy \.npy file"),
        (f"vertices_npy/{FIRST}.npy", b"version https://git-lfs.github.com/spec/v1", r"sentence01\.npy is a git-LFS"),
        (f"wav/{FIRST}.wav", b"<html>", r"sentence01\.wav cannot be read as sound .*; repair it or leave it out"),
        ("templates.pkl", None, r"templates\.pkl is missing; download it"),
        ("FLAME_sample.ply", None, r"FLAME_sample\.ply is missing"),
    ],
)
def test_files_that_are_none(tmp_path: Path, root: Path, name: str, content: bytes | None, sentence: str) -> None:
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence) as caught:
        run_stage(tmp_path / "job", root)
    assert "\n" not in str(caught.value)


def test_an_array_of_another_topology(tmp_path: Path, root: Path) -> None:
    np.save(root / "vertices_npy" / f"{TRAIN}_sentence40.npy", np.zeros((12, 15), np.float32))
    with pytest.raises(
        DataError, match=r"sentence40\.npy has 5 vertices, but .*\.npy has 4; repair it or leave it out"
    ):
        run_stage(tmp_path / "job", root)


def test_an_empty_folder_is_a_missing_source(tmp_path: Path, root: Path) -> None:
    for file in (root / "vertices_npy").iterdir():
        file.unlink()
    files = Settings(root=str(root)).sources().files
    assert files["the frames of a sequence"] == root / "vertices_npy" / "<subject>_<sentence>.npy"
    with pytest.raises(DataError, match=r"vertices_npy holds no <subject>_<sentence>\.npy; put the arrays there"):
        run_stage(tmp_path / "job", root)


def test_the_plan_knows_every_file_that_is_read(root: Path) -> None:
    (root / "wav" / f"{FIRST}.wav").unlink()
    files = Settings(root=str(root), skip=[f"{TRAIN}_sentence40"]).sources().files
    assert files["the frames of " + FIRST] == root / "vertices_npy" / f"{FIRST}.npy"
    assert f"the sound of {FIRST}" not in files
    assert f"the frames of {TRAIN}_sentence40" not in files
    assert files["the sound of " + f"{VAL}_sentence40"] == root / "wav" / f"{VAL}_sentence40.wav"
    assert files["the split file"] == OFFICIAL_SPLITS
    assert len(files) == 8 + 7 + 3


def test_an_item_is_its_two_files(root: Path) -> None:
    settings = Settings(root=str(root), skip=[f"{TRAIN}_sentence40"])
    sources = {name: f"digest of {file}" for name, file in settings.sources().files.items()}
    items = settings.items(sources)
    assert items.each is not None
    assert len(items.each) == 8
    assert items.each[FIRST] == [sources[f"the frames of {FIRST}"], sources[f"the sound of {FIRST}"]]
    assert items == Settings(root=str(root), skip=[f"{TRAIN}_sentence40"]).items(sources | {"the templates": "other"})


def test_of_raw_files_all_items_hang_on_frames_sound_and_index(tmp_path: Path) -> None:
    settings = Settings(root=str(raw_data().write(tmp_path / "raw")))
    sources = {name: f"digest of {file}" for name, file in settings.sources().files.items()}
    items: Items = settings.items(sources)
    assert items == settings.items(sources | {"the templates": "other", "the split file": "other"})
    for name in ("the vertices", "the sound", "the index of sequences"):
        assert items != settings.items(sources | {name: "other"})


def test_sound_arrives_unchanged(tmp_path: Path, root: Path) -> None:
    read = Sequences(run_stage(tmp_path / "job", root).out)
    samples, rate = soundfile.read(read.wav(FIRST), dtype="int16")
    np.testing.assert_array_equal(samples, raw_data().audio[TRAIN]["sentence01"]["audio"])
    assert rate == RATE
