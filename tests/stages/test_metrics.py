from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces import metrics as measures
from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Sources, Upstream
from stages.kinds.predictions import Info, Item, prediction_name, write_index
from stages.kinds.sequences import Sequences
from stages.metrics import Metrics, Params
from stages.metrics.measure import training_mean
from stages.metrics.report import in_millimetres
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import REGIONS, make_sequences

LIPS, UPPER = np.array(REGIONS["lips"]), np.array(REGIONS["upper_face"])


def make_predictions(folder: Path, data: Sequences, *, half: float = 0.5, longer: int = 2, **facts: Any) -> Path:
    """Predictions that move by a share of the truth, other for each condition, and are a bit longer or shorter."""
    (folder / "npy").mkdir(parents=True)
    items = {}
    for name in data.ids("test"):
        entry = data.entry(name)
        own = [entry.subject] if entry.subject in data.train_subjects else []
        for number, condition in enumerate(own or data.train_subjects):
            truth, template = data.vertices(name), data.templates[entry.subject]
            motion = template + (half + 0.1 * number) * (truth - template)
            changed = np.concatenate([motion, motion[-longer:]]) if longer > 0 else motion[:longer]
            made = prediction_name(name, condition)
            np.save(folder / "npy" / f"{made}.npy", changed.reshape(len(changed), -1))
            items[made] = Item(name, entry.subject, condition, "test", len(changed))
    known: dict[str, Any] = {"fps": data.fps, "units": data.units, "dataset": "tiny", "model": "halfway"} | facts
    write_index(folder, Info(items=items, **known))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def run(folder: Path, data: Path, predictions: Path, **params: Any) -> FakeJob:
    job = FakeJob.under(folder, {"data": data, "predictions": predictions})
    Metrics(Params(**{"curves": 0} | params)).run(job)
    return job


def numbers(job: FakeJob) -> dict[tuple[str, str], dict[str, Any]]:
    report = json.loads((job.out / "metrics.json").read_text())
    return {(record["row"], record["metric"]): record for record in report["numbers"]}


def by_hand(data: Sequences, predictions: Path, metric: str) -> list[list[float]]:
    """Per test sequence: the frame errors, mean over its conditions."""
    found = []
    for name in data.ids("test"):
        motions = [np.load(file) for file in sorted((predictions / "npy").glob(f"{name}_condition_*.npy"))]
        errors = []
        for motion in motions:
            pair = measures.to_shorter(data.vertices(name), motion.reshape(len(motion), -1, 3))
            if metric == "lve":
                errors.append(measures.lve_per_frame(*pair, LIPS))
            else:
                errors.append(measures.mve_per_frame(*pair))
        found.append(list(np.mean(errors, axis=0)))
    return found


@pytest.mark.parametrize("longer", [2, -3])
@pytest.mark.parametrize("average", ["frames", "sequences"])
def test_numbers_are_the_definitions(data: Sequences, tmp_path: Path, longer: int, average: str) -> None:
    predictions = make_predictions(tmp_path / "p", data, longer=longer)
    found = numbers(run(tmp_path / "run", data.path, predictions, average=average))
    for metric in ("lve", "mve"):
        sequences = by_hand(data, predictions, metric)
        pooled = np.concatenate(sequences).mean() if average == "frames" else np.mean([np.mean(s) for s in sequences])
        assert found["model", metric]["value"] == pytest.approx(pooled, rel=1e-6)
    record = found["model", "lve"]
    assert (record["unit"], record["unit_mm"], record["average"]) == ("m²", "mm²", average)
    assert record["value_mm"] == pytest.approx(1e6 * record["value"])
    assert record["region"] == [{"name": "lips", "vertices": 6, "sha256": measures.region_digest(LIPS)}]
    assert (record["sequences"], record["frames"]) == (4, sum(len(s) for s in by_hand(data, predictions, "lve")))
    assert "largest squared distance" in record["definition"]
    assert found["model", "fdd"]["average"] == "sequences"


