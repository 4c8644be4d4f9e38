"""What cannot be measured is said in one sentence; what can be measured in spite of it is, with a note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.metrics import Metrics, Params
from tests.stages.metrics_runs import change_item, make_predictions, numbers, report, run
from tests.stages.tiny import make_sequences


@pytest.fixture
def data(tmp_path: Path) -> Sequences:
    return Sequences(make_sequences(tmp_path / "data"))


@pytest.fixture
def predictions(tmp_path: Path, data: Sequences) -> Path:
    return make_predictions(tmp_path / "p", data)


def shorten(predictions: Path, name: str, frames: int) -> None:
    file = predictions / "npy" / f"{name}.npy"
    np.save(file, np.load(file)[:frames])
    change_item(predictions, name, frames=frames)


def test_missing_regions_leave_the_rest(tmp_path: Path) -> None:
    data = Sequences(make_sequences(tmp_path / "data", regions=False))
    predictions = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "run", data.path, predictions, upper_face="forehead")
    assert {metric.partition("/")[0] for _, metric in numbers(job)} == {"mve", "velocity", "diversity"}
    assert any("has no region 'lips' (it has: none)" in line and "lips_file" in line for line in job.said)
    assert len(report(job)["notes"]) == 3
    with pytest.raises(StageError, match="lve/codetalker cannot be had: the data have no lips"):
        run(tmp_path / "b", data.path, predictions, definitions=["lve/codetalker"])
    with pytest.raises(StageError, match="none of fdd can be had of these data: the data have no upper face"):
        run(tmp_path / "c", data.path, predictions, definitions=["fdd"])


def test_unknown_regions(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    there = r"has no region 'lip' \(it has: lip_lower, lip_upper, lips, upper_face\).*Did you mean 'lips'"
    with pytest.raises(StageError, match=there):
        run(tmp_path / "a", data.path, predictions, lips="lip")
    (tmp_path / "bad.txt").write_text("3, 12")
    with pytest.raises(DataError, match=r"bad\.txt .*12"):
        run(tmp_path / "b", data.path, predictions, lips_file=str(tmp_path / "bad.txt"))


def test_unknown_definitions_are_told_while_planning() -> None:
    assert not list(Metrics(Params(definitions=["lve", "lvd/unitalker", "lve/talkingstyle"])).check())
    (sentence,) = Metrics(Params(definitions=["lve/codetalkr"])).check()
    assert sentence.startswith("definitions names 'lve/codetalkr', which is no metric; there are the families lve, ")
    assert sentence.endswith("Did you mean 'lve/codetalker'?")


def test_predictions_that_end_early_have_no_codetalker_numbers(
    data: Sequences, predictions: Path, tmp_path: Path
) -> None:
    """The published script stops there; a few frames need no other word."""
    name = "D_s02_condition_A"
    frames = data.entry("D_s02").frames - 2
    shorten(predictions, name, frames)
    job = run(tmp_path / "a", data.path, predictions)
    made = {metric for _, metric in numbers(job)}
    assert {"lve/facediffuser", "fdd/facediffuser"} <= made
    assert not {"lve/codetalker", "fdd/codetalker", "diversity/facediffuser"} & {
        metric for metric in made if metric.endswith("codetalker")
    }
    (note,) = report(job)["notes"]
    assert note.startswith(
        "left out: fdd/codetalker, lve/codetalker; predictions of 1 of 4 sequences end before the truth"
    )
    assert note in job.said
    with pytest.raises(StageError, match=r"lve/codetalker cannot be had: .*first: D_s02.*cut both to the shorter"):
        run(tmp_path / "b", data.path, predictions, definitions=["lve/codetalker"])
    assert numbers(run(tmp_path / "c", data.path, predictions, definitions=["lve"]))


def test_lengths_far_apart_are_told(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    shorten(predictions, "D_s02_condition_A", 5)
    frames = data.entry("D_s02").frames
    job = run(tmp_path / "run", data.path, predictions)
    note = next(note for note in report(job)["notes"] if "differ in length" in note)
    assert note == (
        "1 of 7 predictions differ in length from the truth by more than 3 frames (most: D_s02_condition_A, 5 frames, "
        f"truth {frames}): cut were {frames - 5} frames of the truth and 0 of predictions"
    )
    assert numbers(job)["model", "diversity/facediffuser"]["sequences"] == 2


def test_nothing_in_common(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    shorten(predictions, "D_s01_condition_A", 0)
    with pytest.raises(DataError, match=r"D_s01_condition_A\.npy has 0 frames and the truth \d+: they have none in"):
        run(tmp_path / "run", data.path, predictions)


def test_other_subjects_sequences_and_topologies(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    change_item(predictions, "D_s01_condition_A", subject="E")
    with pytest.raises(DataError, match=r"shows E in D_s01_condition_A and .* has D there: use the sequences"):
        run(tmp_path / "a", data.path, predictions)
    change_item(predictions, "D_s01_condition_A", subject="D", id="D_s77")
    with pytest.raises(DataError, match="has no sequence D_s77"):
        run(tmp_path / "b", data.path, predictions)
    change_item(predictions, "D_s01_condition_A", id="D_s01", frames=20)
    np.save(predictions / "npy" / "D_s01_condition_A.npy", np.zeros((20, 33), np.float32))
    with pytest.raises(DataError, match=r"D_s01_condition_A\.npy has 11 vertices a frame and .* has 12"):
        run(tmp_path / "c", data.path, predictions)


def test_other_rates_and_splits(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no prediction of val \(it holds: test\)"):
        run(tmp_path / "a", data.path, predictions, splits=["test", "val"])
    with pytest.raises(DataError, match=r"slow is at 25 fps in m and .* at 30 fps in m: use the sequences"):
        run(tmp_path / "b", data.path, make_predictions(tmp_path / "slow", data, fps=25.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(data: Sequences, predictions: Path, tmp_path: Path, value: float) -> None:
    file = predictions / "npy" / "D_s02_condition_B.npy"
    rows = np.load(file)
    rows[7, 30] = value
    np.save(file, rows)
    with pytest.raises(DataError, match=r"D_s02_condition_B\.npy holds NaN or infinity, first in frame 7: the network"):
        run(tmp_path / "a", data.path, predictions)
    truth = data.path / "vertices_npy" / "D_s01.npy"
    rows = np.load(truth)
    rows[3, 0] = value
    np.save(truth, rows)
    with pytest.raises(DataError, match="the truth of D_s01 holds NaN or infinity, first in frame 3: run preprocess"):
        run(tmp_path / "b", data.path, predictions)


def test_a_subject_without_template(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    templates = {name: face for name, face in data.templates.items() if name != "D"}
    np.savez(data.path / "templates.npz", allow_pickle=False, **templates)
    with pytest.raises(DataError, match="has no template of D, whom D_s01 shows"):
        run(tmp_path / "run", data.path, predictions)


def test_a_damaged_file_is_named(data: Sequences, predictions: Path, tmp_path: Path) -> None:
    (predictions / "npy" / "D_s03_condition_A.npy").write_bytes(b"not NumPy")
    with pytest.raises(DataError, match=r"D_s03_condition_A\.npy cannot be read"):
        run(tmp_path / "a", data.path, predictions)
    file = predictions / "predictions.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"items": {}}))
    with pytest.raises(StageError, match=r"no prediction of anything \(it holds: nothing\)"):
        run(tmp_path / "b", data.path, predictions)
    assert not Predictions(predictions).items
