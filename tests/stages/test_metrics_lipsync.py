"""What metrics say of how lips go with sound: means, the truth and a still face beside, samples, pairs, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import RecipeError, StageError
from pipeline.stage import Upstream
from pipeline.table.report import read
from pipeline.table.terms import differences
from stages.kinds.predictions import Predictions
from stages.kinds.readings import digest_of
from stages.kinds.sequences import Sequences
from stages.kinds.synchrony import NEUTRAL, PREDICTED, TRUTH, Info, Score, write_index, write_score
from stages.metrics import Metrics, Params
from tests.stages.metrics_runs import csv_rows, make_predictions, make_samples, numbers, refused
from tests.stages.metrics_runs import run_slots as run
from tests.stages.test_metrics_lips import _given
from tests.stages.tiny import make_sequences
from tests.stages.tracked import add_track

D, C = "lse_d/wav2lip", "lse_c/wav2lip"
SHORT = Score(None, None, None, None, 2, 7, [], "")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def scored(distance: float, motion: str, frames: int = 0) -> Score:
    return Score(float(distance), 20.0 - distance, 1, 40, 9, frames, [distance] * 31, motion)


def scores(
    folder: Path, data: Sequences, predictions: Path, *, more: float = 0.0, short: str = "", only: str = "", **how: Any
) -> Path:
    """Distances 8, 8.5, 9 … of predictions in their order, 7 of the truth, 12 of a still face."""
    made = Predictions(predictions)
    names = sorted({item.id for item in made.items.values()})
    for part in (PREDICTED, TRUTH, NEUTRAL):
        (folder / part).mkdir(parents=True)
    for number, (name, item) in enumerate(sorted(made.items.items())):
        found = scored(8 + 0.5 * number + more, digest_of(made.file(name)), item.frames)
        write_score(folder, PREDICTED, name, replace(SHORT, motion=found.motion) if item.id == short else found)
    for name in names:
        write_score(folder, TRUTH, name, scored(7, digest_of(data.vertex_file(name))))
        write_score(folder, NEUTRAL, name, scored(12, "a template"))
    known: dict[str, Any] = {"scorer": "abcdefghijk", "of": "vertices", "model": "m"}
    listed = [only] if only else sorted(made.items)
    write_index(folder, Info(predictions=listed, truth=names, neutral=names, means={}, **known | how))
    return folder


@pytest.fixture(scope="module")
def made(data: Sequences, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("made")
    found = {"predictions": make_predictions(root / "p", data), "against": make_predictions(root / "q", data, half=0.2)}
    found["lipsync"] = scores(root / "r", data, found["predictions"])
    found["lipsync_against"] = scores(root / "s", data, found["against"], more=1.0)
    return found | {"data": data.path}


def test_means_by_hand(made: dict[str, Path], tmp_path: Path) -> None:
    """Of sentences, whose styles count as one; the truth and a face that never moves stand beside."""
    job = run(tmp_path, made, "lipsync")
    names = sorted(Predictions(made["predictions"]).items)
    by_sentence: dict[str, list[float]] = {}
    for number, name in enumerate(names):
        by_sentence.setdefault(name[:5], []).append(8 + 0.5 * number)
    expected = float(np.mean([np.mean(found) for found in by_sentence.values()]))
    found = numbers(job)
    record = found["model", D]
    assert record["value"] == pytest.approx(expected)
    assert found["model", C]["value"] == pytest.approx(20 - expected)
    assert (record["average"], record["unit"], record["region"]) == ("sequences", "", "pictures")
    assert record["sequences"] == len(by_sentence) == 4
    assert record["scorer"] == "SyncNet abcdefgh, renders of vertices"
    assert "reader" not in record
    assert "scorer" not in found["model", "lve/facediffuser"]
    rows = {row: found[row, D]["value"] for row, metric in found if metric == D}
    assert rows == {"model": pytest.approx(expected), "truth": 7, "neutral template": 12}
    assert found["truth", C]["value"] == 13
    table = job.said[-1].splitlines()
    assert {"LSE-D", "LSE-C"} <= set(table[0].split())
    assert "LSE-D: scored by SyncNet abcdefgh, renders of vertices" in table
    csv = {(row["row"], row["id"], row["condition"]): row for row in csv_rows(job)}
    assert csv["model", "D_s01", "B"][D] == "9"
    assert csv["truth", "D_s01", ""][C] == "13"


def test_a_sentence_that_is_too_short_is_left_out(data: Sequences, made: dict[str, Path], tmp_path: Path) -> None:
    few = scores(tmp_path / "r", data, made["predictions"], short="B_s03")
    job = run(tmp_path / "run", made | {"lipsync": few}, "lipsync")
    assert numbers(job)["model", D]["sequences"] == 3
    assert next(row[D] for row in csv_rows(job) if (row["row"], row["id"]) == ("model", "B_s03")) == ""


def test_two_models(made: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path, made, "lipsync", "against", "lipsync_against")
    tests = {test["metric"]: test for test in json.loads((job.out / "metrics.json").read_text())["paired"]["tests"]}
    assert tests[D]["difference"] == pytest.approx(-1)
    assert tests[C]["difference"] == pytest.approx(1)
    only = run(tmp_path / "only", made, "lipsync", "against")
    tests = {test["metric"] for test in json.loads((only.out / "metrics.json").read_text())["paired"]["tests"]}
    assert D not in tests


def test_the_best_of_samples(data: Sequences, tmp_path: Path) -> None:
    """Of the distance the least, of the confidence the most."""
    drawn = make_samples(tmp_path / "p", data)
    given = {"data": data.path, "predictions": drawn, "lipsync": scores(tmp_path / "r", data, drawn)}
    found = numbers(run(tmp_path / "run", given, "lipsync"))
    names = sorted(Predictions(drawn).items)
    firsts = [8 + 0.5 * number for number, name in enumerate(names) if name.endswith("_seed7")]
    assert found["best of 3", D]["value"] == pytest.approx(np.mean(firsts))
    assert found["best of 3", C]["value"] == pytest.approx(20 - np.mean(firsts))
    assert found["model", D]["value"] == pytest.approx(np.mean(firsts) + 0.5)


def test_codes_whose_surfaces_were_scored(tmp_path: Path) -> None:
    """Numbers of a track, and beside them how the surfaces of these rows go with the sound."""
    folder = make_sequences(tmp_path / "sequences")
    add_track(folder)
    data = Sequences(folder)
    drawn = make_samples(tmp_path / "p", data, track="codes")
    surfaces = scores(tmp_path / "r", data, drawn, of="surfaces")
    given = {"data": folder, "predictions": drawn, "lipsync": surfaces}
    found = numbers(run(tmp_path / "run", given, "lipsync"))
    assert {row for row, metric in found if metric == D} == {"model", "best of 3", "truth"}
    assert found["truth", D]["value"] == 7
    assert ("model", "code_mse/facepipe") in found
    with pytest.raises(
        StageError, match=r"is of vertices, and .* goes with scores of surfaces: give what lipsync makes"
    ):
        run(tmp_path / "x", given | {"lipsync": scores(tmp_path / "v", data, drawn)}, "lipsync")
    name = min(Predictions(drawn).items)
    write_score(surfaces, PREDICTED, name, scored(8, "", frames=3))
    with pytest.raises(StageError, match="frames, and its surfaces 3 when they were scored"):
        run(tmp_path / "y", given, "lipsync")
    few = scores(tmp_path / "few", data, drawn, of="surfaces", only=name)
    with pytest.raises(
        StageError, match=r"score these predictions with lipsync \(all their surfaces: limit = 0 in mesh"
    ):
        run(tmp_path / "z", given | {"lipsync": few}, "lipsync")


def test_figures_and_tables(made: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "a", made, "lipsync", figures=True, curves=0, definitions=["lse_d", "lse_c"])
    assert (job.out / "figures" / "baselines.png").is_file()
    report = read(job.out / "metrics.json")
    number = report.number("truth", D)
    assert number is not None
    assert number.value == 7


def test_numbers_of_another_network_are_told_apart(data: Sequences, made: dict[str, Path], tmp_path: Path) -> None:
    first = run(tmp_path / "a", made, "lipsync")
    other = scores(tmp_path / "r", data, made["predictions"], scorer="f" * 32)
    second = run(tmp_path / "b", made | {"lipsync": other}, "lipsync")
    a, b = (read(job.out / "metrics.json").number("model", D) for job in (first, second))
    assert a is not None
    assert b is not None
    assert differences(b.terms, a.terms) == [
        "scored by SyncNet ffffffff, renders of vertices instead of scored by SyncNet abcdefgh, renders of vertices"
    ]


def test_what_cannot_be_had(made: dict[str, Path], tmp_path: Path) -> None:
    said = refused(tmp_path / "1", made, definitions=[D])
    assert said.startswith(f"{D} cannot be had: lips and sound were not compared: give what the stage lipsync makes")
    assert "none of lse_c can be had" in refused(tmp_path / "2", made, definitions=["lse_c"])
    assert ("model", D) not in numbers(run(tmp_path / "3", made))


def test_scores_that_belong_elsewhere(data: Sequences, made: dict[str, Path], tmp_path: Path) -> None:
    """Of the other model, whose predictions are called the same; of another truth; of fewer predictions."""
    said = refused(tmp_path / "1", made | {"lipsync": made["lipsync_against"]}, "lipsync")
    assert "B_s03_condition_B.npy is not what was scored: give what lipsync makes of these very predictions" in said
    moved = Sequences(make_sequences(tmp_path / "moved"))
    np.save(moved.vertex_file("D_s03"), np.load(moved.vertex_file("D_s03")) + np.float32(0.001))
    said = refused(tmp_path / "2", made | {"data": moved.path}, "lipsync")
    assert f"{moved.vertex_file('D_s03')} is not what was scored" in said
    few = scores(tmp_path / "few", data, made["predictions"], only="B_s03_condition_B")
    assert "has no score of D_s01_condition_A" in refused(tmp_path / "3", made | {"lipsync": few}, "lipsync")
    surfaces = scores(tmp_path / "s", data, made["predictions"], of="surfaces")
    assert "is of surfaces, and" in refused(tmp_path / "4", made | {"lipsync": surfaces}, "lipsync")


def test_scores_of_a_second_model_need_both(data: Sequences, made: dict[str, Path], tmp_path: Path) -> None:
    for number, slots in enumerate(
        (("lipsync", "lipsync_against"), ("against", "lipsync_against"), ("lipsync_against",))
    ):
        said = refused(tmp_path / str(number), made, *slots)
        assert "is of the predictions `against`" in said
        assert "or leave lipsync_against out" in said
    other = scores(tmp_path / "r", data, made["against"], scorer="f")
    said = refused(tmp_path / "o", made | {"lipsync_against": other}, "lipsync", "against", "lipsync_against")
    assert "were not scored by one network on faces of one kind" in said


def test_what_is_refused_before_anything_is_trained() -> None:
    def components(*slots: str, **params: Any) -> list[str]:
        return list(Metrics(Params(**params)).components({slot: Upstream(slot, slot, {}) for slot in slots}))

    assert components("lipsync", definitions=["lse_d", C]) == components("lipsync", "against", "lipsync_against") == []
    for slots in (("lipsync",), ("against",), ()):
        with pytest.raises(RecipeError, match="lipsync_against is held against lipsync: wire against and lipsync, too"):
            components("data", "predictions", "lipsync_against", *slots)
    for name in ("lse_d", C):
        with pytest.raises(RecipeError, match=f"definitions names '{name}', of how lips go with sound: wire lipsync"):
            components("data", "predictions", definitions=["lve", name])


def test_a_score_is_content_of_its_sentence(data: Sequences, made: dict[str, Path], tmp_path: Path) -> None:
    again = scores(tmp_path / "r", data, made["predictions"])

    def items() -> dict[str, str]:
        given = {slot: _given(made[slot], _files(made[slot])) for slot in ("data", "predictions")}
        found = Metrics(Params()).items(given | {"lipsync": _given(again, _files(again))}, {}).each
        assert found is not None
        return {name: json.dumps(facts) for name, facts in found.items()}

    before = items()
    for part, name, wanted in (
        (PREDICTED, "D_s01_condition_A", "D_s01"), (TRUTH, "B_s03", "B_s03"), (NEUTRAL, "D_s02", "D_s02"),
    ):  # fmt: skip
        write_score(again, part, name, SHORT)
        after = items()
        assert {key for key in before if before[key] != after[key]} == {wanted}
        before = after


def _files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text("latin1") for file in folder.rglob("*") if file.is_file()}


def test_two_runs_give_equal_bytes(made: dict[str, Path], tmp_path: Path) -> None:
    slots = ("lipsync", "against", "lipsync_against")
    first, second = run(tmp_path / "a", made, *slots), run(tmp_path / "b", made, *slots, workers=3)
    for name in ("metrics.json", "per_sequence.csv"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes()
