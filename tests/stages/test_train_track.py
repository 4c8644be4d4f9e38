"""A network that moves a track of the data in place of vertices, and one that studies its data before it trains."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.settings import Wants
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Given, Input
from stages.kinds import tracks
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import TEMPLATES, VERTICES, Sequences, write_region
from stages.train import Params, Train
from stages.train.clips import ClipReader
from tests.stages import drawing_face
from tests.stages.fake_job import FakeJob
from tests.stages.tracked import SIZE, TRACK, add_track
from tests.stages.train_runs import inputs, new_job, run

__all__ = ["inputs"]
OF_TRACK = drawing_face.Settings(track=TRACK)
OF_VERTICES = drawing_face.Settings()


@pytest.fixture
def tracked(inputs: dict[str, Input], tmp_path: Path) -> dict[str, Input]:
    folder = tmp_path / "tracked"
    shutil.copytree(inputs["data"].path, folder)
    return inputs | {"data": replace(inputs["data"], path=add_track(folder))}


def reader(given: dict[str, Input], track: str = TRACK) -> ClipReader:
    return ClipReader(Sequences(given["data"].path), Features(given["features"].path), wants=Wants(track=track))


def train(job: FakeJob, settings: drawing_face.Settings, **params: object) -> Checkpoint:
    return run(job, settings, **({"model": drawing_face.NAME} | params))


def test_rows_stand_where_vertices_do(tracked: dict[str, Input]) -> None:
    clips = reader(tracked)
    take = clips.takes("train")[0][0]
    batch = clips.batch([take])
    rows = tracks.read_tracks(tracked["data"].path)[TRACK][take.name]
    np.testing.assert_array_equal(batch.vertices[0], rows)
    assert batch.frames.tolist() == [len(rows)]
    assert batch.template.tolist() == [[0.0] * SIZE]
    facts = clips.facts()
    assert (facts.track, facts.width, facts.vertices) == (TRACK, SIZE, clips.data.info.vertices)


def test_every_sequence_has_a_number_of_its_own(inputs: dict[str, Input]) -> None:
    clips = reader(inputs, "")
    takes = [take for split in ("train", "val") for of_one in clips.takes(split) for take in of_one]
    numbers = clips.batch(takes).sentences.tolist()
    assert len(set(zip(numbers, (take.name for take in takes), strict=True))) == len(set(numbers))
    assert len(set(numbers)) == len({take.name for take in takes}) > 1
    assert clips.in_styles(takes[-2:]).sentences.tolist() == numbers[-1:]


def test_of_vertices_the_width_is_three_times_their_number(inputs: dict[str, Input]) -> None:
    facts = reader(inputs, "").facts()
    assert (facts.track, facts.width) == ("", 3 * facts.vertices)


def test_sequences_without_the_track_are_named_before_training(inputs: dict[str, Input], tmp_path: Path) -> None:
    folder = tmp_path / "d"
    shutil.copytree(inputs["data"].path, folder)
    add_track(folder, without=("A_s02", "C_s01", "D_s01"))
    given = inputs | {"data": replace(inputs["data"], path=folder)}
    with pytest.raises(DataError, match=r"A_s02 \(0 of \d+ rows\), C_s01 \(0 of \d+ rows\): leave them out with skip"):
        train(new_job(tmp_path / "t", given), OF_TRACK)


@pytest.mark.parametrize(
    ("track", "framewise", "said"),
    [
        ("smiles", True, "has no track 'smiles', which the network moves; it has codes"),
        (TRACK, False, "has no row for each frame"),
    ],
)
def test_tracks_that_cannot_be_moved(
    inputs: dict[str, Input], tmp_path: Path, track: str, framewise: bool, said: str
) -> None:
    folder = tmp_path / "d"
    shutil.copytree(inputs["data"].path, folder)
    add_track(folder, framewise=framewise)
    with pytest.raises(DataError, match=said):
        reader(inputs | {"data": replace(inputs["data"], path=folder)}, track).facts()


def test_data_without_any_track(inputs: dict[str, Input]) -> None:
    with pytest.raises(DataError, match="has no track 'codes', which the network moves; it has none"):
        reader(inputs).facts()


def test_of_a_track_health_is_energy_alone(tracked: dict[str, Input], tmp_path: Path) -> None:
    checkpoint = train(new_job(tmp_path / "t", tracked), OF_TRACK)
    assert checkpoint.facts.track == TRACK
    assert checkpoint.facts.width == SIZE
    last = checkpoint.history()[-1]["health"]
    assert last["motion_energy"] > 0
    assert (last["lip_correlation"], last["lve"]) == (None, None)


@pytest.mark.parametrize("settings", [OF_TRACK, OF_VERTICES])
def test_it_studies_its_training_sentences(
    tracked: dict[str, Input], tmp_path: Path, settings: drawing_face.Settings
) -> None:
    network = train(new_job(tmp_path / "t", tracked), settings).load_network()
    clips = reader(tracked, settings.track)
    names = clips.data.ids("train")
    moved = np.concatenate([clips.motion(name) - clips.template(name).numpy() for name in names])
    assert isinstance(network, drawing_face.DrawingFace)
    np.testing.assert_allclose(network.mean, moved.mean(axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(network.size, (moved - moved.mean(axis=0)).std(ddof=1), rtol=1e-4)


def test_it_studies_once_however_often_it_is_resumed(
    tracked: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studied: list[int] = []
    original = drawing_face.DrawingFace.study

    def noted(self: drawing_face.DrawingFace, motions: object) -> None:
        studied.append(1)
        original(self, motions)

    monkeypatch.setattr(drawing_face.DrawingFace, "study", noted)
    straight = train(new_job(tmp_path / "a", tracked), OF_TRACK)
    assert studied == [1]
    job = new_job(tmp_path / "b", tracked, stop_after=4)
    with pytest.raises(Interrupted):
        train(job, OF_TRACK)
    job.stop_after = None
    resumed = train(job, OF_TRACK)
    assert studied == [1, 1]
    for file in ("model.safetensors", "last.safetensors"):
        assert (straight.path / file).read_bytes() == (resumed.path / file).read_bytes()


def test_given_weights_bring_what_they_have_learnt(tracked: dict[str, Input], tmp_path: Path) -> None:
    first = train(new_job(tmp_path / "a", tracked), OF_VERTICES)
    other = tmp_path / "d"
    shutil.copytree(tracked["data"].path, other)
    for name in Sequences(other).ids("train"):
        file = other / VERTICES / f"{name}.npy"
        np.save(file, np.load(file) + np.float32(1))
    given = tracked | {"data": replace(tracked["data"], path=other)}
    again = train(new_job(tmp_path / "b", given), OF_VERTICES, weights=str(first.path / "model.safetensors"), epochs=1)
    torch.testing.assert_close(again.load_network().mean, first.load_network().mean)


def reads(data: Path, settings: drawing_face.Settings) -> dict[str, str]:
    files = {str(path.relative_to(data)): (1, path.read_bytes().hex()) for path in data.rglob("*") if path.is_file()}
    stage = Train(Params(model=drawing_face.NAME), {"model": settings})
    given = Given(data, {}, lambda: Manifest(files))
    empty = Given(data, {}, lambda: Manifest({}))
    return dict(stage.reads({"data": given, "features": empty})["data"])


def test_what_training_on_a_track_hangs_on(tracked: dict[str, Input]) -> None:
    data = tracked["data"].path
    of_track, of_vertices = reads(data, OF_TRACK), reads(data, OF_VERTICES)

    def changed() -> set[str]:
        pairs = {"track": (of_track, OF_TRACK), "vertices": (of_vertices, OF_VERTICES)}
        return {name for name, (before, settings) in pairs.items() if reads(data, settings) != before}

    np.save(data / VERTICES / "A_s01.npy", np.zeros((1, 3), np.float32))
    np.savez(data / TEMPLATES, allow_pickle=False, A=np.zeros((1, 3), np.float32))
    write_region(data, "lips", range(3))
    assert changed() == {"vertices"}
    of_vertices = reads(data, OF_VERTICES)
    rows = data / tracks.FOLDER / TRACK
    (rows / "D_s01.npy").write_bytes(b"of a test sentence")
    assert changed() == set()
    index = json.loads((data / tracks.INDEX).read_text())
    (data / tracks.INDEX).write_text(json.dumps(index | {"more": index[TRACK]}))
    assert changed() == set(), "another track is another's"
    (rows / "C_s01.npy").write_bytes(b"of a validation sentence")
    assert changed() == {"track"}


def test_what_is_declared_of_the_data() -> None:
    moving, still = (
        Train(Params(model=drawing_face.NAME), {"model": settings}) for settings in (OF_TRACK, OF_VERTICES)
    )
    assert {tracks.INDEX, tracks.FOLDER} <= set(moving.uses("data"))
    assert not {VERTICES, TEMPLATES} & set(moving.uses("data"))
    assert not {tracks.INDEX, tracks.FOLDER} & set(still.uses("data"))
    assert {VERTICES, TEMPLATES} <= set(still.uses("data"))


def test_a_broken_file_is_named(tracked: dict[str, Input], tmp_path: Path) -> None:
    (tracked["data"].path / tracks.FOLDER / TRACK / "A_s02.npy").write_bytes(b"")
    with pytest.raises((DataError, StageError), match="A_s02"):
        train(new_job(tmp_path / "t", tracked), OF_TRACK)


def test_a_group_of_processes_learns_what_one_would(tracked: dict[str, Input], tmp_path: Path) -> None:
    alone = train(new_job(tmp_path / "a", tracked), OF_TRACK, batch_size=2, epochs=1).load_network()
    shared = train(new_job(tmp_path / "b", tracked, processes=2), OF_TRACK, batch_size=2, epochs=1).load_network()
    for name in ("mean", "size"):
        torch.testing.assert_close(getattr(shared, name), getattr(alone, name), rtol=0, atol=0)
