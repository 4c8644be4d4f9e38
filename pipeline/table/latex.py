"""A table in LaTeX, with booktabs (`\\usepackage{booktabs}`); the footnotes stand below it in the same float."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline.table.build import Cell, Row, Table
from pipeline.table.notes import notes

_WORDS = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "[": "{[}",  # after a line break a bare one would begin an option
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"$|$",
    "<": r"$<$",
    ">": r"$>$",
    "√": r"$\surd$",
    "²": r"$^{2}$",
    "×": r"$\times$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "·": r"$\cdot$",
}
_SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_SUPERSCRIPTS, "-0123456789")
_POWER = re.compile(f"10([⁻][{_SUPERSCRIPTS}]+|[{_SUPERSCRIPTS.replace('²', '')}][{_SUPERSCRIPTS}]*|²)")


def text(tables: Sequence[Table], *, interval: bool) -> str:
    """A table environment for each."""
    return "\n\n".join("\n".join(_lines(table, interval=interval)) for table in tables)


def _lines(table: Table, *, interval: bool) -> Iterator[str]:
    yield from (
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
    )
    yield rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', table.dataset)}}}"
    yield rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}"
    yield r"\toprule"
    heads = [escape(column.heading) for column in table.columns]
    yield _row(["", *heads])
    yield _row(["", *(escape(column.scale.heading) for column in table.columns)])
    for group in table.groups():
        yield r"\midrule"
        for row in group:
            yield _row([_label(row), *(_cell(cell, interval=interval) for cell in row.cells)])
    yield from (
        r"\bottomrule",
        r"\end{tabular}",
        "",
        r"\medskip",
        r"\begin{minipage}{\linewidth}",
        r"\footnotesize\raggedright",
    )
    for mark, sentence in notes(table, interval=interval):
        words = rf"\textsuperscript{{{escape(mark)}}}~{escape(sentence)}" if mark else escape(sentence)
        yield words + r"\par"
    yield from (r"\end{minipage}", r"\end{table}")


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\".lstrip()


def _label(row: Row) -> str:
    return escape(row.label) + (rf"\textsuperscript{{[{row.mark}]}}" if row.mark else "")


def _cell(cell: Cell | None, *, interval: bool) -> str:
    if cell is None:
        return "--"
    number = rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    mark = rf"\textsuperscript{{{cell.mark}}}" if cell.mark else ""
    return f"{number}{mark} {escape(cell.interval_text)}".strip() if interval else number + mark


def escape(words: str) -> str:
    """Text that LaTeX sets as it stands, powers of ten in mathematics."""
    parts = _POWER.split(words)
    return "".join(
        f"$10^{{{part.translate(_PLAIN)}}}$"
        if index % 2
        else "".join(_WORDS.get(character, character) for character in part)
        for index, part in enumerate(parts)
    )
