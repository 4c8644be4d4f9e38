"""Codes are one head model's: whose they are goes along with them, and no other head speaks them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache.manifest import Manifest
from faces.errors import DataError
from pipeline.stage import Given, Stage
from stages.drive import Drive
from stages.drive import Params as DriveParams
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds import predictions
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.head import CODES, Head
from stages.kinds.predictions import Info, Item, Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import Surfaces
from stages.kinds.tracks import EXPRESSION, Track, of_track, read_tracks, write_index
from stages.meshes import Meshes
from stages.meshes import Params as MeshesParams
from stages.metrics import Metrics
from stages.metrics import Params as MetricsParams
from tests.stages import drawing_face
from tests.stages.fake_job import FakeJob
from tests.stages.small_heads import add_codes, make_head
from tests.stages.speaking_runs import features_of, trained_on
from tests.stages.talking_spheres import make_data
from tests.stages.tiny import make_sequences
from tests.stages.tracked import TRACK, add_track

FRAMES = 3
QUICK = MeshesParams(resolution=16, sigma=0.0, limit=1)
OTHER = "0123456789abcdef"


def of_head(data: Path, digest: str) -> Path:
    """The data's codes, said to be of this head."""
    there = read_tracks(data)
    declared = {name: Track(rows.track.about, rows.track.framewise, head=digest) for name, rows in there.items()}
    write_index(data, declared, Sequences(data).ids())
    return data


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Data whose codes are of the head beside them."""
    data = make_data(tmp_path / "data", frames=FRAMES)
    head = make_head(tmp_path / "head", data)
    return {"data": of_head(add_codes(data, head, FRAMES), Head(head).digest), "head": head}


def predicted(folder: Path, data: Path, digest: str) -> Path:
    """A sample of a sentence, its own codes."""
    name = predictions.prediction_name("B_s1", "A", 4)
    (folder / "npy").mkdir(parents=True)
    np.save(folder / "npy" / f"{name}.npy", read_tracks(data)[EXPRESSION]["B_s1"])
    items = {name: Item("B_s1", "B", "A", "test", FRAMES, 4)}
    there = Sequences(data)
    predictions.write_index(folder, Info(there.fps, there.units, "eggs", "facetalk", items, False, EXPRESSION, digest))
    return folder


def run(folder: Path, stage: Stage, inputs: dict[str, Path]) -> Path:
    job = FakeJob.under(folder, inputs)
    stage.run(job)
    return job.out


SPEAKING = pytest.mark.parametrize("stage", [Drive(DriveParams()), Meshes(QUICK)], ids=["drive", "meshes"])


def test_a_head_is_told_by_what_it_is_and_not_by_where_it_lies(inputs: dict[str, Path], tmp_path: Path) -> None:
    digest, copy = Head(inputs["head"]).digest, Path(shutil.copytree(inputs["head"], tmp_path / "copy"))
    assert Head(copy).digest == digest
    np.savez(copy / CODES, **{**vars(Head(copy).tables), "anchors": Head(copy).tables.anchors + 1})
    assert Head(copy).digest != digest
    (copy / CODES).unlink()
    with pytest.raises(DataError, match="make it again with headfit"):
        Head(copy).digest  # noqa: B018


def test_whose_codes_they_are_goes_through_training_and_inference(tmp_path: Path) -> None:
    data = of_head(add_track(make_sequences(tmp_path / "sequences")), OTHER)
    given = {"data": data, "features": features_of(data, tmp_path / "f")}
    given = trained_on(given, tmp_path, drawing_face.NAME, drawing_face.Settings(track=TRACK), epochs=1)
    assert Checkpoint(given["checkpoint"]).config.head == OTHER
    assert Predictions(run(tmp_path / "i", Infer(InferParams()), given)).info.head == OTHER
    untold = trained_on(
        {"data": given["data"], "features": given["features"]},
        tmp_path / "v", drawing_face.NAME, drawing_face.Settings(), epochs=1,
    )  # fmt: skip
    assert Checkpoint(untold["checkpoint"]).config.head == "", "of vertices nobody's"


def test_a_training_hangs_on_whose_codes_it_learns(inputs: dict[str, Path]) -> None:
    def parts() -> dict[str, str]:
        given = Given(inputs["data"], {}, lambda: Manifest({}))
        return of_track(inputs["data"], EXPRESSION, Sequences(inputs["data"]).ids("train"), given)

    before = parts()
    of_head(inputs["data"], OTHER)
    assert parts() != before


@SPEAKING
def test_the_head_that_the_codes_are_of_speaks_them(stage: Stage, inputs: dict[str, Path], tmp_path: Path) -> None:
    digest = Head(inputs["head"]).digest
    made = predicted(tmp_path / "made", inputs["data"], digest)
    assert run(tmp_path / "own", stage, inputs)
    assert run(tmp_path / "drawn", stage, inputs | {"predictions": made})
    untold = predicted(tmp_path / "untold", of_head(inputs["data"], ""), "")
    assert run(tmp_path / "released", stage, inputs | {"predictions": untold}), "where nobody knows"


@SPEAKING
def test_no_other_head_speaks_them(stage: Stage, inputs: dict[str, Path], tmp_path: Path) -> None:
    made = predicted(tmp_path / "made", inputs["data"], OTHER)
    digest = Head(inputs["head"]).digest
    said = f"made holds codes of the head model {OTHER}, and .*head is {digest}: give the head that the stage track was"
    with pytest.raises(DataError, match=said):
        run(tmp_path / "drawn", stage, inputs | {"predictions": made})
    of_head(inputs["data"], OTHER)
    with pytest.raises(DataError, match=f"data holds codes of the head model {OTHER}, and"):
        run(tmp_path / "own", stage, inputs)
    fitting = predicted(tmp_path / "fitting", inputs["data"], digest)
    with pytest.raises(DataError, match=f"data holds codes of the head model {OTHER}, and"):
        run(tmp_path / "identities", stage, inputs | {"predictions": fitting})


def test_anybody_may_speak_whose_head_is_not_the_datas(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Of data whose identity codes are another head's, nothing but templates is then looked at."""
    made = predicted(tmp_path / "made", inputs["data"], Head(inputs["head"]).digest)
    of_head(inputs["data"], OTHER)
    zero = Meshes(replace(QUICK, identity="zero"))
    assert Surfaces(run(tmp_path / "zero", zero, inputs | {"predictions": made})).items


def test_driven_vertices_are_nobodys_codes(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = predicted(tmp_path / "made", inputs["data"], Head(inputs["head"]).digest)
    info = Predictions(run(tmp_path / "d", Drive(DriveParams()), inputs | {"predictions": made})).info
    assert (info.track, info.head) == ("", "")


@pytest.mark.parametrize(("of_data", "refused"), [(OTHER, False), ("", False), ("another", True)])
def test_codes_are_measured_against_codes_of_one_head(
    inputs: dict[str, Path], tmp_path: Path, of_data: str, refused: bool
) -> None:
    data = of_head(inputs["data"], of_data)
    given = {"data": data, "predictions": predicted(tmp_path / "made", data, OTHER)}
    stage = Metrics(MetricsParams(figures=False))
    if refused:
        with pytest.raises(
            DataError, match=f"made holds codes of the head model {OTHER}, and .* those of another: use"
        ):
            run(tmp_path / "m", stage, given)
    else:
        assert run(tmp_path / "m", stage, given)
