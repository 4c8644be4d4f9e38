"""BIWI files that are not what they should be: one sentence with file and remedy, or a skipped and listed sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from faces.vl import write_vl
from stages.kinds.sequences import Sequences
from stages.preprocess import Preprocess
from stages.preprocess.biwi import Settings
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.biwi_files import (
    OTHER,
    POINTS,
    RATE,
    SENTENCES,
    TRAIN,
    TRIANGLES,
    UNSEEN,
    biwi_data,
    refuse,
    run_biwi,
    skips,
    write_templates,
)

FIRST = "F2_e01"
LEAVE_OUT = r'leave it out with skip = \["F2_e01"\]'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return biwi_data().write(tmp_path / "raw")


# --- folders -------------------------------------------------------------------------------------------------------


def test_the_folder_is_absent(tmp_path: Path) -> None:
    refuse(tmp_path, tmp_path / "nowhere", r"the dataset folder .*nowhere does not exist; give the folder")


def test_the_folder_is_empty(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    refuse(
        tmp_path, tmp_path / "raw", r"raw/faces holds no sequence; put <subject>/<sentence>\.tar, or such folders of"
    )


def test_neutral_sentences_alone(tmp_path: Path) -> None:
    root = biwi_data((TRAIN,), ("01", "02")).write(tmp_path / "raw")
    refuse(tmp_path, root, "holds no emotional sentence and 2 others; choose other sentences")


def test_no_templates(tmp_path: Path, root: Path) -> None:
    for file in (root / "rigid_scans").iterdir():
        file.unlink()
    refuse(tmp_path, root, "rigid_scans holds no mesh that is called after a subject; it must be <subject>.obj")


def test_no_folder_of_templates(tmp_path: Path, root: Path) -> None:
    (root / "rigid_scans").rename(root / "scans")
    refuse(tmp_path, root, r"rigid_scans is missing; put the templates there")


def test_a_sequence_in_two_forms(tmp_path: Path, root: Path) -> None:
    np.save(root / "faces" / "F2_e01.npy", np.zeros((9, 18)))
    refuse(tmp_path, root, r"faces holds F2_e01 twice, .*e01.*; remove one")


def test_a_name_that_is_no_file_name(tmp_path: Path, root: Path) -> None:
    (root / "faces" / "F2").rename(root / "faces" / "F 2")
    (root / "rigid_scans" / "F2.obj").rename(root / "rigid_scans" / "F 2.obj")
    refuse(tmp_path, root, r"holds the name 'F 2', and it becomes a file's name")


# --- frames --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [-1, 1, 12])
def test_a_frame_of_the_wrong_size(tmp_path: Path, root: Path, change: int) -> None:
    file = root / "faces" / "F2" / "e33" / "frame_004.vl"
    file.write_bytes((file.read_bytes() + bytes(12))[: 76 + change])
    refuse(tmp_path, root, rf"e33/frame_004\.vl is no whole \.vl frame: it has {76 + change} bytes, and the 6 vertices")


def test_frames_before_a_damaged_one_are_not_made_again(tmp_path: Path, root: Path) -> None:
    file = root / "faces" / "M3" / "e37" / "frame_004.vl"
    whole = file.read_bytes()
    file.write_bytes(whole[:50])
    job = FakeJob.under(tmp_path / "job")
    stage = Preprocess(Preprocess.Params(dataset="biwi", fps=25.0), {"dataset": Settings(root=str(root))})
    with pytest.raises(DataError, match=r"frame_004\.vl"):
        stage.run(job)
    assert len(job.done) == 8
    kept = job.out / "vertices_npy" / f"{FIRST}.npy"
    before = kept.stat().st_mtime_ns
    file.write_bytes(whole)
    stage.run(job)
    assert (kept.stat().st_mtime_ns, len(Sequences(job.out).ids())) == (before, 9)


def test_a_frame_of_another_vertex_count(tmp_path: Path, root: Path) -> None:
    write_vl(root / "faces" / "F2" / "e01" / "frame_004.vl", POINTS[:5])
    refuse(tmp_path, root, rf"frame_004\.vl has 5 vertices, but the templates have 6; .*{LEAVE_OUT}")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ([4], r"frame 4 is missing between frame_003\.vl and frame_005\.vl"),
        ([4, 5, 6], r"frames 4 to 6 are missing between frame_003\.vl and frame_007\.vl"),
        ([1], r"begins with frame_002\.vl: frame 1 is missing"),
        ([1, 2, 3], r"begins with frame_004\.vl: frames 1 to 3 are missing"),
    ],
)
def test_frames_are_missing(tmp_path: Path, root: Path, missing: list[int], sentence: str) -> None:
    for number in missing:
        (root / "faces" / "F2" / "e01" / f"frame_{number:03d}.vl").unlink()
    refuse(tmp_path, root, rf"faces/F2/e01:? {sentence}; .*{LEAVE_OUT}")


def test_a_gap_is_no_matter_where_the_sequence_is_left_out(tmp_path: Path, root: Path) -> None:
    (root / "faces" / "F2" / "e01" / "frame_004.vl").unlink()
    skips(tmp_path, root, [FIRST], "left out by the parameter skip", skip=[FIRST])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("copy_4.vl", r"has frame 4 twice, copy_4\.vl and frame_004\.vl; remove one"),
        ("frame.vl", r"frame\.vl has no number of a frame at the end of its name"),
        ("frame_010.obj", r"e01 holds \.vl and \.obj files; keep the one kind or the other"),
    ],
)
def test_a_file_too_many(tmp_path: Path, root: Path, name: str, sentence: str) -> None:
    write_vl(root / "faces" / "F2" / "e01" / name, POINTS)
    refuse(tmp_path, root, sentence)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_that_is_no_number(tmp_path: Path, root: Path, value: float) -> None:
    points = POINTS.copy()
    points[2, 1] = value
    write_vl(root / "faces" / "F2" / "e01" / "frame_004.vl", points)
    refuse(tmp_path, root, rf"F2/e01/frame_004\.vl: NaN or infinite vertices; .*{LEAVE_OUT}")


def test_an_empty_folder(tmp_path: Path, root: Path) -> None:
    for file in (root / "faces" / "F2" / "e01").iterdir():
        file.unlink()
    skips(tmp_path, root, [FIRST], "no frames")


def test_a_frame_without_area(tmp_path: Path, root: Path) -> None:
    write_vl(root / "faces" / "F2" / "e01" / "frame_004.vl", np.ones((6, 3)))
    refuse(tmp_path, root, r"F2/e01 has a frame without area; take another copy")


# --- meshes --------------------------------------------------------------------------------------------------------

QUAD = "f 1/1/1 3/1/1 5/1/1 2/1/1\n"


def test_a_template_with_quads(tmp_path: Path, root: Path) -> None:
    file = root / "rigid_scans" / "M3.obj"
    file.write_text(file.read_text() + "\n" + QUAD)
    refuse(tmp_path, root, r"M3\.obj, line 17, is a face of more than three corners; give the mesh with")


def test_frames_with_quads(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw", ".obj")
    file = root / "faces" / "F2" / "e01" / "1.obj"
    file.write_text(file.read_text() + QUAD)
    refuse(tmp_path, root, r"e01/1\.obj, line 15, is a face of more than three corners")


def test_frames_with_other_triangles(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw", ".obj")
    write_mesh(root / "faces" / "F2" / "e01" / "1.obj", Mesh(POINTS.astype(np.float32), TRIANGLES[::-1].astype("i4")))
    refuse(tmp_path, root, r"e01/1\.obj has other triangles than the templates, so that its vertices are not in their")


def test_templates_of_different_vertex_counts(tmp_path: Path, root: Path) -> None:
    write_templates(tmp_path / "more", {"M3": np.vstack([POINTS, [[2, 2, 2]]])}, {"M3": TRIANGLES})
    (tmp_path / "more" / "M3.obj").replace(root / "rigid_scans" / "M3.obj")
    refuse(tmp_path, root, r"M3\.obj has 7 vertices, but .*F1\.obj has 6; all templates must be of one topology")


def test_templates_of_different_triangles(tmp_path: Path) -> None:
    data = biwi_data()
    data.faces["M3"] = TRIANGLES[:, [1, 2, 0]]
    refuse(tmp_path, data.write(tmp_path / "raw"), r"M3\.obj has other triangles than .*F1\.obj; all templates must be")


def test_a_topology_of_ones_own_rules(tmp_path: Path, root: Path) -> None:
    mesh = write_mesh(tmp_path / "mine.ply", Mesh(POINTS.astype(np.float32), TRIANGLES[:4].astype(np.int32)))
    refuse(tmp_path, root, r"F1\.obj has other triangles than .*mine\.ply", topology=str(mesh))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("v 0 0 0\nv 1 0 0\n", "M3.obj has no triangles; export it with its faces"),
        ("v 0 0 zero\n", "M3.obj, line 1, is not OBJ"),
        ("v 0 0 0\nv 0 0 0\nv 0 0 0\nv 0 0 0\nv 0 0 0\nv 0 0 0\n", "M3.obj has no area"),
        ("v 0 0 nan\nv 0 0 0\nv 0 0 0\nv 0 0 0\nv 0 0 0\nv 0 0 0\n", "M3.obj: the template holds NaN"),
    ],
)
def test_a_template_that_is_none(tmp_path: Path, root: Path, text: str, sentence: str) -> None:
    faces = "".join(f"f {a} {b} {c}\n" for a, b, c in TRIANGLES + 1) if text.count("v") == 6 else ""
    (root / "rigid_scans" / "M3.obj").write_text(text + faces)
    refuse(tmp_path, root, sentence)


def test_a_subject_without_template(tmp_path: Path, root: Path) -> None:
    (root / "rigid_scans" / "M3.obj").unlink()
    skips(tmp_path, root, [f"M3_{s}" for s in SENTENCES], "no template of its subject in rigid_scans")


# --- sound ---------------------------------------------------------------------------------------------------------


def test_a_sequence_without_sound(tmp_path: Path, root: Path) -> None:
    (root / "audio" / f"{FIRST}_cut.wav").unlink()
    skips(tmp_path, root, [FIRST], "no sound")


@pytest.mark.parametrize(("samples", "reason"), [(np.zeros(5000, np.int16), "silent"), (np.ones(9, np.int16), "25 ms")])
def test_sound_that_cannot_teach(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    data = biwi_data()
    data.audio[TRAIN, "e01"] = samples
    skips(tmp_path, data.write(tmp_path / "raw"), [FIRST], reason)


def test_sound_that_is_none(tmp_path: Path, root: Path) -> None:
    (root / "audio" / f"{FIRST}_cut.wav").write_text("<html>")
    refuse(tmp_path, root, rf"{FIRST}_cut\.wav cannot be read as sound .*{LEAVE_OUT}")


# --- the rest ------------------------------------------------------------------------------------------------------


def test_skip_names_a_sequence_that_is_not_there(tmp_path: Path, root: Path) -> None:
    refuse(tmp_path, root, "skip names F9_e01, which the data do not have", skip=["F9_e01"])


def test_nothing_can_be_used(tmp_path: Path, root: Path) -> None:
    for file in (root / "audio").iterdir():
        file.unlink()
    refuse(tmp_path, root, r"raw holds no sequence that can be used; 9 × no sound")


def test_a_region_of_another_mesh(tmp_path: Path, root: Path) -> None:
    (root / "regions" / "lve.txt").write_text("2, 6")
    refuse(tmp_path, root, r"lve\.txt names vertex 6 of a mesh of 6 vertices; use the region of this topology")


def test_splits_without_sequences_are_said(tmp_path: Path, root: Path) -> None:
    splits = tmp_path / "mine.toml"
    tables = {"train": (TRAIN, 1), "val": (OTHER, 2), "test-x": (UNSEEN, 2)}
    splits.write_text("".join(f'[{n}]\nsubjects = ["{s}"]\nsentences = "{q}"\n' for n, (s, q) in tables.items()))
    said = run_biwi(tmp_path / "job", root, splits=str(splits)).said
    assert "warning: the split 'val' has no sequence: the last weights are taken for the best" in said
    assert "warning: the split 'test-x' has no sequence: nothing can be tested on it" in said


def test_sound_without_frames_is_no_sequence(tmp_path: Path) -> None:
    data = biwi_data()
    data.audio[TRAIN, "e09"] = np.ones(RATE, np.int16)
    assert len(Sequences(run_biwi(tmp_path / "job", data.write(tmp_path / "raw")).out).ids()) == 9
