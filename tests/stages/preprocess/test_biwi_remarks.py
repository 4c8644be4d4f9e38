"""What is said of BIWI files that can be read, and what is known of BIWI and was looked at in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.kinds.card import Check, read_card
from stages.kinds.sequences import Sequences
from stages.preprocess.biwi import Settings
from stages.preprocess.biwi.checks import TEST_A_FRAMES
from stages.preprocess.biwi.layout import find
from stages.preprocess.biwi.prepare import Biwi
from stages.preprocess.prepare import Sound
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.biwi_files import POINTS, RATE, TRAIN, biwi_data, run_biwi, write_folder

LENGTHS = "frames from 25 a second of sound"
TEST_A = "test-a, the published one"
MEAN, AREA = "templates, mean of the vertices", "templates, area"
FIRST = "first frame of each subject"
NEAR = "first frames, from their template in place and size"
UPRIGHT = "lips below the upper face"


def checks_of(job: FakeJob) -> dict[str, Check]:
    card = read_card(job.out)
    assert card is not None
    return {check.what: check for check in card.checks}


def test_what_is_known_of_the_corpus_is_in_the_card(tmp_path: Path) -> None:
    job = run_biwi(tmp_path / "job", biwi_data().write(tmp_path / "raw"))
    found = checks_of(job)
    assert {what: check.passed for what, check in found.items()} == {
        "vertices": False,
        "triangles, the same for all subjects": False,
        MEAN: True,
        AREA: True,
        UPRIGHT: True,
        LENGTHS: True,
        TEST_A: False,
    }
    assert (found["vertices"].found, found["triangles, the same for all subjects"].found) == ("6", "8")
    assert (found["vertices"].expected, found["triangles, the same for all subjects"].expected) == ("23,370", "46,068")
    assert "within 1e-12" in found[MEAN].expected
    assert found[TEST_A].found == "22 frames in 2 sequences"
    assert "warning: vertices: 6 (expected 23,370)" in job.said
    assert not [line for line in job.said if "warning: templates" in line]


def test_test_a_is_confirmed_when_it_is_whole(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    lengths = dict[tuple[str, str], int]()
    for subject in ("F2", "F3", "F4", "M3", "M4", "M5"):
        (root / "rigid_scans" / f"{subject}.obj").write_bytes((root / "rigid_scans" / "F2.obj").read_bytes())
        for number in range(37, 41):
            (root / "faces" / subject / f"e{number}").mkdir(parents=True, exist_ok=True)
            lengths[subject, f"e{number}"] = 161
    lengths["M5", "e40"] += TEST_A_FRAMES - sum(lengths.values())
    for passed in (True, False):
        (check,) = [check for check in checks_with(root, lengths) if check.what == TEST_A]
        assert (check.expected, check.passed) == ("3,879 frames in 24 sequences", passed)
        lengths["M5", "e40"] += 1
    assert check.found == "3,880 frames in 24 sequences"
    (check,) = [check for check in checks_with(root, {("F1", "e37"): 9}) if check.what == TEST_A]
    assert check.passed is None


def checks_with(root: Path, lengths: dict[tuple[str, str], int]) -> list[Check]:
    settings = Settings(root=str(root))
    data = Biwi(settings, find(settings), {name: Lasting(frames) for name, frames in lengths.items()})
    return list(data.checks(dict.fromkeys(data.opened, Sound(6, 1))))


@dataclass
class Lasting:
    """Motion of so many frames, which nobody reads."""

    frames: int
    ready: bool = False

    def read(self, rows: Sequence[int], faces: np.ndarray, vertices: int) -> np.ndarray:
        raise AssertionError("frames were read to plan")


def test_sound_and_motion_that_disagree(tmp_path: Path) -> None:
    data = biwi_data()
    data.audio[TRAIN, "e01"] = np.ones(RATE, np.int16)
    check = checks_of(run_biwi(tmp_path / "job", data.write(tmp_path / "raw")))[LENGTHS]
    assert (check.passed, check.expected) == (False, "at most 3 frames")
    assert check.found == "more in 1 of 9 sequences: F2_e01 16"
    data.audio = dict.fromkeys(data.audio, np.ones(RATE, np.int16))
    check = checks_of(run_biwi(tmp_path / "all", data.write(tmp_path / "more")))[LENGTHS]
    assert check.found.startswith("more in 9 of 9 sequences: F1_e01 16, F1_e33 15, ")
    assert check.found.endswith(", and 4 more")


def test_ready_templates_are_held_to_what_their_type_can_keep(tmp_path: Path) -> None:
    data = biwi_data().normalised
    exact = checks_of(run_biwi(tmp_path / "one", data.write_ready(tmp_path / "a")))
    assert (exact[MEAN].expected, exact[MEAN].passed, exact[AREA].passed) == ("0 within 1e-12", True, True)
    data.templates = {subject: template + 1e-9 for subject, template in data.templates.items()}
    off = checks_of(run_biwi(tmp_path / "two", data.write_ready(tmp_path / "b")))
    assert (off[MEAN].passed, off[AREA].passed) == (False, True)
    data.templates = {subject: template.astype(np.float32) for subject, template in data.templates.items()}
    coarse = checks_of(run_biwi(tmp_path / "three", data.write_ready(tmp_path / "c")))
    assert (coarse[MEAN].expected, coarse[MEAN].passed) == ("0 within 0.0001", True)


def test_arrays_that_are_not_as_published(tmp_path: Path) -> None:
    data = biwi_data().normalised
    assert checks_of(run_biwi(tmp_path / "good", data.write_ready(tmp_path / "good_ready")))[FIRST].passed
    data.motion = {name: 2 * frames for name, frames in data.motion.items()}
    check = checks_of(run_biwi(tmp_path / "job", data.write_ready(tmp_path / "ready")))[FIRST]
    assert not check.passed
    assert check.found.startswith("3 of 3 are not: F1_e01 (area 4, mean ")
    data.templates = {subject: template + 1 for subject, template in data.templates.items()}
    job = run_biwi(tmp_path / "moved", data.write_ready(tmp_path / "moved_ready"))
    assert (checks_of(job)[MEAN].found, checks_of(job)[MEAN].passed) == ("1.0e+00 from 0 at most (F1)", False)
    assert Sequences(job.out).units == "unknown"


def test_heads_that_are_upside_down(tmp_path: Path) -> None:
    root = biwi_data().write(tmp_path / "raw")
    assert checks_of(run_biwi(tmp_path / "one", root))[UPRIGHT].passed
    check = checks_of(run_biwi(tmp_path / "two", root, normalise="none"))[UPRIGHT]
    assert (check.passed, check.found.partition(":")[0]) == (False, "not of F1, F2, M3")
    (root / "regions" / "fdd.txt").unlink()
    assert checks_of(run_biwi(tmp_path / "three", root))[UPRIGHT].passed is None


def test_frames_that_are_not_where_their_template_is(tmp_path: Path) -> None:
    data = biwi_data()
    data.motion[TRAIN, "e01"] += np.float32(80)
    root = data.write(tmp_path / "raw")
    for rule in ("template", "extent"):
        check = checks_of(run_biwi(tmp_path / rule, root, normalise=rule))[NEAR]
        assert (check.passed, check.expected) == (False, "below 0.1 heads")
        assert check.found.startswith("1 of 3 are further: F2_e01 ")
    assert NEAR not in checks_of(run_biwi(tmp_path / "two", root))


def test_raw_and_ready_frames_side_by_side(tmp_path: Path) -> None:
    data = biwi_data()
    root = data.write(tmp_path / "raw")
    write_folder(root / "vertices_npy", np.zeros((1, *POINTS.shape)))
    assert (
        "the frames are those in faces; vertices_npy is there too and is not read"
        in run_biwi(tmp_path / "job", root).said
    )
