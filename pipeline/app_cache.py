"""`pipe cache …`: options only; what the commands do is in `pipeline.commands.cache` and `pipeline.commands.keep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import Json, Outputs, Store

cache_app = typer.Typer(help="Look at the store, check it, make room in it.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A name that `pipe cache ls` shows, or its beginning, or its key.", show_default=False)
]
Names = Annotated[list[str] | None, typer.Argument(help="Names; none: all artifacts.", show_default=False)]


@cache_app.command("ls")
def ls(
    stage: Annotated[str, typer.Option(help="Only what this stage made.")] = "",
    recipe: Annotated[str, typer.Option(help="Only what this recipe made.")] = "",
    sort: Annotated[str, typer.Option(help="name, size, used or made.")] = "name",
    json: Json = False,
    store: Store = None,
) -> None:
    """The artifacts of the store."""
    from pipeline.commands import cache as command
    from pipeline.workspace import Workspace

    command.ls(Workspace.find(store), stage=stage, recipe=recipe, sort=sort, as_json=json)


@cache_app.command("show")
def show(name: Name, json: Json = False, store: Store = None) -> None:
    """One artifact: how it was made, from what, and what was made from it."""
    from pipeline.commands import cache as command
    from pipeline.workspace import Workspace

    command.show(Workspace.find(store), name, as_json=json)


@cache_app.command("du")
def du(json: Json = False, store: Store = None) -> None:
    """The room that stages, recipes and leftovers take."""
    from pipeline.commands import cache as command
    from pipeline.workspace import Workspace

    command.du(Workspace.find(store), as_json=json)


@cache_app.command("verify")
def verify(
    names: Names = None,
    sample: Annotated[str, typer.Option(help="Read a share only: 1%, or 3/30 for the third thirtieth.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Read every byte (the default).")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Set damaged artifacts aside, mend the rest.")] = False,
    json: Json = False,
    store: Store = None,
) -> None:
    """Check artifacts against what was published; exit code 1 if anything is wrong."""
    from pipeline.commands import keep as command
    from pipeline.errors import RecipeError
    from pipeline.workspace import Workspace

    if full and sample:
        raise RecipeError("--full and --sample exclude each other")
    if not command.verify(Workspace.find(store), names or [], sample or "100%", mend=repair, as_json=json):
        raise typer.Exit(1)


@cache_app.command("gc")
def gc(
    max_size: Annotated[
        str, typer.Option("--max-size", help="Bring the store down to this: 200GB. Least recently used goes first.")
    ] = "",
    older_than: Annotated[str, typer.Option("--older-than", help="Drop what was not used for so long: 30d, 12h.")] = "",
    keep_recipe: Annotated[
        list[Path] | None, typer.Option("--keep-recipe", help="Keep all that it needs now (again for more).")
    ] = None,
    leftovers: Annotated[str, typer.Option(help="Age at which quarantine and abandoned work go.")] = "30d",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only shown.")] = False,
    json: Json = False,
    store: Store = None,
    outputs: Outputs = None,
) -> None:
    """Make room: shows what would go, and does it with --yes."""
    from pipeline.commands import keep as command
    from pipeline.workspace import Workspace

    limits = command.Limits(max_size, older_than, leftovers, tuple(keep_recipe or ()))
    if not command.gc(Workspace.find(store, outputs), limits, do=yes, as_json=json):
        raise typer.Exit(1)


@cache_app.command("pin")
def pin(name: Name, store: Store = None) -> None:
    """Keep an artifact whatever gc is told."""
    from pipeline.commands import cache as command
    from pipeline.workspace import Workspace

    command.pin(Workspace.find(store), name)


@cache_app.command("unpin")
def unpin(name: Name, store: Store = None) -> None:
    """Undo pin."""
    from pipeline.commands import cache as command
    from pipeline.workspace import Workspace

    command.unpin(Workspace.find(store), name)


@cache_app.command("export")
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="File to write, or a folder for it.", show_default=False)],
    store: Store = None,
) -> None:
    """Write one artifact to one file."""
    from pipeline.commands import keep as command
    from pipeline.workspace import Workspace

    command.export(Workspace.find(store), name, file)


@cache_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `pipe cache export` wrote.", show_default=False)],
    store: Store = None,
) -> None:
    """Take an exported artifact into the store."""
    from pipeline.commands import keep as command
    from pipeline.workspace import Workspace

    command.load(Workspace.find(store), file)
