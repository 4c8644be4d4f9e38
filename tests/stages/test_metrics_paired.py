from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import StageError
from stages.kinds.sequences import Sequences
from tests.stages.metrics_runs import change_item, csv_rows, make_predictions, numbers, report, run
from tests.stages.tiny import make_sequences


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def test_paired_differences(data: Sequences, tmp_path: Path) -> None:
    worse = make_predictions(tmp_path / "worse", data, half=0.2, model="lazy")
    better = make_predictions(tmp_path / "better", data, half=0.7)
    job = run(tmp_path / "run", data.path, better, against=worse)
    paired = report(job)["paired"]
    assert paired["against"] == "lazy"
    assert "sign flips" in paired["how"]
    tests = {test["metric"]: test for test in paired["tests"]}
    alone = {row: numbers(run(tmp_path / row, data.path, path)) for row, path in (("b", better), ("w", worse))}
    for metric in ("lve/codetalker", "mve/facediffuser", "fdd_abs/facediffuser", "velocity/facepipe"):
        test = tests[metric]
        assert test["value"] == pytest.approx(alone["b"]["model", metric]["value"])
        assert test["against"] == pytest.approx(alone["w"]["model", metric]["value"])
        assert test["difference"] == pytest.approx(test["value"] - test["against"])
        assert test["interval"][0] <= test["difference"] <= test["interval"][1] < 0
        assert (test["sequences"], test["model_lower_in"], test["patterns"], test["exact"]) == (4, 4, 16, True)
        assert test["p"] == 2 / 16
    assert {row["row"] for row in csv_rows(job)} == {"model", "against", "neutral template", "mean motion"}
    assert {row for row, _ in numbers(job)} == {"model", "neutral template", "mean motion"}
    table = job.said[-1].splitlines()
    assert table[0].split("  ")[0] == "model minus against (lazy)"
    assert table[1].split()[-1] == "0.12"


def test_p_by_hand(data: Sequences, tmp_path: Path) -> None:
    """The definition's own weights, all 2^4 sign patterns."""
    worse, better = (make_predictions(tmp_path / str(half), data, half=half) for half in (0.45, 0.5))
    for name in ("D_s01_condition_A", "D_s01_condition_B"):
        for folder, factor in ((worse, 1.0), (better, 0.99)):
            truth = data.vertices("D_s01").reshape(data.entry("D_s01").frames, -1)
            np.save(folder / "npy" / f"{name}.npy", truth * factor)
            change_item(folder, name, frames=len(truth))
    job = run(tmp_path / "run", data.path, better, against=worse)
    rows = {
        kind: {item: np.mean([float(row["lve/codetalker"]) for row in group]) for item, group in grouped}
        for kind in ("model", "against")
        for grouped in [
            [(item, list(group)) for item, group in itertools.groupby(
                (row for row in csv_rows(job) if row["row"] == kind), key=lambda row: row["id"])]
        ]
    }  # fmt: skip
    frames = np.array([data.entry(name).frames for name in rows["model"]])
    terms = frames * (np.array(list(rows["model"].values())) - np.array(list(rows["against"].values())))
    sums = [abs(np.dot(signs, terms)) for signs in itertools.product((-1, 1), repeat=4)]
    expected = np.mean(np.array(sums) >= abs(terms.sum()) * (1 - 1e-9))
    (test,) = (test for test in report(job)["paired"]["tests"] if test["metric"] == "lve/codetalker")
    assert test["p"] == expected
    assert test["model_lower_in"] == 3


def test_the_same_against_itself(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "run", data.path, predictions, against=predictions)
    for test in report(job)["paired"]["tests"]:
        assert (test["difference"], test["p"], test["interval"]) == (0, 1, [0, 0])


def test_unlike_sets_are_refused(data: Sequences, tmp_path: Path) -> None:
    first = make_predictions(tmp_path / "p", data)
    other = make_predictions(tmp_path / "other", data)
    change_item(other, "B_s03_condition_B", id="C_s01", subject="C")
    with pytest.raises(StageError, match=r"other has no prediction of B_s03, which .*p holds: paired tests"):
        run(tmp_path / "a", data.path, first, against=other)
    change_item(other, "B_s03_condition_B", id="B_s03", subject="C")
    with pytest.raises(DataError, match="shows C in B_s03_condition_B"):
        run(tmp_path / "b", data.path, first, against=other)
    slow = make_predictions(tmp_path / "slow", data, fps=25.0)
    with pytest.raises(DataError, match="slow is at 25 fps"):
        run(tmp_path / "c", data.path, first, against=slow)


def test_other_lengths_are_told(data: Sequences, tmp_path: Path) -> None:
    first, short = make_predictions(tmp_path / "p", data), make_predictions(tmp_path / "short", data, longer=-2)
    job = run(tmp_path / "run", data.path, first, against=short)
    notes = report(job)["notes"]
    assert any(
        "two sets of predictions differ in length in 4 of 4 sequences (B_s03, D_s01, D_s02 and 1 more)" in note
        for note in notes
    )
    assert any("lve/codetalker" in note and "4 of 4 sequences end before the truth" in note for note in notes)
    tests = {test["metric"]: test for test in report(job)["paired"]["tests"]}
    assert "lve/codetalker" not in tests
    assert tests["lve/facediffuser"]["sequences"] == 4
