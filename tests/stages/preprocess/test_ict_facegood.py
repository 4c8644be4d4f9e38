"""Two clones in, the kind `sequences` out: heads that speak a clip's sentences as its curves say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stages.kinds.card import read_card
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess.ict_facegood.cast import draw_identity
from stages.preprocess.ict_facegood.prepare import WEIGHTS
from tests.stages.preprocess import ict_files as files
from tests.stages.preprocess.ict_files import RATE, TEST, TRAIN, UNSEEN, VAL, ict_data, run_ict

FRAMES = files.WORDS * (files.WORD + files.PAUSE)


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ict_data().write(tmp_path_factory.mktemp("clones"))


@pytest.fixture(scope="module")
def read(clones: Path, tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(run_ict(tmp_path_factory.mktemp("job"), clones).out)


def ids_of(read: Sequences, clip: str) -> list[str]:
    """The ids of a clip's sentences in their order, whoever speaks them."""
    return sorted((name for name in read.ids() if f"_{clip}_" in name), key=lambda name: name[-3:])


def test_what_the_index_says(read: Sequences) -> None:
    info = read.info
    assert (info.dataset, info.fps, info.units, info.up) == ("ict-facegood", 30.0, "m", "y")
    assert info.vertices == files.RINGS * files.SECTORS
    assert not info.skipped
    assert len(read.faces) == 2 * (files.RINGS - 1) * files.SECTORS  # quads


def test_splits_are_by_subject_and_by_clip(read: Sequences) -> None:
    subjects = {split: set(read.subjects(split)) for split in ("train", "val", "test")}
    assert subjects == {"train": {"ICT01", "ICT02", "ICT03", "ICT04"}, "val": {"ICT05"}, "test": {"ICT06"}}
    for split, clip in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        assert read.ids(split) == sorted(ids_of(read, clip))
        assert {read.entry(name).subject for name in read.ids(split)} == subjects[split]


def test_sentences_go_round_the_subjects_and_cover_the_clip(read: Sequences) -> None:
    names = ids_of(read, TRAIN)
    assert names == [f"ICT{k % 4 + 1:02d}_{TRAIN}_{k + 1:03d}" for k in range(len(names))]
    assert len(names) == 4
    assert sum(read.entry(name).frames for name in names) == FRAMES
    sound = np.concatenate([soundfile.read(read.wav(name), dtype="int16")[0] for name in names])
    np.testing.assert_array_equal(sound, ict_data().sounds[TRAIN])
    assert {read.entry(name).sample_rate for name in names} == {RATE}
    lasting = [abs(e.frames / 30 - e.samples / RATE) for e in (read.entry(name) for name in names)]
    assert max(lasting) < 1 / RATE


def test_motion_is_the_template_and_what_the_curves_move(read: Sequences) -> None:
    data, names = ict_data(), ids_of(read, TRAIN)
    curves = dict(zip(data.names, data.curves[TRAIN].T, strict=True))
    jaw, funnel = curves["mouth_stretch_c"], 0.25 * curves["mouth_funnel_ul"]
    moved = [data.shapes[shape][: read.info.vertices] / 100 for shape in ("jawOpen", "mouthFunnel")]
    expected = jaw[:, None, None] * moved[0] + funnel[:, None, None] * moved[1]
    offsets = np.concatenate([read.vertices(name) - read.template_of(name) for name in names])
    np.testing.assert_allclose(offsets, expected, atol=1e-7)


def test_subjects_are_drawn_from_the_identity_modes(read: Sequences) -> None:
    data, face = ict_data(), slice(read.info.vertices)
    for number, subject in enumerate(sorted(read.templates)):
        by = draw_identity(0, number, 2)
        expected = (data.points + by[0] * data.modes[0] + by[1] * data.modes[1])[face] / 100
        np.testing.assert_allclose(read.templates[subject], expected, atol=1e-7)
    assert len(read.templates) == 6


def test_a_subject_is_the_same_whatever_else_there_is() -> None:
    assert draw_identity(0, 3, 12)[:2].tolist() == draw_identity(0, 3, 2).tolist()
    drawn = np.array([draw_identity(seed, number, 12) for seed in (0, 1) for number in range(99)])
    assert len(np.unique(drawn[:, 0])) == len(drawn)
    assert abs(drawn.std() - 1) < 0.05


def test_weights_stand_beside_the_motion(read: Sequences) -> None:
    data, weights = ict_data(), read_tracks(read.path)[WEIGHTS]
    shapes = data.indices["expressions"]
    assert weights.track.framewise
    assert weights.track.about.endswith(f"0 to 1: {', '.join(shapes)}")
    jaw = np.concatenate([weights[name][:, shapes.index("jawOpen")] for name in ids_of(read, TEST)])
    np.testing.assert_array_equal(jaw, data.curves[TEST][:, data.names.index("mouth_stretch_c")].astype(np.float32))


