"""`pipe table`: results of recipes, as they stand, beside each other and beside published numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipeError
from pipeline.forms import Form
from pipeline.recipe import load
from pipeline.table import published, records, results
from pipeline.table.build import Table, build
from pipeline.table.columns import Wishes
from pipeline.table.results import Result
from pipeline.workspace import Workspace

FORMATS = ("text", "markdown", "latex", "csv", "json")


@dataclass(frozen=True)
class Where:
    """Where results come from. options: those of the command that `pipe run` needs to make the same results."""

    workspace: Workspace
    settings: Sequence[str]
    form: Form
    options: Sequence[str]
    variants: Sequence[str] = ()


def table(paths: Sequence[Path], where: Where, wishes: Wishes, style: str, extra: Sequence[Path]) -> None:
    """Print the tables; what is missing is told on the error stream, so that the output stays a table.

    Raises:
        RecipeError: a recipe, a metrics file or a file of published numbers cannot be understood.
        PipeError: none of the results is there.
    """
    files = published.read_all(extra)
    found = [result for path in paths for result in _results(path, where)]
    missing = [result.missing for result in found if result.missing]
    if len(missing) == len(found):
        raise PipeError("\n".join(missing))
    show(build(found, files, wishes), style, wishes)
    for sentence in missing:
        print(sentence, file=sys.stderr)


def _results(path: Path, where: Where) -> list[Result]:
    if results.is_file(path):
        return [results.of_file(path)]
    recipe = load(path, where.settings, **where.form._asdict(), variants=where.variants)
    return results.of_recipe(recipe, where.workspace, words=where.options)


def show(tables: Sequence[Table], style: str, wishes: Wishes) -> None:
    """Print tables in one of `FORMATS`."""
    if style == "text":
        from pipeline.table import terminal

        terminal.show(tables, interval=wishes.interval)
    elif style in ("csv", "json"):
        print(records.as_csv(tables) if style == "csv" else records.as_json(tables))
    elif style == "markdown":
        from pipeline.table import markdown

        print(markdown.text(tables, interval=wishes.interval))
    else:
        from pipeline.table import latex

        print(latex.text(tables, interval=wishes.interval))
