"""Sequences cut into segments: motion, sound, tracks and tables alike, by the frame and by the sample."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.facetalk.settings import Settings
from models.resample import interpolate
from pipeline.stage import Given, Items
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.predictions import Predictions
from stages.kinds.segments import Segment, read_segments
from stages.kinds.sequences import Entry, Sequences, write_index, write_transcripts
from stages.kinds.tracks import Track, read_tracks, write_rows
from stages.kinds.tracks import write_index as write_track_index
from stages.segment import Params, SegmentSequences
from stages.segment.cuts import Clock, Cut, cuts, left_out
from stages.train import Params as TrainParams
from stages.train import Train
from tests.stages.fake_job import FakeJob
from tests.stages.preprocess.facetalk_files import FRAMES, IDS, codes, run_facetalk, speech, write_facetalk
from tests.stages.speaking_runs import features_of
from tests.stages.tiny import make_sequences
from tests.stages.tracked import TRACK, add_track


def segment(folder: Path, data: Path, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {"data": data})
    SegmentSequences(Params(**params)).run(job)
    return job


def wave(data: Sequences, name: str) -> np.ndarray:
    return soundfile.read(data.wav(name), dtype="int16")[0]


@pytest.mark.parametrize(
    ("frames", "length", "hop", "rest", "expected"),
    [
        (100, 48, 48, "drop", [(0, 48), (48, 48)]),
        (100, 48, 48, "keep", [(0, 48), (48, 48), (96, 4)]),
        (100, 48, 48, "overlap", [(0, 48), (48, 48), (52, 48)]),
        (96, 48, 48, "keep", [(0, 48), (48, 48)]),
        (96, 48, 48, "overlap", [(0, 48), (48, 48)]),
        (97, 48, 48, "keep", [(0, 48), (48, 48)]),  # of one frame nothing moves
        (97, 48, 48, "overlap", [(0, 48), (48, 48), (49, 48)]),
        (100, 48, 24, "drop", [(0, 48), (24, 48), (48, 48)]),
        (100, 48, 24, "keep", [(0, 48), (24, 48), (48, 48), (72, 28)]),
        (100, 48, 24, "overlap", [(0, 48), (24, 48), (48, 48), (52, 48)]),
        (96, 48, 24, "keep", [(0, 48), (24, 48), (48, 48)]),
        (100, 10, 40, "overlap", [(0, 10), (40, 10), (80, 10)]),  # what a hop leaves out is left out
        (105, 10, 40, "keep", [(0, 10), (40, 10), (80, 10)]),
        (30, 48, 48, "drop", []),
        (30, 48, 48, "overlap", []),
        (30, 48, 48, "keep", [(0, 30)]),
        (1, 48, 48, "keep", []),
        (48, 48, 48, "drop", [(0, 48)]),
    ],
)
def test_where_it_is_cut(frames: int, length: int, hop: int, rest: str, expected: list[tuple[int, int]]) -> None:
    found = cuts(frames, length, hop, rest)
    assert found == expected
    inside = {frame for cut in found for frame in range(cut.start, cut.start + cut.frames)}
    assert left_out(frames, found) == frames - len(inside)
    assert max(inside, default=0) < frames


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0])
def test_segments_that_meet_share_no_sample_and_none_lies_between(rate: int, fps: float) -> None:
    frames = 3000
    clock = Clock(round(frames * rate / fps), rate, frames, fps, stretched=False)
    starts = [clock.at(frame) for frame in range(frames + 1)]
    assert (starts[0], starts[-1]) == (0, clock.samples)
    assert max(abs(start - frame * rate / fps) for frame, start in enumerate(starts)) <= 0.5 + 1e-6
    assert min(np.diff(starts)) > 0


def test_sound_that_spans_the_motion_has_no_rate() -> None:
    clock = Clock(9_866, 1_000, 240, 24.0, stretched=True)  # of 24.33 frames a second
    assert [clock.at(frame) for frame in (0, 120, 240)] == [0, 4_933, 9_866]
    assert clock.apart == pytest.approx(240 - 9.866 * 24)
    nominal = clock._replace(stretched=False)
    assert [nominal.at(frame) for frame in (0, 120, 240)] == [0, 5_000, 9_866]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve sequences of 15 to 24 frames, with a track and transcripts."""
    found = make_sequences(tmp_path / "d")
    add_track(found)
    write_transcripts(found, {name: f"words of {name}" for name in Sequences(found).ids()})
    return found


