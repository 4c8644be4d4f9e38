"""What is wrong with Multiface files is said in a sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.mesh import Mesh, write_mesh
from stages.kinds.sequences import Sequences
from stages.preprocess.multiface import Settings
from stages.preprocess.multiface.regions import read_regions
from stages.preprocess.multiface.topology import TRACKED, read_frame
from tests.stages.preprocess.multiface_files import (
    FIRST_FRAME,
    SPEAKERS,
    TAKES,
    gone,
    refuse,
    run_multiface,
    surface,
    write_raw,
    write_ready,
)


def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", TAKES[:1])


def take(root: Path, speaker: int = 0) -> Path:
    return root / SPEAKERS[speaker] / "tracked_mesh" / TAKES[0]


def test_the_list_of_vertices_is_looked_at(tmp_path: Path) -> None:
    root = raw(tmp_path)
    file = root / "removed_vertices.txt"
    file.write_text(" ".join(map(str, gone()[1:])))
    refuse(
        tmp_path / "a", root, r"removed_vertices\.txt names 1,133 different vertices, not 1,134; it must be the list"
    )
    file.write_text(" ".join(map(str, gone() + 1)))
    refuse(tmp_path / "b", root, r"leaves vertices that do not fit .*: \d+% of the edges have another length")
    file.write_text("7306")
    refuse(tmp_path / "c", root, "names vertex 7306 of a mesh of 7306 vertices")
    np.save(root / "removed.npy", np.ones(1134))
    refuse(tmp_path / "d", root, "is not a list of vertex indices", removed=str(root / "removed.npy"))


def test_without_the_list_the_plan_says_where_it_is_published(tmp_path: Path) -> None:
    root = raw(tmp_path)
    (root / "removed_vertices.txt").unlink()
    (what,) = [name for name, file in Settings(root=str(root)).sources().files.items() if not file.exists()]
    assert "multiface2meshtalk" in what
    assert "github.com/facebookresearch/meshtalk" in what


def test_another_mesh(tmp_path: Path) -> None:
    root = raw(tmp_path)
    write_mesh(root / "face_template.obj", Mesh(surface().vertices[:50], surface().faces[:2] % 50))
    refuse(tmp_path, root, r"face_template\.obj has 50 vertices and 2 triangles; MeshTalk's .* has 6,172 vertices")


def test_a_frame_that_is_cut_short(tmp_path: Path) -> None:
    root = raw(tmp_path)
    file = take(root) / f"{FIRST_FRAME + 1:06d}.bin"
    file.write_bytes(file.read_bytes()[:-12])
    refuse(tmp_path, root, r"020918\.bin has 87,660 bytes, not the 87,672 of a tracked mesh")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    root = raw(tmp_path)
    file = take(root) / f"{FIRST_FRAME + 1:06d}.bin"
    np.full((7306, 3), np.nan, np.float32).tofile(file)
    refuse(tmp_path, root, r"020918\.bin: NaN or infinite vertices; repair it or leave it out with skip = \[\"1_01\"\]")


def test_dropped_frames_are_skipped_and_named(tmp_path: Path) -> None:
    root = raw(tmp_path)
    for number in (1, 2, 4):
        (take(root) / f"{FIRST_FRAME + number:06d}.bin").unlink()
    job = run_multiface(tmp_path / "job", root)
    read = Sequences(job.out)
    assert read.ids() == ["2_01"]
    assert "frames are missing" in read.info.skipped["1_01"]
    assert "1_01: frames 20918-20919, 20921 are missing" in job.said


def test_frames_twice(tmp_path: Path) -> None:
    root = raw(tmp_path)
    (take(root) / f"{FIRST_FRAME}.bin").write_bytes(b"")
    refuse(tmp_path, root, rf"has frame {FIRST_FRAME} twice, 020917\.bin and 20917\.bin; remove one")


def test_sequences_that_cannot_be_used_are_skipped(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw")
    (root / SPEAKERS[0] / "audio" / f"{TAKES[0]}.wav").unlink()
    for file in (root / SPEAKERS[0] / "tracked_mesh" / TAKES[1]).iterdir():
        file.unlink()
    neutral = root / SPEAKERS[1] / "tracked_mesh" / "E001_Neutral_Eyes_Open"
    neutral.rename(neutral.parent / "E001_Something")
    read = Sequences(run_multiface(tmp_path / "job", root, skip=["2_03"]).out)
    assert read.info.skipped == {
        "1_01": "no frames",
        "1_03": "no sound",
        "2_01": "no template of its speaker",
        "2_02": "no template of its speaker",
        "2_03": "left out by the parameter skip",
    }


def test_nothing_to_read(tmp_path: Path) -> None:
    refuse(tmp_path / "a", tmp_path / "absent", "the dataset folder .*absent does not exist")
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "b", tmp_path / "empty", "empty holds no sentence of its speakers; put folders <speaker>/tracked")


def test_arrays_of_another_topology(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "ready")
    np.save(root / "vertices_npy" / "2_01.npy", np.zeros((4, 30)))
    refuse(tmp_path / "a", root, r"2_01\.npy has 10 vertices, not MeshTalk's 6,172; repair it or leave it out")
    np.save(root / "vertices_npy" / "2_01.npy", np.zeros((4, 6172, 3)))
    np.savez(root / "templates.npz", **{"2": np.zeros((10, 3))})
    refuse(tmp_path / "b", root, "holds templates of 10 vertices, not of MeshTalk's 6,172")


def test_weights_of_another_mesh(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "ready")
    (root / "regions").mkdir()
    file = root / "regions" / "forehead_mask.txt"
    file.write_text("0.5 0.1")
    refuse(tmp_path / "a", root, r"forehead_mask\.txt holds 2 weights for 6,172 vertices; it belongs to another mesh")
    file.write_text("half")
    refuse(tmp_path / "b", root, "is not a list of weights")


def test_a_frame_of_a_byte_more(tmp_path: Path) -> None:
    file = tmp_path / "000001.bin"
    file.write_bytes(bytes(TRACKED * 12 + 1))
    with pytest.raises(DataError, match="has 87,673 bytes, not the 87,672 of a tracked mesh"):
        read_frame(file)


@pytest.mark.parametrize("text", ["nan 1", "1 1e999", "x" * 9000])
def test_weights_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match="is not a list of weights") as caught:
        read_regions({"forehead_mask": tmp_path / "a.txt"}, 2)
    assert len(str(caught.value)) < 600