def test_baselines(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    found = numbers(run(tmp_path / "run", data.path, predictions))
    total: np.ndarray = np.zeros((data.info.vertices, 3))
    frames = 0
    for name in data.ids("train"):
        total += (data.vertices(name) - data.templates[data.entry(name).subject]).sum(axis=0)
        frames += len(data.vertices(name))
    mean_motion = training_mean(data)
    assert mean_motion is not None
    np.testing.assert_allclose(mean_motion, total / frames, atol=1e-8)
    faces = {"neutral template": 0.0 * total, "mean motion": total / frames}
    for row, offset in faces.items():
        errors = []
        for name in data.ids("test"):
            truth, template = data.vertices(name), data.templates[data.entry(name).subject]
            errors.append(measures.lve_per_frame(truth, np.repeat((template + offset)[None], len(truth), 0), LIPS))
        assert found[row, "lve"]["value"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-6)
        assert found[row, "opening_correlation"]["value"] is None
        assert found[row, "fdd"]["value"] > 0
    assert found["model", "lve"]["value"] < found["mean motion", "lve"]["value"]
    assert found["model", "opening_correlation"]["value"] == pytest.approx(1.0, abs=0.01)


def test_no_train_split_no_mean_motion(tmp_path: Path) -> None:
    data = Sequences(make_sequences(tmp_path / "data"))
    index = json.loads((data.path / "sequences.json").read_text())
    index["sequences"] = {name: entry for name, entry in index["sequences"].items() if entry["split"] == "test"}
    (data.path / "sequences.json").write_text(json.dumps(index))
    fresh = Sequences(data.path)
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", fresh))
    assert {row for row, _ in numbers(job)} == {"model", "neutral template"}


def test_csv_lists_every_condition_and_baseline(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "run", data.path, predictions)
    with (job.out / "per_sequence.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    model = [row for row in rows if row["row"] == "model"]
    assert [(row["id"], row["condition"]) for row in model] == [
        ("B_s03", "B"), ("D_s01", "A"), ("D_s01", "B"), ("D_s02", "A"), ("D_s02", "B"), ("D_s03", "A"), ("D_s03", "B"),
    ]  # fmt: skip
    assert len(rows) == 7 + 2 * 4
    still = next(row for row in rows if row["row"] == "neutral template")
    assert still["opening_correlation"] == ""
    mean = np.mean([float(row["lve"]) for row in model if row["id"] == "D_s01"])
    assert mean == pytest.approx(np.mean(by_hand(data, predictions, "lve")[1]), rel=1e-6)


def test_own_style_counts_alone_where_there_is_one(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    before = numbers(run(tmp_path / "a", data.path, predictions))["model", "lve"]["value"]
    index = json.loads((predictions / "predictions.json").read_text())
    frames = index["items"]["B_s03_condition_B"]["frames"]
    index["items"]["B_s03_condition_A"] = Item("B_s03", "B", "A", "test", frames).__dict__
    (predictions / "predictions.json").write_text(json.dumps(index))
    np.save(predictions / "npy" / "B_s03_condition_A.npy", np.zeros((frames, 36), np.float32))
    job = run(tmp_path / "b", data.path, predictions)
    assert numbers(job)["model", "lve"]["value"] == before
    with (job.out / "per_sequence.csv").open() as stream:
        counted = {row["condition"]: row["counted"] for row in csv.DictReader(stream) if row["id"] == "B_s03"}
    assert counted == {"A": "no", "B": "yes", "": "yes"}


def test_figures_and_bytes(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    first, second = (run(tmp_path / name, data.path, predictions, curves=2) for name in "ab")
    names = sorted(str(file.relative_to(first.out)) for file in first.out.rglob("*") if file.is_file())
    assert names == [
        "figures/baselines.png",
        "figures/opening_B_s03_condition_B.png",
        "figures/opening_D_s03_condition_A.png",
        "metrics.json",
        "per_sequence.csv",
    ]
    for name in names:
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes()
        assert (first.out / name).stat().st_size > 200


def test_table_is_told(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", data))
    table = job.said[-1].splitlines()
    assert table[0].endswith(" lip r")
    assert "LVE mm²" in table[0]
    assert [line.split("  ")[0] for line in table[1:]] == ["model", "neutral template", "mean motion"]
    assert len({len(line) for line in table}) == 1
    assert job.said[-2].startswith("4 sequences, ")


def test_missing_regions_leave_the_rest(tmp_path: Path) -> None:
    data = Sequences(make_sequences(tmp_path / "data", regions=False))
    predictions = make_predictions(tmp_path / "p", data)
    job = run(tmp_path / "run", data.path, predictions, upper_face="forehead")
    assert {metric for _, metric in numbers(job)} == {"mve"}
    assert any("has no region 'lips' (it has: none)" in line and "lips_file" in line for line in job.said)
    assert [file.name for file in (job.out / "figures").iterdir()] == ["baselines.png"]
    assert len(json.loads((job.out / "metrics.json").read_text())["notes"]) == 3


def test_regions_by_file_and_by_name(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    (tmp_path / "lve.txt").write_text("3, 4,5\n")
    job = run(tmp_path / "a", data.path, predictions, lips_file=str(tmp_path / "lve.txt"), upper_face="lips")
    found = numbers(job)
    lower = [{"name": "lve.txt", "vertices": 3, "sha256": measures.region_digest(np.array([3, 4, 5]))}]
    assert found["model", "lve"]["region"] == lower
    assert found["model", "fdd"]["region"][0]["name"] == "lips"
    with pytest.raises(StageError, match=r"no region 'mouth' \(it has: lip_lower, lip_upper, lips, upper_face\)"):
        run(tmp_path / "b", data.path, predictions, lips="mouth")
    (tmp_path / "bad.txt").write_text("3, 12")
    with pytest.raises(DataError, match=r"bad\.txt .*12"):
        run(tmp_path / "c", data.path, predictions, lips_file=str(tmp_path / "bad.txt"))
    stage = Metrics(Params(lips_file="a.txt"))
    assert stage.sources() == Sources(files={"lips": Path("a.txt")})
    assert stage.label({"predictions": Upstream("infer", "tiny", {})}) == "tiny"


def test_what_cannot_be_compared(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    with pytest.raises(StageError, match=r"no prediction of val \(it holds: test\)"):
        run(tmp_path / "a", data.path, predictions, splits=["val"])
    with pytest.raises(DataError, match=r"slow is at 25 fps in m and .* at 30 fps in m: use the sequences"):
        run(tmp_path / "b", data.path, make_predictions(tmp_path / "slow", data, fps=25.0))
    np.save(predictions / "npy" / "D_s01_condition_A.npy", np.zeros((20, 33), np.float32))
    index = json.loads((predictions / "predictions.json").read_text())
    index["items"]["D_s01_condition_A"]["frames"] = 20
    (predictions / "predictions.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="predicts 11 vertices"):
        run(tmp_path / "c", data.path, predictions)


def test_units() -> None:
    assert in_millimetres(2.0, measures.LVE, "m") == (2e6, "mm²")
    assert in_millimetres(2.0, measures.MVE, "mm") == (2.0, "mm")
    assert in_millimetres(2.0, measures.LVE, "unit-area") == (2.0, "√area²")
    assert in_millimetres(0.5, measures.OPENING_CORRELATION, "m") == (0.5, "")
