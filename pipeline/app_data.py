"""`pipe data …`: options only. What the commands do with faces is found through the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import AsPublished, Jobs, Json, Settings, Store, Tiny

data_app = typer.Typer(help="Look at data sets, describe and check your own.", no_args_is_help=True)


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
    settings: Settings = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    json: Json = False,
    store: Store = None,
) -> None:
    """What a prepared data set holds, on what terms, what was checked, what was skipped and why."""
    from pipeline.commands import data as command
    from pipeline.forms import Form
    from pipeline.workspace import Workspace

    form = Form(tiny, as_published)
    command.card(targets or [], Workspace.find(store), settings or [], form=form, as_json=json)


Folder = Annotated[Path, typer.Argument(help="A folder of recordings.", show_default=False)]


@data_app.command("init")
def init(
    folder: Folder,
    fps: Annotated[float, typer.Option(help="Frames per second of the motion; 0: told by the sound.", min=0)] = 0.0,
    units: Annotated[str, typer.Option(help="m, cm, mm, unit-area or unknown; else told by the size.")] = "",
    up: Annotated[str, typer.Option(help="x, y, z, -x, -y or -z, the top of the head; else told by the shape.")] = "",
    front: Annotated[str, typer.Option(help="The same for where the nose points.")] = "",
    splits: Annotated[str, typer.Option(help="subject, sentence or none; else by what there is.")] = "",
    pattern: Annotated[str, typer.Option(help='How files are called: "{subject}_{sentence}".')] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be written.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write it without asking.")] = False,
    json: Json = False,
) -> None:
    """Describe a folder of your own recordings: shows what is in it and writes its dataset.toml, nothing else."""
    from pipeline.registry import load_command

    wishes = {"fps": fps, "units": units, "up": up, "front": front, "splits": splits, "pattern": pattern}
    load_command("data init")(folder, wishes, dry=dry_run, yes=yes, as_json=json)


@data_app.command("check")
def check(
    folder: Annotated[
        Path, typer.Argument(help="With dataset.toml or sequences.json, or the root of --dataset.", show_default=False)
    ],
    dataset: Annotated[str, typer.Option(help="vocaset, biwi, …: the folder is its raw data.", metavar="NAME")] = "",
    jobs: Jobs = 0,
    json: Json = False,
) -> None:
    """Check data and say, like a compiler, what is wrong where and how to mend it; exit code 1 if there are errors."""
    from pipeline.registry import load_command

    if not load_command("data check")(folder, dataset, jobs=jobs, as_json=json):
        raise typer.Exit(1)
