"""What `pipe data init` does with a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.errors import RecipeError
from pipeline.stage import replacing
from stages.datainit.propose import Proposal, propose
from stages.datainit.rows import Row
from stages.preprocess.own import DESCRIPTION
from stages.preprocess.own.writing import Draft, to_toml

RECIPE = "recipes/faceformer_own.toml"
USUAL_FPS = 30.0


def init(folder: Path, wishes: Mapping[str, str | float], *, dry: bool, yes: bool, as_json: bool) -> None:
    """Show what is in a folder and, if it is wanted, write its dataset.toml; the data are only read.

    Raises:
        DataError: there is no motion in it, or none can be read.
        RecipeError: there is a dataset.toml already, something must be said first, or nobody said yes.
    """
    file = folder / DESCRIPTION
    if file.exists() and not dry:
        raise RecipeError(f"{file} is there already; edit it, or remove it to begin anew (--dry-run only looks)")
    proposal = propose(folder, wishes)
    text = to_toml(proposal.draft) if proposal.draft else ""
    if as_json:
        facts = {
            "rows": [asdict(row) for row in proposal.rows],
            "file": str(file),
            "text": text,
            "written": bool(text and yes and not dry),
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        _show(proposal.rows)
    if not text:
        raise RecipeError("nothing is written: " + "; ".join(_missing(proposal)))
    if dry or (as_json and not yes):
        if not as_json:
            print(f"\n{file} would be:\n\n{text}", end="")
        return
    if yes or _agreed(file):
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        if not as_json:
            _tell_next(folder, proposal.draft)


def _missing(proposal: Proposal) -> Sequence[str]:
    return [f"{row.what}: {row.value} ({row.why})" for row in proposal.rows if row.stops]


def _agreed(file: Path) -> bool:
    if not sys.stdin.isatty():
        raise RecipeError(f"nothing is written: say --yes to have {file}, or --dry-run to see it")
    try:
        return input(f"\nWrite {file}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def _show(rows: Sequence[Row]) -> None:
    if not sys.stdout.isatty():
        width = max(len(row.what) for row in rows)
        for row in rows:
            print(f"{row.what:<{width}}  {row.value}{f'  ({row.why})' if row.why else ''}{'' if row.sure else '  <-'}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(row.what, row.value, row.why, style="" if row.sure else "yellow")
    Console().print(table)


def _tell_next(folder: Path, draft: Draft | None) -> None:
    rate = f" --set step.preprocess.fps={draft.fps:g}" if draft and (draft.fps / USUAL_FPS) % 1 else ""
    print(f"wrote {folder / DESCRIPTION}; what is unknown of licence and terms can be filled in there. Next:")
    print(f"  pipe data check {folder}")
    print(f"  pipe run {RECIPE} --set step.preprocess.root={folder}{rate}")
