"""What `pipe data init` says of a folder before it writes, and that what it writes is all that a run needs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.mesh import Mesh, write_mesh
from faces.ply import read_ply
from stages.datainit.guesses import axes, frame_rate, propose_splits, unit
from stages.datainit.naming import find_naming
from stages.datainit.propose import propose
from stages.datainit.survey import survey
from stages.preprocess.own import Settings
from tests.assets import asset, needs_assets
from tests.pipeline.test_cli import pipe
from tests.stages.preprocess.own_files import FORMS, RATE, People, write, write_regions

NONE = {"fps": 0.0, "units": "", "up": "", "front": "", "splits": "", "pattern": ""}


def described(folder: Path) -> dict:
    return tomllib.loads((folder / "dataset.toml").read_text())


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_recognised_and_then_passes_the_check(tmp_path, capsys, form) -> None:
    folder = write(tmp_path / "mine", form)
    before = times(folder)
    assert pipe("data", "init", str(folder), "--yes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["motion", "12", "×", form, "in", "motion"]
    assert any(line.startswith("subjects") and "anna, bob, cleo" in line for line in lines)
    assert lines[-1].endswith(f"pipe run recipes/faceformer_own.toml --set step.preprocess.root={folder}")
    told = described(folder)
    assert (told["fps"], told["units"], told["up"], told["front"]) == (30.0, "m", "y", "z")
    assert told["files"]["form"] == form
    assert told["splits"]["test"] == {"subjects": ["anna", "bob", "cleo"], "sentences": ["s4"]}
    after = {
        path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != "dataset.toml" and path.is_file()
    }
    assert after == before  # nothing else is touched
    assert pipe("data", "check", str(folder)) == 0
    assert "nothing to say against them" in capsys.readouterr().out


def test_nothing_is_written_unasked(tmp_path, capsys, monkeypatch) -> None:
    folder = write(tmp_path / "mine", "npy")
    assert pipe("data", "init", str(folder)) == 2
    assert "say --yes" in capsys.readouterr().err
    assert pipe("data", "init", str(folder), "--dry-run") == 0
    assert '[splits.train]\nsubjects = ["anna", "bob", "cleo"]' in capsys.readouterr().out
    assert pipe("data", "init", str(folder), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["written"], tomllib.loads(told["text"])["fps"]) == (False, 30.0)
    assert not (folder / "dataset.toml").exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, there in (("n", False), ("y", True)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert pipe("data", "init", str(folder)) == 0
        assert (folder / "dataset.toml").exists() is there


def test_what_is_there_is_not_written_over(tmp_path, capsys) -> None:
    folder = write(tmp_path / "mine", "npy")
    (folder / "dataset.toml").write_text("mine")
    assert pipe("data", "init", str(folder), "--yes") == 2
    assert "is there already" in capsys.readouterr().err
    assert (folder / "dataset.toml").read_text() == "mine"


def test_millimetres_z_up_at_25_frames_a_second_in_folders(tmp_path, capsys) -> None:
    """One folder for each subject, motion and sound side by side, a neutral mesh, six subjects."""
    people = People(subjects=tuple(f"actor_{k}" for k in range(6)), fps=25.0, scale=1000.0)
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    for subject, sentence in people.names:
        place = tmp_path / "takes" / subject
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{sentence}.npy", people.motion(subject, sentence) @ turn.T)
        soundfile.write(place / f"{sentence}.wav", people.sound(subject, sentence), RATE)
    write_mesh(tmp_path / "neutral.obj", Mesh(people.mesh.vertices @ turn.T, people.mesh.faces))
    assert pipe("data", "init", str(tmp_path), "--yes") == 0
    assert "--set step.preprocess.fps=25" in capsys.readouterr().out
    told = described(tmp_path)
    assert (told["fps"], told["units"], told["up"], told["front"]) == (25.0, "mm", "z", "-y")
    assert told["files"]["pattern"] == "{subject}/{sentence}"
    assert told["files"]["templates"] == told["files"]["topology"] == "neutral.obj"
    assert told["splits"]["train"] == {"subjects": ["actor_0", "actor_1", "actor_2", "actor_3"], "sentences": "all"}
    assert told["splits"]["test"]["subjects"] == ["actor_5"]
    assert pipe("data", "check", str(tmp_path)) == 0
    assert len(Settings(str(tmp_path)).layout.motion) == 24


def test_arrays_that_are_templates_or_features_are_not_taken_for_motion(tmp_path) -> None:
    people = People()
    folder = write(tmp_path / "mine", "npy", people)
    for name in ("heads", "features"):
        (folder / name).mkdir()
    for subject in people.subjects:
        np.save(folder / "heads" / f"{subject}.npy", people.mesh.vertices)
        np.save(folder / "features" / f"{subject}_s1.npy", np.zeros((50, 768), np.float32))
    proposal = propose(folder, NONE)
    assert proposal.draft
    assert (proposal.draft.files["motion"], proposal.draft.files["templates"]) == ("motion", "heads")
    assert sum(row.what == "not read" for row in proposal.rows) == 3


def test_what_has_no_partner_and_no_name_is_shown(tmp_path, capsys) -> None:
    folder = write(tmp_path / "mine", "npy")
    (folder / "wav" / "bob_s2.wav").unlink()
    (folder / "motion" / "cleo_s1.npy").unlink()
    (folder / "motion" / "anna_s1.npy").write_text("version https://git-lfs.github.com/spec/v1\n")
    pipe("data", "init", str(folder), "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("without sound") and "bob_s2" in line for line in lines)
    assert any(line.startswith("without motion") and "2 sounds" in line for line in lines)
    assert any(line.startswith("not read") and "anna_s1.npy" in line and "git-LFS" in line for line in lines)


def test_without_sound_the_rate_must_be_said(tmp_path, capsys) -> None:
    folder = write(tmp_path / "mine", "npy")
    for file in (folder / "wav").iterdir():
        file.unlink()
    assert pipe("data", "init", str(folder), "--yes") == 2
    assert "to be said: --fps" in capsys.readouterr().err
    assert pipe("data", "init", str(folder), "--yes", "--fps", "50", "--up", "z", "--front", "-y", "--units", "cm") == 0
    told = described(folder)
    assert (told["fps"], told["units"], told["up"], told["front"]) == (50.0, "cm", "z", "-y")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--up", "w"], "--up is 'w'"),
        (["--units", "ft"], "--units is 'ft'"),
        (["--splits", "third"], "--splits is 'third'"),
        (["--pattern", "{who}"], "has the field {who}"),
        (["--pattern", "take-{sentence}"], "to be said: --pattern (no name fits)"),
        (["--up", "z", "--front", "-z"], "--up and --front (they are one axis)"),
    ],
)
def test_wishes_that_are_none(tmp_path, capsys, words, sentence) -> None:
    folder = write(tmp_path / "mine", "npy")
    assert pipe("data", "init", str(folder), "--yes", *words) == 2
    assert sentence in capsys.readouterr().err
    assert not (folder / "dataset.toml").exists()


def test_a_folder_without_motion_and_one_without_triangles(tmp_path, capsys) -> None:
    assert pipe("data", "init", str(tmp_path), "--yes") == 1
    assert "holds no motion" in capsys.readouterr().err
    folder = write(tmp_path / "mine", "npy")
    (folder / "topology.ply").unlink()
    assert pipe("data", "init", str(folder), "--yes") == 2
    assert "to be put there: triangles (one mesh of this topology" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "pattern", "subjects"),
    [
        (["FaceTalk_1_TA_s01", "FaceTalk_1_TA_s02", "FaceTalk_2_TA_s01"], "{subject}_{sentence}", 2),
        (["ann_good_day", "bob_good_day", "ann_rain"], "{subject:word}_{sentence}", 2),
        (["ann-1", "ann-2", "bob-1"], "{subject}-{sentence}", 2),
        (["ann/1", "ann/2", "bob/1"], "{subject}/{sentence}", 2),
        (["ann/v1/a", "ann/v1/b", "bob/v1/a"], "{subject}/v1/{sentence}", 2),
        (["hello", "rain"], "{sentence}", 1),
    ],
)
def test_names_are_understood(tmp_path, names, pattern, subjects) -> None:
    for name in names:
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "m" / f"{name}.npy", np.zeros((2, 30, 3), np.float32))
        (tmp_path / "w" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "w" / f"{name}.wav", np.zeros(10), RATE)
    naming = find_naming(survey(tmp_path), "")
    assert (naming.motion.text, len(naming.subjects), len(naming.pairs)) == (pattern, subjects, len(names))
    assert find_naming(survey(tmp_path), "{sentence}").motion.text == "{sentence}"


def test_frame_rates() -> None:
    seconds = [2.0, 3.1, 4.05, 7.2]
    for rate in (24, 25, 30, 50, 60, 100, 120):
        frames = [round(rate * s) + k % 2 for k, s in enumerate(seconds)]
        assert frame_rate(frames, seconds, None, "").value == rate
    assert frame_rate([82, 84, 90, 100], seconds, None, "").value is None
    assert frame_rate([int(27.3 * s) for s in seconds], seconds, None, "").value is None
    assert "29.97" in frame_rate([60, 93], [2.0, 3.1], None, "").why
    assert frame_rate([], [], 60.02, "keys").value == 60


def test_splits_are_disjoint_and_hold_everybody(tmp_path) -> None:
    folder = write(tmp_path / "mine", "npy", People(sentences=tuple(f"s{k:02d}" for k in range(21)), frames=4))
    naming = find_naming(survey(folder), "")
    for wish in ("", "subject", "sentence", "none"):
        plan, _ = propose_splits(naming, wish)
        held = [
            split for who, what in naming.names for split, (subjects, sentences) in plan.items()
            if who in subjects and (sentences == "all" or what in sentences)
        ]  # fmt: skip
        assert len(held) == len(naming.names)
        assert held.count("train") >= held.count("val") == held.count("test")


def test_a_made_head_is_understood_without_regions(tmp_path) -> None:
    folder = write(tmp_path / "mine", "npy")
    draft = propose(folder, NONE).draft
    assert draft
    assert (draft.up, draft.front, draft.units) == ("y", "z", "m")
    write_regions(folder, People())
    with_regions = propose(folder, NONE).draft
    assert with_regions
    assert (with_regions.up, with_regions.front) == ("y", "z")
    assert with_regions.files["regions"] == "regions"


@needs_assets
@pytest.mark.parametrize(("name", "units"), [("FLAME_sample.ply", "m"), ("BIWI.ply", "unit-area")])
def test_real_heads_in_any_axes(name, units) -> None:
    """What moves is told as speech does it: the lower face in front, near the middle."""
    mesh = read_ply(asset(f"meshes/{name}"))
    points = mesh.vertices
    corners = points[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert unit(points, float(area)).value == units
    size = np.ptp(points, axis=0)
    mouth = np.array([0, points[:, 1].mean() - 0.15 * size[1], points[:, 2].max()])
    moves = np.exp(-(np.linalg.norm((points - mouth) / (0.25 * size[0]), axis=1) ** 2))
    turns = {("y", "z"): [0, 1, 2], ("z", "y"): [0, 2, 1], ("x", "z"): [1, 0, 2]}
    for (up, front), columns in turns.items():
        guesses = axes(points[:, columns], moves, {})
        assert (guesses[0].value, guesses[1].value, guesses[0].sure) == (up, front, True)
        upside = axes(-points[:, columns], moves, {})
        assert (upside[0].value, upside[1].value) == (f"-{up}", f"-{front}")
