"""A table for a terminal, by Rich: as wide as that, and wide enough for any row where there is none."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pipeline.table.build import Cell, Row, Table
from pipeline.table.notes import notes

ABSENT = "–"
_WIDTH_OF_A_FILE = 160
_LABELS, _PADDING = 24, 3
"""Columns of the terminal that models need at least; blanks around a number."""


def show(tables: Sequence[Table], *, interval: bool) -> None:
    """Print the tables with their footnotes."""
    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, markup=False, width=None if told else _WIDTH_OF_A_FILE)
    for table in tables:
        console.print(Text(f"{table.title}\n", style="bold"))
        columns = [_Cells(table, index, interval=interval) for index in range(len(table.columns))]
        labels = max(len(word) for row in table.rows for word in str(_label(row)).split())
        for block in _blocks(columns, console.width - max(labels + _PADDING, _LABELS)):
            console.print(_grid(table, block))
            console.print()
        for mark, sentence in notes(table, interval=interval):
            console.print(_note(mark, sentence, console.width))
        console.print()


def _blocks(columns: Sequence[_Cells], width: int) -> Iterator[list[_Cells]]:
    """Columns that fit beside each other: a narrow terminal shows them in several blocks rather than cut."""
    block: list[_Cells] = []
    for column in columns:
        if block and sum(other.width for other in [*block, column]) > width:
            yield block
            block = []
        block.append(column)
    if block:
        yield block


def _grid(table: Table, columns: Sequence[_Cells]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False)
    grid.add_column(overflow="fold")
    for column in columns:
        grid.add_column(column.head(), no_wrap=True)
    for group in table.groups():
        if group[0].kind == "published":
            grid.add_row(Text("published", style="dim"))
        for row in group:
            cells = (column.cell(row.cells[column.index]) for column in columns)
            grid.add_row(_label(row), *cells, end_section=row is group[-1])
    return grid


class _Cells:
    """A column's texts, all of one width, so that decimal points stand below each other whatever has a mark."""

    def __init__(self, table: Table, index: int, *, interval: bool) -> None:
        self.index, column = index, table.columns[index]
        cells = [cell for row in table.rows if (cell := row.cells[index])]
        name = f"{column.family.heading} {column.family.better}".strip()
        self._head = [name, *filter(None, [column.variant]), *column.scale.heading.split()]
        self._interval = interval
        intervals = [cell.interval_text for cell in cells] if interval else []
        self._width = max(len(text) for text in [*self._head, *(cell.text for cell in cells), *intervals])
        self._marks = max((len(cell.mark) + 1 for cell in cells if cell.mark), default=0)
        self.width = self._width + self._marks + _PADDING

    def head(self) -> Text:
        return Text("\n".join(line.rjust(self._width) for line in self._head))

    def cell(self, cell: Cell | None) -> Text:
        """The number and its mark; the interval below."""
        if cell is None:
            return Text(ABSENT.rjust(self._width))
        text = Text(cell.text.rjust(self._width), style="bold" if cell.best else "")
        text.append(f" {cell.mark}".ljust(self._marks) if cell.mark else "", style="yellow not bold")
        if self._interval and cell.interval_text:
            text.append(f"\n{cell.interval_text.rjust(self._width)}", style="dim not bold")
        return text


def _label(row: Row) -> Text:
    return Text(f"{row.model} [{row.mark}]" if row.mark else row.label)


def _note(mark: str, sentence: str, width: int) -> Text:
    """A footnote whose lines stay right of its mark."""
    indent = f" {mark:<3} " if mark else " "
    return Text(textwrap.fill(sentence, width, initial_indent=indent, subsequent_indent=" " * len(indent)))
