"""The synthetic data set: the same bytes every time, VOCASET's layout, speech that the lips follow."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import Interrupted
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess import Preprocess
from stages.preprocess.split_file import read_splits
from stages.preprocess.synthetic import Settings
from stages.preprocess.synthetic.articulation import ARTICULATORS, TARGETS, animate, articulate, blinking
from stages.preprocess.synthetic.cast import Cast, perform
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.raw import write_raw
from stages.preprocess.synthetic.speech import CONTROL_RATE, PHONES, SAMPLE_RATE, Utterance, compose, speak
from stages.preprocess.synthetic.subjects import draw_subject
from tests.stages.fake_job import FakeJob

TINY = Settings(subjects=3, sentences=2, seconds=0.8)


def make(folder: Path, settings: Settings = TINY, **options: int) -> FakeJob:
    job = FakeJob.under(folder)
    Preprocess(Preprocess.Params(dataset="synthetic", **options), {"dataset": settings}).run(job)
    return job


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FakeJob:
    return make(tmp_path_factory.mktemp("synthetic") / "job")


def test_it_is_an_ordinary_artifact(made: FakeJob) -> None:
    read = Sequences(made.out)
    assert (read.info.dataset, read.fps, read.units, read.info.vertices) == ("synthetic", 30.0, "m", 5023)
    assert read.train_subjects == ["Synthetic_01"]
    assert read.ids("train") == ["Synthetic_01_sentence01", "Synthetic_01_sentence02"]
    assert read.ids("val") == ["Synthetic_02_sentence02"]
    assert read.ids("test") == ["Synthetic_03_sentence02"]
    assert read.ids("") == []
    assert not read.info.skipped
    assert {"lips", "mouth", "upper_face", "mouth_interior", "eyes", "lip_upper", "lip_lower"} <= set(read.region_names)
    assert read.faces.max() == 5022
    for name in read.ids():
        entry = read.entry(name)
        assert abs(entry.frames / read.fps - entry.samples / entry.sample_rate) < 0.05
        away = np.abs(read.vertices(name) - read.templates[entry.subject])
        assert 0.001 < away.max() < 0.03
    assert not made.said


def test_its_controls_are_a_track(made: FakeJob) -> None:
    """The very numbers that pose the heads: a subject's head, posed by them, is what was written."""
    read, found = Sequences(made.out), read_tracks(made.out)
    assert list(found) == ["controls"]
    curves = found["controls"]
    assert (curves.track.framewise, curves.track.size) == (True, len(CONTROLS))
    assert curves.track.rows == {name: read.entry(name).frames for name in read.ids()}
    cast = Cast(TINY.subjects, TINY.sentences, TINY.seconds, TINY.data_seed, TINY.noise)
    for name in read.ids():
        posed = cast.subject(cast.names.index(read.entry(name).subject)).pose(np.array(curves[name], float))
        assert np.abs(posed - read.vertices(name)).max() < 8 * TINY.noise


def test_the_raw_files_are_vocasets(made: FakeJob) -> None:
    raw = made.state / "raw"
    vertices = np.load(raw / "data_verts.npy", mmap_mode="r")
    assert vertices.dtype == np.float32
    assert vertices.shape[1:] == (5023, 3)
    assert {file.name for file in raw.iterdir() if file.is_file()} == {
        *(
            "data_verts.npy",
            "raw_audio_fixed.pkl",
            "templates.pkl",
            "subj_seq_to_idx.pkl",
            "FLAME_sample.ply",
            "splits.toml",
            "transcripts.json",
        )
    }


def test_the_same_settings_give_the_same_bytes(made: FakeJob, tmp_path: Path) -> None:
    again = make(tmp_path / "again")
    for folder in (made.out, made.state / "raw"):
        other = again.out if folder == made.out else again.state / "raw"
        files = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
        assert len(files) > 10
        assert [str(f) for f in files if (folder / f).read_bytes() != (other / f).read_bytes()] == []