def test_sums_are_kept_within_their_range(tmp_path: Path) -> None:
    data = ict_data()
    values = data.curves[TRAIN]
    values[10, data.names.index("mouth_stretch_c")] = 0.9
    values[10, data.names.index("mouth_oh_c")] = 0.9
    values[11, data.names.index("mouth_stretch_c")] = -0.2
    out = Sequences(run_ict(tmp_path / "job", data.write(tmp_path)).out)
    weights = read_tracks(out.path)[WEIGHTS][f"ICT01_{TRAIN}_001"]
    assert weights[10:12, data.indices["expressions"].index("jawOpen")].tolist() == [1.0, 0.0]


def test_regions_come_from_landmarks_and_materials(read: Sequences) -> None:
    regions = {name: np.asarray(read.region(name)) for name in read.region_names}
    assert set(regions) == {"face", "landmarks", "lip_lower", "lip_upper", "lips", "upper_face"}
    assert regions["lips"].tolist() == list(range(files.LIP_RINGS * files.SECTORS))
    assert regions["lip_upper"].tolist() == [files.UPPER]
    assert regions["lip_lower"].tolist() == [files.LOWER]
    assert regions["landmarks"].tolist() == files.landmarks()
    eyes = files.face_points()[files.landmarks()[36:48], 1].min()
    assert regions["upper_face"].tolist() == np.flatnonzero(files.face_points()[:, 1] > eyes + 1e-9).tolist()


def test_the_whole_head_has_what_the_face_lacks(clones: Path, tmp_path: Path) -> None:
    out = Sequences(run_ict(tmp_path / "job", clones, head="whole", limit=1).out)
    first = files.RINGS * files.SECTORS
    parts = {name: sorted(np.asarray(out.region(name))) for name in ("teeth", "eyes", "iris", "mouth_interior", "face")}
    order = [None, "socket", *files.OTHER_MATERIALS]
    own = {part: [first + 4 * k + c for c in range(4)] for k, part in enumerate(order) if part}
    assert parts["face"] == list(range(first))
    assert parts["teeth"] == own["M_Teeth"]
    assert parts["mouth_interior"] == sorted(own["socket"] + own["M_GumsTongue"])
    assert parts["eyes"] == sorted(vertex for m in files.OTHER_MATERIALS[2:6] for vertex in own[m])
    assert set(parts["iris"]) <= set(own["M_ScleraLeft"] + own["M_ScleraRight"])
    assert out.info.vertices == first + 4 * 8  # nothing of what is there for shading


def test_the_card_and_what_is_said(clones: Path, tmp_path: Path) -> None:
    job = run_ict(tmp_path / "job", clones)
    said = "\n".join(job.said)
    assert f"{UNSEEN} has sound and no curves: unseen speech" in said
    assert "curves that move and have no shape: tooth_d_d (by 0.01)" in said
    assert "3 clips are cut into 12 sentences at pauses" in said
    assert "warning: vertices of the kit: 120 (expected 26,719)" in said
    card = read_card(job.out)
    assert card is not None
    assert "MIT" in card.source.licence
    passed = {check.what: check.passed for check in card.checks}
    assert passed.pop("vertices of the kit") is False
    assert set(passed.values()) == {True}


def test_curves_that_do_not_follow_the_sound_are_noticed(tmp_path: Path) -> None:
    data = ict_data()
    for clip, values in data.curves.items():
        data.curves[clip] = np.roll(values, files.WORD, axis=0)
    job = run_ict(tmp_path / "job", data.write(tmp_path))
    assert any(line.startswith("warning: mean lip gap in silence and voiced") for line in job.said)


def test_more_takes_are_more_subjects_for_each_sentence(clones: Path, tmp_path: Path) -> None:
    out = Sequences(run_ict(tmp_path / "job", clones, takes=2, subjects=5).out)
    speakers = {sentence: [] for sentence in (f"{TRAIN}_{k:03d}" for k in range(1, 5))}
    for name in out.ids("train"):
        speakers[out.entry(name).sentence].append(out.entry(name).subject)
    assert list(speakers.values()) == [["ICT01", "ICT02"], ["ICT02", "ICT03"], ["ICT01", "ICT03"], ["ICT01", "ICT02"]]
    assert len(out.ids("test")) == 4  # of one subject


def test_every_second_frame(clones: Path, read: Sequences, tmp_path: Path) -> None:
    half = Sequences(run_ict(tmp_path / "job", clones, fps=15, limit=1).out)
    name = half.ids("test")[0]
    np.testing.assert_array_equal(half.vertices(name), read.vertices(name)[::2])
    weights, all_weights = (read_tracks(found.path)[WEIGHTS][name] for found in (half, read))
    np.testing.assert_array_equal(weights, all_weights[::2])


def test_a_mapping_of_ones_own(clones: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mine.toml"
    mapping.write_text("mouth_stretch_c = { jawOpen = 0.5 }\n")
    job = run_ict(tmp_path / "job", clones, mapping=str(mapping))
    weights = read_tracks(job.out)[WEIGHTS][f"ICT01_{TRAIN}_001"]
    assert 0.14 < weights.max() <= 0.3
    assert "mouth_funnel_ul" in "\n".join(job.said)
