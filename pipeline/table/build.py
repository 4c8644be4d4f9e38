"""Results and published numbers → tables, one per data set, every number with its warnings.

A number under other or unknown terms than its column's stands there with a warning, and is never the best of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.table.columns import Column, Wishes, check_wished, columns
from pipeline.table.families import best, family
from pipeline.table.published import Published, Value
from pipeline.table.report import MODEL, Number, Report
from pipeline.table.results import Result
from pipeline.table.terms import Terms, differences

GROUPS = (("model", "best sample", "reconstruction"), ("baseline",), ("published",))
"""Kinds of rows, and which of them stand together."""


@dataclass
class Cell:
    """A number. value, interval: as stored, in `terms.unit`; as printed where a source names no scale.

    mark: of the footnote that holds the warnings, or "".
    """

    value: float
    text: str
    terms: Terms
    warnings: list[str]
    interval: tuple[float, float] | None = None
    interval_text: str = ""
    mark: str = ""
    best: bool = False


@dataclass
class Row:
    """kind: a word of `GROUPS`. source: of a published row. mark: of the footnote that holds the source, or "".
    samples: of each sentence, over which the numbers are means, where motion was drawn."""

    kind: str
    model: str
    origin: str
    cells: Sequence[Cell | None]
    source: str = ""
    mark: str = ""
    samples: int = 0

    @property
    def label(self) -> str:
        return f"{self.model} ({self.origin})" if self.origin else self.model


@dataclass
class Table:
    """All that a form of output needs. sources, warnings: footnotes by mark."""

    dataset: str
    title: str
    columns: list[Column]
    rows: list[Row]
    sources: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)

    def groups(self) -> Iterator[list[Row]]:
        """Rows that belong together, for lines between them."""
        for kinds in GROUPS:
            if rows := [row for row in self.rows if row.kind in kinds]:
                yield rows


def build(results: Sequence[Result], files: Sequence[Published], wishes: Wishes) -> list[Table]:
    """A table per data set, in order of the results. RecipeError for a metric that no result has.

    A result that is not there has a row in the table of its data set; where its data set is not known, in the first.
    """
    reports = [result.report for result in results if result.report]
    check_wished(reports, wishes.metrics)
    datasets = list(dict.fromkeys(report.dataset for report in reports))
    by_dataset: dict[str, list[Result]] = {dataset: [] for dataset in datasets}
    for result in results:
        by_dataset.get(result.dataset or datasets[0], []).append(result)
    return [_table(dataset, mine, files, wishes) for dataset, mine in by_dataset.items()]


def _table(dataset: str, results: Sequence[Result], files: Sequence[Published], wishes: Wishes) -> Table:
    reports = [result.report for result in results if result.report]
    values = _published_values(dataset, files, wishes)
    chosen = columns(reports, values, files, wishes)
    spelling = {value.model.lower(): value.model for file in files for value in file.values}
    rows = [row for result in results for row in _own_rows(result, chosen, spelling)]
    if wishes.baselines:
        rows += _baselines(results, chosen)
    rows += _published_rows(values, chosen)
    table = Table(dataset, _title(reports[0], chosen), chosen, rows)
    _find_best(table)
    _mark(table)
    return table


def _title(report: Report, chosen: Sequence[Column]) -> str:
    size = [f"{chosen[0].terms.sequences} sequences"] if chosen else []
    return ", ".join([report.dataset, *report.splits, *size])


def _published_values(dataset: str, files: Iterable[Published], wishes: Wishes) -> list[Value]:
    if not wishes.published:
        return []
    mine = [value for file in files if file.dataset == dataset for value in file.values]
    return [value for value in mine if wishes.ablations or value.kind == "result"]


def _own_rows(result: Result, chosen: Sequence[Column], spelling: Mapping[str, str]) -> Iterator[Row]:
    """A result's row, and one of the best of its samples. spelling: a model's name in lower case → as its authors write
    it."""
    kind = "model" if result.hears else "reconstruction"
    name = spelling.get(result.model.lower(), result.model)
    cells = [_own_cell(result.report, MODEL, one) for one in chosen]
    yield Row(kind, name, result.origin, cells, samples=result.report.samples if result.report else 0)
    if result.report and (best := result.report.best_row):
        cells = [_own_cell(result.report, best, one) for one in chosen]
        if any(cells):
            yield Row("best sample", f"{name}, {best}", result.origin, cells)


def _baselines(results: Iterable[Result], chosen: Sequence[Column]) -> Iterator[Row]:
    """The baselines of every result; those with the same numbers once."""
    seen: list[tuple[str, list[float | None]]] = []
    for result in results:
        for name in result.report.baselines if result.report else ():
            cells = [_own_cell(result.report, name, one) for one in chosen]
            found = (name, [cell.value if cell else None for cell in cells])
            if any(cells) and found not in seen:
                again = any(other == name for other, _ in seen)
                seen.append(found)
                yield Row("baseline", name, result.origin if again else "", cells)


def _own_cell(report: Report | None, row: str, one: Column) -> Cell | None:
    number: Number | None = report.number(row, one.metric) if report else None
    if number is None or number.value is None:
        return None
    cell = Cell(number.value, one.scale.text(number.value), number.terms, differences(number.terms, one.terms))
    if number.interval:
        cell.interval = number.interval
        cell.interval_text = f"[{', '.join(one.scale.text(end) for end in number.interval)}]"
    return cell


def _published_rows(values: Sequence[Value], chosen: Sequence[Column]) -> Iterator[Row]:
    """A row per model and source, in the order of the files; those without a number in any column are left out."""
    by_row: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        by_row.setdefault((value.model, value.source), []).append(value)
    for (model, source), mine in by_row.items():
        cells = [_published_cell(one, mine, chosen) for one in chosen]
        if any(cells):
            yield Row("published", model, "published", cells, source)


def _published_cell(one: Column, values: Sequence[Value], chosen: Sequence[Column]) -> Cell | None:
    value = next((value for value in values if _place(value, chosen) is one), None)
    if value is None:
        return None
    stored = float(f"{value.value * (value.scale or 1.0):.12g}")  # 4.7914e-4, not 0.00047914000000000004
    text = one.scale.text(stored) if value.scale else one.scale.printed(value.value)
    return Cell(stored, text, value.terms, differences(value.terms, one.terms))


def _place(value: Value, chosen: Sequence[Column]) -> Column | None:
    """The column of the value's definition, else the first of its family."""
    exact = (one for one in chosen if one.metric == value.metric)
    related = (one for one in chosen if family(one.metric) == family(value.metric))
    return next(exact, None) or next(related, None)


def _find_best(table: Table) -> None:
    """Mark the best of what can be compared: models, ours and published, under the column's own terms."""
    for index, one in enumerate(table.columns):
        cells = [row.cells[index] for row in table.rows if row.kind in ("model", "published")]
        fair = [cell for cell in cells if cell and not cell.warnings]
        winner = best([cell.value for cell in fair], one.family.better)
        for cell in fair:
            cell.best = cell.value == winner


def _mark(table: Table) -> None:
    """Number the sources and letter the warnings, in order of appearance; equal ones share a mark."""
    sources: dict[str, str] = {}
    warnings: dict[str, str] = {}
    for row in table.rows:
        if row.source:
            row.mark = sources.setdefault(row.source, str(len(sources) + 1))
        for cell in row.cells:
            if cell and cell.warnings:
                cell.mark = warnings.setdefault("; ".join(cell.warnings), _letters(len(warnings)))
    table.sources = {mark: text for text, mark in sources.items()}
    table.warnings = {mark: text for text, mark in warnings.items()}


def _letters(index: int) -> str:
    """a, b, …, z, aa, ab, …"""
    word, index = "", index + 1
    while index:
        index, rest = divmod(index - 1, 26)
        word = chr(ord("a") + rest) + word
    return word