def test_another_seed_gives_other_talkers(made: FakeJob, tmp_path: Path) -> None:
    other = Sequences(make(tmp_path / "other", Settings(subjects=3, sentences=2, seconds=0.8, data_seed=1)).out)
    assert np.abs(other.templates["Synthetic_01"] - Sequences(made.out).templates["Synthetic_01"]).max() > 0.001


def test_a_further_sentence_changes_no_other() -> None:
    small, large = Cast(3, 2, 0.8, 0, 2e-5), Cast(5, 9, 0.8, 0, 2e-5)
    for cast in (small, large):
        assert cast.subject(1) == draw_subject(0, 1)
    one, two = (perform(cast, cast.subject(1), 1, 2) for cast in (small, large))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_stopping_keeps_nothing_half_made_and_the_next_run_goes_on(tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path / "job", stop_after=1)
    stage = Preprocess(Preprocess.Params(dataset="synthetic"), {"dataset": TINY})
    with pytest.raises(Interrupted):
        stage.run(job)
    assert not (job.state / "raw").exists()
    job.stop_after = None
    stage.run(job)
    assert len(Sequences(job.out).ids()) == 4


@pytest.mark.parametrize(("subjects", "sentences", "held"), [(3, 1, 1), (4, 4, 1), (12, 40, 2)])
def test_splits_follow_vocasets_protocol(tmp_path: Path, subjects: int, sentences: int, held: int) -> None:
    cast = Cast(subjects, sentences, 1.0, 0, 0.0)
    parts = cast.splits.parts
    assert [len(parts[name].subjects) for name in ("train", "val", "test")] == [subjects - 2 * held, held, held]
    assert parts["train"].sentences == frozenset(range(1, sentences + 1))
    assert parts["val"].sentences == parts["test"].sentences == frozenset(range(sentences // 2 + 1, sentences + 1))
    assert len(cast.sequences) == sum(len(part.subjects) * len(part.sentences) for part in parts.values())


def test_with_one_voice_manners_are_seen_and_not_heard() -> None:
    cast = Cast(3, 2, 0.8, 0, 0.0, one_voice=True)
    own = [draw_subject(0, number) for number in range(3)]
    for number, subject in enumerate(cast.subject(number) for number in range(3)):
        manner = subject.manner
        assert (manner.f0, manner.rate, manner.vocal_tract) == (
            own[0].manner.f0,
            own[0].manner.rate,
            own[0].manner.vocal_tract,
        )
        assert (manner.gains, manner.blend, subject.shape) == (
            own[number].manner.gains,
            own[number].manner.blend,
            own[number].shape,
        )


def test_the_split_file_is_written_beside_the_data(tmp_path: Path) -> None:
    cast = Cast(3, 2, 0.6, 0, 0.0)
    write_raw(tmp_path, cast)
    assert read_splits(tmp_path / "splits.toml") == cast.splits


def test_no_noise_when_none_is_asked() -> None:
    still = Cast(3, 2, 0.6, 0, 0.0)
    frames, _ = perform(still, still.subject(0), 0, 1)
    assert np.abs(frames[0] - frames[1])[still.subject(0).head.regions["eyes"]].max() == 0.0


# --- speech and lips -----------------------------------------------------------------------------------------------


def said(phones: str) -> Utterance:
    return Utterance(phones, np.arange(len(phones) + 1) * 0.2)


def middle(phones: str, number: int) -> dict[str, float]:
    """The articulators in the middle of unit `number`."""
    curves = articulate(said(phones), 0.03)
    return dict(zip(ARTICULATORS, curves[int((number + 0.5) * 0.2 * CONTROL_RATE)], strict=True))


def test_every_unit_has_a_sound_and_a_target() -> None:
    assert set(TARGETS) == set(PHONES)


def test_vowels_set_jaw_and_lips() -> None:
    assert middle("_a_", 1)["jaw"] > 9
    assert middle("_i_", 1)["wide"] > 0.7
    assert middle("_u_", 1)["round"] > 0.9


@pytest.mark.parametrize("closure", "mbp")
def test_closures_close_between_open_vowels(closure: str) -> None:
    pose = middle(f"_a{closure}a_", 2)
    assert pose["jaw"] < 0.5
    assert pose["press"] > 0.9


def test_weak_consonants_give_way_to_their_neighbours() -> None:
    assert middle("_utu_", 2)["round"] > middle("_iti_", 2)["round"]
    narrow = Utterance("_utu_", np.array([0, 0.2, 0.4, 0.46, 0.66, 0.86]))
    assert articulate(narrow, 0.03)[int(0.43 * CONTROL_RATE), ARTICULATORS.index("round")] > 0.3


def test_a_sentence_begins_and_ends_in_a_pause_and_lasts_as_asked() -> None:
    for seed in range(5):
        utterance = compose(np.random.default_rng(seed), 3.0, 1.0)
        assert utterance.phones[0] == utterance.phones[-1] == "_"
        assert 2.6 < utterance.seconds < 4.2


def test_voice_has_the_pitch_and_formants_of_what_is_said() -> None:
    manner = draw_subject(0, 0).manner
    utterance = Utterance("_a_", np.array([0.0, 0.1, 0.9, 1.0]))
    sound = speak(np.random.default_rng(0), utterance, manner)[int(0.2 * SAMPLE_RATE) : int(0.8 * SAMPLE_RATE)]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    first = PHONES["a"].formants[0] * manner.vocal_tract

    def power(low: float, high: float) -> float:
        return float(spectrum[(hertz >= low) & (hertz < high)].mean())

    assert power(first - 150, first + 150) > 20 * power(1900, 2200)
    lag = np.fft.irfft(spectrum)
    shortest, longest = int(SAMPLE_RATE / 400), int(SAMPLE_RATE / 70)
    period = shortest + int(np.argmax(lag[shortest:longest]))
    assert abs(SAMPLE_RATE / period - manner.f0) < 0.12 * manner.f0


def test_sound_fills_the_range_without_clipping_and_fricatives_hiss() -> None:
    manner = draw_subject(0, 1).manner
    sound = speak(np.random.default_rng(1), said("_asa_"), manner)
    assert sound.dtype == np.int16
    assert abs(np.abs(sound).max() - 16384) < 2
    hiss, vowel = (sound[int(t * SAMPLE_RATE) :][:2048].astype(float) for t in (0.45, 0.25))
    high = [np.abs(np.fft.rfft(part))[400:].sum() / np.abs(np.fft.rfft(part)).sum() for part in (hiss, vowel)]
    assert high[0] > 2 * high[1]


def test_lips_open_with_the_voice() -> None:
    cast = Cast(3, 4, 3.0, 0, 2e-5)
    for number in range(3):
        subject = cast.subject(number)
        frames, sound = perform(cast, subject, number, 4)
        regions = subject.head.regions
        opening = frames[:, regions["lip_upper"], 1].mean(1) - frames[:, regions["lip_lower"], 1].mean(1)
        edges = (np.arange(len(frames) + 1) / 60 * SAMPLE_RATE).astype(int)
        energy = [np.sqrt(np.mean(sound[a:b].astype(float) ** 2)) for a, b in itertools.pairwise(edges)]
        assert np.corrcoef(opening, energy)[0, 1] > 0.6
        assert opening.min() > -0.0005
        assert 0.008 < opening.max() < 0.025


def test_eyes_blink_and_open_again() -> None:
    times = np.arange(0, 60, 1 / 60)
    lids = blinking(np.random.default_rng(0), times, 0.3)
    assert lids.min() == 0.0
    assert lids.max() > 0.95
    starts = np.flatnonzero((lids[1:] > 0.5) & (lids[:-1] <= 0.5))
    assert 8 <= len(starts) <= 30
    assert np.mean(lids > 0.1) < 0.15


def test_controls_begin_at_rest_and_are_smooth() -> None:
    manner = draw_subject(0, 0).manner
    utterance = compose(np.random.default_rng(3), 2.0, 1.0)
    curves = animate(np.random.default_rng(3), utterance, manner, 60.0)
    assert curves.shape == (int(utterance.seconds * 60), len(CONTROLS))
    assert abs(curves[0, CONTROLS.index("jaw")]) < 0.2
    assert np.abs(np.diff(curves[:, CONTROLS.index("jaw")])).max() < 4.0
