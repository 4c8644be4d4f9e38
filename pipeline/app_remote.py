"""`pipe cache push | pull`: options only; what the commands do is in `pipeline.commands.remote`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import AsPublished, Json, Remote, Settings, Store, Tiny

Artifacts = Annotated[
    list[str] | None, typer.Argument(help="As `pipe cache ls` shows them; none: all.", show_default=False)
]
OfRecipes = Annotated[
    list[Path] | None, typer.Option("--recipe", help="The steps of a recipe (again for more).", metavar="RECIPE")
]
Dry = Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be moved.")]


def push(
    names: Artifacts = None,
    recipes: OfRecipes = None,
    settings: Settings = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    dry_run: Dry = False,
    again: Annotated[bool, typer.Option("--again", help="Upload also what is there already.")] = False,
    json: Json = False,
    store: Store = None,
    remote: Remote = None,
) -> None:
    """Upload artifacts to the remote: those named, a recipe's, or all."""
    from pipeline.commands import remote as command
    from pipeline.forms import Form
    from pipeline.workspace import Workspace

    form = Form(tiny, as_published)
    wish = command.Wish(names or (), recipes or (), settings or (), form, dry_run, json, again)
    command.push(Workspace.find(store, remote=remote), wish)


def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Names or keys.", show_default=False)] = None,
    recipes: OfRecipes = None,
    settings: Settings = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    dry_run: Dry = False,
    json: Json = False,
    store: Store = None,
    remote: Remote = None,
) -> None:
    """Fetch artifacts from the remote: those named, or what a recipe lacks."""
    from pipeline.commands import remote as command
    from pipeline.forms import Form
    from pipeline.workspace import Workspace

    form = Form(tiny, as_published)
    wish = command.Wish(names or (), recipes or (), settings or (), form, dry_run, json)
    command.pull(Workspace.find(store, remote=remote), wish)


def add(cache_app: typer.Typer) -> None:
    """Both commands, as part of `pipe cache`."""
    cache_app.command("push")(push)
    cache_app.command("pull")(pull)
