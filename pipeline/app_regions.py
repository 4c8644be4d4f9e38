"""`pipe regions …`: options only; what the commands do knows of faces, and is found through the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import Json, Store

regions_app = typer.Typer(help="Regions of the face: what is published, and yours on their mesh.", no_args_is_help=True)


@regions_app.command("ls")
def ls(
    topology: Annotated[str, typer.Argument(help="flame or biwi; none: all.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """The published sets: entries, different vertices, digests, where each is to be had."""
    from pipeline.registry import load_command

    load_command("regions ls")(topology, as_json=json)


@regions_app.command("show")
def show(
    what: Annotated[
        str,
        typer.Argument(
            help="A topology (synthetic, flame, …), a mesh file, or what preprocess made: an artifact or a folder.",
            metavar="TOPOLOGY|MESH|ARTIFACT|FOLDER",
            show_default=False,
        ),
    ],
    regions: Annotated[
        list[Path] | None, typer.Option(help="A file of regions, or a folder of them (again for more).", metavar="PATH")
    ] = None,
    mesh: Annotated[Path | None, typer.Option(help="The mesh of a topology that is named.", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures [regions-…].", metavar="DIR")] = None,
    size: Annotated[int, typer.Option(help="Pixels a side of each picture.", min=64, max=4096)] = 512,
    json: Json = False,
    store: Store = None,
) -> None:
    """Each region on the mesh as a picture, with name, entries, digest and the published set that it is."""
    from pipeline.registry import load_command

    load_command("regions show")(what, regions or [], mesh, out, size, store, as_json=json)
