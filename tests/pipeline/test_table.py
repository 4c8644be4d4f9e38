"""`pipe table` as a user meets it: results of recipes as they stand, published numbers, formats, mistakes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.pipeline.table_data import NUMBERS, RECIPE, number, report, write
from tests.pipeline.test_cli import HEAVY, pipe, process


@pytest.fixture
def recipe(here: Path) -> Path:
    """A recipe whose metrics are in the store."""
    (here / "ours.toml").write_text(RECIPE)
    assert pipe("run", "ours.toml") == 0
    return here / "ours.toml"


def cells(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[tuple[str, str, str], dict[str, str]]:
    """(model, origin, metric) → the record that `pipe table … --format csv` has of it."""
    capsys.readouterr()
    assert pipe("table", *words, "--format", "csv") == code
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    return {(row["model"], row["origin"], row["metric"]): row for row in rows}


def test_a_recipe_beside_what_papers_print(recipe, capsys) -> None:
    found = cells(capsys, "ours.toml")
    ours = found["CodeTalker", "ours", "lve/codetalker"]
    assert float(ours["value"]) == 4.9e-4
    assert (ours["unit"], ours["split"], ours["sequences"], ours["warnings"]) == ("√area²", "test-a", "24", "")
    theirs = found["CodeTalker", "published", "lve/codetalker"]
    assert float(theirs["value"]) == 4.7914e-4
    assert "Xing et al., CodeTalker, CVPR 2023; read in: " in theirs["source"]
    assert (theirs["warnings"], theirs["best"], ours["best"]) == ("", "yes", "no")
    assert {metric for _, origin, metric in found if origin == "ours"} == set(NUMBERS) - {"lve/unitalker"}


def test_the_default_is_one_column_of_each_main_family(recipe, capsys) -> None:
    assert {metric for _, _, metric in cells(capsys, "ours.toml")} == set(NUMBERS) - {"lve/unitalker"}
    assert {metric for _, _, metric in cells(capsys, "ours.toml", "--metric", "lve")} == {
        "lve/codetalker",
        "lve/unitalker",
    }
    chosen = cells(capsys, "ours.toml", "--metric", "lve/unitalker", "--metric", "mve")
    assert {metric for _, _, metric in chosen} == {"lve/unitalker", "mve/facediffuser"}


def test_of_a_family_the_definition_that_most_results_have(here, capsys) -> None:
    """Predictions that end before the truth have no lve/codetalker."""
    for folder in ("a", "b"):
        write(here / folder)
    write(here / "short", numbers={metric: value for metric, value in NUMBERS.items() if metric != "lve/codetalker"})
    assert ("CodeTalker", "a", "lve/codetalker") in cells(capsys, "a", "b")
    found = cells(capsys, "a", "b", "short", "--no-published")
    assert [origin for _, origin, metric in found if metric == "lve/unitalker"] == ["a", "b", "short"]
    assert not any(metric == "lve/codetalker" for _, _, metric in found)


def test_published_numbers_stand_under_their_own_definition_or_with_a_warning(recipe, capsys) -> None:
    both = cells(capsys, "ours.toml", "--metric", "lve")
    assert both["FaceDiffuser", "published", "lve/unitalker"]["warnings"] == "region not stated"
    alone = cells(capsys, "ours.toml")["UniTalker-B-[D0]", "published", "lve/codetalker"]
    assert alone["warnings"] == (
        "defined as lve/unitalker instead of lve/codetalker; mean of each sequence first instead of mean over all "
        "frames; region not stated"
    )
    assert alone["best"] == "no"  # although it is the smallest


def test_other_data_are_warned_of(here, capsys) -> None:
    write(here / "few", sequences=2, splits=("test-b",))
    theirs = cells(capsys, "few")["CodeTalker", "published", "lve/codetalker"]
    assert theirs["warnings"] == "split test-a instead of test-b; 24 sequences instead of 2"


def test_our_own_numbers_are_held_against_each_other_too(here, capsys) -> None:
    write(here / "a")
    write(
        here / "b",
        region=[{"name": "mouth", "vertices": 4996, "sha256": "f" * 12, "published": ""}],
        frame_rule="uncut",
    )
    other = cells(capsys, "a", "b", "--no-published", "--metric", "lve/codetalker")["CodeTalker", "b", "lve/codetalker"]
    assert other["warnings"] == (
        "region mouth (4996 vertices, ffffffffffff) instead of lips (4996 vertices, da5b5d3cb03f, "
        "codetalker/biwi-lips); uncut instead of both cut to the shorter"
    )


def test_another_unit_is_warned_of(here, capsys) -> None:
    write(here / "a", dataset="head", units="m")
    write(here / "b", dataset="head", units="mm")
    found = cells(capsys, "a", "b", "--metric", "lve/codetalker")
    assert found["CodeTalker", "b", "lve/codetalker"]["warnings"] == "in mm² instead of m²"


def test_best_is_the_lowest_the_highest_or_the_nearest_to_zero(here, capsys) -> None:
    write(here / "a")
    write(here / "b", numbers={metric: value * 1.2 for metric, value in NUMBERS.items()})
    found = cells(capsys, "a", "b", "--no-published", "--baselines")
    best = {metric: origin for (_, origin, metric), row in found.items() if row["best"] == "yes"}
    assert best == dict.fromkeys(set(NUMBERS) - {"lve/unitalker"}, "a") | {"opening_correlation/facepipe": "b"}


def test_a_prior_and_baselines_are_no_competitors(here, capsys) -> None:
    write(here / "a", baselines={"mean motion": 0.5})
    write(here / "b", model="faceformer", numbers={metric: value * 1.2 for metric, value in NUMBERS.items()})
    write(here / "prior", model="codetalker-vq", numbers={metric: value * 0.1 for metric, value in NUMBERS.items()})
    found = cells(capsys, "a", "b", "prior", "--no-published", "--baselines")
    kinds = {(model, row["kind"]) for (model, _, _), row in found.items()}
    assert kinds == {
        ("CodeTalker", "model"),
        ("FaceFormer", "model"),
        ("codetalker-vq", "reconstruction"),
        ("mean motion", "baseline"),
    }
    assert found["CodeTalker", "a", "lve/codetalker"]["best"] == "yes"


def test_the_best_of_samples_is_no_competitor(here, capsys) -> None:
    """It was chosen by the truth."""
    best = {"subject_rule": "the best of 4 samples of each sentence"}
    document = report(model="facetalk", baselines={"best of 4": 0.5, "mean motion": 2.0})
    numbers = [record | (best if record["row"] == "best of 4" else {}) for record in document["numbers"]]
    write(here / "a", document | {"numbers": numbers, "samples": {"count": 4}})
    write(here / "b", numbers={metric: value * 1.2 for metric, value in NUMBERS.items()})
    found = cells(capsys, "a", "b", "--no-published", "--baselines", "--metric", "lve/codetalker")
    chosen = found["facetalk, best of 4", "a", "lve/codetalker"]
    assert (chosen["kind"], chosen["best"]) == ("best sample", "no")
    assert chosen["warnings"] == "the best of 4 samples of each sentence instead of own style"
    assert found["facetalk", "a", "lve/codetalker"]["best"] == "yes"
    assert ("mean motion", "", "lve/codetalker") in found
    assert pipe("table", "a", "b", "--no-published") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "facetalk (a): motion is drawn: means over 4 samples of each sentence" in told


def test_equal_baselines_stand_once(here, capsys) -> None:
    for folder, factor in (("a", 2.0), ("b", 2.0), ("c", 3.0)):
        write(here / folder, baselines={"mean motion": factor})
    found = cells(capsys, "a", "b", "c", "--no-published", "--baselines", "--metric", "mve")
    assert [origin for model, origin, _ in found if model == "mean motion"] == ["", "c"]


def test_ablations_are_asked_for(recipe, capsys) -> None:
    assert not any("retrained" in model or "without" in model for model, _, _ in cells(capsys, "ours.toml"))
    models = {model for model, _, _ in cells(capsys, "ours.toml", "--ablations")}
    assert {"SelfTalk without CTC", "CodeTalker, retrained by a user (1)"} <= models
    assert {origin for _, origin, _ in cells(capsys, "ours.toml", "--no-published")} == {"ours"}


def test_a_result_counts_only_as_the_recipe_stands(recipe, capsys) -> None:
    capsys.readouterr()
    assert pipe("table", "ours.toml", "--set", "step.metrics.better=2", "--store", str(recipe.parent / ".pipe")) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "ours: no result as the recipe stands (step metrics: parameter better: 1.0 → 2.0" in told.err
    assert f"pipe run ours.toml --store {recipe.parent}/.pipe --set step.metrics.better=2 makes it" in told.err


def test_what_is_missing_is_a_row_without_numbers_and_a_sentence(recipe, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    Path("other.toml").write_text(RECIPE + 'model = "faceformer"\n')
    capsys.readouterr()
    assert pipe("table", "ours.toml", "other.toml", "--no-published") == 0
    told = capsys.readouterr()
    (row,) = [line.split() for line in told.out.splitlines() if "(other)" in line]
    assert row == ["FaceFormer", "(other)", *"–––––"]
    assert told.err.startswith("other: no result as the recipe stands (step metrics: ")
    assert told.err.endswith("; pipe run other.toml makes it\n")


def test_a_cause_above_the_metrics_is_named(here, capsys) -> None:
    Path("ours.toml").write_text(RECIPE)
    Path("numbers.txt").unlink()
    assert pipe("table", "ours.toml") == 1
    told = capsys.readouterr().err
    assert "(step read: " in told
    assert "numbers.txt" in told


def test_two_metrics_steps_are_two_rows(here, capsys) -> None:
    more = '\n[step.again]\nstage = "tests.pipeline.table_data:Measure"\nbetter = 2.0\n'
    Path("ours.toml").write_text(RECIPE.replace("[step.metrics]", f"{more}\n[step.metrics]"))
    assert pipe("run", "ours.toml") == 0
    found = cells(capsys, "ours.toml", "--metric", "lve/codetalker", "--no-published")
    assert [origin for _, origin, _ in found] == ["ours", "ours, again"]


def test_two_data_sets_are_two_tables(recipe, capsys) -> None:
    Path("voca.toml").write_text(RECIPE + 'dataset = "vocaset"\n')
    pipe("run", "voca.toml")
    found = cells(capsys, "ours.toml", "voca.toml")
    sets = {(model, origin): row["dataset"] for (model, origin, _), row in found.items()}
    assert sets["CodeTalker", "ours"] == "biwi"
    assert sets["CodeTalker", "voca"] == "vocaset"
    assert sets["MemoryTalker", "published"] == "vocaset"
    assert pipe("table", "ours.toml", "voca.toml", "--format", "latex") == 0
    assert capsys.readouterr().out.count(r"\begin{table}") == 2


def test_folders_and_files_are_results_as_well(recipe, capsys) -> None:
    assert ("CodeTalker", "ours", "mve/facediffuser") in cells(capsys, "outputs/ours/metrics")
    write(recipe.parent / "copied")
    assert ("CodeTalker", "copied", "mve/facediffuser") in cells(capsys, "copied")
    assert ("CodeTalker", "copied/metrics.json", "mve/facediffuser") in cells(capsys, "copied/metrics.json")


def test_an_undefined_number_is_left_open(here, capsys) -> None:
    write(here / "a", numbers=NUMBERS | {"opening_correlation/facepipe": None})
    assert ("CodeTalker", "a", "opening_correlation/facepipe") not in cells(capsys, "a")
    write(here / "b")
    found = cells(capsys, "a", "b", "--no-published")
    assert ("CodeTalker", "a", "opening_correlation/facepipe") not in found
    assert ("CodeTalker", "b", "opening_correlation/facepipe") in found


def test_numbers_of_ones_own_stand_beside_them(recipe, capsys) -> None:
    Path("mine.toml").write_text(
        'dataset = "biwi"\nunits = "unit-area"\n[[value]]\nmodel = "Mine"\nmetric = "mve/facediffuser"\nvalue = 6.1\n'
        'scale = 1e-3\nunit = "√area"\nregion = "all vertices"\nsplit = "test-a"\naverage = "frames"\n'
        'paper = "Mine et al., 2026"\nread_in = "the PDF"\n'
    )
    mine = cells(capsys, "ours.toml", "--with", "mine.toml")["Mine", "published", "mve/facediffuser"]
    assert (mine["best"], mine["warnings"], mine["source"]) == ("yes", "", "Mine et al., 2026; read in: the PDF")


@pytest.mark.parametrize("words", [["table", "ours.toml"], ["table", "ours.toml", "--format", "latex"]])
def test_a_table_imports_nothing_heavy(recipe, words) -> None:
    code = (
        "import sys\nfrom pipeline.__main__ import main\ntry:\n    main()\nfinally:\n"
        f"    print('heavy:', [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = process(*words, code=code)
    assert done.returncode == 0
    assert "heavy: []" in done.stderr


def test_json_holds_what_csv_holds(recipe, capsys) -> None:
    capsys.readouterr()
    assert pipe("table", "ours.toml", "--format", "csv") == 0
    flat = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert pipe("table", "ours.toml", "--format", "json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [(r["model"], r["source"] or "", r["metric"]) for r in records] == [
        (r["model"], r["source"], r["metric"]) for r in flat
    ]
    first = records[0]
    assert (first["value"], first["low"], first["best"], first["warnings"]) == (4.9e-4, 4.9e-4 * 0.9, False, [])
    assert next(record for record in records if record["model"] == "HiSTalk")["definition"] is None


MISTAKES = [
    (
        ["toy.toml"],
        2,
        "toy.toml has no step that makes metrics, so it has nothing for a table; it has read, double, sum",
    ),
    (["absent.toml"], 2, "there is no recipe absent.toml"),
    (["absent/metrics.json"], 2, "there is no absent/metrics.json; name recipes, or folders that hold a metrics.json"),
    (["."], 2, "there is no metrics.json; name recipes, or folders"),
    (["good", "--metric", "lvee"], 2, "no result has a metric 'lvee'; there are lve/codetalker, "),
    (["good", "--metric", "lvee"], 2, "Did you mean 'lve'?"),
    (["good", "--format", "html"], 2, "--format 'html': allowed are text, markdown, latex, csv, json"),
    (["good", "--scale", "inch"], 2, "--scale 'inch': allowed are paper, plain, mm"),
    (["good", "--with", "absent.toml"], 2, "absent.toml cannot be read (No such file or directory)"),
    (["good", "--with", "numbers.txt"], 2, "numbers.txt is not valid TOML"),
]


@pytest.mark.parametrize(("words", "code", "sentence"), MISTAKES)
def test_mistakes_are_one_sentence(here, capsys, words, code, sentence) -> None:
    write(here / "good")
    assert pipe("table", *words) == code
    told = capsys.readouterr()
    assert sentence in told.err
    assert len(told.err.splitlines()) == 1
    assert told.out == ""


def changed(**changes: object) -> dict[str, object]:
    return report() | {"numbers": [number("lve/codetalker", 1e-4) | changes]}


def without(key: str) -> dict[str, object]:
    record = number("lve/codetalker", 1e-4)
    del record[key]
    return report() | {"numbers": [record]}


FORMS = [
    ([], "the file is [] instead of a table"),
    ({"numbers": []}, "the file has no 'splits'"),
    (report() | {"numbers": {}}, "'numbers' of the file is {} instead of a list"),
    (report() | {"dataset": None}, "'dataset' of the file is None instead of a text"),
    (without("unit"), "number 1 (lve/codetalker) has no 'unit'"),
    (without("interval"), "number 1 (lve/codetalker) has no 'interval'"),
    (changed(value="low"), "'value' of number 1 (lve/codetalker) is 'low' instead of a number"),
    (changed(value=float("nan")), "'value' of number 1 (lve/codetalker) is nan instead of a number"),
    (changed(interval=[1.0]), "'interval' of number 1 (lve/codetalker) has 1 entries instead of 2"),
    (changed(average="median"), "'average' of number 1 (lve/codetalker) is 'median' instead of frames or sequences"),
    (changed(region=[]), "'region' of number 1 (lve/codetalker) is empty"),
    (changed(region=[{"name": "lips"}]), "'region' of number 1 (lve/codetalker) has no 'vertices'"),
    (changed(sequences=True), "'sequences' of number 1 (lve/codetalker) is True instead of a whole number"),
]


@pytest.mark.parametrize(("document", "sentence"), FORMS)
def test_a_metrics_file_of_another_form_is_refused(here, capsys, document, sentence) -> None:
    write(here / "odd", document)
    assert pipe("table", "odd") == 2
    told = capsys.readouterr().err
    assert "odd/metrics.json is not what the stage metrics of this version writes: " in told
    assert sentence in told
    assert told.endswith("; make it again with pipe run\n")


def test_a_metrics_file_that_is_no_json(here, capsys) -> None:
    (here / "metrics.json").write_text("{")
    assert pipe("table", "metrics.json") == 2
    assert "metrics.json cannot be read as JSON" in capsys.readouterr().err
