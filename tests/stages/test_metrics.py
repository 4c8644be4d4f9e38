from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from faces import metrics as measures
from faces import region_table, visemes
from faces.metrics_definitions import DEFINITIONS
from faces.regions import region_digest
from pipeline.stage import Sources, Upstream
from stages.kinds.predictions import Item, Predictions
from stages.kinds.sequences import Sequences
from stages.metrics import Metrics, Params, kept
from stages.metrics.baselines import training_mean
from stages.metrics.choose import choose
from stages.metrics.measure import Measurer
from stages.metrics.regions import find_regions
from stages.metrics.units import in_millimetres, unit_of
from tests.stages.metrics_runs import csv_rows, make_predictions, numbers, report, run
from tests.stages.tiny import REGIONS, make_sequences

ELSEWHERE = (
    *("lip_distance/codetalker", "lip_readability/selftalk", "lip_reading_error/facepipe"),
    *("cer/avguidance", "wer/facepipe", "ver/facepipe", "lse_d/wav2lip", "lse_c/wav2lip"),
    *("diversity_samples/facepipe", *(name for name, one in DEFINITIONS.items() if one.codes)),
)
"""FLAME's alone, and what `test_metrics_lips`, `…_lipread`, `…_lipsync` and `…_samples` are about."""
LIPS, UPPER = np.array(REGIONS["lips"]), np.array(REGIONS["upper_face"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def pairs(data: Sequences, predictions: Path) -> list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Per test sequence, per condition: truth, prediction, template in float64, cut to the shorter."""
    found = []
    for name in data.ids("test"):
        files = sorted((predictions / "npy").glob(f"{name}_condition_*.npy"))
        motions = [np.load(file).astype(np.float64) for file in files]
        cut = [measures.to_shorter(data.vertices(name), motion.reshape(len(motion), -1, 3)) for motion in motions]
        template = data.templates[data.entry(name).subject].astype(np.float64)
        found.append([(truth.astype(np.float64), made, template) for truth, made in cut])
    return found


def plain(definition: str, truth: np.ndarray, made: np.ndarray, template: np.ndarray, fps: float) -> float:
    """Each definition once more, in plain NumPy, of one prediction of one sequence."""
    apart = np.linalg.norm(truth - made, axis=2)
    steps = np.linalg.norm(np.diff(truth, axis=0) - np.diff(made, axis=0), axis=2)
    rest = np.setdiff1d(np.arange(truth.shape[1]), UPPER)
    spread = [np.square(x - template).sum(axis=2).std(axis=0)[UPPER].mean() for x in (truth, made)]
    gap = [np.linalg.norm(x[:, :3].mean(axis=1) - x[:, 3:6].mean(axis=1), axis=1) for x in (truth, made)]
    extent = [np.ptp(x[:, LIPS, 1], axis=1) for x in (truth, made)]
    values = {
        "lve": np.square(apart[:, LIPS]).max(axis=1).mean(),
        "lve/faceformer": apart[:, LIPS].max(axis=1).mean(),
        "lvd": apart[:, LIPS].max(axis=1).mean(),
        "mve": apart.mean(),
        "mve_lips": apart[:, LIPS].mean(),
        "mve_upper": apart[:, UPPER].mean(),
        "mve_lower": apart[:, rest].mean(),
        "fdd": spread[0] - spread[1],
        "fdd_abs": abs(spread[0] - spread[1]),
        "opening_correlation": np.corrcoef(*gap)[0, 1] if np.ptp(gap[1]) > 0 else np.nan,
        "opening_error": np.abs(gap[0] - gap[1]).mean(),
        "mod": np.abs(extent[0] - extent[1]).mean(),
        "velocity": fps * steps.mean(),
        "velocity_lips": fps * steps[:, LIPS].mean(),
    }
    return float(values.get(definition, values.get(definition.partition("/")[0], np.nan)))


@pytest.mark.parametrize("longer", [2, -3])
def test_numbers_are_the_definitions(data: Sequences, tmp_path: Path, longer: int) -> None:
    predictions = make_predictions(tmp_path / "p", data, longer=longer)
    found = numbers(run(tmp_path / "run", data.path, predictions, workers=2))
    cases = pairs(data, predictions)
    made = {metric for row, metric in found if row == "model"}
    codetalker = {"lve/codetalker", "fdd/codetalker"} if longer < 0 else set()
    assert made == set(DEFINITIONS) - set(ELSEWHERE) - codetalker
    for metric in made - {"diversity/facediffuser"}:
        values = [np.mean([plain(metric, *pair, data.fps) for pair in case]) for case in cases]
        definition = DEFINITIONS[metric]
        weights = [definition.weight(len(case[0][0])) for case in cases]
        assert len(set(weights)) > 1 or definition.average == "sequences"
        assert found["model", metric]["value"] == pytest.approx(np.average(values, weights=weights), rel=1e-9), metric


def test_a_number_carries_its_definition(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", data))
    found, whole = numbers(job), report(job)
    record = found["model", "lve/codetalker"]
    assert (record["family"], record["unit"], record["unit_mm"]) == ("lve", "m²", "mm²")
    assert record["value_mm"] == pytest.approx(1e6 * record["value"])
    assert record["region"] == [{"name": "lips", "vertices": 6, "sha256": region_digest(LIPS), "published": ""}]
    rules = [record[f"{rule}_rule"] for rule in ("template", "frame", "subject")]
    expected = ["positions, no template", "prediction cut to the truth", "own style, else mean over all styles"]
    assert rules == expected
    assert "CodeTalker" in record["source"]
    assert "largest squared distance" in record["definition"]
    assert record["definition"].endswith("mean over all frames of all sequences")
    assert (record["average"], record["sequences"]) == ("frames", 4)
    assert record["frames"] == sum(len(data.vertices(name)) for name in data.ids("test"))
    low, high = record["interval"]
    assert low < record["value"] < high
    assert set(record["subjects"]) == {"B", "D"}
    assert found["model", "lve/faceformer"]["frame_rule"] == "both cut to the shorter"
    assert found["model", "fdd/codetalker"]["template_rule"] == "own neutral template subtracted"
    assert found["model", "velocity/facepipe"]["unit"] == "m/s"
    assert found["model", "mve/facediffuser"]["region"] == "all vertices"
    assert {key: whole[key] for key in ("dataset", "model", "fps", "units", "splits", "notes")} == {
        "dataset": "tiny", "model": "halfway", "fps": 30.0, "units": "m", "splits": ["test"], "notes": [],
    }  # fmt: skip
    assert all(isinstance(whole[key], str) for key in ("template", "lengths", "conditions"))


def test_subjects_are_means_of_their_own(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    found = numbers(run(tmp_path / "run", data.path, predictions))
    cases = dict(zip(data.ids("test"), pairs(data, predictions), strict=True))
    subjects = found["model", "lve/codetalker"]["subjects"]
    assert subjects["B"] == pytest.approx(plain("lve", *cases["B_s03"][0], data.fps))
    lengths = [data.entry(name).frames for name in cases if name.startswith("D")]
    values = [np.mean([plain("lve", *pair, 30) for pair in case]) for name, case in cases.items() if name[0] == "D"]
    assert subjects["D"] == pytest.approx(np.average(values, weights=lengths))
    assert found["model", "lve/unitalker"]["subjects"]["D"] == pytest.approx(np.mean(values))


def test_diversity_is_over_every_style_of_whole_predictions(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    record = numbers(run(tmp_path / "run", data.path, predictions))["model", "diversity/facediffuser"]
    made = Predictions(predictions)
    names = [name for name in data.ids("test") if name.startswith("D")]
    expected = [measures.diversity([made.motion(f"{name}_condition_{style}") for style in "AB"]) for name in names]
    assert record["value"] == pytest.approx(np.mean(expected))
    assert (record["sequences"], record["subject_rule"]) == (3, "every predicted style")


def test_flame_has_a_lip_distance(tmp_path: Path) -> None:
    """Told by its two vertices among the lips, not by the number of vertices alone."""
    data = Sequences(make_sequences(tmp_path / "data"))
    predictions = make_predictions(tmp_path / "p", data)
    index = json.loads((data.path / "sequences.json").read_text()) | {"vertices": 5023}
    (data.path / "sequences.json").write_text(json.dumps(index))
    for file in [*(data.path / "vertices_npy").iterdir(), *(predictions / "npy").iterdir()]:
        rows = np.load(file)
        wide = np.zeros((len(rows), 5023, 3), np.float32)
        wide[:, :12], wide[:, 3504] = rows.reshape(-1, 12, 3), rows.reshape(-1, 12, 3)[:, 4]
        np.save(file, wide.reshape(len(rows), -1))
    templates = {name: np.pad(face, ((0, 5011), (0, 0))) for name, face in data.templates.items()}
    np.savez(data.path / "templates.npz", allow_pickle=False, **templates)
    assert ("model", "lip_distance/codetalker") not in numbers(run(tmp_path / "a", data.path, predictions))
    (data.path / "regions/lips.txt").write_text("0 1 2 3 4 5 3504 3546")
    record = numbers(run(tmp_path / "b", data.path, predictions))["model", "lip_distance/codetalker"]
    assert record["value"] > 0
    assert record["region"][0]["vertices"] == 2


def test_baselines(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    found = numbers(run(tmp_path / "run", data.path, predictions))
    total: np.ndarray = np.zeros((data.info.vertices, 3))
    frames = 0
    for name in data.ids("train"):
        total += (data.vertices(name) - data.templates[data.entry(name).subject]).sum(axis=0)
        frames += len(data.vertices(name))
    mean_motion = training_mean(data, threads=2)
    assert mean_motion is not None
    np.testing.assert_allclose(mean_motion, total / frames, atol=1e-8)
    for row, offset in {"neutral template": 0.0 * total, "mean motion": mean_motion}.items():
        first = [case[0] for case in pairs(data, predictions)]
        cases = [(truth, np.broadcast_to(template + offset, truth.shape), template) for truth, _, template in first]
        families = ("lve/codetalker", "mve_lower/facepipe", "velocity_lips/facepipe", "fdd/codetalker")
        for metric in (*families, "mod/diffposetalk", "opening_error/facepipe"):
            values = [plain(metric, *case, data.fps) for case in cases]
            weights = [DEFINITIONS[metric].weight(len(truth)) for truth, *_ in cases]
            assert found[row, metric]["value"] == pytest.approx(np.average(values, weights=weights), rel=1e-9), metric
        assert found[row, "opening_correlation/facepipe"]["value"] is None
        assert found[row, "opening_correlation/facepipe"]["interval"] is None
        assert found[row, "fdd/codetalker"]["value"] > 0
        assert (row, "diversity/facediffuser") not in found
    assert found["model", "lve/codetalker"]["value"] < found["mean motion", "lve/codetalker"]["value"]
    assert found["model", "opening_correlation/facepipe"]["value"] == pytest.approx(1.0, abs=0.01)


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
    rows = csv_rows(run(tmp_path / "run", data.path, predictions))
    model = [row for row in rows if row["row"] == "model"]
    assert [(row["id"], row["condition"]) for row in model] == [
        ("B_s03", "B"), ("D_s01", "A"), ("D_s01", "B"), ("D_s02", "A"), ("D_s02", "B"), ("D_s03", "A"), ("D_s03", "B"),
    ]  # fmt: skip
    assert len(rows) == 7 + 2 * 4
    over = ["lips_region", "upper_face_region", "opening_region"]
    assert list(rows[0])[7:] == [*(name for name in DEFINITIONS if name not in ELSEWHERE), *over]
    assert {row["lips_region"] for row in rows} == {f"lips {region_digest(LIPS)} (6 entries)"}
    still = next(row for row in rows if row["row"] == "neutral template")
    assert still["opening_correlation/facepipe"] == still["diversity/facediffuser"] == ""
    ours = [float(row["lve/codetalker"]) for row in model if row["id"] == "D_s01"]
    expected = [plain("lve", *pair, data.fps) for pair in pairs(data, predictions)[1]]
    np.testing.assert_allclose(ours, expected, rtol=1e-8)


def test_own_style_counts_alone_where_there_is_one(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    before = numbers(run(tmp_path / "a", data.path, predictions))["model", "lve/codetalker"]["value"]
    index = json.loads((predictions / "predictions.json").read_text())
    frames = index["items"]["B_s03_condition_B"]["frames"]
    index["items"]["B_s03_condition_A"] = Item("B_s03", "B", "A", "test", frames - 5).__dict__
    (predictions / "predictions.json").write_text(json.dumps(index))
    np.save(predictions / "npy" / "B_s03_condition_A.npy", np.zeros((frames - 5, 36), np.float32))
    job = run(tmp_path / "b", data.path, predictions)
    assert numbers(job)["model", "lve/codetalker"]["value"] == before
    counted = {row["condition"]: (row["counted"], row["frames"]) for row in csv_rows(job) if row["id"] == "B_s03"}
    assert counted == {"A": ("no", str(frames - 5)), "B": ("yes", str(frames - 2)), "": ("yes", str(frames - 2))}


def test_a_motion_prior_s_reconstructions_are_measured_like_any_predictions(data: Sequences, tmp_path: Path) -> None:
    """Each in its own subject's manner, also of subjects that nothing was trained on."""
    predictions = make_predictions(tmp_path / "p", data)
    index = json.loads((predictions / "predictions.json").read_text())
    for name in data.ids("test"):
        if name.startswith("D"):
            item, _ = (index["items"].pop(f"{name}_condition_{style}") for style in "AB")
            index["items"][f"{name}_condition_D"] = item | {"condition": "D"}
            file = predictions / "npy" / f"{name}_condition_A.npy"
            file.rename(file.with_name(f"{name}_condition_D.npy"))
    (predictions / "predictions.json").write_text(json.dumps(index))
    job = run(tmp_path / "run", data.path, predictions)
    assert {(row["condition"], row["counted"]) for row in csv_rows(job) if row["row"] == "model"} == {
        ("B", "yes"), ("D", "yes"),
    }  # fmt: skip
    assert ("model", "diversity/facediffuser") not in numbers(job)


def test_threads_and_blocks_change_no_byte(data: Sequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    first = run(tmp_path / "a", data.path, predictions)
    second = run(tmp_path / "b", data.path, predictions, workers=3)
    for name in ("metrics.json", "per_sequence.csv"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes()
    monkeypatch.setattr("faces.metrics_stream.BLOCK_BYTES", 12 * 12 * 4)
    third = numbers(run(tmp_path / "c", data.path, predictions))
    for key, record in numbers(first).items():
        same = record["value"] is None or math.isclose(third[key]["value"], record["value"], rel_tol=1e-12)
        assert same, key


def test_table_is_told(data: Sequences, tmp_path: Path) -> None:
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", data))
    table, over = job.said[-1].splitlines()[:4], job.said[-1].splitlines()[4:]
    assert over[0] == f"LVE over lips {region_digest(LIPS)} (6 entries)"
    assert [line.partition(" over ")[0] for line in over] == ["LVE", "FDD, |FDD|", "lip r"]
    assert table[0].split() == ["LVE", "mm²", "MVE", "mm", "FDD", "mm²", "|FDD|", "mm²", "velocity", "mm/s", "lip", "r"]
    assert [line.split("  ")[0] for line in table[1:]] == ["model", "neutral template", "mean motion"]
    assert len({len(line) for line in table}) == 1
    assert job.said[-2].startswith("4 sequences, ")
    assert "lve/codetalker, mve/facediffuser" in job.said[-2]


@pytest.mark.parametrize(
    ("names", "made"),
    [
        (["lve/faceformer"], {"lve/faceformer"}),
        (["lve"], {"lve/codetalker", "lve/facediffuser", "lve/unitalker", "lve/faceformer"}),
        (["lve/talkingstyle", "mod"], {"lve/facediffuser", "mod/diffposetalk"}),
    ],
)
def test_definitions_are_chosen_by_name(data: Sequences, tmp_path: Path, names: list[str], made: set[str]) -> None:
    job = run(tmp_path / "run", data.path, make_predictions(tmp_path / "p", data), definitions=names)
    assert {metric for _, metric in numbers(job)} == made
    assert {name for name in list(csv_rows(job)[0])[7:] if "/" in name} == made


def test_regions_by_file_and_by_name(data: Sequences, tmp_path: Path) -> None:
    predictions = make_predictions(tmp_path / "p", data)
    (tmp_path / "lve.txt").write_text("3, 4,5\n")
    job = run(tmp_path / "a", data.path, predictions, lips_file=str(tmp_path / "lve.txt"), upper_face="lips")
    found = numbers(job)
    lower = [{"name": "lve.txt", "vertices": 3, "sha256": region_digest(np.array([3, 4, 5])), "published": ""}]
    assert found["model", "lve/codetalker"]["region"] == lower
    assert found["model", "fdd/codetalker"]["region"][0]["name"] == "lips"
    stage = Metrics(Params(lips_file="a.txt"))
    files = {"lips": Path("a.txt"), "visemes": visemes.TABLE, region_table.WHAT: region_table.FILE}
    assert stage.sources() == Sources(files=files)
    assert stage.label({"predictions": Upstream("infer", "tiny", {})}) == "tiny"


def test_splits_have_any_names(tmp_path: Path) -> None:
    data = Sequences(make_sequences(tmp_path / "data"))
    predictions = make_predictions(tmp_path / "p", data)
    index = json.loads((predictions / "predictions.json").read_text())
    for item in index["items"].values():
        item["split"] = "test-a" if item["subject"] == "B" else "test-b"
    (predictions / "predictions.json").write_text(json.dumps(index))
    found = numbers(run(tmp_path / "run", data.path, predictions, splits=["test-b"]))
    assert found["model", "mve/facediffuser"]["sequences"] == 3


def test_units() -> None:
    lve, velocity = DEFINITIONS["lve/codetalker"], DEFINITIONS["velocity/facepipe"]
    assert in_millimetres(2.0, lve, "m") == (2e6, "mm²")
    assert in_millimetres(2.0, DEFINITIONS["mve/facediffuser"], "mm") == (2.0, "mm")
    assert in_millimetres(2.0, lve, "unit-area") == (2.0, "√area²")
    assert in_millimetres(0.5, DEFINITIONS["opening_correlation/facepipe"], "m") == (0.5, "")
    assert in_millimetres(2.0, velocity, "m") == (2e3, "mm/s")
    assert unit_of(velocity, "unit-area") == "√area/s"


def test_what_is_kept_of_a_sequence_is_what_was_found(data: Sequences, tmp_path: Path) -> None:
    case = choose(data, Predictions(make_predictions(tmp_path / "p", data)), None, [])[0]
    found = Measurer(data, find_regions(data, Params()).parts(data), None, True).measure(case)
    kept.write(tmp_path, case.id, found)
    for before, after in zip(found.measured, kept.numbers(tmp_path, case.id), strict=True):
        assert dict(before.values).keys() == after.values.keys()
        np.testing.assert_array_equal(list(before.values.values()), list(after.values.values()))
        assert replace(before, values={}) == replace(after, values={})
    surface = kept.surface(tmp_path, case.id)
    for field in fields(surface):
        np.testing.assert_allclose(getattr(surface, field.name), getattr(found.surface, field.name), rtol=1e-6)
