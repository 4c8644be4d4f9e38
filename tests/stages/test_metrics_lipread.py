"""What metrics say of texts that an expert read: sums over sets, the true lips beside, pairs, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.text_errors import error_rate_of_all, letters, words
from faces.visemes import TABLE, Visemes
from pipeline.errors import RecipeError
from pipeline.stage import Upstream
from pipeline.table.report import read
from pipeline.table.terms import differences
from stages.kinds.predictions import Predictions
from stages.kinds.readings import TEXT, TRUTH, Info, Reading, digest_of, write_index, write_reading
from stages.kinds.sequences import Sequences
from stages.metrics import Metrics, Params
from tests.stages.metrics_runs import csv_rows, make_predictions, numbers, refused
from tests.stages.metrics_runs import run_slots as run
from tests.stages.test_metrics_lips import _given
from tests.stages.tiny import make_sequences

CER, WER, VER = "cer/avguidance", "wer/facepipe", "ver/facepipe"
SAID = {"B_s03": "THE CAT SAT", "D_s01": "BAD", "D_s02": "", "D_s03": "PA PA"}
READ = {
    "B_s03_condition_B": "THE AT SAD",  # 2 of 11 letters, 2 of 3 words
    "D_s01_condition_A": "PAD",  # 1 of 3, 1 of 1, and no viseme: B and P look alike
    "D_s01_condition_B": "",
    "D_s02_condition_A": "ANYTHING",
    "D_s02_condition_B": "",
    "D_s03_condition_A": "PA PA",
    "D_s03_condition_B": "BA PA",
}
TRUE = {"B_s03": "THE CAT SAT", "D_s01": "BAT", "D_s02": "A", "D_s03": "PA"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sequences:
    return Sequences(make_sequences(tmp_path_factory.mktemp("data") / "sequences"))


def readings(
    folder: Path, data: Sequences, predictions: Path, texts: dict[str, str] = READ, *, truth: bool = True, **how: Any
) -> Path:
    """What an expert read off these predictions."""
    made = Predictions(predictions)
    for part in (TEXT, TRUTH):
        (folder / part).mkdir(parents=True)
    for name, item in made.items.items():
        write_reading(folder, TEXT, name, Reading(SAID[item.id], texts[name], digest_of(made.file(name))))
    for name in SAID if truth else ():
        write_reading(folder, TRUTH, name, Reading(SAID[name], TRUE[name], digest_of(data.vertex_file(name))))
    known: dict[str, Any] = {"expert": "e", "modality": "video", "beam": 10, "ctc_weight": 0.1} | how
    write_index(folder, Info(predictions=sorted(made.items), truth=sorted(SAID) if truth else [], **known))
    return folder


@pytest.fixture(scope="module")
def made(data: Sequences, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("made")
    found = {"predictions": make_predictions(root / "p", data), "against": make_predictions(root / "q", data, half=0.2)}
    worse = {name: text[1:] + "X" for name, text in READ.items()}
    found["lipread"] = readings(root / "r", data, found["predictions"])
    found["lipread_against"] = readings(root / "s", data, found["against"], worse)
    return found | {"data": data.path}


def rate(pairs, tokens) -> float:
    return error_rate_of_all((tokens(true), tokens(made)) for true, made in pairs)


def test_errors_by_hand(made, tmp_path) -> None:
    """Edits of the whole set by all that is said; styles of one sentence count as one, half each."""
    job = run(tmp_path, made, "lipread", definitions=["cer", "wer", "ver", "lve/facediffuser"])
    found = numbers(job)
    cer = found["model", CER]
    assert cer["value"] == pytest.approx((2 + (1 + 3) / 2 + (0 + 1) / 2) / (11 + 3 + 5))
    assert (cer["average"], cer["unit"], cer["region"], cer["sequences"]) == ("letters", "", "texts", 3)
    assert cer["subjects"] == {"B": pytest.approx(2 / 11), "D": pytest.approx(2.5 / 8)}
    assert cer["definition"].endswith("both summed over all sequences first")
    wer = found["model", WER]
    assert wer["value"] == pytest.approx((2 + (1 + 1) / 2 + (0 + 1) / 2) / (3 + 1 + 2))
    assert wer["average"] == "words"
    ver, visemes = found["model", VER], Visemes.read()
    looks = {name: rate([(SAID[name[:5]], READ[name])], visemes.of) for name in READ if name[:5] != "D_s02"}
    assert looks["D_s01_condition_A"] == looks["D_s03_condition_B"] == 0
    count = {name: len(visemes.of(text)) for name, text in SAID.items()}
    edits = count["B_s03"] * looks["B_s03_condition_B"] + count["D_s01"] * looks["D_s01_condition_B"] / 2
    assert ver["value"] == pytest.approx(edits / sum(count.values()))
    assert ver["average"] == "visemes"
    pairs = [(SAID[name], text) for name, text in TRUE.items() if SAID[name]]
    for metric, tokens in ((CER, letters), (WER, words), (VER, visemes.of)):
        assert found["truth", metric]["value"] == pytest.approx(rate(pairs, tokens))
    assert {row for row, metric in found if metric == CER} == {"model", "truth"}
    assert {row for row, metric in found if metric == "lve/facediffuser"} == {
        "model",
        "neutral template",
        "mean motion",
    }


def test_a_row_for_each_sequence(made, tmp_path) -> None:
    rows = csv_rows(run(tmp_path, made, "lipread"))
    model = {(row["id"], row["condition"]): row for row in rows if row["row"] == "model"}
    assert {name: float(row[CER]) for name, row in model.items() if row[CER]} == {
        ("B_s03", "B"): pytest.approx(2 / 11),
        ("D_s01", "A"): pytest.approx(1 / 3),
        ("D_s01", "B"): 1.0,
        ("D_s03", "A"): 0.0,
        ("D_s03", "B"): 0.2,
    }
    assert model["D_s02", "A"][WER] == ""
    true = {row["id"]: row for row in rows if row["row"] == "truth"}
    assert {name: row[CER] for name, row in true.items()} == {
        "B_s03": "0", "D_s01": "0.333333333", "D_s02": "", "D_s03": "0.6"
    }  # fmt: skip
    assert all(row["lve/facediffuser"] == "" and row["counted"] == "yes" for row in true.values())
    assert all(row[CER] == "" for row in rows if row["row"] in ("neutral template", "mean motion"))


def test_texts_stand_beside_each_other(made, tmp_path) -> None:
    job = run(tmp_path, made, "lipread")
    page = (job.out / "lipread.md").read_text(encoding="utf-8")
    assert "What is said, above what a lip-reading expert read (video). A ·" in page
    assert "\n## B_s03, true lips: 0 % of the letters wrong\n" in page
    assert "\n    said      THE CAT SAT\n    lip-read  THE ·AT SAD\n                  ^     ^\n" in page
    assert "\n## D_s02_condition_A\n\n    said      (nothing)\n    lip-read  ANYTHING\n" in page
    assert page.count("\n## ") == 7 + 4
    assert not (job.out / "text.md").exists()
    assert "expert CER" in job.said[-2]
    assert "truth" in job.said[-2]
    assert job.said[-1].splitlines()[-1] == "7 more are in lipread.md"


def test_one_that_hears_is_told(data, made, tmp_path) -> None:
    heard = readings(tmp_path / "r", data, made["predictions"], truth=False, modality="audio-visual")
    job = run(tmp_path / "run", made | {"lipread": heard}, "lipread")
    page = (job.out / "lipread.md").read_text(encoding="utf-8")
    assert "It hears the sound, too, so that it may read well whatever the lips do." in page
    assert "true lips" not in page
    assert {row for row, _ in numbers(job)} == {"model", "neutral template", "mean motion"}


def test_two_models(made, tmp_path) -> None:
    job = run(tmp_path, made, "lipread", "against", "lipread_against")
    tests = {test["metric"]: test for test in json.loads((job.out / "metrics.json").read_text())["paired"]["tests"]}
    assert {CER, WER, VER, "lve/facediffuser"} <= tests.keys()
    own = numbers(job)["model", CER]["value"]
    rows = [row for row in csv_rows(job) if row["row"] == "against" and row[CER]]
    weights = {"B_s03": 11, "D_s01": 3 / 2, "D_s03": 5 / 2}
    other = sum(weights[row["id"]] * float(row[CER]) for row in rows) / 19
    assert tests[CER]["difference"] == pytest.approx(own - other)
    assert own < other
    only = run(tmp_path / "only", made, "lipread", "against")
    tests = {test["metric"] for test in json.loads((only.out / "metrics.json").read_text())["paired"]["tests"]}
    assert CER not in tests
    assert "lve/facediffuser" in tests


def test_figures_and_tables_take_the_row_of_the_truth(made, tmp_path) -> None:
    job = run(tmp_path, made, "lipread", figures=True, curves=0, definitions=["cer"])
    assert (job.out / "figures" / "baselines.png").is_file()
    report = read(job.out / "metrics.json")
    number = report.number("truth", CER)
    assert number is not None
    assert number.value == pytest.approx((0 + 1 + 3) / 19)


def test_numbers_of_another_expert_are_told_apart(data, made, tmp_path) -> None:
    """In tables of several reports: who read, how, and by which visemes."""
    first = run(tmp_path / "a", made, "lipread")
    ver = numbers(first)["model", VER]
    assert numbers(first)["model", CER]["reader"] == "e, video, beam 10, CTC 0.1"
    assert ver["reader"] == f"e, video, beam 10, CTC 0.1, visemes {Visemes.read().digest}"
    assert "reader" not in numbers(first)["model", "lve/facediffuser"]
    assert "expert CER: read by e, video, beam 10, CTC 0.1\n" in first.said[-2]
    other = readings(tmp_path / "r", data, made["predictions"], expert="f" * 32, beam=0, modality="silent")
    second = run(tmp_path / "b", made | {"lipread": other}, "lipread")
    a, b = (read(job.out / "metrics.json").number("model", CER) for job in (first, second))
    assert a is not None
    assert b is not None
    assert differences(b.terms, a.terms) == [
        "read by ffffffff, silent, frame by frame instead of read by e, video, beam 10, CTC 0.1"
    ]


def test_what_cannot_be_had(made, tmp_path) -> None:
    said = refused(tmp_path / "1", made, definitions=[CER])
    assert said.startswith(f"{CER} cannot be had: no expert has read the lips: give what the stage lipread makes")
    assert "none of ver can be had" in refused(tmp_path / "2", made, definitions=["ver"])
    assert ("model", CER) not in numbers(run(tmp_path / "3", made))


def test_readings_that_belong_elsewhere(data, made, tmp_path) -> None:
    """Of the other model, whose predictions are called the same; of another truth; of fewer predictions."""
    swapped = made | {"lipread": made["lipread_against"]}
    said = refused(tmp_path / "1", swapped, "lipread")
    assert "B_s03_condition_B.npy is not what the expert looked at: give what lipread makes of these very" in said
    moved = Sequences(make_sequences(tmp_path / "moved"))
    np.save(moved.vertex_file("D_s03"), np.load(moved.vertex_file("D_s03")) + np.float32(0.001))
    said = refused(tmp_path / "2", made | {"data": moved.path}, "lipread")
    assert f"{moved.vertex_file('D_s03')} is not what the expert looked at" in said
    few = readings(tmp_path / "few", data, made["predictions"])
    index = json.loads((few / "readings.json").read_text())
    (few / "readings.json").write_text(json.dumps(index | {"predictions": ["B_s03_condition_B"]}))
    said = refused(tmp_path / "3", made | {"lipread": few}, "lipread")
    assert "has no reading of D_s01_condition_A" in said


def test_readings_of_a_second_model_need_both(data, made, tmp_path) -> None:
    for number, slots in enumerate(
        (("lipread", "lipread_against"), ("against", "lipread_against"), ("lipread_against",))
    ):
        said = refused(tmp_path / str(number), made, *slots)
        assert "is what was read off the predictions `against`" in said
        assert "or leave lipread_against out" in said
    for number, how in enumerate(({"beam": 2}, {"modality": "silent"}, {"expert": "f"}, {"ctc_weight": 0.5})):
        other = readings(tmp_path / f"r{number}", data, made["against"], **how)
        said = refused(
            tmp_path / f"o{number}", made | {"lipread_against": other}, "lipread", "against", "lipread_against"
        )
        assert "were not read by one expert in one way" in said


def test_what_is_refused_before_anything_is_trained() -> None:
    def components(*slots: str, **params: Any) -> list[str]:
        return list(Metrics(Params(**params)).components({slot: Upstream(slot, slot, {}) for slot in slots}))

    assert components("data", "predictions") == components("lipread", definitions=["cer", VER]) == []
    assert components("lipread", "against", "lipread_against") == []
    for slots in (("lipread",), ("against",), ()):
        with pytest.raises(RecipeError, match="lipread_against is held against lipread: wire against and lipread, too"):
            components("data", "predictions", "lipread_against", *slots)
    for name in ("cer", VER):
        with pytest.raises(RecipeError, match=f"definitions names '{name}', of what an expert reads off lips"):
            components("data", "predictions", definitions=["lve", name])


def test_splits(data, made, tmp_path) -> None:
    job = run(tmp_path / "a", made, "lipread", splits=["test"])
    assert numbers(job)["model", CER]["sequences"] == 3
    assert "holds no prediction of val" in refused(tmp_path / "b", made, "lipread", splits=["val"])


def test_own_tables_of_what_looks_alike(made, tmp_path) -> None:
    """A table in which B is no P, and a dictionary in which BAD is said as PAD."""
    table = TABLE.read_text(encoding="utf-8").replace('closed = ["P", "B", "M"]', 'closed = ["P", "M"]\nloud = ["B"]')
    (tmp_path / "own.toml").write_text(table)
    (tmp_path / "own.dict").write_text("BAD  P AE1 D\n")
    ver = {}
    for name, params in {
        "ours": {},
        "table": {"visemes": str(tmp_path / "own.toml")},
        "both": {"visemes": str(tmp_path / "own.toml"), "pronunciations": str(tmp_path / "own.dict")},
    }.items():
        job = run(tmp_path / name, made, "lipread", **params)
        rows = {(row["id"], row["condition"]): row[VER] for row in csv_rows(job) if row["row"] == "model"}
        ver[name] = float(rows["D_s01", "A"])
    assert ver == {"ours": 0.0, "table": pytest.approx(1 / 3), "both": 0.0}
    (tmp_path / "own.toml").write_text("[visemes]\nclosed = ['P']\n")
    said = refused(tmp_path / "x", made, "lipread", visemes=str(tmp_path / "own.toml"))
    assert "own.toml is no table of visemes" in said


def test_the_table_of_visemes_is_in_the_key() -> None:
    assert Metrics(Params()).sources().files["visemes"] == TABLE
    assert Metrics(Params(visemes="own.toml")).sources().files["visemes"] == Path("own.toml")


def test_a_reading_is_content_of_its_sentence(data, made, tmp_path) -> None:
    again = readings(tmp_path / "r", data, made["predictions"], READ | {"D_s01_condition_A": "OTHER"})

    def items(folder: Path) -> dict[str, str]:
        given = {slot: _given(made[slot], _files(made[slot])) for slot in ("data", "predictions")}
        found = Metrics(Params()).items(given | {"lipread": _given(folder, _files(folder))}, {}).each
        assert found is not None
        return {name: json.dumps(facts) for name, facts in found.items()}

    first, second = items(made["lipread"]), items(again)
    assert {name for name in first if first[name] != second[name]} == {"D_s01"}
    write_reading(again, TRUTH, "B_s03", Reading("A", "B", ""))
    third = items(again)
    assert {name for name in first if second[name] != third[name]} == {"B_s03"}


def _files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text("latin1") for file in folder.rglob("*") if file.is_file()}


def test_two_runs_give_equal_bytes(made, tmp_path) -> None:
    slots = ("lipread", "against", "lipread_against")
    first, second = run(tmp_path / "a", made, *slots), run(tmp_path / "b", made, *slots, workers=3)
    for name in ("metrics.json", "per_sequence.csv", "lipread.md"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes()
    value = numbers(first)["model", CER]["value"]
    assert not math.isnan(value)
