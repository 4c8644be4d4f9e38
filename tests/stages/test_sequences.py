"""The reader of the kind `sequences`: lazy, read-only, and clear about what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.ply import write_ply
from stages.kinds.sequences import Entry, Info, Sequences, sequence_id, write_index, write_region
from tests.stages.tiny import make_sequences

FRAMES = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 12)
ENTRIES = {
    "b_sentence02": Entry("b", "sentence02", "test", 2, 1000, 22000),
    "a_sentence01": Entry("a", "sentence01", "train", 2, 1000, 22000),
    "b_sentence01": Entry("b", "sentence01", "", 2, 1000, 22000),
}
SUBJECTS = {"train": ["z", "a"], "test": ["b"], "test-b": []}
INFO = Info("made", 30.0, "m", "y", 4, SUBJECTS, ENTRIES, {"c_sentence01": "no sound"})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "vertices_npy").mkdir()
    for name in ENTRIES:
        np.save(tmp_path / "vertices_npy" / f"{name}.npy", FRAMES)
    np.savez(tmp_path / "templates.npz", a=np.ones((4, 3), np.float32))
    write_ply(tmp_path / "topology.ply", np.zeros((4, 3)), np.array([[0, 1, 2], [1, 3, 2]]))
    write_region(tmp_path, "lips", np.array([3, 1, 3]))
    write_index(tmp_path, INFO)
    return tmp_path


def test_what_was_written_is_read(artifact: Path) -> None:
    read = Sequences(artifact)
    assert read.info == INFO
    assert list(read.info.subjects) == ["train", "test", "test-b"]
    assert (read.fps, read.units, read.train_subjects, read.subjects("val")) == (30.0, "m", ["z", "a"], [])
    assert read.ids() == ["a_sentence01", "b_sentence01", "b_sentence02"]
    assert (read.ids("train"), read.ids("val"), read.ids("")) == (["a_sentence01"], [], ["b_sentence01"])
    assert read.entry("b_sentence02") == ENTRIES["b_sentence02"]
    assert read.wav("b_sentence02") == artifact / "wav" / "b_sentence02.wav"
    assert (read.faces.tolist(), read.faces.dtype) == ([[0, 1, 2], [1, 3, 2]], np.int32)
    assert read.templates["a"].shape == (4, 3)
    lips = read.region("lips")
    assert lips is not None
    assert (lips.tolist(), lips.dtype) == ([3, 1, 3], np.int64)
    assert read.region("nose") is None
    assert read.region_names == ["lips"]
    assert sequence_id("a", "sentence01") == "a_sentence01"


def test_vertices_are_a_read_only_map(artifact: Path) -> None:
    vertices = Sequences(artifact).vertices("a_sentence01")
    np.testing.assert_array_equal(vertices, FRAMES.reshape(2, 4, 3))
    assert isinstance(vertices, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        vertices[0] = 0


def test_the_index_does_not_depend_on_the_order_of_making(artifact: Path) -> None:
    before = (artifact / "sequences.json").read_bytes()
    turned = Info("made", 30.0, "m", "y", 4, INFO.subjects, dict(reversed(ENTRIES.items())), INFO.skipped)
    assert write_index(artifact, turned).read_bytes() == before


def test_a_skipped_sequence_says_why_it_is_not_there(artifact: Path) -> None:
    with pytest.raises(DataError, match="has no sequence c_sentence01: no sound"):
        Sequences(artifact).vertices("c_sentence01")
    with pytest.raises(DataError, match="no sequence of that name"):
        Sequences(artifact).wav("d_sentence01")


def test_damage_is_named(artifact: Path) -> None:
    np.save(artifact / "vertices_npy" / "a_sentence01.npy", FRAMES[:1])
    with pytest.raises(DataError, match=r"a_sentence01\.npy holds float32 \(1, 12\), not float32 \(2, 12\)"):
        Sequences(artifact).vertices("a_sentence01")
    (artifact / "vertices_npy" / "b_sentence01.npy").unlink()
    with pytest.raises(DataError, match=r"b_sentence01\.npy cannot be read"):
        Sequences(artifact).vertices("b_sentence01")


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"sequences": {"a": {}}}', '{"sequences": 3}'])
def test_an_index_that_is_none(artifact: Path, text: str) -> None:
    (artifact / "sequences.json").write_text(text)
    with pytest.raises(DataError, match=r"sequences\.json is not"):
        Sequences(artifact).ids()


def test_a_folder_without_index(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no sequences\.json|holds no sequences"):
        Sequences(tmp_path).ids()


def test_planning_imports_nothing_heavy() -> None:
    sets = ("vocaset", "biwi", "biwi.layout", "synthetic", "synthetic_biwi")
    modules = ", ".join(["stages.kinds.sequences", *(f"stages.preprocess.{name}" for name in sets)])
    heavy = "{'numpy', 'torch', 'soundfile', 'h5py', 'matplotlib'}"
    planned = "stages.preprocess.biwi.Settings(root='.').sources()"
    code = f"import sys, {modules}; {planned}; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_templates_that_have_rotted_are_said_so_while_planning(tmp_path: Path) -> None:
    data = Sequences(make_sequences(tmp_path / "data"))
    assert data.template_digests.keys() == data.templates.keys()
    file = tmp_path / "data" / "templates.npz"
    content = bytearray(file.read_bytes())
    content[100] ^= 255
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"templates.npz cannot be read .* make it again with preprocess"):
        _ = Sequences(tmp_path / "data").template_digests


@pytest.mark.parametrize("change", [{"fps": -25.0}, {"fps": 0}, {"vertices": "4"}, {"subjects": {"train": "A"}}])
def test_an_index_of_other_types_is_none(tmp_path: Path, change: dict) -> None:
    info = Info("d", 25.0, "m", "y", 4, {"train": ["A"]}, {"A_s1": Entry("A", "s1", "train", 3, 0, 0)})
    facts = json.loads(write_index(tmp_path, info).read_text())
    assert Sequences(tmp_path).info == info
    (tmp_path / "sequences.json").write_text(json.dumps(facts | change))
    with pytest.raises(DataError, match="is not an index of sequences"):
        _ = Sequences(tmp_path).info


def test_what_an_index_calls_its_splits_stays_on_a_line(tmp_path: Path) -> None:
    write_index(tmp_path, Info("d", 25.0, "m", "y", 4, {"trai\n": []}, {}, {"A_s2": "no\nsound"}))
    for ask in (lambda data: data.ids_in(["train"]), lambda data: data.entry("A_s2")):
        with pytest.raises(DataError) as caught:
            ask(Sequences(tmp_path))
        assert "\n" not in str(caught.value)


def test_what_files_are_called_after_leads_nowhere_else(tmp_path: Path) -> None:
    entry = Entry("A", "s1", "train", 3, 0, 0)
    for subject, name in (("A", "../A_s1"), ("/etc", "A_s1")):
        write_index(tmp_path, Info("d", 25.0, "m", "y", 4, {"train": [subject]}, {name: entry}))
        with pytest.raises(DataError, match=r"sequences\.json holds the name '"):
            _ = Sequences(tmp_path).info
