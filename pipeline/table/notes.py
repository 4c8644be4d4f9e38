"""The lines below a table: what its columns are, where published numbers come from, and where definitions differ."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.table.build import Table

BEST = "bold: the best of those without a warning"
INTERVAL = "[low, high]: 95 % bootstrap interval of the mean"
SAMPLES = "motion is drawn: means over {count} samples of each sentence"
RECONSTRUCTION = "a motion prior's reconstruction of the truth: what its codes can say at best, not a competitor"


def notes(table: Table, *, interval: bool) -> Iterator[tuple[str, str]]:
    """(mark, sentence): "" for what concerns columns, "[1]" for a source, "a" for a warning."""
    for column in table.columns:
        yield "", column.legend()
    if any(cell.best for row in table.rows for cell in row.cells if cell):
        yield "", BEST
    if interval:
        yield "", INTERVAL
    for row in table.rows:
        if row.kind == "reconstruction":
            yield "", f"{row.label}: {RECONSTRUCTION}"
        if row.samples:
            yield "", f"{row.label}: {SAMPLES.format(count=row.samples)}"
    yield from ((f"[{mark}]", text) for mark, text in table.sources.items())
    yield from ((mark, text) for mark, text in table.warnings.items())
