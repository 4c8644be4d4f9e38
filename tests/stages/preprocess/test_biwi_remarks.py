"""What is said of BIWI files that can be read: how they were normalised, and what is not as published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.kinds.sequences import Sequences
from stages.preprocess.biwi import Settings
from stages.preprocess.biwi.layout import find
from stages.preprocess.biwi.prepare import Biwi
from stages.preprocess.biwi.remarks import TEST_A_FRAMES
from stages.preprocess.prepare import Sound
from tests.stages.preprocess.biwi_files import POINTS, RATE, TRAIN, biwi_data, run_biwi, write_folder


def test_test_a_is_confirmed_when_it_is_whole(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    told = "warning: test-a has 22 frames in 2 of 24 sequences; published figures are of 3,879"
    assert told in run_biwi(tmp_path / "one", root).said
    settings, lengths = Settings(root=str(root)), dict[tuple[str, str], int]()
    for subject in ("F2", "F3", "F4", "M3", "M4", "M5"):
        (root / "rigid_scans" / f"{subject}.obj").write_bytes((root / "rigid_scans" / "F2.obj").read_bytes())
        for number in range(37, 41):
            (root / "faces" / subject / f"e{number}").mkdir(parents=True, exist_ok=True)
            lengths[subject, f"e{number}"] = 161
    lengths["M5", "e40"] += TEST_A_FRAMES - sum(lengths.values())
    data = Biwi(settings, find(settings), lambda path, name: Lasting(lengths.get(name, 100)))
    assert "test-a has 3,879 frames, as published" in list(data.remarks(dict.fromkeys(data.names, Sound(6, 1))))
    lengths["M5", "e40"] += 1
    data = Biwi(settings, find(settings), lambda path, name: Lasting(lengths.get(name, 100)))
    (line,) = [line for line in data.remarks(dict.fromkeys(data.names, Sound(6, 1))) if "published figures" in line]
    assert "3,880 frames in 24 of 24 sequences" in line


@dataclass
class Lasting:
    """Motion of so many frames, which nobody reads."""

    frames: int
    ready: bool = False

    def read(self, rows: Sequence[int], faces: np.ndarray, vertices: int) -> np.ndarray:
        raise AssertionError("frames were read to plan")


def test_sound_and_motion_that_disagree_are_said(tmp_path: Path) -> None:
    data = biwi_data()
    data.audio[TRAIN, "e01"] = np.ones(RATE, np.int16)
    job = run_biwi(tmp_path / "job", data.write(tmp_path / "raw"))
    assert [line for line in job.said if "sound for" in line] == ["F2_e01: 9 frames, but sound for 25"]


def test_many_remarks_of_one_kind_are_counted(tmp_path: Path) -> None:
    data = biwi_data()
    data.audio = dict.fromkeys(data.audio, np.ones(RATE, np.int16))
    said = run_biwi(tmp_path / "job", data.write(tmp_path / "raw")).said
    assert len([line for line in said if "sound for" in line]) == 5
    assert "… and 4 more like these" in said


def test_another_vertex_count_is_said(tmp_path: Path) -> None:
    said = run_biwi(tmp_path / "job", biwi_data().write(tmp_path / "raw")).said
    assert "warning: vertices: 6 (expected 23,370)" in said


def test_arrays_that_are_not_as_published_are_said(tmp_path: Path) -> None:
    data = biwi_data().normalised
    data.motion = {name: 2 * frames for name, frames in data.motion.items()}
    job = run_biwi(tmp_path / "job", data.write_ready(tmp_path / "ready"))
    (line,) = [line for line in job.said if "not normalised" in line]
    assert line.startswith("warning: 3 of 3 sequences, by their first frame, are not normalised as published, F1_e01")
    assert "area 4 instead of 1" in line
    data.templates = {subject: template + 1 for subject, template in data.templates.items()}
    job = run_biwi(tmp_path / "moved", data.write_ready(tmp_path / "moved_ready"))
    assert any("3 of 3 templates are not normalised as published, F1 for one" in line for line in job.said)
    assert Sequences(job.out).units == "unknown"


def test_heads_that_are_upside_down_are_said(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    assert not [line for line in run_biwi(tmp_path / "one", root).said if "upside down" in line]
    job = run_biwi(tmp_path / "two", root, normalise="none")
    assert any(line.startswith("warning: the lips of F1, F2, M3 are above the upper face") for line in job.said)


def test_frames_that_are_not_where_their_template_is_are_said(tmp_path: Path) -> None:
    data = biwi_data()
    data.motion[TRAIN, "e01"] += np.float32(80)
    root = data.write(tmp_path / "raw")
    told = [line for line in run_biwi(tmp_path / "one", root, normalise="template").said if "heads away" in line]
    assert len(told) == 1
    assert told[0].startswith("warning: F2_e01 is 0.")
    assert not [line for line in run_biwi(tmp_path / "two", root).said if "heads away" in line]


def test_raw_and_ready_frames_side_by_side(tmp_path: Path) -> None:
    data = biwi_data()
    root = data.write(tmp_path / "raw")
    write_folder(root / "vertices_npy", np.zeros((1, *POINTS.shape)))
    assert (
        "the frames are those in faces; vertices_npy is there too and is not read"
        in run_biwi(tmp_path / "job", root).said
    )
