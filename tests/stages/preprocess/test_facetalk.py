"""FaceTalk's folders in, the kind `sequences` with tracks out."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from faces.ply import write_ply
from pipeline.errors import StageError
from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess.facetalk import Settings
from stages.preprocess.split_file import read_splits
from tests.stages.preprocess.facetalk_files import (
    CODE,
    FACES,
    FRAMES,
    IDS,
    TEMPLATE,
    codes,
    run_facetalk,
    speech,
    vertices,
    write_facetalk,
)


def test_meshes_and_sound_become_sequences(tmp_path: Path) -> None:
    job = run_facetalk(tmp_path / "job", write_facetalk(tmp_path / "data"))
    read = Sequences(job.out)
    assert (read.info.dataset, read.fps, read.units, read.info.up) == ("facetalk", 24.0, "m", "y")
    assert read.ids() == sorted(IDS)
    for name in IDS:
        np.testing.assert_array_equal(read.vertices(name), vertices(name))
        assert abs(read.entry(name).samples / read.entry(name).sample_rate - FRAMES[name] / 24) < 0.01
    assert set(read.templates) == {"030", "037"}
    np.testing.assert_array_equal(read.templates["037"], TEMPLATE)
    np.testing.assert_array_equal(read.faces, FACES)
    splits = {split: read.ids(split) for split in read.info.subjects}
    assert splits == {"train": [IDS[0], IDS[2]], "val": [IDS[1]], "test": [IDS[3]]}
    assert read.train_subjects == ["030", "037"]


def test_expression_codes_go_along(tmp_path: Path) -> None:
    job = run_facetalk(tmp_path / "job", write_facetalk(tmp_path / "data"))
    tracks = read_tracks(job.out)
    assert list(tracks) == ["nphm_expression"]
    assert (tracks["nphm_expression"].track.size, tracks["nphm_expression"].track.framewise) == (CODE, True)
    for name in IDS:
        np.testing.assert_array_equal(tracks["nphm_expression"][name], codes(name))


def test_codes_follow_the_frame_rate_and_features_do_not(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    job = run_facetalk(tmp_path / "job", root, fps=12.0, audio_features=True)
    tracks = read_tracks(job.out)
    for name in IDS:
        np.testing.assert_array_equal(tracks["nphm_expression"][name], codes(name)[::2])
        assert len(Sequences(job.out).vertices(name)) == len(tracks["nphm_expression"][name])
        np.testing.assert_array_equal(tracks["speech_features"][name], speech(name)[0])
    assert not tracks["speech_features"].track.framewise


def test_features_may_be_a_tensor(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    file = root / IDS[0] / "audio" / "wave2vec_audio_feats.pkl"
    file.write_bytes(pickle.dumps(torch.from_numpy(speech(IDS[0]))[:, 1:]))
    tracks = read_tracks(run_facetalk(tmp_path / "job", root, audio_features=True).out)
    np.testing.assert_array_equal(tracks["speech_features"][IDS[0]], speech(IDS[0])[0, 1:])


def test_a_sequence_may_lack_its_codes(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    (root / IDS[1] / "nphm_tracking").rename(tmp_path / "away")
    job = run_facetalk(tmp_path / "job", root)
    assert Sequences(job.out).ids() == sorted(IDS)
    assert IDS[1] not in read_tracks(job.out)["nphm_expression"]
    assert f"1 of 4 sequences have no expression codes, {IDS[1]} for one" in job.said


@pytest.mark.parametrize(("factor", "units"), [(1, "m"), (4, "nphm"), (1000, "mm")])
def test_units_are_told_by_the_size_of_the_head(tmp_path: Path, factor: float, units: str) -> None:
    root = write_facetalk(tmp_path / "data")
    for name in IDS:
        write_ply(root / name / "flame_2023_tracking" / "flame_2023_template.ply", TEMPLATE * factor, FACES)
    assert Sequences(run_facetalk(tmp_path / "job", root).out).units == units
    assert Sequences(run_facetalk(tmp_path / "named", root, units="mm").out).units == "mm"


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    root = write_facetalk(tmp_path / "data")
    next((root / IDS[0] / "nphm_tracking" / "nphm_meshes").glob("*.ply")).unlink()
    write_ply(root / IDS[1] / "flame_2023_tracking" / "flame_2023_template.ply", TEMPLATE + 0.01, FACES)
    job = run_facetalk(tmp_path / "job", root)
    assert f"{IDS[0]}: 4 NPHM meshes, but 5 FLAME meshes" in job.said
    assert f"{IDS[1]} has another template than its subject's first sequence, by 0.01" in job.said
    card = read_card(job.out)
    assert card is not None
    assert {check.what: check.passed for check in card.checks} == {
        "vertices": False,
        "numbers of an expression code": False,
        "sound and motion, apart at most": True,
    }


def test_the_usual_rate_is_refused_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="fps = 30 does not divide facetalk's 24 evenly; use 24, 12, 8, 6"):
        run_facetalk(tmp_path / "job", write_facetalk(tmp_path / "data"), fps=30.0)


def test_our_splits_are_by_the_number_of_the_sentence() -> None:
    splits = read_splits(Settings(root="").split_file).among(["030"])
    names = [f"SEN-{number:02d}-some_words" for number in range(1, 11)]
    assert [splits.of("030", name) for name in names] == ["train"] * 8 + ["val", "test"]
    assert splits.of("030", "EXP-1-head") == splits.of("030", "FREE") == ""