def check_all(given: Sequences, out: Sequences) -> None:
    """Every segment holds what its source holds there."""
    table, before, after = read_segments(out.path), read_tracks(given.path), read_tracks(out.path)
    assert list(table) == out.ids()
    for name, one in table.items():
        frames, samples = (
            slice(one.start, one.start + one.frames),
            slice(one.first_sample, one.first_sample + one.samples),
        )
        source, entry = given.entry(one.source), out.entry(name)
        assert name == f"{one.source}_f{one.start:06d}" == f"{entry.subject}_{entry.sentence}"
        assert (entry.subject, entry.split, entry.sample_rate) == (source.subject, source.split, source.sample_rate)
        assert (entry.frames, entry.samples) == (one.frames, one.samples)
        np.testing.assert_array_equal(out.vertices(name), given.vertices(one.source)[frames])
        np.testing.assert_array_equal(wave(out, name), wave(given, one.source)[samples])
        for track, rows in before.items():
            if rows.track.framewise:
                np.testing.assert_array_equal(after[track][name], rows[one.source][frames])


@pytest.mark.parametrize("rest", ["drop", "keep", "overlap"])
@pytest.mark.parametrize("hop", [0, 4])
def test_segments_hold_what_their_sources_hold(data: Path, tmp_path: Path, rest: str, hop: int) -> None:
    given, out = Sequences(data), Sequences(segment(tmp_path / "s", data, frames=7, hop=hop, rest=rest).out)
    check_all(given, out)
    assert out.info == replace(given.info, sequences=out.info.sequences)
    lengths = {one.frames for one in read_segments(out.path).values()}
    assert lengths == {7} if rest != "keep" else 7 in lengths
    np.testing.assert_array_equal(out.templates["A"], given.templates["A"])
    assert out.region_names == given.region_names
    for name in given.ids() if not hop else ():
        parts = [key for key, one in read_segments(out.path).items() if one.source == name]
        joined = np.concatenate([wave(out, part) for part in parts])
        if rest == "drop":
            np.testing.assert_array_equal(joined, wave(given, name)[: len(joined)])
        if rest == "keep" and given.entry(name).frames % 7 != 1:
            np.testing.assert_array_equal(joined, wave(given, name))


