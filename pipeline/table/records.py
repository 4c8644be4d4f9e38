"""A table for machines: a record per number, in the unit it is stored in, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.table.build import Table
from pipeline.table.terms import regions_text

FIELDS = (
    "dataset",
    "kind",
    "model",
    "origin",
    "metric",
    "value",
    "low",
    "high",
    "unit",
    "definition",
    "region",
    "average",
    "split",
    "sequences",
    "best",
    "source",
    "warnings",
)


def as_csv(tables: Sequence[Table]) -> str:
    """What is not known is an empty field."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_flat(record) for record in records(tables))
    return stream.getvalue().rstrip("\n")


def as_json(tables: Sequence[Table]) -> str:
    """A list of records; what is not known is null."""
    return json.dumps(list(records(tables)), indent=1, ensure_ascii=False)


def records(tables: Sequence[Table]) -> Iterator[dict[str, Any]]:
    """metric: of the column; definition: the number's own, None where its source does not state it."""
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if cell is None:
                    continue
                terms = cell.terms
                low, high = cell.interval or (None, None)
                region = None if terms.region is None else regions_text(terms.region)
                facts = (table.dataset, row.kind, row.model, row.origin, column.metric, cell.value, low, high)
                known = (terms.unit, terms.definition, region, terms.average, terms.split, terms.sequences)
                yield dict(zip(FIELDS, (*facts, *known, cell.best, row.source or None, cell.warnings), strict=True))


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    best = "yes" if record["best"] else "no"
    return record | {"best": best, "warnings": "; ".join(record["warnings"])}
