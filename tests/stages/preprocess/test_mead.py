"""3D-MEAD's three forms in, the kind `sequences` out: named as published, vertices as FLAME makes them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from faces.flame import JAW
from faces.flame_file import read_flame
from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess.mead import Settings
from stages.preprocess.split_file import read_splits
from tests.stages.preprocess.mead_files import (
    FRAMES,
    IDS,
    parameters,
    run_mead,
    samples,
    write_emote,
    write_param,
    write_ready,
)

SPLITS = {
    "train": ["M003_001_0_0", "W009_001_0_0"],
    "val": ["M003_025_3_2"],
    "test": ["M003_028_3_0", "W009_028_6_1"],
}


@pytest.mark.parametrize("write", [write_param, write_emote])
def test_parameters_become_vertices(tmp_path: Path, write) -> None:
    root = write(tmp_path / "raw")
    job = run_mead(tmp_path / "job", root)
    read, model = Sequences(job.out), read_flame(root / "model.npz")
    assert (read.info.dataset, read.fps, read.units, read.info.up) == ("mead", 25.0, "m", "y")
    assert read.ids() == sorted(IDS)
    assert {split: read.ids(split) for split in read.info.subjects} == SPLITS
    assert read.train_subjects == ["M003", "W009"]
    for name in IDS:
        parts = parameters(name)
        expected = model.vertices(parts["exp"][0, :, :50], {JAW: parts["jaw"][0]})
        np.testing.assert_allclose(read.vertices(name), expected, atol=1e-7)
        assert abs(read.entry(name).samples / read.entry(name).sample_rate - FRAMES[name] / 25) < 0.13
    for template in read.templates.values():
        np.testing.assert_array_equal(template, model.template.astype(np.float32))
    np.testing.assert_array_equal(read.faces, model.faces)
    assert "vertices are FLAME's, of 50 expressions and the jaw, with shape zero" in job.said
    assert "emotions: neutral 2, surprised 2, angry 1" in job.said


def test_parameters_are_kept_as_a_track(tmp_path: Path) -> None:
    job = run_mead(tmp_path / "job", write_param(tmp_path / "raw"), fps=12.5, expressions=20)
    track = read_tracks(job.out)["flame"]
    assert (track.track.size, track.track.framewise) == (23, True)
    for name in IDS:
        parts = parameters(name)
        expected = np.concatenate([parts["exp"][0, ::2, :20], parts["jaw"][0, ::2]], axis=1)
        np.testing.assert_array_equal(track[name], expected)
        assert len(track[name]) == Sequences(job.out).entry(name).frames


def test_the_shape_of_a_subject_can_be_kept(tmp_path: Path) -> None:
    root = write_param(tmp_path / "raw")
    read, model = Sequences(run_mead(tmp_path / "job", root, shape="subject").out), read_flame(root / "model.npz")
    shape = parameters("W009_001_0_0")["shape"][0].mean(axis=0)
    np.testing.assert_allclose(read.templates["W009"], model.neutral(shape), atol=1e-7)
    parts = parameters("W009_028_6_1")
    expected = model.vertices(parts["exp"][0, :, :50], {JAW: parts["jaw"][0]}, shape)
    np.testing.assert_allclose(read.vertices("W009_028_6_1"), expected, atol=1e-6)
    assert np.abs(read.templates["M003"] - read.templates["W009"]).max() > 0.01


def test_ready_vertices_are_taken_as_they_are(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "mead")
    job = run_mead(tmp_path / "job", root)
    read = Sequences(job.out)
    assert {split: read.ids(split) for split in read.info.subjects} == SPLITS
    for name in IDS:
        stored = np.load(root / "vertices_npy" / f"{name}.npy").astype(np.float32)
        np.testing.assert_array_equal(read.vertices(name).reshape(len(stored), -1), stored)
    templates = pickle.loads((root / "templates.pkl").read_bytes())
    np.testing.assert_array_equal(read.templates["W009"], templates["W009"].astype(np.float32))
    assert list(read.region("lip")) == [5, 3, 5, 1]  # type: ignore[arg-type]
    assert "vertices are taken as they are" in job.said
    assert read_tracks(job.out) == {}
    np.testing.assert_array_equal(read.wav(IDS[0]).stat().st_size, 44 + 2 * len(samples(IDS[0])))


def test_one_mesh_may_be_the_template_of_all(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "mead")
    (root / "templates.pkl").unlink()
    mesh = str(root / "templates" / "FLAME_sample.ply")
    read = Sequences(run_mead(tmp_path / "job", root, templates=mesh).out)
    assert set(read.templates) == {"M003", "W009"}
    assert not read.templates["M003"].any()


def test_names_without_emotions_have_their_subject_before_the_last_underscore(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "mead")
    for folder, ending in (("vertices_npy", "npy"), ("wav", "wav")):
        (root / folder / f"M003_001_0_0.{ending}").rename(root / folder / f"M003_level1_007.{ending}")
    (root / "templates.pkl").write_bytes(pickle.dumps(dict.fromkeys(("M003", "W009", "M003_level1"), np.ones((12, 3)))))
    read = Sequences(run_mead(tmp_path / "job", root).out)
    entry = read.entry("M003_level1_007")
    assert (entry.subject, entry.sentence, entry.split) == ("M003_level1", "007", "")


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({"emotions": ["surprised", "angry"]}, ["M003_025_3_2", "M003_028_3_0", "W009_028_6_1"]),
        ({"levels": [0]}, ["M003_001_0_0", "M003_028_3_0", "W009_001_0_0"]),
        ({"emotions": ["surprised"], "levels": [2]}, ["M003_025_3_2"]),
    ],
)
def test_emotions_and_levels_are_chosen(tmp_path: Path, choice: dict[str, list], left: list[str]) -> None:
    job = run_mead(tmp_path / "job", write_param(tmp_path / "raw"), **choice)
    assert Sequences(job.out).ids() == left
    assert f"emotions and levels: {5 - len(left)} other sequences are left out" in job.said


def test_the_sound_may_lie_elsewhere_and_wav_goes_before_m4a(tmp_path: Path) -> None:
    root = write_emote(tmp_path / "raw")
    (root / "audio").rename(tmp_path / "elsewhere")
    job = run_mead(tmp_path / "one", root, audio=str(tmp_path / "elsewhere"))
    assert Sequences(job.out).entry(IDS[0]).sample_rate == 16000
    from stages.preprocess.sound import Clip, write_wav

    write_wav(tmp_path / "elsewhere" / f"{IDS[0]}.wav", Clip(samples(IDS[0]), 8000))
    job = run_mead(tmp_path / "two", root, audio=str(tmp_path / "elsewhere"))
    assert Sequences(job.out).entry(IDS[0]).sample_rate == 8000


def test_meads_own_folders_are_found_in_any_depth(tmp_path: Path) -> None:
    """The sound of the data set itself lies in M003/audio/…, its videos in M003/video/front/…"""
    root = write_emote(tmp_path / "raw")
    (root / "audio" / "M003" / "video" / "front" / "happy" / "level_1").mkdir(parents=True)
    (root / "audio" / "M003" / "video" / "front" / "happy" / "level_1" / "001.mp4").write_bytes(b"")
    for subject in ("M003", "W009"):
        (root / "audio" / subject).rename(root / subject)
    job = run_mead(tmp_path / "job", root)
    assert Sequences(job.out).ids() == sorted(IDS)


def test_the_card_says_what_was_found(tmp_path: Path) -> None:
    job = run_mead(tmp_path / "job", write_param(tmp_path / "raw"))
    card = read_card(job.out)
    assert card is not None
    assert [(check.what, check.passed) for check in card.checks] == [
        ("vertices", False),
        ("sound and motion, apart at most", True),
    ]
    assert "warning: vertices: 12 (expected 5,023)" in job.said
    assert card.source == Settings.source


def test_our_splits_hold_every_sentence_of_mead() -> None:
    splits = read_splits(Settings(root="").split_file).among(["M003"])
    found = [splits.of("M003", f"{number:03d}_0_0") for number in range(1, 41)]
    assert [found.count(name) for name in ("train", "val", "test")] == [30, 5, 5]
    emotional = [splits.of("M003", f"{number:03d}_4_2") for number in range(1, 31)]
    assert [emotional.count(name) for name in ("train", "val", "test")] == [24, 3, 3]
