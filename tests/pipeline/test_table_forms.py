"""The forms of a table: what stands in a terminal, in Markdown and in LaTeX, and in what numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.table import latex, markdown, scale
from pipeline.table.families import Better, best, describe
from tests.pipeline.table_data import NUMBERS, number, report, write
from tests.pipeline.test_cli import pipe

METRIC = {metric: value / 10 for metric, value in NUMBERS.items()}


@pytest.fixture
def two(here: Path) -> None:
    """Results of two models on BIWI, and of one on VOCASET."""
    write(here / "a_1")
    write(here / "b", model="faceformer", numbers={metric: value * 1.2 for metric, value in NUMBERS.items()})
    write(here / "v", dataset="vocaset", units="m", splits=("test",), numbers=METRIC)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert pipe("table", *words) == 0
    return capsys.readouterr().out


def lines_of(text: str, start: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip().startswith(start)]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_all_of_it(two, capsys, monkeypatch, columns) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = shown(capsys, "a_1", "b", "--baselines")
    assert max(len(line) for line in text.splitlines()) <= columns
    assert "biwi, test-a, 24 sequences" in text
    assert lines_of(text, "CodeTalker (a_1)") == [
        ["CodeTalker", "(a_1)", "4.9000", "7.1000", "−3.2000", "3.9000", "0.812"]
    ]
    assert ["CodeTalker", "[2]", "4.7914", "–", "4.1170", "–", "–"] in lines_of(text, "CodeTalker [")
    assert ["HiSTalk", "[7]", "3.7554", "e", "–", "2.7129", "e", "–", "–"] in lines_of(text, "HiSTalk")
    assert "[7] HiSTalk; read in: its README" in text
    assert lines_of(text, "e   definition not stated; region not stated; averaging not stated; unit not")
    points = {
        line.index(".") for line in text.splitlines() if re.match(r" (CodeTalker|FaceFormer|HiSTalk) [\[(]", line)
    }
    assert len(points) == 1


def test_a_narrow_terminal_shows_blocks(two, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = shown(capsys, "a_1", "--interval", "--no-published")
    assert max(len(line) for line in text.splitlines()) <= 80
    rows = lines_of(text, "CodeTalker (a_1)")
    assert len(rows) > 1
    assert [word for row in rows for word in row[2:]] == ["4.9000", "7.1000", "−3.2000", "3.9000", "0.812"]
    assert "[4.4100, 5.3900]" in text
    assert "[low, high]: 95 % bootstrap interval of the mean" in text


def test_a_table_in_a_file_is_not_squeezed(two, capsys, monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = shown(capsys, "a_1", "--interval", "--no-published")
    assert len(lines_of(text, "CodeTalker (a_1)")) == 1


def test_vocaset_in_what_papers_print_and_in_millimetres(two, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    paper = lines_of(shown(capsys, "v", "--metric", "lve/codetalker", "--metric", "mve"), "CodeTalker (v)")
    assert paper == [["CodeTalker", "(v)", "4.9000", "0.7100"]]
    text = shown(capsys, "v", "--metric", "lve/codetalker", "--metric", "mve", "--scale", "mm")
    assert lines_of(text, "CodeTalker (v)") == [["CodeTalker", "(v)", "49.000", "0.7100"]]
    assert ["FaceFormer", "[1]", "11.696", "a", "–"] in lines_of(text, "FaceFormer [1]")
    plain = shown(capsys, "v", "--metric", "lve/codetalker", "--no-published", "--scale", "plain")
    assert lines_of(plain, "CodeTalker (v)") == [["CodeTalker", "(v)", "4.9e-05"]]


def test_a_number_without_a_scale_stands_as_printed(two, capsys) -> None:
    text = shown(capsys, "v", "--scale", "mm", "--metric", "lve/codetalker")
    (line,) = lines_of(text, "MemoryTalker")
    assert line[:3] == ["MemoryTalker", "[8]", "0.293"]
    assert "scale not stated, shown as printed" in text


def test_several_definitions_of_a_family_are_told_apart(two, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(capsys, "a_1", "--metric", "lve", "--no-published")
    assert text.splitlines()[2].split() == ["LVE", "↓", "LVE", "↓"]
    assert text.splitlines()[3].split() == ["codetalker", "unitalker"]
    assert "LVE unitalker: lve/unitalker, lips" in text
    heads = shown(capsys, "a_1", "--metric", "lve", "--no-published", "--format", "markdown").splitlines()[2]
    assert heads == "|  | LVE codetalker ↓<br>×10⁻⁴ √area² | LVE unitalker ↓<br>×10⁻⁴ √area² |"


def test_the_power_of_squared_lengths_is_not_that_of_lengths(here, capsys) -> None:
    write(here / "a", {**report(), "numbers": [number("mve/facediffuser", 0.0123, metric="lve/faceformer")]})
    text = shown(capsys, "a", "--metric", "lve", "--no-published")
    assert lines_of(text, "CodeTalker (a)") == [["CodeTalker", "(a)", "1.2300"]]
    assert lines_of(text, "×10") == [["×10⁻²"]]


def test_decimals_are_chosen(two, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = shown(capsys, "a_1", "--decimals", "1", "--no-published")
    assert lines_of(text, "CodeTalker (a_1)") == [["CodeTalker", "(a_1)", "4.9", "7.1", "−3.2", "3.9", "0.8"]]


def test_markdown(two, capsys) -> None:
    lines = shown(capsys, "a_1", "b", "--format", "markdown").splitlines()
    assert lines[0] == "**biwi, test-a, 24 sequences**"
    assert lines[2] == (
        "|  | LVE ↓<br>×10⁻⁴ √area² | MVE ↓<br>×10⁻³ √area | FDD →0<br>×10⁻⁵ √area² "
        r"| \|FDD\| ↓<br>×10⁻⁵ √area² | lip r ↑ |"
    )
    assert lines[3] == "| :-- | --: | --: | --: | --: | --: |"
    assert lines[4] == r"| CodeTalker (a\_1) | 4.9000 | **7.1000** | **−3.2000** | **3.9000** | 0.812 |"
    assert r"| CodeTalker (published) \[2\] | **4.7914** | – | 4.1170 | – | – |" in lines
    assert r"| HiSTalk (published) \[7\] | 3.7554<sup>e</sup> | – | 2.7129<sup>e</sup> | – | – |" in lines
    table = [re.sub(r"\\\|", "", line) for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}
    assert r"* \[7\] HiSTalk; read in: its README" in lines


def test_latex(two, capsys) -> None:
    text = shown(capsys, "a_1", "b", "--format", "latex")
    lines = text.splitlines()
    assert lines[:3] == [r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering"]
    assert r"\begin{tabular}{lrrrrr}" in lines
    assert r"CodeTalker (a\_1) & 4.9000 & \textbf{7.1000} & \textbf{$-$3.2000} & \textbf{3.9000} & 0.812 \\" in lines
    assert r"CodeTalker (published)\textsuperscript{[2]} & \textbf{4.7914} & -- & 4.1170 & -- & -- \\" in lines
    assert r"& $\times$$10^{-4}$ $\surd$area$^{2}$ &" in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {5}
    assert lines.index(r"\toprule") < lines.index(r"\midrule") < lines.index(r"\bottomrule")


def test_latex_is_balanced_and_plain(two, capsys) -> None:
    text = shown(capsys, "a_1", "v", "--format", "latex", "--ablations", "--interval", "--baselines")
    bare = re.sub(r"\\[\\{}$&%#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert all(ord(character) < 128 for character in text), sorted({c for c in text if ord(c) > 127})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a_b 95 % & more", r"a\_b 95 \% \& more"),
        (r"\x{#}$", r"\textbackslash{}x\{\#\}\$"),
        ("×10⁻⁵ m²", "$\\times$$10^{-5}$ m$^{2}$"),
        ("[0, 1]", "{[}0, 1]"),
    ],
)
def test_latex_escapes(words, expected) -> None:
    assert latex.escape(words) == expected


def test_markdown_escapes() -> None:
    assert markdown.escape("a_b|*c* [1] <i>") == r"a\_b\|\*c\* \[1\] \<i\>"


@pytest.mark.parametrize(
    ("way", "unit", "printed", "largest", "text", "heading"),
    [
        ("paper", "√area²", 1e-4, 4.79144e-4, "4.7914", "×10⁻⁴ √area²"),
        ("paper", "m²", 1e-5, 4.79144e-4, "47.914", "×10⁻⁵ m²"),
        ("paper", "m²", None, 4.79144e-8, "4.7914", "×10⁻⁸ m²"),
        ("paper", "mm", None, 1.5, "1.5000", "mm"),
        ("paper", "mm", None, 0.0, "0.0000", "mm"),
        ("paper", "", 1e-4, 0.98765, "0.988", ""),
        ("paper", "m²", 1e-5, 4.5e-8, "0.004500", "×10⁻⁵ m²"),
        ("mm", "m²", 1e-5, 4.79144e-4, "479.14", "mm²"),
        ("mm", "m/s", None, 0.0123456, "12.346", "mm/s"),
        ("mm", "√area", 1e-3, 7.1e-3, "7.1000", "×10⁻³ √area"),
        ("plain", "m²", 1e-5, 4.79144e-4, "0.00047914", "m²"),
        ("plain", "m²", 1e-5, 4.79144e-5, "4.7914e-05", "m²"),
        ("paper", "", None, 0.85, "0.850", ""),
        ("paper", "", None, 0.0012, "0.00120", ""),
        ("paper", "", None, 1.265e-4, "0.000127", ""),
        ("mm", "", None, 8.15e-5, "0.000082", ""),
    ],
)
def test_numbers_are_scaled_to_be_read(way, unit, printed, largest, text, heading) -> None:
    chosen = scale.choose(way, unit, printed, [largest, -largest / 3], None)
    assert (chosen.text(largest), chosen.heading) == (text, heading)


def test_a_minus_is_a_minus() -> None:
    assert scale.choose("paper", "m", None, [1.0], 2).text(-0.5) == "−0.50"
    assert scale.choose("paper", "m", None, [1.0], 2).text(-0.0001) == "0.00"


def test_best() -> None:
    assert best([3.0, 2.0], Better.LOWER) == 2.0
    assert best([0.3, 0.2], Better.HIGHER) == 0.3
    assert best([-1.0, 2.0, -3.0], Better.NEAR_ZERO) == -1.0
    assert best([1.0], Better.LOWER) is None
    assert best([1.0, 2.0], Better.NEITHER) is None
    assert describe("my_error/mine").heading == "my error"
    assert describe("my_error/mine").better is Better.NEITHER
