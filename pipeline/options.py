"""Options that several groups of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipes = Annotated[list[Path], typer.Argument(help="Recipe files.", show_default=False)]
OneRecipe = Annotated[Path, typer.Argument(help="A recipe file.", show_default=False)]
OneStep = Annotated[str, typer.Argument(help="A step of it.", show_default=False)]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Change a value: step.train.epochs=1 (again for more).", metavar="K=V")
]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="Only these of a sweep: lr=1e-4,seed=2 (again for more).", metavar="NAME"),
]
Tiny = Annotated[bool, typer.Option("--tiny", help="The recipe's tiny form, to see in minutes that everything fits.")]
AsPublished = Annotated[
    bool, typer.Option("--as-published", help="The form as published: the released code's own loop, slower than ours.")
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Store = Annotated[str | None, typer.Option(help="Folder of the store [PIPE_STORE, .pipe].", show_default=False)]
Outputs = Annotated[str | None, typer.Option(help="Folder for links to results [PIPE_OUTPUTS, outputs].")]
Remote = Annotated[str | None, typer.Option(help="Address of the remote [PIPE_REMOTE].", metavar="URL")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail where another process makes the same now.")]
NumberOfGpus = Annotated[
    int, typer.Option("--gpus", help="GPUs that share a training; 0: what the recipe says.", metavar="N", min=0)
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Threads for all steps together; 0: one per processor.", min=0)]
ShareGpu = Annotated[bool, typer.Option("--share-gpu", help="Steps and other runs may be on one GPU at once.")]
