"""`pipe infer`: options only."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.options import AsPublished, Device, Jobs, NoWait, Outputs, Settings, ShareGpu, Store, Tiny

Target = Annotated[
    str,
    typer.Argument(
        help="A recipe that has been trained, a checkpoint by its name in the store or by its folder, or a released "
        "file of a paper (.pth, .pth.tar, .pt).",
        metavar="RECIPE|CHECKPOINT",
        show_default=False,
    ),
]


def infer(
    target: Target,
    audio: Annotated[
        str, typer.Option("--audio", "-a", help="Sound: a wav, flac, mp3, ogg, m4a, …, or a folder.", metavar="PATH")
    ] = "",
    subject: Annotated[
        str, typer.Option(help="Whose face: a subject's name, or a neutral mesh (.ply, .obj).", metavar="NAME|MESH")
    ] = "",
    style: Annotated[
        list[str] | None,
        typer.Option(
            help="A training subject, all, mean, own, or a mixture A:0.3+B:0.7 (again for more).", metavar="S"
        ),
    ] = None,
    style_from: Annotated[
        str,
        typer.Option(
            "--style-from",
            help="Fit a new style to a clip: motion (.npy) with its sound beside it, or a folder of such.",
            metavar="CLIP",
        ),
    ] = "",
    render: Annotated[bool, typer.Option("--render", help="Videos with the sound, too.")] = False,
    out: Annotated[
        str,
        typer.Option(
            help="Copy results there, else links in outputs/infer; with --stream an .npy file.", metavar="DIR"
        ),
    ] = "",
    weights: Annotated[str, typer.Option(help="best or last; else the recipe's.", metavar="W")] = "",
    samples: Annotated[
        int, typer.Option(help="Of a network that draws its motion: how many of each sound; else the recipe's.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Number of the first sample; the next have the next.", min=0)] = 0,
    prior: Annotated[str, typer.Option(help="A released first stage, where one is needed.", metavar="FILE")] = "",
    fps: Annotated[float, typer.Option(help="Of a released file that does not tell.", min=0.0)] = 0.0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Sound from standard input, frames to standard output as it comes.")
    ] = False,
    ahead: Annotated[
        float | None,
        typer.Option(help="--stream: seconds of sound to wait for beyond a frame, else 0.4; below 0: all."),
    ] = None,
    hop: Annotated[float | None, typer.Option(help="--stream: seconds of motion made at a time, else 0.2.")] = None,
    settings: Settings = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would run.")] = False,
    device: Device = "auto",
    jobs: Jobs = 0,
    no_wait: NoWait = False,
    share_gpu: ShareGpu = False,
    store: Store = None,
    outputs: Outputs = None,
) -> None:
    """Let a face speak your sound: pipe infer recipes/quickstart.toml --audio hello.wav --render

    A second call with another style reruns inference and rendering only; a new file in the folder costs that file only.
    """
    from pipeline.commands import infer as command
    from pipeline.errors import RecipeError
    from pipeline.execute import Means
    from pipeline.forms import Form
    from pipeline.trained import Wanted
    from pipeline.workspace import Workspace

    if weights not in ("", "best", "last"):
        raise RecipeError(f"--weights {weights!r}: write best or last")
    wanted = Wanted(target, settings or [], Form(tiny, as_published), prior, fps)
    wish = command.Wish(audio, subject, style or [], weights, render, out, style_from, samples, seed)
    means = Means(device, jobs, share_gpu=share_gpu, wait=not no_wait)
    workspace = Workspace.find(store, outputs)
    if stream and dry_run:
        raise RecipeError("--stream keeps nothing and has no plan to show: leave --dry-run out")
    if stream and style_from:
        raise RecipeError(
            "--style-from fits a style to files, and --stream keeps nothing: fit it with --audio, then stream from the "
            "checkpoint style/… that `pipe cache ls` shows"
        )
    if stream and (samples or seed):
        raise RecipeError("--samples and --seed are for files, and a stream is spoken once: leave them out")
    if stream:
        from pipeline.commands import infer_stream

        infer_stream.run(wanted, wish, workspace, means, infer_stream.Pace(ahead, hop))
    elif ahead is not None or hop is not None:
        raise RecipeError("--ahead and --hop say how a stream is heard: give --stream, too")
    else:
        command.run(wanted, wish, workspace, means, dry=dry_run)
