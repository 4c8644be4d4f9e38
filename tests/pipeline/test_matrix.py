"""Sweeps: what a `[matrix]` spans, what its variants share, how they are named, and every mistake with its place."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.matrix import LIMIT, value_text
from pipeline.recipe import load
from tests.pipeline.table_data import RECIPE as TABLE_RECIPE
from tests.pipeline.test_cli import pipe
from tests.pipeline.toy import Double

MATRIX = """
[matrix]
step.double.factor = [1e-4, 3.0]
recipe.seed = [0, 1]
"""


@pytest.fixture
def sweep(here: Path) -> Path:
    path = here / "sweep.toml"
    path.write_text((here / "toy.toml").read_text() + MATRIX)
    return path


def test_a_step_occurs_once_for_each_set_of_values_that_it_hangs_on(sweep) -> None:
    recipe = load(sweep)
    assert list(recipe.steps) == [
        "read",
        "double@factor=1e-4", "sum@factor=1e-4,seed=0", "sum@factor=1e-4,seed=1",
        "double@factor=3", "sum@factor=3,seed=0", "sum@factor=3,seed=1",
    ]  # fmt: skip
    assert recipe.steps["sum@factor=3,seed=1"].inputs == {"left": "double@factor=3"}
    assert recipe.variants["factor=3,seed=1"] == {
        "read": "read",
        "double": "double@factor=3",
        "sum": "sum@factor=3,seed=1",
    }
    assert recipe.seed_of(recipe.steps["sum@factor=3,seed=1"]) == 1
    assert str(recipe.steps["double@factor=3"].origins["factor"]) == "sweep.toml:20"


def test_shared_steps_run_once_and_every_variant_has_its_folder(sweep, here, capsys) -> None:
    assert pipe("run", "sweep.toml") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " running " in line] == list(load(sweep).steps)
    assert len(Double.made) == 6
    totals = {
        folder.name: json.loads((folder / "sum/total.json").read_text())
        for folder in (here / "outputs/sweep").glob("*=*")
    }
    assert totals["factor=3,seed=1"] == {"total": 18.0, "seed": 1}
    assert totals["factor=1e-4,seed=0"] == {"total": pytest.approx(6e-4), "seed": 0}
    assert len(totals) == 4
    read = {(here / "outputs/sweep" / name / "read").resolve() for name in totals}
    assert len(read) == 1
    assert pipe("run", "sweep.toml") == 0
    assert "sweep: nothing to do, 7 steps are cached" in capsys.readouterr().out


def test_a_sweep_shares_with_the_plain_recipe(sweep, here, capsys) -> None:
    assert pipe("run", "toy.toml") == 0
    capsys.readouterr()
    assert pipe("run", "sweep.toml", "--set", "matrix.step.double.factor=[2,3]", "--set", "matrix.recipe.seed=7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " running " in line] == ["double@factor=3", "sum@factor=3"]


def test_status_shows_shared_steps_once(sweep, capsys) -> None:
    assert pipe("status", "sweep.toml") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(load(sweep).steps)
    assert pipe("status", "sweep.toml", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["steps"]) == 7
    assert found["variants"]["factor=3,seed=0"]["double"] == "double@factor=3"


@pytest.mark.parametrize(
    ("words", "count"),
    [(["factor=3"], 4), (["factor=3,seed=1"], 3), (["seed=1,factor=3"], 3), (["seed=0", "factor=3,seed=1"], 6)],
)
def test_variants_are_picked_whole_or_by_a_part(sweep, words, count) -> None:
    assert len(load(sweep, variants=words).steps) == count


def test_commands_take_a_step_by_its_plain_name(sweep, capsys) -> None:
    assert pipe("run", "sweep.toml", "--until", "double") == 0
    assert capsys.readouterr().out.count(" running ") == 3
    assert pipe("run", "sweep.toml", "--variant", "seed=1", "--only", "sum") == 0
    assert capsys.readouterr().out.count(" running ") == 2
    assert pipe("run", "sweep.toml", "--force", "sum", "--variant", "factor=3,seed=1") == 0
    assert capsys.readouterr().out.count("running   forced") == 1
    assert pipe("why", "sweep.toml", "sum") == 2
    assert "step 'sum' has 4 variants: sum@factor=1e-4,seed=0" in capsys.readouterr().err
    assert pipe("why", "sweep.toml", "sum", "--variant", "factor=3,seed=0") == 0
    assert "seed: 1 → 0   sweep.toml:21" in capsys.readouterr().out


def test_a_variant_is_compared_with_its_own_earlier_result(sweep, capsys) -> None:
    """Not with a sibling that has run with the new value meanwhile, which differs in one entry as well."""
    pipe("run", "sweep.toml")
    pipe("run", "sweep.toml", "--set", "step.sum.weight=2", "--variant", "factor=3,seed=0")
    capsys.readouterr()
    pipe("status", "sweep.toml", "--set", "step.sum.weight=2", "--variant", "factor=3,seed=1")
    assert "parameter weight: 1.0 → 2.0   --set" in capsys.readouterr().out


def test_tiny_may_shorten_the_matrix(sweep) -> None:
    text = sweep.read_text().replace("step.double.factor = 1.0", "step.sum.weight = 2.0\nmatrix.recipe.seed = [5]")
    sweep.write_text(text)
    recipe = load(sweep, tiny=True)
    assert list(recipe.variants) == ["factor=1e-4,seed=5", "factor=3,seed=5"]
    assert recipe.steps["sum@factor=3"].values["weight"] == 2.0


def test_a_base_may_be_swept_and_the_matrix_extended(sweep, here) -> None:
    (here / "child.toml").write_text(
        'extends = "sweep.toml"\n[matrix]\nrecipe.seed = [3]\nstep.sum.weight = [1.0, 2.0]\n'
    )
    assert list(load(here / "child.toml").variants)[:2] == [
        "factor=1e-4,seed=3,weight=1",
        "factor=1e-4,seed=3,weight=2",
    ]


def test_components_and_wires_may_be_swept(here) -> None:
    text = (here / "toy.toml").read_text() + (
        '[step.double2]\nstage = "tests.pipeline.toy:Double"\nfactor = 5\n'
        '[matrix]\nstep.sum.inputs.left = ["double", "double2"]\nstep.double.mode = ["plain", "fancy"]\n'
    )
    (here / "wires.toml").write_text(text)
    steps = load(here / "wires.toml").steps
    assert steps["sum@left=double2,mode=plain"].inputs == {"left": "double2"}
    assert steps["sum@left=double,mode=fancy"].inputs == {"left": "double@mode=fancy"}


def test_parameters_of_one_name_are_told_apart_by_their_steps(here) -> None:
    text = (here / "toy.toml").read_text() + (
        '[step.again]\nstage = "tests.pipeline.toy:Double"\n[step.total]\nstage = "tests.pipeline.toy:Sum"\n'
        'inputs = { left = "again" }\n[step.sum.inputs]\nleft = "double"\n'
        "[matrix]\nstep.double.factor = [1.0, 2.0]\nstep.again.factor = [1.0, 2.0]\n"
    )
    (here / "two.toml").write_text(text)
    recipe = load(here / "two.toml")
    assert "double.factor=1,again.factor=2" in recipe.variants
    assert "total@again.factor=2" in recipe.steps


MISTAKES = [
    ("step.double.factor = [1e-4, 3.0]", "step.double.factor = []", r"sweep.toml:20 \[matrix\]: .* is an empty list"),
    ("step.double.factor = [1e-4, 3.0]", "step.double.factor = 3.0", r"sweep.toml:20 .*must be a list of values"),
    ("step.double.factor = [1e-4, 3.0]", 'step.double.factor = [1, "x"]', r"sweep.toml:20 .*must be a number, not 'x'"),
    ("step.double.factor = [1e-4, 3.0]", "step.double.factor = [3, 3.0]", r"sweep.toml:20 .*names 3.0 twice"),
    ("step.double.factor", "step.duble.factor", r"sweep.toml:20 .*no step 'duble'; .*Did you mean 'double'\?"),
    ("step.double.factor", "step.double.facter", r"sweep.toml:20 .*unknown key 'facter' .*Did you mean 'factor'\?"),
    ("step.double.factor", "double.factor", r"sweep.toml:20 .*'double.factor' cannot be swept; write recipe.seed"),
    ("recipe.seed = [0, 1]", "recipe.seed = [0, -1]", r"sweep.toml:21 .*'seed' must be a whole number"),
    ("recipe.seed = [0, 1]", 'recipe.name = ["a", "b"]', r"sweep.toml:21 .*'recipe.name' cannot be swept"),
    ("recipe.seed = [0, 1]", f"recipe.seed = {list(range(LIMIT))}", r"makes 512 variants \(2 × 256\); 256 is the"),
    ('[recipe]', 'matrix = 3\n[recipe]', r"sweep.toml:1: the matrix is a table of lists"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), MISTAKES, ids=[m[1][:30] for m in MISTAKES])
def test_a_mistake_in_the_matrix_is_named_with_its_place(sweep, old, new, sentence) -> None:
    text = sweep.read_text()
    if "matrix = 3" in new:
        text = text.replace(MATRIX, "")
    head, _, tail = text.rpartition(old)
    sweep.write_text(head + new + tail)
    with pytest.raises(RecipeError, match=sentence):
        load(sweep)


def test_what_the_matrix_sweeps_is_fixed_nowhere_else(sweep) -> None:
    with pytest.raises(
        RecipeError, match=r"--set step.double.factor fixes what the matrix sweeps; choose with --variant"
    ):
        load(sweep, ["step.double.factor=3"])
    with pytest.raises(RecipeError, match=r"\[tiny\] fixes step.double.factor, .*matrix.step.double.factor = \[…\]"):
        load(sweep, tiny=True)
    sweep.write_text(sweep.read_text().replace("[tiny]", "[as_published]"))
    with pytest.raises(RecipeError, match=r"sweep.toml:20 .*\[as_published\] fixes step.double.factor"):
        load(sweep, as_published=True)


def test_variants_that_are_not_there(sweep, here) -> None:
    with pytest.raises(
        RecipeError, match=r"--variant factor=4: there is none of that name; there are factor=1e-4,seed=0, "
    ):
        load(sweep, variants=["factor=4"])
    with pytest.raises(RecipeError, match=r"--variant factor=4: .*toy.toml has no \[matrix\]"):
        load(here / "toy.toml", variants=["factor=4"])


def test_the_shown_recipe_is_the_recipe_again(sweep, here, capsys) -> None:
    assert pipe("recipe", "show", "sweep.toml") == 0
    text = capsys.readouterr().out
    assert "[matrix]  # 4 variants" in text
    assert "# factor is in the matrix" in text
    for stage in ("Read", "Double", "Sum"):
        text = text.replace(f'stage = "{stage.lower()}"', f'stage = "tests.pipeline.toy:{stage}"')
    (here / "again.toml").write_text(text)
    assert load(here / "again.toml").variants == load(sweep).variants
    assert pipe("recipe", "check", "again.toml") == 0
    assert "fine, 3 steps: read, double, sum, 4 variants with 7 steps in all" in capsys.readouterr().out


def test_graph_of_a_sweep(sweep, capsys) -> None:
    assert pipe("graph", "sweep.toml", "--format", "mermaid") == 0
    out = capsys.readouterr().out
    assert '  double_factor_3["double@factor=3"]' in out
    assert "  read -- data --> double_factor_3" in out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "1e-4"), (1.5e-5, "1.5e-5"), (0.5, "0.5"), (3.0, "3"), (100.0, "100"),
        (0.1 + 0.2, "0.30000000000000004"),
        (True, "true"), (12, "12"), ("codetalker", "codetalker"), (["lips", "nose"], "lips+nose"), (0.0, "0"),
        (-1e-7, "-1e-7"), (1e22, "1e22"),
    ],
)  # fmt: skip
def test_values_are_written_as_one_says_them(value, text) -> None:
    assert value_text(value) == text


def test_names_are_fit_for_folders_and_differ(here) -> None:
    text = (here / "toy.toml").read_text() + '[matrix]\nstep.double.root = ["/data/a b", "/data/a/b", "x"]\n'
    (here / "paths.toml").write_text(text)
    assert list(load(here / "paths.toml").variants) == ["root=data-a-b", "root=data-a-b~2", "root=x"]


def test_variants_stand_side_by_side_in_the_table(here, capsys) -> None:
    (here / "ours.toml").write_text(
        TABLE_RECIPE + "[matrix]\nstep.metrics.better = [1.0, 2.0]\nstep.read.offset = [0, 1]\n"
    )
    assert pipe("run", "ours.toml", "--variant", "better=1") == 0
    capsys.readouterr()
    words = ["ours.toml", "--no-published", "--metric", "lve/codetalker", "--format", "csv"]
    assert pipe("table", *words) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert [row["origin"] for row in rows] == ["ours, better=1,offset=0", "ours, better=1,offset=1"]
    assert "ours, better=2,offset=0: no result as the recipe stands" in captured.err
    assert pipe("table", *words, "--variant", "better=1,offset=1") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert not captured.err
    assert pipe("table", "outputs/ours/better=1,offset=1/metrics", *words[1:]) == 0
    assert "ours, better=1,offset=1" in capsys.readouterr().out.replace('"', "")
