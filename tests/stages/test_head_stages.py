"""A small head model fitted to eggs with a moving chin; their codes, sought in points; and eggs driven by those."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import Interrupted
from stages.drive import Drive
from stages.drive import Params as DriveParams
from stages.headfit import HeadFit
from stages.headfit import Params as FitParams
from stages.kinds import predictions
from stages.kinds.head import Head
from stages.kinds.predictions import Info, Item, Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import EXPRESSION, read_tracks
from stages.track import Params as TrackParams
from stages.track import TrackHeads
from tests.stages.fake_job import FakeJob
from tests.stages.talking_spheres import make_data

FIT = FitParams(
    frames=5, blends=1, points=400, steps=300, lr=4e-3, heads=4, drawn=96, anchors=5, pairs=2, neighbours=3,
    global_code=3, local_code=2, width=12, layers=2, place=6, bottleneck=2, expression=3, hyper=1, deformation_width=24,
    deformation_layers=2,
)  # fmt: skip
TRACK = TrackParams(points=120, window=5, rounds=4, identity_points=600, identity_steps=60, identity_batch=200)


def fitted(folder: Path, data: Path, params: FitParams = FIT, **options: int) -> FakeJob:
    job = FakeJob.under(folder, {"data": data}, seed=3, **options)
    HeadFit(params).run(job)
    return job


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeJob]:
    folder = tmp_path_factory.mktemp("heads")
    data = make_data(folder / "data")
    head = fitted(folder / "head", data)
    track = FakeJob.under(folder / "track", {"data": data, "head": head.out}, seed=3)
    TrackHeads(TRACK).run(track)
    drive = FakeJob.under(folder / "drive", {"data": track.out, "head": head.out}, seed=3)
    Drive(DriveParams(depth=1.0)).run(drive)
    return {"head": head, "track": track, "drive": drive}


def test_a_head_says_what_it_is_and_learns(made: dict[str, FakeJob]) -> None:
    head = Head(made["head"].out)
    assert (head.info.form, head.info.moves, head.info.scale) == ("mono", "backward", 4.0)
    assert list(head.info.subjects) == ["A"]
    assert head.tables.identities.shape == (1, FIT.identity_sizes.identity)
    assert head.millimetres == 250
    history = [json.loads(line) for line in (head.path / "history.jsonl").read_text().splitlines()]
    assert history[-1]["distance"] < 0.7 * history[0]["distance"]
    assert (head.path / "comparison.png").stat().st_size > 1000


def test_equal_seeds_make_equal_heads_and_a_stopped_fit_goes_on(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    params = replace(FIT, steps=120, save_every=100, points=80, frames=1, blends=0)
    whole = fitted(tmp_path / "whole", data, params)
    job = FakeJob.under(tmp_path / "halved", {"data": data}, seed=3, stop_after=0)
    with pytest.raises(Interrupted):
        HeadFit(params).run(job)
    job.stop_after = None
    HeadFit(params).run(job)
    for file in ("model.safetensors", "codes.npz", "head.json", "history.jsonl"):
        assert (whole.out / file).read_bytes() == (job.out / file).read_bytes()


def test_tracked_sequences_hold_all_that_was_there(made: dict[str, FakeJob]) -> None:
    given, out = made["track"].inputs["data"].path, made["track"].out
    before, after = Sequences(given), Sequences(out)
    assert after.info == before.info
    for name in before.ids():
        assert np.array_equal(before.vertices(name), after.vertices(name))
        assert after.wav(name).read_bytes() == before.wav(name).read_bytes()
    rows = read_tracks(out)[EXPRESSION]
    assert rows.track.framewise
    assert {name: rows[name].shape for name in after.ids()} == {name: (12, 3) for name in after.ids()}


def test_codes_follow_the_chin(made: dict[str, FakeJob]) -> None:
    rows = read_tracks(made["track"].out)[EXPRESSION]
    assert rows.track.head == Head(made["head"].out).digest
    size = np.linalg.norm(rows["A_s1"], axis=1)
    assert size[[0, -1]].max() < 0.5 * size[5:7].min()


def test_driven_faces_move_as_the_truth_does(made: dict[str, FakeJob]) -> None:
    data, driven = Sequences(made["track"].out), Predictions(made["drive"].out)
    assert driven.info.track == ""
    for name, item in driven.items.items():
        truth, motion = data.vertices(item.id), driven.motion(name)
        chin = truth[0, :, 1] < -0.05
        still = np.linalg.norm(data.template_of(item.id) - truth, axis=2)[:, chin].mean()
        assert np.linalg.norm(motion - truth, axis=2)[:, chin].mean() < 0.75 * still
        heights = [faces[:, chin, 1].mean(axis=1) for faces in (truth, motion)]
        assert np.corrcoef(*heights)[0, 1] > 0.9


def test_predicted_codes_are_driven_like_tracked_ones(made: dict[str, FakeJob], tmp_path: Path) -> None:
    data = Sequences(made["track"].out)
    codes = read_tracks(data.path)[EXPRESSION]["B_s1"]
    (tmp_path / "made" / "npy").mkdir(parents=True)
    np.save(tmp_path / "made" / "npy" / "B_s1_condition_A_seed4.npy", codes)
    item = Item("B_s1", "B", "A", "test", len(codes), 4)
    info = Info(data.fps, data.units, "eggs", "facetalk", {"B_s1_condition_A_seed4": item}, False, EXPRESSION)
    predictions.write_index(tmp_path / "made", info)
    inputs = {"predictions": tmp_path / "made", "data": data.path, "head": made["head"].out}
    job = FakeJob.under(tmp_path / "drive", inputs)
    Drive(DriveParams(depth=1.0)).run(job)
    driven = Predictions(job.out)
    assert driven.info == replace(info, track="")
    same = Predictions(made["drive"].out).motion("B_s1_condition_B")
    assert np.array_equal(driven.motion("B_s1_condition_A_seed4"), same)


def test_what_does_not_fit_is_told(made: dict[str, FakeJob], tmp_path: Path) -> None:
    head, tracked = made["head"].out, made["track"].out
    other = make_data(tmp_path / "mm", units="mm")
    with pytest.raises(DataError, match="fit one to this data set"):
        TrackHeads(TRACK).run(FakeJob.under(tmp_path / "a", {"data": other, "head": head}))
    plain = made["track"].inputs["data"].path
    with pytest.raises(DataError, match="stage track has made"):
        Drive(DriveParams()).run(FakeJob.under(tmp_path / "b", {"data": plain, "head": head}))
    (tmp_path / "made" / "npy").mkdir(parents=True)
    np.save(tmp_path / "made" / "npy" / "B_s1_condition_A.npy", np.zeros((12, 7), np.float32))
    item = Item("B_s1", "B", "A", "test", 12)
    predictions.write_index(
        tmp_path / "made", Info(25.0, "m", "eggs", "x", {"B_s1_condition_A": item}, track=EXPRESSION)
    )
    inputs = {"predictions": tmp_path / "made", "data": tracked, "head": head}
    with pytest.raises(DataError, match="rows of 7 numbers"):
        Drive(DriveParams()).run(FakeJob.under(tmp_path / "c", inputs))
