"""A table in Markdown, as GitHub and most others render it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.table.build import Cell, Table
from pipeline.table.notes import notes

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\|*_`[]<>#"})


def text(tables: Sequence[Table], *, interval: bool) -> str:
    """All tables, each under its title."""
    return "\n\n".join("\n".join(_lines(table, interval=interval)) for table in tables)


def _lines(table: Table, *, interval: bool) -> Iterator[str]:
    yield f"**{escape(table.title)}**\n"
    heads = [column.heading for column in table.columns]
    units = [column.scale.heading for column in table.columns]
    yield _row(
        [
            "",
            *(
                f"{escape(head)}<br>{escape(unit)}" if unit else escape(head)
                for head, unit in zip(heads, units, strict=True)
            ),
        ]
    )
    yield _row([":--", *("--:" for _ in heads)])
    for row in table.rows:
        mark = f" {escape(f'[{row.mark}]')}" if row.mark else ""
        yield _row([escape(row.label) + mark, *(_cell(cell, interval=interval) for cell in row.cells)])
    yield ""
    for mark, sentence in notes(table, interval=interval):
        yield f"* {escape(f'{mark} {sentence}'.strip())}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell | None, *, interval: bool) -> str:
    if cell is None:
        return "–"
    number = f"**{cell.text}**" if cell.best else cell.text
    mark = f"<sup>{cell.mark}</sup>" if cell.mark else ""
    return f"{number}{mark} {escape(cell.interval_text)}".strip() if interval else number + mark


def escape(words: str) -> str:
    """Text in which no character has a meaning to Markdown."""
    return words.translate(_SPECIAL)
