"""What metrics say of lips that can be read: of a network's own reading, and of errors below a threshold."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Given
from pipeline.table.report import read
from pipeline.table.terms import differences
from stages.kinds.predictions import Predictions, Text, write_text
from stages.kinds.sequences import Sequences
from stages.metrics import Metrics, Params
from tests.stages.metrics_runs import csv_rows, make_predictions, numbers, run
from tests.stages.tiny import make_sequences

ERROR, READABLE = "lip_reading_error/facepipe", "lip_readability/selftalk"
HEARD = {"B_s03": "the cat sat", "D_s01": "Bad", "D_s02": ""}
READ = {
    "B_s03_condition_B": "the at sad",  # one left out, one replaced: 2 of 11
    "D_s01_condition_A": "bad",  # 0 of 3
    "D_s01_condition_B": "abada",  # two made up: 2 of 3
    "D_s02_condition_A": "bad",
    "D_s02_condition_B": "",
    "D_s03_condition_A": "",  # 4 of 4
    "D_s03_condition_B": "aadd",  # two replaced: 2 of 4
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def spoken(folder: Path, data: Sequences, read: dict[str, str] = READ) -> Path:
    made = make_predictions(folder, data)
    (made / "text").mkdir()
    for name, item in Predictions(made).items.items():
        write_text(made, name, Text(HEARD.get(item.id, "abcd"), read[name]))
    return made


def test_errors_by_hand(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, spoken(tmp_path / "p", data), definitions=["lip_reading_error", "mve"])
    found = numbers(job)
    record = found["model", ERROR]
    assert record["value"] == pytest.approx((2 + (0 + 2) / 2 + (4 + 2) / 2) / (11 + 3 + 4))
    assert (record["sequences"], record["unit"], record["region"], record["average"]) == (3, "", "texts", "letters")
    assert record["subjects"] == {"B": pytest.approx(2 / 11), "D": pytest.approx(4 / 7)}
    assert record["interval"][0] < record["value"] < record["interval"][1]
    assert "threshold" not in record
    assert record["definition"].endswith("both summed over all sequences first")
    assert {row for row, metric in found if metric == ERROR} == {"model"}
    assert {row for row, _ in found} == {"model", "neutral template", "mean motion"}
    rows = {(row["id"], row["condition"]): row[ERROR] for row in csv_rows(job) if row["row"] == "model"}
    assert {name: float(value) for name, value in rows.items() if value} == {
        ("B_s03", "B"): pytest.approx(2 / 11),
        ("D_s01", "A"): 0.0,
        ("D_s01", "B"): pytest.approx(2 / 3),
        ("D_s03", "A"): 1.0,
        ("D_s03", "B"): 0.5,
    }
    assert rows["D_s02", "A"] == rows["D_s02", "B"] == ""
    report = read(job.out / "metrics.json")
    number = report.number("model", ERROR)
    assert number is not None
    assert number.terms.region is None


def test_texts_stand_beside_each_other(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, spoken(tmp_path / "p", data))
    page = (job.out / "text.md").read_text(encoding="utf-8")
    assert "\n## B_s03_condition_B: 18 % of the letters wrong\n" in page
    assert "\n    heard     the cat sat\n    lip-read  the ·at sad\n                  ^     ^\n" in page
    assert "\n    heard     ·Bad·\n    lip-read  abada\n              ^   ^\n" in page
    assert "\n## D_s02_condition_A\n\n    heard     (nothing)\n    lip-read  bad\n" in page
    assert page.count("\n## ") == 7
    told = job.said[-1].splitlines()
    assert told[:3] == [
        "B_s03_condition_B: 18 % of the letters wrong", "  heard     the cat sat", "  lip-read  the at sad"
    ]  # fmt: skip
    assert len(told) == 3 * 4 + 1
    assert told[-1] == "3 more are in text.md"
    assert "lip CER" in job.said[-2]


def test_long_texts_are_cut_and_broken(data: Sequences, tmp_path: Path) -> None:
    read = READ | {"B_s03_condition_B": "cab " * 60}
    job = run(tmp_path / "run", data.path, spoken(tmp_path / "p", data, read))
    assert max(map(len, job.said[-1].splitlines())) <= 96
    page = (job.out / "text.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert max(map(len, page.splitlines())) <= 96 + 14
    lines = "".join(line[14:] for line in page.splitlines() if "lip-read" in line)
    assert lines.replace("·", "").replace(" ", "") == "cab" * 60


def test_nothing_was_read(data: Sequences, tmp_path: Path) -> None:
    mute = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "a", data.path, mute)
    assert not (job.out / "text.md").exists()
    with pytest.raises(StageError, match=rf"^{ERROR} cannot be had: no text was heard in the sound and read off"):
        run(tmp_path / "b", data.path, mute, definitions=[ERROR])
    with pytest.raises(StageError, match=r"^none of lip_reading_error can be had of these data: no text was heard"):
        run(tmp_path / "d", data.path, mute, definitions=["lip_reading_error"])
    with pytest.raises(StageError, match=r"^none of lip_readability can be had of these data: .*set lip_threshold"):
        run(tmp_path / "e", data.path, mute, definitions=["lip_readability"])
    (mute / "text").mkdir()
    for name in Predictions(mute).items:
        write_text(mute, name, Text(None, "abc"))
    job = run(tmp_path / "c", data.path, mute)
    assert ("model", ERROR) not in numbers(job)
    assert "## D_s01_condition_A\n\n    heard     –\n    lip-read  abc\n" in (job.out / "text.md").read_text("utf-8")


def test_texts_of_other_predictions_are_refused(data: Sequences, tmp_path: Path) -> None:
    made = spoken(tmp_path / "p", data)
    (made / "text" / "D_s01_condition_A.json").unlink()
    with pytest.raises(DataError, match="lacks the text of D_s01_condition_A"):
        run(tmp_path / "run", data.path, made)


def test_two_networks_that_read(data: Sequences, tmp_path: Path) -> None:
    ours = spoken(tmp_path / "p", data)
    perfect = {name: HEARD.get(item.id, "abcd") for name, item in Predictions(ours).items.items()}
    job = run(tmp_path / "run", data.path, ours, spoken(tmp_path / "q", data, perfect))
    tests = {test["metric"]: test for test in json.loads((job.out / "metrics.json").read_text())["paired"]["tests"]}
    assert tests[ERROR]["difference"] == pytest.approx(6 / 18)
    mute = run(tmp_path / "b", data.path, ours, make_predictions(tmp_path / "r", data))
    tests = {test["metric"] for test in json.loads((mute.out / "metrics.json").read_text())["paired"]["tests"]}
    assert ERROR not in tests
    assert "lve/codetalker" in tests


def test_readability_by_hand(data: Sequences, tmp_path: Path) -> None:
    made = make_predictions(tmp_path / "p", data)
    worst = {}
    for name, item in Predictions(made).items.items():
        truth = np.load(data.path / "vertices_npy" / f"{item.id}.npy").astype(np.float64)
        motion = np.load(made / "npy" / f"{name}.npy")[: len(truth)]
        worst[name] = np.linalg.norm((truth - motion).reshape(len(truth), -1, 3), axis=2)[:, :6].max(axis=1)
    threshold = float(np.median(worst["B_s03_condition_B"]))  # a frame is at it, and counts no more
    job = run(tmp_path / "run", data.path, made, lip_threshold=threshold)
    found = numbers(job)
    readable = {name: 100 * np.mean(errors < threshold) for name, errors in worst.items()}
    ids = {item.id for item in Predictions(made).items.values()}
    values = [np.mean([readable[name] for name in readable if name.startswith(one)]) for one in sorted(ids)]
    lengths = [data.entry(one).frames for one in sorted(ids)]
    record = found["model", READABLE]
    assert record["value"] == pytest.approx(np.average(values, weights=lengths))
    assert 10 < record["value"] < 90
    assert (record["unit"], record["threshold"], record["threshold_unit"]) == ("%", threshold, "m")
    assert found["neutral template", READABLE]["value"] < record["value"]
    assert ("mean motion", READABLE) in found
    row = csv_rows(job)[0]
    assert (float(row[READABLE]), row["lip_threshold"]) == (pytest.approx(values[0]), f"{threshold:.9g}")
    assert f"LRP: frames whose largest lip error is below {threshold:g} m" in job.said[-1]
    number = read(job.out / "metrics.json").number("model", READABLE)
    assert number is not None
    wider = read(run(tmp_path / "wider", data.path, made, lip_threshold=0.5).out / "metrics.json")
    other = wider.number("model", READABLE)
    assert other is not None
    assert other.value == 100
    assert differences(other.terms, number.terms) == [f"threshold 0.5 instead of threshold {threshold:g}"]


def test_no_threshold_no_readability(data: Sequences, tmp_path: Path) -> None:
    made = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "a", data.path, made)
    assert ("model", READABLE) not in numbers(job)
    assert "lip_threshold" not in csv_rows(job)[0]
    with pytest.raises(StageError, match=rf"^{READABLE} cannot be had: no threshold is published: set lip_threshold"):
        run(tmp_path / "b", data.path, made, definitions=[READABLE])
    for wrong in (float("nan"), float("inf")):
        assert list(Metrics(Params(lip_threshold=wrong)).check()) == [
            f"lip_threshold = {wrong}: write a length in the data's unit, or 0 for none"
        ]


def test_a_text_is_content_of_its_sentence(data: Sequences, tmp_path: Path) -> None:
    made, again = spoken(tmp_path / "p", data), spoken(tmp_path / "q", data, READ | {"D_s01_condition_A": "cab"})

    def items(predictions: Path) -> dict[str, str]:
        files = {
            str(file.relative_to(predictions)): file.read_text("latin1")
            for file in predictions.rglob("*") if file.is_file()
        }  # fmt: skip
        given = {"data": _given(data.path, {}), "predictions": _given(predictions, files)}
        found = Metrics(Params()).items(given, {}).each
        assert found is not None
        return {name: json.dumps(facts) for name, facts in found.items()}

    first, second = items(made), items(again)
    assert {name for name in first if first[name] != second[name]} == {"D_s01"}


class _Files:
    """A manifest of files alone."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = {name: (len(content), content) for name, content in files.items()}
        self.items: dict[str, str] = {}


def _given(path: Path, files: dict[str, str]) -> Given:
    return Given(path, {}, lambda: _Files(files))  # type: ignore[arg-type, return-value]


def test_two_runs_give_equal_bytes(data: Sequences, tmp_path: Path) -> None:
    made = spoken(tmp_path / "p", data)
    first = run(tmp_path / "a", data.path, made, lip_threshold=0.01)
    second = run(tmp_path / "b", data.path, made, lip_threshold=0.01, workers=3)
    for name in ("metrics.json", "per_sequence.csv", "text.md"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes()
    with (first.out / "per_sequence.csv").open() as stream:
        assert {"lip_threshold", ERROR, READABLE} <= set(next(csv.reader(stream)))
