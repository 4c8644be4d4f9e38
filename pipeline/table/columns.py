"""Which columns a table has: definitions of metrics, each with the terms that its numbers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import RecipeError
from pipeline.registry import nearest
from pipeline.table import scale
from pipeline.table.families import MAIN, Family, describe, family
from pipeline.table.published import Published, Value
from pipeline.table.report import MODEL, Report
from pipeline.table.terms import AVERAGES, Terms, regions_text


@dataclass(frozen=True)
class Wishes:
    """What the user wants to see.

    metrics: ids or families; none for the main families. way: one of `scale.WAYS`. decimals: None for a choice by the
    numbers. ablations: published ablations and retrainings, too.
    """

    metrics: tuple[str, ...] = ()
    way: str = "paper"
    decimals: int | None = None
    published: bool = True
    ablations: bool = False
    baselines: bool = False
    interval: bool = False


@dataclass(frozen=True)
class Column:
    """One definition. terms: those of the first result that has it; numbers under others get a warning.

    variant: the definition's name within its family, where the table has more of the family; else "".
    """

    metric: str
    variant: str
    family: Family
    terms: Terms
    scale: scale.Scale

    @property
    def name(self) -> str:
        """ "LVE", "LVE unitalker"."""
        return f"{self.family.heading} {self.variant}".strip()

    @property
    def heading(self) -> str:
        """The name and which way is better."""
        return f"{self.name} {self.family.better}".strip()

    def legend(self) -> str:
        """What the numbers of the column are."""
        over = [] if self.terms.region is None else [regions_text(self.terms.region)]
        return f"{self.name}: {', '.join([self.metric, *over, AVERAGES[self.terms.average or 'sequences']])}"


def check_wished(reports: Sequence[Report], wished: Iterable[str]) -> None:
    """RecipeError, with the nearest spelling, for a metric that no report has."""
    there = _metrics(reports)
    known = [*dict.fromkeys(map(family, there)), *there]
    for word in wished:
        if word not in known:
            raise RecipeError(f"no result has a metric {word!r}; there are {', '.join(there)}.{nearest(word, known)}")


def chosen_metrics(reports: Sequence[Report], wished: Sequence[str]) -> list[str]:
    """Ids of the columns: of a family that is wished for, all; of each main family, the one that most reports have."""
    there = _metrics(reports)
    if wished:
        return list(dict.fromkeys(metric for word in wished for metric in there if word in (metric, family(metric))))
    by_family = {name: [metric for metric in there if family(metric) == name] for name in MAIN}
    spread = {metric: sum(report.number(MODEL, metric) is not None for report in reports) for metric in there}
    return [max(metrics, key=spread.__getitem__) for metrics in by_family.values() if metrics]


def _metrics(reports: Iterable[Report]) -> list[str]:
    return list(dict.fromkeys(number.metric for report in reports for number in report.numbers))


def columns(
    reports: Sequence[Report], values: Sequence[Value], files: Sequence[Published], wishes: Wishes
) -> list[Column]:
    """The columns of the table of one data set; a definition for which no model has a number has none.

    Arguments:
        reports: the results on the data set.
        values: the published numbers that will stand beside them, for the choice of decimals.
        files: all published files, for what papers print a family in.
    """
    metrics = chosen_metrics(reports, wishes.metrics)
    found = (_column(metric, reports, values, files, wishes) for metric in metrics)
    there = [column for column in found if column is not None]
    alike = Counter(family(column.metric) for column in there)
    return [
        replace(column, variant=column.metric.partition("/")[2]) if alike[family(column.metric)] > 1 else column
        for column in there
    ]


def _column(
    metric: str, reports: Sequence[Report], values: Iterable[Value], files: Sequence[Published], wishes: Wishes
) -> Column | None:
    numbers = [(number, report.units) for report in reports if (number := report.number(MODEL, metric))]
    sizes = [number.value for number, _ in numbers if number.value is not None]
    if not sizes:
        return None
    first, units = next((number, units) for number, units in numbers if number.value is not None)
    sizes += [value.value * value.scale for value in values if value.scale and value.metric == metric]
    described, unit = describe(metric), first.terms.unit or ""
    printed = _printed(family(metric), reports[0].dataset, units, files)
    if described.squared and "²" not in unit:  # lve/faceformer is a distance: its family's power of ten is another's
        printed = None
    shown = scale.choose(wishes.way, unit, printed, sizes, wishes.decimals)
    return Column(metric, "", described, first.terms, shown)


def _printed(name: str, dataset: str, units: str, files: Sequence[Published]) -> float | None:
    """What papers print a family in: on this data set, or on one in the same unit."""
    ranked = sorted(files, key=lambda file: file.dataset != dataset)
    return next((file.scale[name] for file in ranked if file.units == units and name in file.scale), None)
