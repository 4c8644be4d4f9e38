"""Recipes: what they may say, and one clear sentence for each thing they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import RecipeError
from pipeline.needs import size_of
from pipeline.recipe import load

TOY = "tests.pipeline.toy"


def change(here: Path, old: str, new: str) -> Path:
    text = (here / "toy.toml").read_text()
    assert old in text
    (here / "toy.toml").write_text(text.replace(old, new))
    return Path("toy.toml")


def test_values_defaults_origins_and_wires(here) -> None:
    recipe = load(Path("toy.toml"))
    assert list(recipe.steps) == ["read", "double", "sum"]
    assert recipe.seed == 7
    double = recipe.steps["double"]
    assert double.values["factor"] == 2.0
    assert double.values["mode"] == "plain"
    assert str(double.origins["factor"]) == "toy.toml:11"
    assert "mode" not in double.origins
    assert double.inputs == {"data": "read"}
    assert recipe.steps["sum"].inputs == {"left": "double"}  # the optional slot stays open


def test_extends_merges_leaf_by_leaf(here) -> None:
    (here / "child.toml").write_text('extends = "toy.toml"\n[recipe]\nname = "kid"\n[step.double]\nmode = "fancy"\n')
    recipe = load(Path("child.toml"))
    assert recipe.name == "kid"
    assert recipe.info["title"] == "numbers"
    assert recipe.steps["double"].values["factor"] == 2.0
    assert recipe.steps["double"].values["mode"] == "fancy"
    assert str(recipe.steps["double"].origins["mode"]) == "child.toml:5"
    assert str(recipe.steps["double"].origins["factor"]) == "toy.toml:11"


def test_set_is_typed_by_the_parameter(here) -> None:
    recipe = load(Path("toy.toml"), ["step.double.factor=3", "step.read.offset=4", "recipe.seed=9"])
    assert recipe.steps["double"].values["factor"] == 3.0
    assert type(recipe.steps["double"].values["factor"]) is float
    assert recipe.steps["read"].values["offset"] == 4
    assert str(recipe.steps["read"].origins["offset"]) == "--set"
    assert recipe.seed == 9


def test_set_text_needs_no_quotes(here) -> None:
    assert load(Path("toy.toml"), ["step.double.mode=fancy"]).steps["double"].values["mode"] == "fancy"


def test_tiny_form(here) -> None:
    assert load(Path("toy.toml"), tiny=True).steps["double"].values["factor"] == 1.0
    change(here, "[tiny]\nstep.double.factor = 1.0\n", "")
    with pytest.raises(RecipeError, match=r"no \[tiny\] table"):
        load(Path("toy.toml"), tiny=True)


def test_environment_in_paths(here, monkeypatch) -> None:
    change(here, '"numbers.txt"', '"${TOY_NUMBERS:-other.txt}"')
    assert load(Path("toy.toml")).steps["read"].values["file"] == "other.txt"
    monkeypatch.setenv("TOY_NUMBERS", "/data/n.txt")
    assert load(Path("toy.toml")).steps["read"].values["file"] == "/data/n.txt"
    change(here, "${TOY_NUMBERS:-other.txt}", "${TOY_UNSET}")
    with pytest.raises(RecipeError, match="TOY_UNSET"):
        load(Path("toy.toml"))


BAD = [
    ("factor = 2.0", "facter = 2.0", r"toy.toml:11 \[step.double\]: unknown key 'facter' .* Did you mean 'factor'\?"),
    ("factor = 2.0", 'factor = "two"', r"toy.toml:11 .*'factor' must be a number, not 'two'"),
    ("factor = 2.0", "factor = nan", r"toy.toml:11 .*finite"),
    ("factor = 2.0", 'mode = "fency"', r"toy.toml:11 .*allowed: plain, fancy. Did you mean 'fancy'\?"),
    ('file = "numbers.txt"', "", r"\[step.read\]: 'file' must be given"),
    ('file = "numbers.txt"', 'file = "numbers.txt"\noffset = -1', r"toy.toml:8 .*outside the range 0 to 100"),
    ('file = "numbers.txt"', 'file = "numbers.txt"\noffset = 1.5', r"'offset' must be a whole number, not 1.5"),
    ('file = "numbers.txt"', 'file = "numbers.txt"\noffset = true', r"'offset' must be a whole number, not True"),
    (f"{TOY}:Double", f"{TOY}:Doubel", r"toy.toml:10 \[step.double\].*is no stage"),
    (f"{TOY}:Double", "no.such.module:X", r"'no.such.module' cannot be imported"),
    (f"{TOY}:Double", "preproces", r"unknown stage 'preproces'; .*Did you mean 'preprocess'\?"),
    ("factor = 2.0", 'inputs = { data = "reed" }', r"names step 'reed', which does not exist. Did you mean 'read'\?"),
    ("factor = 2.0", 'inputs = { data = "sum" }', r"takes numbers, but step 'sum' makes total"),
    ("factor = 2.0", 'inputs = { dta = "read" }', r"no input 'dta'; it has data. Did you mean 'data'\?"),
    ('[step.read]\nstage = "tests.pipeline.toy:Read"\nfile = "numbers.txt"\n', "", r"needs numbers, and no step makes"),
    (
        "[step.sum]",
        f'[step.read2]\nstage = "{TOY}:Read"\nfile = "x"\n[step.sum]',
        r"could come from read or read2; say",
    ),
    ("seed = 7", "seed = -1", r"toy.toml:3 \[recipe\]: 'seed' must be a whole number from 0 up"),
    ("seed = 7", 'seed = "x"', r"toy.toml:3 \[recipe\]: 'seed' must be a whole number"),
    ("seed = 7", 'seed = 7\nname = "../x"', r"'../x' cannot be a name"),
    ("[step.sum]", '[step."a/b"]', r"'a/b' cannot be a name"),
    ("seed = 7", "sed = 7", r"toy.toml:3 \[recipe\]: unknown key 'sed' .*Did you mean 'seed'\?"),
    ("[tiny]", "[stepp.x]\ny = 1\n[tiny]", r"unknown entry 'stepp.x.y'.* Did you mean 'step'\?"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD, ids=[b[2][:40] for b in BAD])
def test_a_mistake_is_named_with_its_place(here, old, new, sentence) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load(change(here, old, new))


def test_all_mistakes_are_told_at_once(here) -> None:
    change(here, "factor = 2.0", 'facter = 2.0\nmode = "no"')
    change(here, 'file = "numbers.txt"', "offset = 1.5")
    with pytest.raises(RecipeError) as caught:
        load(Path("toy.toml"))
    assert len(str(caught.value).splitlines()) == 4


def test_a_circle_is_spelt_out(here) -> None:
    (here / "round.toml").write_text(
        f'[step.a]\nstage = "{TOY}:Echo"\ninputs = {{ data = "b" }}\n'
        f'[step.b]\nstage = "{TOY}:Echo"\ninputs = {{ data = "a" }}\n'
    )
    with pytest.raises(RecipeError, match=r"round.toml: .* in a circle: a → b → a"):
        load(Path("round.toml"))


def test_files_that_are_not_recipes(here) -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe absent.toml; `pipe recipe ls`"):
        load(Path("absent.toml"))
    (here / "torn.toml").write_text("[step.a\n")
    with pytest.raises(RecipeError, match=r"torn.toml is not valid TOML: .*line 1"):
        load(Path("torn.toml"))
    (here / "empty.toml").write_text("")
    with pytest.raises(RecipeError, match="no steps"):
        load(Path("empty.toml"))
    with pytest.raises(RecipeError, match="is a folder"):
        load(here)
    (here / "self.toml").write_text('extends = "self.toml"')
    with pytest.raises(RecipeError, match="extends itself"):
        load(Path("self.toml"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("step.duble.factor=1", "no step 'duble', only double, read, sum. Did you mean 'double'"),
        ("step.double.facter=1", "unknown key 'facter'"),
        ("step.double.factor=big", "'factor' must be a number, not 'big'"),
        ("factor", "must read step.NAME.PARAMETER=VALUE"),
    ],
)
def test_bad_set(here, text, sentence) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load(Path("toy.toml"), [text])


def test_set_knows_the_stage_that_a_step_is_named_after() -> None:
    recipe = load(Path(__file__).parents[2] / "recipes/quickstart.toml", ["step.train.epochs=3"])
    assert recipe.steps["train"].values["epochs"] == 3


def test_an_empty_table_is_a_step_with_all_defaults(here) -> None:
    change(here, '[step.sum]\nstage = "tests.pipeline.toy:Sum"\n', "[step.echo]\n")
    with pytest.raises(RecipeError, match=r"unknown stage 'echo'"):
        load(Path("toy.toml"))


def test_an_empty_table_hides_nothing_of_the_base(here) -> None:
    (here / "child.toml").write_text('extends = "toy.toml"\n[step.double]\n')
    assert load(Path("child.toml")).steps["double"].values["factor"] == 2.0


@pytest.mark.parametrize("text", ["[[step]]\nx = 1\n", "step = 3\n", "[step]\nread = 3\n"])
def test_steps_that_are_no_tables(here, text) -> None:
    (here / "odd.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"a step is a table \[step.NAME\]"):
        load(Path("odd.toml"))


def test_a_byte_order_mark_is_no_mistake(here) -> None:
    (here / "toy.toml").write_bytes(b"\xef\xbb\xbf" + (here / "toy.toml").read_bytes())
    assert load(Path("toy.toml")).seed == 7


def test_a_base_that_is_not_there(here) -> None:
    (here / "child.toml").write_text('extends = "absent.toml"\n')
    with pytest.raises(RecipeError, match=r"child.toml extends absent.toml, which does not exist"):
        load(Path("child.toml"))


def test_set_takes_the_place_of_an_unset_variable(here) -> None:
    change(here, '"numbers.txt"', '"${TOY_UNSET_TOO}"')
    assert load(Path("toy.toml"), ["step.read.file=x"]).steps["read"].values["file"] == "x"
    with pytest.raises(RecipeError, match=r"toy.toml:7: \$\{TOY_UNSET_TOO\} is not set"):
        load(Path("toy.toml"))


def test_a_check_of_the_stage_is_placed_at_its_parameter(here) -> None:
    change(here, "factor = 2.0", 'factor = 2.0\nmode = "fancy"\nroot = "plain"')
    with pytest.raises(RecipeError, match=r"toy.toml:12 \[step.double\]: mode 'fancy' takes no root"):
        load(Path("toy.toml"))


def test_a_stage_beside_the_recipe_is_found(here) -> None:
    (here / "sub").mkdir()
    source = (Path(__file__).parent / "toy.py").read_text()
    (here / "sub" / "beside_toy.py").write_text(source)
    text = (here / "toy.toml").read_text().replace("tests.pipeline.toy", "beside_toy")
    (here / "sub" / "toy.toml").write_text(text)
    assert list(load(Path("sub/toy.toml")).steps) == ["read", "double", "sum"]


def test_a_stage_whose_module_fails(here) -> None:
    (here / "broken_toy.py").write_text("def f(:\n")
    with pytest.raises(RecipeError, match=r"module 'broken_toy' fails to import: SyntaxError"):
        load(change(here, f"{TOY}:Double", "broken_toy:Double"))
    with pytest.raises(RecipeError, match=r"3 is no name of a stage"):
        load(change(here, '"broken_toy:Double"', "3"))


def test_needs_of_a_step_and_what_a_recipe_says_of_them(here) -> None:
    steps = load(Path("toy.toml")).steps
    assert (steps["read"].needs.gpu, steps["read"].needs.threads) == (0, "all")
    (here / "needs.toml").write_text('extends = "toy.toml"\n[step.sum]\nneeds = { gpu = 1, memory = "1.5 GiB" }\n')
    needs = load(Path("needs.toml"), ["step.sum.needs.threads=any", "step.sum.needs.gpu=2"]).steps["sum"].needs
    assert (needs.gpu, needs.bytes, needs.threads) == (2, 1_610_612_736, "any")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("needs = 3", "needs.toml:3 [step.sum]: needs must be a table"),
        ("\nneeds.gpus = 1", "needs.toml:4 [step.sum]: needs has no 'gpus'; it has gpu, memory, threads"),
        ("needs = { gpu = -1 }", "needs.gpu must be a whole number from 0 up, not -1"),
        ("needs = { gpu = true }", "needs.gpu must be a whole number from 0 up, not True"),
        ('needs = { memory = "much" }', "needs.memory must be a size such as \"8GB\", not 'much'"),
        ('needs = { threads = "some" }', 'needs.threads must be "all" or "any", not \'some\''),
        ("needs = { threads = [1] }", "needs.threads must be"),
    ],
)
def test_needs_that_cannot_be(here, line, sentence) -> None:
    (here / "needs.toml").write_text(f'extends = "toy.toml"\n[step.sum]\n{line}\n')
    with pytest.raises(RecipeError) as caught:
        load(Path("needs.toml"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8_000_000_000), ("500 MB", 500_000_000), ("1KiB", 1024), ("2kB", 2000), ("7B", 7)]
)
def test_sizes(text, size) -> None:
    assert size_of(text) == size
