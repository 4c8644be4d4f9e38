"""Multiface in, the kind `sequences` out: vertices removed, axes scaled, sentences numbered as FaceDiffuser does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.preprocess.multiface import OFFICIAL_SPLITS, Settings
from stages.preprocess.multiface.layout import find
from stages.preprocess.multiface.topology import HIGH, LOW, VERTICES, to_box, to_mm
from stages.preprocess.split_file import read_splits
from tests.stages.preprocess.multiface_files import (
    NUMBERED,
    SPEAKERS,
    TAKES,
    boxed,
    frames,
    gone,
    head,
    run_multiface,
    surface,
    write_raw,
    write_ready,
    write_sound,
)


def test_the_raw_layout_is_prepared_as_published(tmp_path: Path) -> None:
    job = run_multiface(tmp_path / "job", write_raw(tmp_path / "raw"))
    read = Sequences(job.out)
    assert (read.info.dataset, read.fps, read.units, read.info.vertices) == ("multiface", 30.0, "multiface-box", 6172)
    assert read.ids() == sorted(f"{speaker}_{number}" for speaker in "12" for number in ("01", "02", "03"))
    for speaker in range(2):
        for number, take in enumerate(NUMBERED, start=1):
            expected = boxed(frames(speaker, TAKES.index(take)).astype(np.float64))
            np.testing.assert_allclose(read.vertices(f"{speaker + 1}_{number:02d}"), expected, atol=2e-7)
        np.testing.assert_allclose(read.templates[str(speaker + 1)], boxed(head(speaker)), atol=2e-7)
    np.testing.assert_array_equal(read.faces, surface().faces)
    assert {read.entry(name).split for name in read.ids()} == {"", "train"}
    assert f"speakers: 1 is {SPEAKERS[0]}, 2 is {SPEAKERS[1]}" in job.said
    assert "4 takes without speech are left out" in job.said
    assert "warning: speakers, by which they are numbered: 2 (expected 13)" in job.said
    assert "warning: sentences, by which they are numbered: 3 (expected 50)" in job.said


def test_the_limits_of_the_box() -> None:
    corners = np.stack([LOW, HIGH])
    np.testing.assert_allclose(to_box(corners), [[-1, -1, -1], [1, 1, 1]], atol=1e-7)
    points = np.random.default_rng(0).uniform(LOW, HIGH, (50, 3)).astype(np.float32)
    np.testing.assert_allclose(to_mm(to_box(points)), points, atol=2e-5)


@pytest.mark.parametrize("write", [write_raw, write_ready])
def test_millimetres_can_be_had_of_both_forms(tmp_path: Path, write) -> None:
    root = write(tmp_path / "raw")
    box, mm = (Sequences(run_multiface(tmp_path / units, root, units=units).out) for units in ("box", "mm"))
    assert (box.units, mm.units) == ("multiface-box", "mm")
    for name in mm.ids():
        np.testing.assert_allclose(boxed(mm.vertices(name).astype(np.float64)), box.vertices(name), atol=5e-7)
        assert 300 < np.ptp(mm.vertices(name)[0, :, 1]) < 400
    for speaker in mm.templates:
        np.testing.assert_allclose(boxed(mm.templates[speaker].astype(np.float64)), box.templates[speaker], atol=5e-7)


def test_ready_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "ready")
    read = Sequences(run_multiface(tmp_path / "job", root).out)
    splits = {"train": ["2_01"], "val": ["2_41"], "test-a": ["2_46"], "test-b": ["1_46"]}
    assert {split: read.ids(split) for split in read.info.subjects} == splits
    for name in read.ids():
        stored = np.load(root / "vertices_npy" / f"{name}.npy")
        assert stored.shape[1] == 18516
        np.testing.assert_array_equal(read.vertices(name).reshape(len(stored), -1), stored.astype(np.float32))
    card = read_card(tmp_path / "job" / "out")
    assert card is not None
    assert [(check.what, check.passed) for check in card.checks] == [("sound and motion, apart at most", True)]


def test_a_speakers_number_is_its_place_in_the_list(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw")
    everybody = [f"absent-{k}" for k in range(1, 6)] + [SPEAKERS[1], *(f"absent-{k}" for k in range(7, 14))]
    job = run_multiface(tmp_path / "job", root, speakers=everybody)
    read = Sequences(job.out)
    assert list(read.templates) == ["6"]
    assert read.ids("train") == ["6_01", "6_02", "6_03"]
    assert f"left out, because speakers does not name them: {SPEAKERS[0]}" in job.said
    assert not [line for line in job.said if line.startswith("warning: speakers")]


def test_a_sentence_that_a_speaker_lacks_shifts_no_number(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw")
    folder = root / SPEAKERS[1] / "tracked_mesh" / NUMBERED[0]
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert sorted(find(Settings(root=str(root))).motion) == [
        ("1", "01"),
        ("1", "02"),
        ("1", "03"),
        ("2", "02"),
        ("2", "03"),
    ]


def test_sound_is_found_whatever_its_name_is_written_like(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw")
    sound = root / SPEAKERS[0] / "audio"
    (sound / "SEN_All_your_wishes.wav").rename(sound / "SEN-all-your-wishes.wav")
    assert ("1", "01") in find(Settings(root=str(root))).sound


def test_templates_may_be_tracked_meshes(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw")
    from tests.stages.preprocess.multiface_files import tracked

    np.savez(root / "templates.npz", **{str(k + 1): tracked(head(k)) for k in range(2)})
    read = Sequences(run_multiface(tmp_path / "job", root).out)
    np.testing.assert_allclose(read.templates["2"], boxed(head(1)), atol=2e-7)


def test_masks_of_weights_become_regions(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "ready")
    (root / "regions").mkdir()
    weights = np.zeros(VERTICES)
    weights[[4, 9]], weights[7] = 0.2, 0.1
    (root / "regions" / "weighted_mouth_mask.txt").write_text("\n".join(map(str, weights)))
    (root / "regions" / "lve.txt").write_text("3, 1, 3")
    job = run_multiface(tmp_path / "job", root)
    read = Sequences(job.out)
    assert {name: list(read.region(name)) for name in read.region_names} == {"lips": [4, 9], "lve": [3, 1, 3]}  # type: ignore[arg-type]
    assert "warning: vertices of weighted_mouth_mask: 2 (expected 1,438)" in job.said


def test_a_list_may_be_an_array(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw", TAKES[:1])
    np.save(root / "gone.npy", gone()[::-1].astype(np.int32))
    one = Sequences(run_multiface(tmp_path / "one", root).out)
    two = Sequences(run_multiface(tmp_path / "two", root, removed=str(root / "gone.npy")).out)
    np.testing.assert_array_equal(one.vertices("1_01"), two.vertices("1_01"))


def test_every_second_frame(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw", TAKES[:1])
    whole, half = (Sequences(run_multiface(tmp_path / f"{fps}", root, fps=fps).out) for fps in (30.0, 15.0))
    np.testing.assert_array_equal(half.vertices("1_01"), whole.vertices("1_01")[::2])


def test_the_official_splits() -> None:
    splits = read_splits(OFFICIAL_SPLITS)
    found = [splits.of(str(speaker), f"{number:02d}") for speaker in range(1, 14) for number in range(1, 51)]
    assert [found.count(name) for name in ("train", "val", "test-a", "test-b", "")] == [360, 45, 45, 20, 180]


def test_sound_that_does_not_last_as_long_is_said(tmp_path: Path) -> None:
    root = write_raw(tmp_path / "raw", TAKES[:1])
    write_sound(root / SPEAKERS[0] / "audio" / f"{TAKES[0]}.wav", count=9)
    said = run_multiface(tmp_path / "job", root).said
    assert "warning: sound and motion, apart at most: 3.0 frames (1_01) (expected 1 frame)" in said
