"""FaceXHuBERT's preparation of BIWI: its numbers, its sound, its normalisation, and units that mix with no other."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces import camera
from stages.kinds.card import Check, read_card
from stages.kinds.sequences import Sequences
from stages.preprocess.biwi import Settings
from stages.preprocess.biwi.variants import VARIANTS
from stages.preprocess.sound import Clip, write_wav
from stages.preprocess.split_file import read_splits
from stages.render.stills import mouth_opening
from tests.stages.preprocess.biwi_files import POINTS, RATE, TRAIN, BiwiData, biwi_data, refuse, run_biwi

HALVES = ("e01", "e33", "e37", "01", "37")
NUMBERS = {"e01": "41", "e33": "73", "e37": "77", "01": "01", "37": "37"}


@pytest.fixture
def data() -> BiwiData:
    return biwi_data((TRAIN, "F1"), HALVES)


def run(folder: Path, root: Path, **settings: str | int) -> Sequences:
    return Sequences(run_biwi(folder, root, variant="facexhubert", **settings).out)


def card_check(read: Sequences, what: str) -> Check:
    card = read_card(read.path)
    assert card is not None
    return next(check for check in card.checks if check.what == what)


def by_extents(points: np.ndarray, template: np.ndarray) -> np.ndarray:
    return (points - template.mean(axis=0)) / (template.max(axis=0) - template.min(axis=0))


def test_both_halves_with_numbers_up_to_eighty(tmp_path: Path, data: BiwiData) -> None:
    read = run(tmp_path / "job", data.write(tmp_path / "raw"))
    assert set(read.ids()) == {f"{subject}_{number}" for subject in (TRAIN, "F1") for number in NUMBERS.values()}
    assert (read.units, read.info.up, read.fps) == ("template-extents", "-y", 25.0)
    for (subject, sentence), frames in data.motion.items():
        name = f"{subject}_{NUMBERS[sentence]}"
        expected = by_extents(frames, data.templates[subject])
        np.testing.assert_allclose(read.vertices(name), expected, atol=2e-6)
        samples, _ = soundfile.read(read.wav(name), dtype="int16")
        np.testing.assert_array_equal(samples, data.audio[subject, sentence])
    for subject, template in data.templates.items():
        np.testing.assert_allclose(read.templates[subject], by_extents(template, template), atol=1e-6)
        np.testing.assert_allclose(np.ptp(read.templates[subject], axis=0), 1, atol=1e-6)
    assert card_check(read, "templates, extents").passed
    assert card_check(read, "templates, mean of the vertices").passed


def test_splits_hold_both_halves(tmp_path: Path, data: BiwiData) -> None:
    read = run(tmp_path / "job", data.write(tmp_path / "raw"))
    found = {split: read.ids(split) for split in read.info.subjects}
    assert found == {
        "train": ["F2_01", "F2_41"],
        "val": ["F2_73"],
        "test-a": ["F2_37", "F2_77"],
        "test-b": ["F1_37", "F1_77"],
    }
    files = Settings(root=str(tmp_path / "raw"), variant="facexhubert").sources().files
    assert files["the split file"] == VARIANTS["facexhubert"].splits
    published, halves = (read_splits(VARIANTS[name].splits) for name in ("codetalker", "facexhubert"))
    for subject in ("F1", "F2", "M6"):
        for number in range(1, 41):
            split = published.of(subject, f"e{number:02d}")
            assert halves.of(subject, f"{number:02d}") == halves.of(subject, f"{40 + number}") == split


@pytest.mark.parametrize(
    ("sentences", "numbers"),
    [("emotional", {"41", "73", "77"}), ("neutral", {"01", "37"}), ("all", {*NUMBERS.values()})],
)
def test_one_half(tmp_path: Path, sentences: str, numbers: set[str]) -> None:
    root = biwi_data((TRAIN,), HALVES).write(tmp_path / "raw")
    read = run(tmp_path / "job", root, sentences=sentences)
    assert set(read.ids()) == {f"F2_{number}" for number in numbers}


def test_cut_sound_comes_first(tmp_path: Path, data: BiwiData) -> None:
    root = data.write(tmp_path / "raw")
    (root / "wav").mkdir()
    for name in ("F2_e01", "F2_e33"):
        write_wav(root / "wav" / f"{name}.wav", Clip(np.full(RATE, 7, np.int16), RATE))
    assert card_check(run(tmp_path / "one", root), "sound from …_cut.wav").passed
    (root / "audio" / "F2_e33_cut.wav").unlink()
    read = run(tmp_path / "two", root)
    assert (read.entry("F2_41").samples, read.entry("F2_73").samples) == (len(data.audio[TRAIN, "e01"]), RATE)
    check = card_check(read, "sound from …_cut.wav")
    assert (check.passed, check.found) == (False, "not of 1: F2_73")
    plain = Sequences(run_biwi(tmp_path / "three", root).out)
    assert plain.entry("F2_e01").samples == RATE


def test_arrays_that_are_prepared_so_are_taken_as_they_are(tmp_path: Path, data: BiwiData) -> None:
    motion = {
        (subject, NUMBERS[sentence]): by_extents(frames, data.templates[subject])
        for (subject, sentence), frames in data.motion.items()
    }
    templates = {subject: by_extents(template, template) for subject, template in data.templates.items()}
    audio = {(subject, NUMBERS[sentence]): samples for (subject, sentence), samples in data.audio.items()}
    root = BiwiData(motion, templates, audio, data.faces).write_ready(tmp_path / "ready")
    read = run(tmp_path / "job", root)
    assert (read.units, read.info.up) == ("template-extents", "-y")
    np.testing.assert_array_equal(read.vertices("F2_41"), motion[TRAIN, "41"].astype(np.float32))
    assert card_check(read, "templates, extents").passed
    sentence = r"templates\.pkl, F1 is normalised already, and normalise = 'extent' would do it again"
    refuse(tmp_path / "again", root, sentence, variant="facexhubert", normalise="extent")
    (root / "templates.pkl").write_bytes(pickle.dumps({s: 2 * t for s, t in templates.items()}))
    other = run(tmp_path / "other", root)
    assert other.units == "unknown"
    assert not card_check(other, "templates, extents").passed


def test_digits_are_those_of_the_published_text_files(tmp_path: Path, data: BiwiData) -> None:
    root = data.write(tmp_path / "raw")
    read, exact = run(tmp_path / "job", root, digits=5), run(tmp_path / "exact", root)
    frames = data.motion[TRAIN, "e01"]
    text = np.array([float(f"{value:.5g}") for value in frames.ravel()]).reshape(frames.shape)
    np.testing.assert_allclose(read.vertices("F2_41"), by_extents(text, data.templates[TRAIN]), atol=2e-6)
    assert np.abs(read.vertices("F2_41") - exact.vertices("F2_41")).max() > 1e-4  # 1.3 m away: a tenth of a millimetre
    np.testing.assert_array_equal(read.templates[TRAIN], exact.templates[TRAIN])


def test_a_subjects_sentences_may_not_meet_under_one_number(tmp_path: Path) -> None:
    root = biwi_data((TRAIN,), ("e01", "41")).write(tmp_path / "raw")
    refuse(tmp_path, root, r"faces holds F2_41 twice, 41 and e01; remove one", variant="facexhubert")


def test_heads_that_are_not_turned_are_seen_upright(tmp_path: Path, data: BiwiData) -> None:
    read = run(tmp_path / "job", data.write(tmp_path / "raw"))
    assert card_check(read, "lips below the upper face").passed
    view = camera.fit(read.templates[TRAIN], 100, read.info.up)
    pixels = view.project(read.templates[TRAIN])
    assert pixels[2, 1] > pixels[3, 1] + 30  # the lips, below the upper face
    behind, front = np.argmax(POINTS[:, 2]), np.argmin(POINTS[:, 2])
    assert pixels[front, 2] > pixels[behind, 2]  # faces look against z
    assert mouth_opening(read.vertices("F2_41"), read).shape == (9,)


def test_a_flat_template(tmp_path: Path, data: BiwiData) -> None:
    data.templates[TRAIN][:, 2] = 7
    refuse(tmp_path, data.write(tmp_path / "raw"), r"F2\.obj is flat and has no size", variant="facexhubert")
