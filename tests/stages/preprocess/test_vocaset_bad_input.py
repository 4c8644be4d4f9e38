"""Raw files that are not what they should be: one sentence with file and remedy, or a skipped and listed sequence."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import write_ply
from stages.kinds.sequences import Sequences
from tests.stages.preprocess.raw_files import RATE, SENTENCES, TEST, TRAIN, TRIANGLES, VAL, RawData, raw_data, run_stage

FIRST = f"{TRAIN}_sentence01"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 7400000000\n"


class RunsCode:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def fails(tmp_path: Path, raw: RawData, match: str, **settings: Any) -> None:
    """The stage stops with one sentence, and no index makes what was written look finished."""
    refuse(tmp_path, raw.write(tmp_path / "raw"), match, **settings)


def refuse(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        run_stage(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "job" / "out" / "sequences.json").exists()


def skips(tmp_path: Path, raw: RawData, names: list[str], reason: str, **settings: Any) -> Sequences:
    job = run_stage(tmp_path / "job", raw.write(tmp_path / "raw"), **settings)
    read = Sequences(job.out)
    assert {name: reason in why for name, why in read.info.skipped.items()} == dict.fromkeys(sorted(names), True)
    assert not set(names) & set(read.ids())
    assert any(f"skipped {len(names)} of 9 sequences" in line and reason in line for line in job.said)
    with pytest.raises(DataError, match=reason):
        read.vertices(names[0])
    return read


def test_the_folder_is_absent(tmp_path: Path) -> None:
    refuse(tmp_path, tmp_path / "nowhere", r"the dataset folder .*nowhere does not exist; give the folder")


RAW_NAMES = ["data_verts.npy", "raw_audio_fixed.pkl", "templates.pkl", "subj_seq_to_idx.pkl", "FLAME_sample.ply"]


@pytest.mark.parametrize("name", RAW_NAMES)
def test_a_file_is_missing(tmp_path: Path, name: str) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / name).unlink()
    refuse(tmp_path, root, rf"{name} is missing; download it")


@pytest.mark.parametrize("name", RAW_NAMES)
@pytest.mark.parametrize("part", [0.0, 0.05, 0.6, 0.99])
def test_a_file_is_cut_short(tmp_path: Path, name: str, part: float) -> None:
    root = raw_data().write(tmp_path / "raw")
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[: int(len(content) * part)])
    refuse(tmp_path, root, rf"{name} (is|ends|has)")


@pytest.mark.parametrize("name", RAW_NAMES[:4])
def test_a_git_lfs_pointer_in_place_of_the_data(tmp_path: Path, name: str) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / name).write_text(LFS)
    refuse(tmp_path, root, rf"{name} is a git-LFS pointer.*git lfs pull")


@pytest.mark.parametrize("name", RAW_NAMES)
def test_a_file_of_another_type(tmp_path: Path, name: str) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / name).write_text("<html><body>Please log in to download</body></html>")
    refuse(tmp_path, root, rf"{name} is ")


@pytest.mark.parametrize("name", RAW_NAMES[1:4])
def test_a_pickle_that_tries_to_run_code(tmp_path: Path, name: str) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / name).write_bytes(pickle.dumps({TRAIN: {"sentence01": RunsCode(tmp_path / "ran")}}, protocol=2))
    refuse(tmp_path, root, rf"{name} is refused: it asks for \w+\.mkdir")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", RAW_NAMES[1:4])
@pytest.mark.parametrize("content", [[1, 2], {TRAIN: 3}, {TRAIN: {"sentence01": None}}])
def test_a_pickle_of_something_else(tmp_path: Path, name: str, content: Any) -> None:
    root = raw_data().write(tmp_path / "raw")
    (root / name).write_bytes(pickle.dumps(content, protocol=2))
    refuse(tmp_path, root, name)


@pytest.mark.parametrize("shape", [(99, 12), (99, 4, 2), (1188,), (1, 99, 4, 3)])
def test_vertices_of_the_wrong_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    raw = raw_data()
    raw.vertices = np.zeros(shape, np.float32)
    fails(tmp_path, raw, r"data_verts.npy has the shape .*must be \(frames, vertices, 3\)")


@pytest.mark.parametrize("dtype", [np.int32, np.float16, np.complex64])
def test_vertices_of_the_wrong_type(tmp_path: Path, dtype: Any) -> None:
    raw = raw_data()
    raw.vertices = raw.vertices.astype(dtype)
    fails(tmp_path, raw, "data_verts.npy holds .* must hold float32 or float64")


def test_float64_vertices_are_cast(tmp_path: Path) -> None:
    raw = raw_data()
    raw.vertices = raw.vertices.astype(np.float64)
    read = Sequences(run_stage(tmp_path / "job", raw.write(tmp_path / "raw")).out)
    np.testing.assert_array_equal(read.vertices(FIRST), raw.vertices[:10:2].astype(np.float32))


@pytest.mark.parametrize("row", [99, -1])
def test_an_index_outside_the_array(tmp_path: Path, row: int) -> None:
    raw = raw_data()
    raw.index[VAL]["sentence21"][3] = row
    fails(tmp_path, raw, rf"subj_seq_to_idx.pkl, {VAL}_sentence21 points to row {row} of data_verts.npy, which has 99")


def test_nan_in_the_vertices(tmp_path: Path) -> None:
    raw = raw_data()
    raw.vertices[4, 2, 1] = np.nan
    fails(tmp_path, raw, rf'data_verts.npy, {FIRST}, frame 4: NaN .*skip = \["{FIRST}"\]')


def test_what_skip_names_is_left_out(tmp_path: Path) -> None:
    raw = raw_data()
    raw.vertices[4] = np.inf
    assert len(skips(tmp_path, raw, [FIRST], "left out by the parameter skip", skip=[FIRST]).ids()) == 8


def test_skip_names_a_sequence_that_is_not_there(tmp_path: Path) -> None:
    fails(tmp_path, raw_data(), "skip names nobody_sentence01, which the data do not have", skip=["nobody_sentence01"])


def test_a_sentence_without_sound(tmp_path: Path) -> None:
    raw = raw_data()
    del raw.audio[TRAIN]["sentence01"]
    skips(tmp_path, raw, [FIRST], "no sound in raw_audio_fixed.pkl")


def test_a_sentence_without_frames(tmp_path: Path) -> None:
    raw = raw_data()
    del raw.index[TEST]["sentence40"]
    raw.index[TRAIN]["sentence01"] = {}
    skips(tmp_path, raw, [FIRST, f"{TEST}_sentence40"], "no frames in subj_seq_to_idx.pkl")


def test_a_subject_without_template(tmp_path: Path) -> None:
    raw = raw_data()
    del raw.templates[VAL]
    read = skips(tmp_path, raw, [f"{VAL}_{s}" for s in SENTENCES], "no template of its subject in templates.pkl")
    assert read.ids("val") == []


def test_a_split_without_sequences_is_said(tmp_path: Path) -> None:
    job = run_stage(tmp_path / "job", raw_data((TRAIN,)).write(tmp_path / "raw"))
    assert "warning: the split 'val' has no sequence: the last weights are taken for the best" in job.said
    assert "warning: the split 'test' has no sequence: nothing can be tested on it" in job.said
    assert any("the split 'train' has no sequence of FaceTalk_170904_00128_TA" in line for line in job.said)


def test_a_train_split_without_sequences_is_said(tmp_path: Path) -> None:
    job = run_stage(tmp_path / "job", raw_data((VAL, TEST)).write(tmp_path / "raw"))
    assert "warning: the split 'train' has no sequence: nothing can be trained on it" in job.said


def test_nothing_can_be_used(tmp_path: Path) -> None:
    raw = raw_data((TRAIN,))
    raw.audio.clear()
    fails(tmp_path, raw, "raw holds no sequence that can be used; 3 × no sound")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(5000, np.int16), "silent"),
        (np.zeros(0, np.int16), "empty"),
        (np.ones(549, np.int16), "shorter than 25"),
    ],
)
def test_sound_that_cannot_teach(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    raw = raw_data()
    raw.audio[TRAIN]["sentence01"]["audio"] = samples
    skips(tmp_path, raw, [FIRST], f"its sound is {reason}")


@pytest.mark.parametrize(
    ("samples", "match"),
    [
        (np.full(5000, np.nan), "not numbers"),
        (np.full(5000, 1e6), "beyond 16 bit"),
        (np.full(5000, 100_000, np.int32), "beyond 16 bit"),
        (np.ones(5000, np.uint8), "type uint8"),
        (np.ones((50, 60, 2), np.int16), "shape"),
    ],
)
def test_sound_that_is_damaged(tmp_path: Path, samples: np.ndarray, match: str) -> None:
    raw = raw_data()
    raw.audio[TRAIN]["sentence01"]["audio"] = samples
    fails(tmp_path, raw, rf"raw_audio_fixed.pkl, {FIRST}: .*{match}.*skip = ")


def test_a_rate_of_zero(tmp_path: Path) -> None:
    raw = raw_data()
    raw.audio[TRAIN]["sentence01"]["sample_rate"] = 0
    fails(tmp_path, raw, rf"{FIRST}: a sample rate of 0 Hz")


def test_sound_and_motion_that_disagree_are_said(tmp_path: Path) -> None:
    raw = raw_data()
    raw.audio[TRAIN]["sentence01"]["audio"] = np.ones(RATE, np.int16)
    job = run_stage(tmp_path / "job", raw.write(tmp_path / "raw"))
    (line,) = [line for line in job.said if line.startswith("warning: sound and motion of a sequence")]
    assert f"0.83 s, more than that in 1 of 9: {FIRST} 0.83 (expected 0.5 s)" in line


def test_gaps_in_the_frame_numbers_are_said(tmp_path: Path) -> None:
    raw = raw_data()
    del raw.index[TRAIN]["sentence01"][5]
    job = run_stage(tmp_path / "job", raw.write(tmp_path / "raw"))
    assert any(FIRST in line and "frame numbers are not" in line for line in job.said)
    np.testing.assert_array_equal(Sequences(job.out).vertices(FIRST), raw.vertices[[0, 2, 4, 7, 9]])


def test_a_template_of_another_topology(tmp_path: Path) -> None:
    raw = raw_data()
    raw.templates[VAL] = np.zeros((5, 3))
    fails(tmp_path, raw, rf"templates.pkl, {VAL}: the template is float64 \(5, 3\), but data_verts.npy has 4 vertices")


def test_a_template_with_nan(tmp_path: Path) -> None:
    raw = raw_data()
    raw.templates[VAL][0, 0] = np.nan
    fails(tmp_path, raw, rf"templates.pkl, {VAL}: the template holds NaN")


def test_a_mesh_of_another_topology(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    write_ply(root / "FLAME_sample.ply", np.zeros((6, 3)), TRIANGLES)
    refuse(tmp_path, root, "FLAME_sample.ply has 6 vertices, but data_verts.npy has 4; give the mesh")


@pytest.mark.parametrize("text", ["1 2 x", "", "1.5", "7", "-1"])
def test_regions_that_are_no_indices_of_the_mesh(tmp_path: Path, text: str) -> None:
    root = raw_data().write(tmp_path / "raw")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "lips.txt").write_text(text)
    refuse(
        tmp_path,
        root,
        r"lips.txt (is not a list|is an empty region|names vertex 7 of a mesh of 4|holds the vertex index -1)",
        regions=str(tmp_path / "lists"),
    )


@pytest.mark.parametrize("mask", [np.array([4]), np.array([-1]), np.array([0.5]), "lips", [], np.array([[1]])])
def test_masks_that_are_no_indices_of_the_mesh(tmp_path: Path, mask: Any) -> None:
    root = raw_data().write(tmp_path / "raw")
    (tmp_path / "masks.pkl").write_bytes(pickle.dumps({"lips": mask}, protocol=2))
    refuse(tmp_path, root, r"masks\.pkl, region lips (is|names|holds) ", masks=str(tmp_path / "masks.pkl"))


def test_a_region_whose_name_is_a_path(tmp_path: Path) -> None:
    root = raw_data().write(tmp_path / "raw")
    (tmp_path / "masks.pkl").write_bytes(pickle.dumps({"../../lips": np.array([1])}, protocol=2))
    refuse(tmp_path, root, "a region's name may hold", masks=str(tmp_path / "masks.pkl"))


BAD_NAMES = ["../../escaped", "/elsewhere/escaped", "a/b", "a\\b", "a\0b", ".hidden", "..", "", "a b", "a\nb"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("table", ["audio", "index", "templates"])
def test_a_name_that_is_no_file_name(tmp_path: Path, name: str, table: str) -> None:
    raw = raw_data()
    entries = getattr(raw, table)
    entries[name] = entries[VAL]
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    fails(tmp_path, raw, rf"\.pkl holds the name {re.escape(repr(name))}, .*it becomes a file's name")
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_sentence_that_is_no_file_name(tmp_path: Path, name: str) -> None:
    raw = raw_data()
    raw.index[TRAIN][name] = raw.index[TRAIN]["sentence01"]
    fails(tmp_path, raw, rf"subj_seq_to_idx\.pkl holds the name {re.escape(repr(name))}, ")


def test_names_that_differ_only_before_they_are_text(tmp_path: Path) -> None:
    raw = raw_data()
    raw.index[TRAIN] |= {"7": {0: 0}, 7: {0: 1}}  # type: ignore[dict-item]
    fails(tmp_path, raw, rf"subj_seq_to_idx\.pkl holds two sequences {TRAIN}_7")


def test_names_that_meet_in_one_id(tmp_path: Path) -> None:
    raw = raw_data()
    raw.index |= {"a": {"b_c": {0: 0}}, "a_b": {"c": {0: 1}}}
    fails(tmp_path, raw, r"subj_seq_to_idx\.pkl holds two sequences a_b_c")
