"""`pipe data …`: options only. What the commands do with faces is found through the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.options import Json, Store

data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True)


@data_app.command("card")
def card(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of artifacts, folders that hold sequences.json, or recipes; none: all in the store.",
            metavar="[ARTIFACT|FOLDER|RECIPE]…",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    store: Store = None,
) -> None:
    """What a prepared data set holds, on what terms, what was checked, what was skipped and why."""
    from pipeline.commands import data as command
    from pipeline.workspace import Workspace

    command.card(targets or [], Workspace.find(store), as_json=json)
