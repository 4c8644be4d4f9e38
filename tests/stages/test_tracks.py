"""Tracks beside the vertices: what was written comes back, and what is damaged is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cache.manifest import Manifest
from faces.errors import DataError
from pipeline import registry
from pipeline.stage import Given
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import FOLDER, INDEX, Track, read_tracks, write_index, write_rows
from stages.metrics import Metrics
from stages.metrics import Params as MetricsParams
from stages.train import Params as TrainParams
from stages.train import Train
from tests.stages import fake_face
from tests.stages.metrics_runs import make_predictions
from tests.stages.tiny import make_sequences
from tests.stages.tracked import add_track

CODES = Track("codes of a head model", framewise=True)
SPEECH = Track("features of the speech", framewise=False)


def written(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = {"a_1": rng.standard_normal((5, 3)), "a_2": rng.standard_normal((7, 3))}
    for name, each in rows.items():
        write_rows(folder, "expression", name, each)
    write_index(folder, {"expression": CODES, "speech": SPEECH}, ["a_2", "a_1", "b_1"])
    return rows


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    rows = written(tmp_path)
    found = read_tracks(tmp_path)
    assert list(found) == ["expression"]
    codes = found["expression"]
    assert (codes.track.size, codes.track.rows, codes.track.framewise) == (3, {"a_1": 5, "a_2": 7}, True)
    for name, each in rows.items():
        np.testing.assert_array_equal(codes[name], each.astype(np.float32))
    assert "b_1" not in codes
    with pytest.raises(DataError, match="has no rows of b_1, whose raw data lack them"):
        codes["b_1"]


def test_without_tracks_there_is_no_file(tmp_path: Path) -> None:
    write_index(tmp_path, {"speech": SPEECH}, ["a_1"])
    assert not (tmp_path / INDEX).exists()
    assert read_tracks(tmp_path) == {}


def test_rows_of_two_sizes_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    write_rows(tmp_path, "expression", "b_1", np.zeros((2, 4)))
    with pytest.raises(DataError, match="the track expression has rows of 3 in a_2 and 4 in b_1; all must be of one"):
        write_index(tmp_path, {"expression": CODES}, ["a_1", "a_2", "b_1"])


def test_damage_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    np.save(tmp_path / FOLDER / "expression" / "a_1.npy", np.zeros((5, 3)))
    (tmp_path / FOLDER / "expression" / "a_2.npy").write_bytes(b"")
    codes = read_tracks(tmp_path)["expression"]
    with pytest.raises(DataError, match=r"a_1\.npy holds float64 \(5, 3\), not float32 \(5, 3\): make it again"):
        codes["a_1"]
    with pytest.raises(DataError, match=r"a_2\.npy cannot be read"):
        codes["a_2"]
    track = {"about": "a", "framewise": True, "size": 3, "rows": {"a_1": 5}}
    spoilt = [
        json.dumps({"x": track | change}) for change in ({"rows": [1]}, {"size": "3"}, {"about": 1}, {"é" * 999: 1})
    ]
    for broken in ("[", '{"expression": {"colour": 1}}', "[1]", "[" * 100_000, *spoilt):
        (tmp_path / INDEX).write_text(broken)
        with pytest.raises(DataError, match="is no index of tracks") as caught:
            read_tracks(tmp_path)
        assert len(str(caught.value)) < 900


def test_a_track_lies_in_its_artifact(tmp_path: Path) -> None:
    track = {"about": "a", "framewise": True, "size": 3, "rows": {"a_1": 5}}
    (tmp_path / INDEX).write_text(json.dumps({"../elsewhere": track}))
    with pytest.raises(DataError, match=r"tracks\.json holds the name '\.\./elsewhere'"):
        read_tracks(tmp_path)


def test_a_track_more_changes_what_nobody_else_reads(tmp_path: Path) -> None:
    """Data that a track was added to are the same data to every stage but those that move or measure it."""
    data = make_sequences(tmp_path / "d")
    drawn = make_predictions(tmp_path / "p", Sequences(data))

    def reads() -> dict[str, object]:
        files = {
            str(file.relative_to(data)): (1, file.read_bytes().hex()) for file in data.rglob("*") if file.is_file()
        }
        tops = {name.partition("/")[0] for name in files}
        content = {top: str([item for item in sorted(files.items()) if item[0].split("/")[0] == top]) for top in tops}
        found: dict[str, object] = {}
        for name in registry.names("stages"):
            stage = registry.load_stage(name)
            for spec in stage.inputs.values():
                if spec.kind == "sequences" and name not in ("train", "metrics", "track", "drive", "meshes", "segment"):
                    assert spec.uses, f"{name} reads all there is"
                    found[name] = {top: content[top] for top in spec.uses if top in content}
        given = {"data": Given(data, content, lambda: Manifest(files)), "predictions": Given(drawn, {}, Manifest)}
        found["metrics"] = Metrics(MetricsParams()).reads(given)["data"]
        face = Train(TrainParams(model=fake_face.NAME), {"model": fake_face.Settings()})
        found["train"] = face.reads(given | {"features": Given(data, {}, lambda: Manifest({}))})["data"]
        return found

    before = reads()
    add_track(data)
    assert reads() == before
