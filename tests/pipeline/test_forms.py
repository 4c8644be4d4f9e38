"""`[as_published]` and `[tiny]`: what lies over a recipe, in which order, under which name, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.recipe import Recipe, load
from tests.pipeline.conftest import RECIPE
from tests.pipeline.test_cli import pipe

PUBLISHED = """
[as_published]
step.double.factor = 5.0
step.sum.weight = 4.0
"""


@pytest.fixture
def both(here: Path) -> Path:
    """A recipe with both tables; they agree upon nothing but `factor`."""
    (here / "toy.toml").write_text(RECIPE + PUBLISHED)
    return Path("toy.toml")


def facts(recipe: Recipe) -> tuple[float, float]:
    return recipe.steps["double"].values["factor"], recipe.steps["sum"].values["weight"]


def test_what_lies_over_what(both: Path) -> None:
    assert facts(load(both)) == (2.0, 1.0)
    assert facts(load(both, as_published=True)) == (5.0, 4.0)
    assert facts(load(both, tiny=True)) == (1.0, 1.0)
    assert facts(load(both, tiny=True, as_published=True)) == (1.0, 4.0)
    assert facts(load(both, ["step.sum.weight=9"], as_published=True)) == (5.0, 9.0)


def test_the_file_or_a_setting_switches_it_and_the_setting_has_the_last_word(both: Path, here: Path) -> None:
    assert facts(load(both, ["recipe.as_published=true"])) == (5.0, 4.0)
    (here / "kid.toml").write_text('extends = "toy.toml"\n[recipe]\nas_published = true\n')
    assert facts(load(Path("kid.toml"))) == (5.0, 4.0)
    off = ["recipe.as_published=false"]
    assert facts(load(Path("kid.toml"), off)) == facts(load(both, off, as_published=True)) == (2.0, 1.0)


def test_a_child_adds_to_its_bases_table(both: Path, here: Path) -> None:
    (here / "kid.toml").write_text('extends = "toy.toml"\n[as_published]\nstep.sum.weight = 6\n')
    recipe = load(Path("kid.toml"), as_published=True)
    assert facts(recipe) == (5.0, 6.0)
    assert str(recipe.steps["sum"].origins["weight"]) == "kid.toml:3"
    assert str(recipe.steps["double"].origins["factor"]) == "toy.toml:20"


@pytest.mark.parametrize("form", ["as_published", "tiny"])
def test_a_form_that_is_not_there(here: Path, form: str) -> None:
    (here / "toy.toml").write_text(RECIPE.partition("[tiny]")[0])
    with pytest.raises(RecipeError, match=rf"toy.toml has no \[{form}\] table, so there is no"):
        load(Path("toy.toml"), **{form: True})  # type: ignore[arg-type]
    assert facts(load(Path("toy.toml"))) == (2.0, 1.0)


def test_the_form_as_published_has_a_name_of_its_own(both: Path) -> None:
    assert load(both, as_published=True).name == "toy-as_published"
    assert load(both, tiny=True, as_published=True).name == "toy-as_published"
    assert load(both, ["recipe.name=mine"], as_published=True).name == "mine"
    both.write_text(both.read_text().replace("seed = 7", 'seed = 7\nname = "boy"') + '[tiny.recipe]\nname = "small"\n')
    assert load(both, as_published=True).name == "boy-as_published"
    both.write_text(both.read_text() + '[as_published.recipe]\nname = "true"\n')
    assert load(both, as_published=True).name == "true"


def test_results_of_both_stand_beside_each_other_and_share_what_is_equal(both: Path, here: Path, capsys) -> None:
    assert pipe("run", "toy.toml") == 0
    capsys.readouterr()
    assert pipe("run", "toy.toml", "--as-published") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if " running " in line] == ["double", "sum"]
    assert "results: outputs/toy-as_published/" in out
    assert (here / "outputs/toy/double/n0.txt").read_text() == "2.0"
    assert (here / "outputs/toy-as_published/double/n0.txt").read_text() == "5.0"


def test_every_command_that_takes_a_recipe_takes_the_switch(both: Path, here: Path, capsys) -> None:
    assert pipe("run", "toy.toml", "--as-published") == 0
    capsys.readouterr()
    assert pipe("status", "toy.toml", "--as-published", "--json") == 0
    standing = json.loads(capsys.readouterr().out)
    assert standing["recipe"] == "toy-as_published"
    assert {step["state"] for step in standing["steps"]} == {"cached"}
    assert pipe("status", "toy.toml", "--set", "recipe.as_published=true") == 0  # the short road
    assert "toy-as_published" in capsys.readouterr().out
    assert pipe("why", "toy.toml", "sum", "--as-published") == 0
    assert pipe("graph", "toy.toml", "--as-published", "--format", "dot") == 0
    assert 'digraph "toy-as_published"' in capsys.readouterr().out
    assert pipe("accept", "toy.toml", "double", "--as-published", "--reason", "it stands") == 2
    assert pipe("run", "toy.toml", "--as-published", "--dry-run", "--tiny") == 0
    assert pipe("table", "toy.toml", "--as-published") == 2


def test_show_tells_origins_and_is_a_recipe_again(both: Path, here: Path, capsys) -> None:
    assert pipe("recipe", "show", "toy.toml", "--as-published", "--tiny") == 0
    text = capsys.readouterr().out
    assert "# the form as published: --as-published" in text
    assert "# toy.toml:17" in text  # of [tiny]
    assert "# toy.toml:21" in text  # of [as_published]
    for stage in ("Read", "Double", "Sum"):
        text = text.replace(f'stage = "{stage.lower()}"', f'stage = "tests.pipeline.toy:{stage}"')
    (here / "again.toml").write_text(text)
    assert facts(load(Path("again.toml"))) == (1.0, 4.0)


def test_check_tells_the_mistakes_of_all_forms_at_once(both: Path, here: Path, capsys) -> None:
    assert pipe("recipe", "check", "toy.toml") == 0
    assert "also with --tiny, --as-published, --as-published --tiny" in capsys.readouterr().out
    (here / "bad.toml").write_text(
        'extends = "toy.toml"\n[step.read]\noffset = -1\n[as_published]\nstep.sum.wait = 1\nstep.twice.factor = 2\n'
        "[tiny]\nstep.double.mode = 3\n"
    )
    assert pipe("recipe", "check", "bad.toml", "toy.toml") == 2
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert "toy.toml: fine" in told.out
    assert len(lines) == len(set(lines)) == 4
    for place, word in (("3", "offset"), ("5", "'wait'"), ("6", "twice"), ("8", "mode")):
        assert any(f"bad.toml:{place} " in line and word in line for line in lines), (place, word)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("[recipe]\nas_published = 1\n", r"kid.toml:3 \[recipe\]: 'as_published' must be true or false, not 1"),
        ("[as_published]\nrecipe.as_published = true\n", r"kid.toml:3 \[as_published\]: only \[recipe\] itself"),
        ("as_published = 3\n", r"kid.toml:2: 'as_published' must be a table"),
        ("[as_publishd]\nstep.sum.weight = 1\n", r"unknown entry 'as_publishd.*Did you mean 'as_published'\?"),
        ("[matrix]\nrecipe.as_published = [true, false]\n", r"cannot be swept"),
    ],
)
def test_mistakes_about_the_switch(both: Path, here: Path, more: str, sentence: str) -> None:
    (here / "kid.toml").write_text(f'extends = "toy.toml"\n{more}')
    with pytest.raises(RecipeError, match=sentence):
        load(Path("kid.toml"))
        load(Path("kid.toml"), as_published=True)


def test_what_the_form_as_published_needs_is_kept(both: Path, here: Path, capsys) -> None:
    for words in ([], ["--as-published"]):
        assert pipe("run", "toy.toml", *words) == 0
    capsys.readouterr()
    assert pipe("cache", "gc", "--max-size", "0", "--keep-recipe", "toy.toml", "--json") == 0
    kept = json.loads(capsys.readouterr().out)["kept"].values()
    assert {"needed by toy/sum", "needed by toy-as_published/sum"} <= set(kept)