def test_a_transcript_stays_with_a_segment_that_is_the_whole_sentence(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    short = [name for name in given.ids() if given.entry(name).frames <= 20]
    job = segment(tmp_path / "s", data, frames=20, rest="keep")
    assert Sequences(job.out).transcripts == {f"{name}_f000000": f"words of {name}" for name in short}
    lost = len(given.ids()) - len(short)
    assert 0 < lost < len(given.ids())
    assert any(line.startswith(f"{lost} transcripts were left out") for line in job.said)
    first = short[0]
    for old, new in ((given.wav(first), "wav"), (given.vertex_file(first), "vertices_npy")):
        assert (job.out / new / f"{first}_f000000{old.suffix}").stat().st_ino == old.stat().st_ino  # a link


def test_what_is_left_out_is_told(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    short = {name: given.entry(name).frames for name in given.ids() if given.entry(name).frames < 20}
    job = segment(tmp_path / "s", data, frames=20)
    expected = {name: f"its {frames} frames make no segment of 20" for name, frames in short.items()}
    assert Sequences(job.out).info.skipped == expected
    assert any(" segments of " in line and "of the frames are in none" in line for line in job.said)
    assert any(line.startswith("left out: ") and line.endswith("see sequences.json") for line in job.said)
    with pytest.raises(DataError, match="has no sequence of 99 frames with sound: take fewer, or keep shorter ones"):
        segment(tmp_path / "t", data, frames=99)


def test_sound_alone_and_silence_make_no_segment(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    first, second = given.ids()[:2]
    entry = given.entry(first)
    samples = wave(given, second).copy()
    samples[: round(7 * 16_000 / 30)] = 0
    soundfile.write(given.wav(second), samples, 16_000, subtype="PCM_16")
    entries = {**given.info.sequences, first: replace(entry, frames=0)}
    write_index(data, replace(given.info, sequences=entries))
    out = Sequences(segment(tmp_path / "s", data, frames=7).out)
    assert out.info.skipped == {first: "it is sound alone", f"{second}_f000000": "its sound is silent"}
    assert not [name for name in out.ids() if name.startswith(first)]
    assert f"{second}_f000007" in out.ids()
    assert f"{second}_f000000" not in read_tracks(out.path)[TRACK]


def test_a_split_that_is_left_empty_is_told(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    entries = {n: replace(e, split="val" if e.frames < 20 else "train") for n, e in given.info.sequences.items()}
    write_index(data, replace(given.info, sequences=entries))
    job = segment(tmp_path / "s", data, frames=20)
    assert "warning: no sequence of the split 'val' is long enough, so that it is empty" in job.said


def test_damaged_inputs_are_named(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    first, second = given.ids()[:2]
    soundfile.write(given.wav(first), wave(given, first)[:-5], 16_000, subtype="PCM_16")
    with pytest.raises(DataError, match=rf"{first}\.wav has \d+ samples of 16000 a second, and the index says"):
        segment(tmp_path / "a", data, frames=7)
    make_sequences(data.parent / "e")
    other = add_track(data.parent / "e")
    write_rows(other, TRACK, second, np.zeros((3, 5)))
    write_track_index(other, {TRACK: Track("mixed vertices", framewise=True)}, given.ids())
    with pytest.raises(DataError, match=rf"has the track 'codes' not for every frame of {second} \(3 of \d+ rows\)"):
        segment(tmp_path / "b", other, frames=7)


def test_codes_stay_those_of_their_head(data: Path, tmp_path: Path) -> None:
    write_track_index(data, {TRACK: Track("mixed vertices", framewise=True, head="a head")}, Sequences(data).ids())
    assert read_tracks(segment(tmp_path / "s", data, frames=7).out)[TRACK].track.head == "a head"


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    assert read_segments(tmp_path) == {}
    good = {"source": "a", "start": 0, "frames": 2, "first_sample": 0, "samples": 3}
    (tmp_path / "segments.json").write_text(json.dumps({"x": good}))
    assert read_segments(tmp_path) == {"x": Segment("a", 0, 2, 0, 3)}
    for broken in (
        "[",
        "[1]",
        '{"x": 1}',
        json.dumps({"x": good | {"start": "0"}}),
        json.dumps({"x": good | {"y": 1}}),
    ):
        (tmp_path / "segments.json").write_text(broken)
        with pytest.raises(DataError, match=r"segments\.json is no table of segments"):
            read_segments(tmp_path)


def test_an_item_hangs_on_its_own_files(data: Path) -> None:
    stage = SegmentSequences(Params(frames=7))
    files = {f.relative_to(data).as_posix(): (1, f.read_bytes().hex()) for f in data.rglob("*") if f.is_file()}

    def asked(changed: str = "") -> Items:
        told = files | ({changed: (1, "changed")} if changed else {})
        found = stage.items({"data": Given(data, {}, lambda: Manifest(told))}, {})
        assert found is not None
        return found

    before, names = asked(), Sequences(data).ids()
    assert before.each is not None
    assert list(before.each) == names
    for own in (f"wav/{names[1]}.wav", f"vertices_npy/{names[1]}.npy", f"tracks/{TRACK}/{names[1]}.npy"):
        assert own in files
        after = asked(own)
        assert after.each is not None
        assert [name for name in names if after.each[name] != before.each[name]] == [names[1]]
    assert asked("transcripts.json") == before


# -- FaceTalk's layout -------------------------------------------------------------------------------------------------


def test_facetalks_tracks_are_cut_with_it(tmp_path: Path) -> None:
    """Codes frame by frame; features of the speech, which are of any number, brought to a row a frame first."""
    root = write_facetalk(tmp_path / "root")
    rows = {name: speech(name)[0] for name in IDS}
    rows[IDS[0]] = np.random.default_rng(1).standard_normal((11, 768)).astype(np.float32)
    (root / IDS[0] / "audio" / "wave2vec_audio_feats.pkl").write_bytes(pickle.dumps(rows[IDS[0]]))
    data = run_facetalk(tmp_path / "d", root, audio_features=True).out
    out = Sequences(segment(tmp_path / "s", data, frames=4, rest="overlap").out)
    check_all(Sequences(data), out)
    tracks = read_tracks(out.path)
    assert tracks["speech_features"].track.framewise
    assert tracks["speech_features"].track.about.endswith("computed them, one a frame")
    for name, one in read_segments(out.path).items():
        own = slice(one.start, one.start + 4)
        np.testing.assert_array_equal(tracks["nphm_expression"][name], codes(one.source)[own])
        expected = interpolate(torch.from_numpy(rows[one.source]), FRAMES[one.source]).numpy()[own]
        np.testing.assert_allclose(tracks["speech_features"][name], expected, atol=1e-6)
    assert {split: len(out.ids(split)) for split in ("train", "val", "test")} == {"train": 4, "val": 2, "test": 2}


def test_sound_of_another_length_than_the_motion_is_told(data: Path, tmp_path: Path) -> None:
    given = Sequences(data)
    longest = max(given.ids(), key=lambda name: given.entry(name).frames)
    entry = given.entry(longest)
    cut = wave(given, longest)[: round(0.8 * entry.samples)]
    soundfile.write(given.wav(longest), cut, 16_000, subtype="PCM_16")
    changed: Entry = replace(entry, samples=len(cut))
    write_index(data, replace(given.info, sequences={**given.info.sequences, longest: changed}))
    job = segment(tmp_path / "a", data, frames=7)
    assert any(line.startswith(f"warning: sound and motion of {longest} differ by 4.") for line in job.said), job.said
    ends = segment(tmp_path / "b", data, frames=7, sound="ends")
    assert not any("differ by" in line for line in ends.said)
    table = read_segments(ends.out)
    assert table[f"{longest}_f000007"].first_sample == round(7 * len(cut) / entry.frames)
    check_all(Sequences(data), Sequences(ends.out))


def test_a_network_learns_from_segments_and_speaks_them(data: Path, tmp_path: Path) -> None:
    out = segment(tmp_path / "s", data, frames=8, rest="keep").out
    heard = features_of(out, tmp_path / "f")
    settings = Settings(
        track=TRACK, feature_dim=16, layers=1, heads=2, feedforward=24, diffusion_steps=20, crop=8,
        encoder_width=16, encoder_layers=1, encoder_heads=2, late_start=0,
    )  # fmt: skip
    job = FakeJob.under(tmp_path / "t", {"data": out, "features": heard}, seed=1)
    Train(TrainParams(model="facetalk", epochs=15, batch_size=4, lr=3e-3), {"model": settings}).run(job)
    losses = [json.loads(line)["val"]["loss"] for line in (job.out / "history.jsonl").read_text().splitlines()]
    assert min(losses) < 0.9 * losses[0], losses
    infer = FakeJob.under(tmp_path / "i", {"checkpoint": job.out, "data": out, "features": heard}, seed=1)
    Infer(InferParams(splits=["test"], steps=4)).run(infer)
    items = Predictions(infer.out).items
    assert {item.id for item in items.values()} == set(Sequences(out).ids("test"))
    assert all(item.frames == Sequences(out).entry(item.id).frames for item in items.values())


def test_cuts_are_named_after_their_first_frame() -> None:
    from stages.segment.cut import segment_id

    names = [segment_id("A_s01", Cut(start, 48)) for start in (0, 48, 9_999, 10_000, 99_999, 100_000)]
    assert names == sorted(names)
    assert names[1] == "A_s01_f000048"
