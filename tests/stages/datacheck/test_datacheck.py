"""Each thing that can be wrong with a folder, made wrong on purpose, is found, called by its code and placed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.ply import write_ply
from stages.datacheck.command import examine, opened
from stages.datacheck.findings import CODES, Finding
from tests.pipeline.test_cli import pipe
from tests.stages.preprocess.own_files import RATE, People, describe, write, write_regions

PEOPLE = People()
COUNT = len(PEOPLE.mesh.vertices)


def found(folder: Path) -> list[Finding]:
    return list(examine(opened(folder, ""), jobs=2).findings)


def short(findings: list[Finding]) -> list[str]:
    """The lines without how to mend it."""
    return [str(finding).partition("; ")[0] for finding in findings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return describe(write(tmp_path / "mine", "npy"), "npy")


def load(folder: Path, name: str) -> np.ndarray:
    return np.load(folder / "motion" / f"{name}.npy")


def save(folder: Path, name: str, frames: np.ndarray) -> None:
    np.save(folder / "motion" / f"{name}.npy", frames)


@pytest.mark.parametrize("form", ["npy", "npz", "meshes", "gltf", "csv"])
def test_nothing_is_said_against_what_is_whole(tmp_path, form) -> None:
    assert found(describe(write(tmp_path / "mine", form), form)) == []


def nan(folder: Path) -> str:
    frames = load(folder, "bob_s2")
    frames[12, 40, 2], frames[13, 3, 0] = np.nan, np.inf
    save(folder, "bob_s2", frames)
    return "motion/bob_s2.npy: frame 12, vertex 40: error NAN: NaN or infinity, the first of 2 such frames"


def jump(folder: Path) -> str:
    frames = load(folder, "bob_s2")
    frames[12, 40] += 0.03
    save(folder, "bob_s2", frames)
    return "motion/bob_s2.npy: frame 12, vertex 40: error JUMP: a vertex jumps by "


def cut(folder: Path) -> str:
    frames = load(folder, "bob_s2")
    frames[12:] += 0.1
    save(folder, "bob_s2", frames)
    return "motion/bob_s2.npy: frame 12: error CUT: the whole face jumps by "


def still(folder: Path) -> str:
    save(folder, "bob_s2", np.repeat(load(folder, "bob_s2")[:1], 33, axis=0))
    return "motion/bob_s2.npy: warning STILL: nothing moves in it"


def permuted(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "bob_s2")[:, np.random.default_rng(0).permutation(COUNT)])
    return "motion/bob_s2.npy: error ORDER: the same vertices in another order than topology.ply"


def permuted_topology(folder: Path) -> str:
    mixed = np.random.default_rng(0).permutation(COUNT)
    place = np.argsort(mixed)
    write_ply(folder / "topology.ply", PEOPLE.mesh.vertices[mixed], place[PEOPLE.mesh.faces])
    return "topology.ply: error ORDER: the same vertices in another order than in 12 of 12 sequences"


def swapped(folder: Path) -> str:
    frames = load(folder, "bob_s2")
    frames[:, [20, 90]] = frames[:, [90, 20]]
    save(folder, "bob_s2", frames)
    return "motion/bob_s2.npy: vertex 20: error SWAPPED: 2 vertices are out of place (20, 90)"


def other_shape(folder: Path) -> str:
    noise = np.random.default_rng(0).standard_normal((1, COUNT, 3)) ** 3
    save(folder, "bob_s2", (load(folder, "bob_s2") * 0.01 + noise * 0.02).astype(np.float32))
    return "motion/bob_s2.npy: error SHAPE: as many vertices as topology.ply, but another shape or order"


def topology(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "bob_s2")[:, :100])
    return f"motion/bob_s2.npy: error TOPOLOGY: 100 vertices, and topology.ply has {COUNT}"


def millimetres(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "bob_s2") * 1000)
    return "motion/bob_s2.npy: error UNITS: 1000 times as large as the others"


def inches(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "bob_s2") / 2.54)
    return "motion/bob_s2.npy: warning SIZE: 0.39 times the size of the others"


def said_unit(folder: Path) -> str:
    describe(folder, "npy", units='"mm"')
    return "dataset.toml: error UNITS: units = 'mm' makes a head of 0.000336 m"


def upside_down(folder: Path) -> str:
    write_regions(folder, PEOPLE)
    describe(folder, "npy", up='"-y"', regions='"regions"')
    return "topology.ply: error UPSIDE-DOWN: with up = '-y' the lips are above the upper face"


def backwards(folder: Path) -> str:
    write_regions(folder, PEOPLE)
    describe(folder, "npy", front='"-z"', regions='"regions"')
    return "topology.ply: error BACKWARDS: with front = '-z' the lips are at the back of the head"


def mirrored(folder: Path) -> str:
    write_ply(folder / "topology.ply", PEOPLE.mesh.vertices, PEOPLE.mesh.faces[:, ::-1])
    return "topology.ply: warning INSIDE-OUT: its triangles are seen from inside"


def rate(folder: Path) -> str:
    describe(folder, "npy", fps="25.0")
    return "dataset.toml: error RATE: looks like 30 frames per second (30.00 in the middle of 12), not 25"


def length(folder: Path) -> str:
    sound = PEOPLE.sound("bob", "s2")
    soundfile.write(folder / "wav" / "bob_s2.wav", np.concatenate([sound, 0.5 * sound]), RATE)
    return "motion/bob_s2.npy: error LENGTH: 33 frames (1.10 s), but 2.20 s of sound: 33 frames too few"


def short_by_a_little(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "bob_s2")[:28])
    return "motion/bob_s2.npy: warning LENGTH: 28 frames (0.93 s), but 1.10 s of sound: 5 frames too few"


def same_motion(folder: Path) -> str:
    save(folder, "bob_s2", load(folder, "anna_s2"))
    return "motion/bob_s2.npy: warning SAME-MOTION: the same motion as motion/anna_s2.npy"


def same_sound(folder: Path) -> str:
    (folder / "wav" / "bob_s4.wav").write_bytes((folder / "wav" / "bob_s2.wav").read_bytes())
    return "wav/bob_s4.wav: error SAME-SOUND: the same sound as wav/bob_s2.wav, and they are in different splits"


def silent(folder: Path) -> str:
    soundfile.write(folder / "wav" / "bob_s2.wav", np.zeros(17600), RATE)
    return "wav/bob_s2.wav: error SILENT: the sound is silent"


def nearly_silent(folder: Path) -> str:
    soundfile.write(folder / "wav" / "bob_s2.wav", PEOPLE.sound("bob", "s2") * 0.001, RATE)
    return "wav/bob_s2.wav: warning SILENT: nearly silent (-73 dB)"


def clipped(folder: Path) -> str:
    soundfile.write(folder / "wav" / "bob_s2.wav", np.clip(PEOPLE.sound("bob", "s2") * 20, -1, 1), RATE)
    return "wav/bob_s2.wav: warning CLIPPED: "


def empty_sound(folder: Path) -> str:
    soundfile.write(folder / "wav" / "bob_s2.wav", np.zeros(0), RATE)
    return "wav/bob_s2.wav: error EMPTY: the sound is empty"


def empty_file(folder: Path) -> str:
    (folder / "wav" / "bob_s2.wav").write_bytes(b"")
    return "wav/bob_s2.wav: error EMPTY: the file is empty"


def no_frame(folder: Path) -> str:
    save(folder, "bob_s2", np.zeros((0, COUNT, 3), np.float32))
    return "motion/bob_s2.npy: error EMPTY: there is not one frame"


def other_sample_rate(folder: Path) -> str:
    soundfile.write(folder / "wav" / "bob_s2.wav", PEOPLE.sound("bob", "s2")[::2], RATE // 2)
    return "wav/bob_s2.wav: warning SAMPLE-RATE: 8000 Hz, and most others 16000: 1 of 12 differ"


def pointer(folder: Path) -> str:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 133\n"
    (folder / "motion" / "bob_s2.npy").write_text(text)
    return "motion/bob_s2.npy: error LFS: a git-LFS pointer, not the data itself"


def old_pickle(folder: Path) -> str:
    (folder / "motion" / "bob_s2.npy").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=0))
    return "motion/bob_s2.npy: error PICKLE: a pickle of Python 2, not a NumPy file"


def new_pickle(folder: Path) -> str:
    (folder / "motion" / "bob_s2.npy").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=4))
    return "motion/bob_s2.npy: error PICKLE: a pickle of Python 3, not a NumPy file"


def objects(folder: Path) -> str:
    np.save(folder / "motion" / "bob_s2.npy", np.array([{}], object), allow_pickle=True)
    return "motion/bob_s2.npy: error PICKLE: an array of Python objects"


def cut_short(folder: Path) -> str:
    file = folder / "motion" / "bob_s2.npy"
    file.write_bytes(file.read_bytes()[:5000])
    return "motion/bob_s2.npy: error TRUNCATED: cut short: 5,000 of "


def cut_header(folder: Path) -> str:
    file = folder / "motion" / "bob_s2.npy"
    file.write_bytes(file.read_bytes()[:50])
    return "motion/bob_s2.npy: error TRUNCATED: an array whose header is damaged (50 bytes)"


def cut_sound(folder: Path) -> str:
    file = folder / "wav" / "bob_s2.wav"
    file.write_bytes(file.read_bytes()[:20000])
    return "wav/bob_s2.wav: error TRUNCATED: cut short: 20,000 of "


def page(folder: Path) -> str:
    (folder / "motion" / "bob_s2.npy").write_text("<!DOCTYPE html><html>log in</html>")
    return "motion/bob_s2.npy: error UNREADABLE: a web page, not the data"


def other_type(folder: Path) -> str:
    save(folder, "bob_s2", np.zeros((4, COUNT, 3), np.int16))
    return "motion/bob_s2.npy: error UNREADABLE: holds int16"


def archive(folder: Path) -> str:
    (folder / "more.zip").write_bytes(b"PK\x03\x04 and no end")
    return "more.zip: warning TRUNCATED: an archive without its end"


def packed(folder: Path) -> str:
    (folder / "more.tar.gz").write_bytes(b"\x1f\x8b")
    return "more.tar.gz: warning ARCHIVE: an archive, which is not looked into"


def unparsed(folder: Path) -> str:
    (folder / "motion" / "bob.npy").write_bytes(b"")
    return "motion/bob.npy: warning NAME: its name does not fit the pattern '{subject}_{sentence}'"


def twice(folder: Path) -> str:
    sound = folder / "wav" / "bob_s2.wav"
    soundfile.write(folder / "wav" / "bob_s2.flac", *soundfile.read(sound))
    return "wav/bob_s2.wav: error TWICE: wav/bob_s2.flac has the same name and is taken"


def no_sound(folder: Path) -> str:
    (folder / "wav" / "bob_s2.wav").unlink()
    return "motion/bob_s2.npy: warning NO-SOUND: no sound of this name"


def no_motion(folder: Path) -> str:
    (folder / "motion" / "bob_s2.npy").unlink()
    return "wav/bob_s2.wav: warning NO-MOTION: no motion of this name"


def no_split(folder: Path) -> str:
    describe(folder, "npy", splits='[splits.train]\nsubjects = ["anna", "bob"]\n[splits.val]\nsubjects = []\n')
    return "dataset.toml: warning SPLIT: cleo is in no split, with 4 sequences"


def empty_split(folder: Path) -> str:
    describe(folder, "npy", splits='[splits.train]\nsubjects = ["dora"]\n[splits.val]\nsubjects = ["anna"]\n')
    return "dataset.toml: error SPLIT: the split 'train' has no sequence: nothing can be trained on it"


def two_splits(folder: Path) -> str:
    describe(folder, "npy", splits='[splits.train]\nsubjects = ["anna"]\n[splits.val]\nsubjects = ["anna"]\n')
    return "dataset.toml: error SPLIT: anna's s1 is in train and val"


def no_triangles(folder: Path) -> str:
    (folder / "topology.ply").write_text("version https://git-lfs.github.com/spec/v1\n")
    return "topology.ply: error LFS: a git-LFS pointer, not the data itself"


def bad_region(folder: Path) -> str:
    (folder / "regions").mkdir()
    (folder / "regions" / "lips.txt").write_text("100000\n")
    describe(folder, "npy", regions='"regions"')
    return "regions: error REGION: "


def description(folder: Path) -> str:
    describe(folder, "npy", fps='"fast"')
    return "dataset.toml: error DESCRIPTION: fps is 'fast'"


CASES: list[Callable[[Path], str]] = [
    nan, jump, cut, still, permuted, permuted_topology, swapped, other_shape, topology, millimetres, inches, said_unit,
    upside_down, backwards, mirrored, rate, length, short_by_a_little, same_motion, same_sound, silent, nearly_silent,
    clipped, empty_sound, empty_file, no_frame, other_sample_rate, pointer, old_pickle, new_pickle, objects, cut_short,
    cut_header, cut_sound, page, other_type, archive, packed, unparsed, twice, no_sound, no_motion, no_split,
    empty_split, two_splits, no_triangles, bad_region, description,
]  # fmt: skip
TOLD_TWICE = {"cut_sound", "two_splits", "empty_split", "said_unit", "no_split", "same_sound"}
"""What is wrong in two ways at once: a sound that is cut short is shorter than its motion, too."""


@pytest.mark.parametrize("spoil", CASES, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_is_found_and_nothing_else(folder, spoil, capsys) -> None:
    expected = spoil(folder)
    pipe("data", "check", str(folder), "--jobs", "2")
    *lines, summary = capsys.readouterr().out.splitlines()
    assert any(line.startswith(expected) for line in lines), lines
    assert all("; " in line for line in lines), lines
    assert len(lines) == 1 or spoil.__name__ in TOLD_TWICE, lines
    assert " error" in summary


def test_the_exit_code_tells_of_errors(folder, capsys) -> None:
    assert pipe("data", "check", str(folder)) == 0
    assert capsys.readouterr().out == "12 sequences, 414 frames, 13.8 s of sound: nothing to say against them\n"
    no_sound(folder)
    assert pipe("data", "check", str(folder)) == 0  # warnings alone
    nan(folder)
    assert pipe("data", "check", str(folder)) == 1


def test_for_machines(folder, capsys) -> None:
    nan(folder)
    assert pipe("data", "check", str(folder), "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["sequences"], told["errors"], told["warnings"]) == (12, 1, 0)
    (finding,) = told["findings"]
    assert (finding["file"], finding["frame"], finding["vertex"], finding["code"]) == (
        "motion/bob_s2.npy",
        12,
        40,
        "NAN",
    )


def test_of_many_alike_a_few_are_printed(folder, capsys) -> None:
    for subject, sentence in PEOPLE.names:
        (folder / "wav" / f"{subject}_{sentence}.wav").unlink()
    pipe("data", "check", str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert lines[8] == "… and 4 more NO-SOUND; --json has all"
    assert len(lines) == 10


def test_a_folder_without_description_and_one_that_is_none(tmp_path, capsys) -> None:
    assert pipe("data", "check", str(tmp_path)) == 1
    assert "pipe data init" in capsys.readouterr().out
    assert pipe("data", "check", str(tmp_path / "nowhere")) == 1


def test_every_code_is_explained_and_every_explained_code_is_used() -> None:
    root = Path(__file__).parents[3]
    source = "".join(file.read_text() for file in (root / "stages/datacheck").glob("*.py"))
    page = (root / "docs/datasets/own.md").read_text()
    for code in CODES:
        assert source.count(f'"{code}"') >= 2, code
        assert f"`{code}`" in page, code


def test_a_sequence_is_measured_the_same_whatever_the_block(folder, monkeypatch) -> None:
    from stages.datacheck import measure

    frames = load(folder, "cleo_s4")
    frames[20, 3] += 0.05
    whole = measure.measure_motion([frames], len(frames))
    monkeypatch.setattr(measure, "BLOCK", 5)
    parts = measure.measure_motion([frames[:1], frames[1:18], frames[18:19], frames[19:]], len(frames))
    np.testing.assert_allclose(parts.jumps, whole.jumps)
    np.testing.assert_allclose(parts.steps, whole.steps)
    assert int(np.argmax(whole.jumps)) == 20
    assert (parts.digest, parts.moved) == (whole.digest, whole.moved)
