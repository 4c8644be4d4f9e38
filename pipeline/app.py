"""The command line. Options only: what the commands do is in `pipeline.commands`, imported when one is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.app_cache import cache_app
from pipeline.app_data import data_app
from pipeline.app_infer import infer
from pipeline.app_regions import regions_app
from pipeline.app_remote import add
from pipeline.options import (
    AsPublished,
    Device,
    Jobs,
    Json,
    NoWait,
    NumberOfGpus,
    OneRecipe,
    OneStep,
    Outputs,
    Recipes,
    Remote,
    Settings,
    ShareGpu,
    Store,
    Tiny,
    Variants,
)

app = typer.Typer(
    name="pipe",
    help="Batch pipeline with stage caching for speech-driven 3D facial animation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipe_app = typer.Typer(help="Look at recipes.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")
app.add_typer(cache_app, name="cache")
app.add_typer(data_app, name="data")
app.add_typer(regions_app, name="regions")
add(cache_app)


def _show_version(wished: bool) -> None:
    if wished:
        from importlib import metadata

        print(metadata.version("facepipe"))
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Batch pipeline with stage caching for speech-driven 3D facial animation."""


@app.command()
def run(
    recipes: Recipes,
    settings: Settings = None,
    only: Annotated[str, typer.Option(help="Run this step alone.", metavar="STEP")] = "",
    start: Annotated[str, typer.Option("--from", help="Run this step and what hangs on it.", metavar="STEP")] = "",
    until: Annotated[str, typer.Option(help="Run this step and what it needs.", metavar="STEP")] = "",
    force: Annotated[list[str] | None, typer.Option(help="Run a step although it is cached.", metavar="STEP")] = None,
    variants: Variants = None,
    audit: Annotated[bool, typer.Option("--audit", help="Tell of files read that no stage declares.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would run.")] = False,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    device: Device = "auto",
    gpus: NumberOfGpus = 0,
    jobs: Jobs = 0,
    no_wait: NoWait = False,
    share_gpu: ShareGpu = False,
    store: Store = None,
    outputs: Outputs = None,
    remote: Remote = None,
    remote_mode: Annotated[
        str | None, typer.Option(help="rw: fetch and upload; ro: fetch; off [PIPE_REMOTE_MODE].", metavar="MODE")
    ] = None,
) -> None:
    """Bring recipes up to date: only what changed runs."""
    from pipeline.commands import run as command
    from pipeline.execute import Choice, Means
    from pipeline.forms import Form
    from pipeline.workspace import Workspace

    choice = Choice(only, start, until, frozenset(force or ()))
    workspace = Workspace.find(store, outputs, remote, remote_mode)
    means = Means(device, jobs, audit, share_gpu, not no_wait, gpus)
    form = Form(tiny, as_published)
    command.run(recipes, settings or [], workspace, choice, means, form=form, dry=dry_run, variants=variants or ())


app.command()(infer)


@app.command()
def status(
    recipes: Recipes,
    settings: Settings = None,
    variants: Variants = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    json: Json = False,
    store: Store = None,
) -> None:
    """How every step stands: cached, or to run and why."""
    from pipeline.commands import run as command
    from pipeline.forms import Form
    from pipeline.workspace import Workspace

    form = Form(tiny, as_published)
    command.status(recipes, settings or [], Workspace.find(store), form=form, as_json=json, variants=variants or ())


@app.command()
def why(
    recipe: OneRecipe,
    step: OneStep,
    settings: Settings = None,
    variants: Variants = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    json: Json = False,
    store: Store = None,
) -> None:
    """Why a step would run: what differs from the nearest earlier result, the root cause first."""
    from pipeline.commands import why as command
    from pipeline.recipe import load
    from pipeline.workspace import Workspace

    loaded = load(recipe, settings or [], tiny=tiny, as_published=as_published, variants=variants or ())
    command.why(loaded, step, Workspace.find(store), as_json=json)


@app.command()
def accept(
    recipe: OneRecipe,
    step: OneStep,
    reason: Annotated[str, typer.Option(help="Why the earlier result stands; goes on record.", metavar="TEXT")] = "",
    source: Annotated[str, typer.Option("--from", help="Which result, not the nearest.", metavar="ARTIFACT")] = "",
    even_inputs: Annotated[bool, typer.Option("--even-inputs", help="Although inputs changed; with --from.")] = False,
    settings: Settings = None,
    variants: Variants = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    store: Store = None,
    outputs: Outputs = None,
) -> None:
    """Take an earlier result for a step, although code or parameters changed: you know that it stands."""
    from pipeline.accept import Wish
    from pipeline.commands import why as command
    from pipeline.recipe import load
    from pipeline.workspace import Workspace

    loaded = load(recipe, settings or [], tiny=tiny, as_published=as_published, variants=variants or ())
    command.accept(loaded, step, Workspace.find(store, outputs), Wish(reason, source, even_inputs))


@app.command()
def graph(
    recipe: OneRecipe,
    settings: Settings = None,
    style: Annotated[str, typer.Option("--format", help="text, mermaid or dot.")] = "text",
    tiny: Tiny = False,
    as_published: AsPublished = False,
) -> None:
    """The steps of a recipe and what they read."""
    from pipeline.commands import run as command
    from pipeline.errors import RecipeError
    from pipeline.forms import Form

    if style not in ("text", "mermaid", "dot"):
        raise RecipeError(f"--format {style!r}: allowed are text, mermaid, dot")
    command.graph(recipe, settings or [], style=style, form=Form(tiny, as_published))


@app.command()
def table(
    results: Annotated[list[Path], typer.Argument(help="Recipes, or folders with a metrics.json.", show_default=False)],
    metric: Annotated[
        list[str] | None, typer.Option(help="A definition, or a family of them (again for more).", metavar="ID")
    ] = None,
    style: Annotated[str, typer.Option("--format", help="text, markdown, latex, csv or json.")] = "text",
    scale: Annotated[str, typer.Option(help="paper (×10⁻⁴ …), plain (the data's unit) or mm.")] = "paper",
    decimals: Annotated[int | None, typer.Option(help="How many.", show_default="by size", min=0, max=12)] = None,
    interval: Annotated[bool, typer.Option("--interval", help="With 95 % intervals.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines", help="With the faces that never listen.")] = False,
    published: Annotated[bool, typer.Option(help="With published numbers on the same data set.")] = True,
    ablations: Annotated[bool, typer.Option("--ablations", help="Published ablations and retrainings, too.")] = False,
    extra: Annotated[
        list[Path] | None, typer.Option("--with", help="Published numbers of your own.", metavar="FILE.toml")
    ] = None,
    settings: Settings = None,
    only: Variants = None,
    tiny: Tiny = False,
    as_published: AsPublished = False,
    store: Store = None,
) -> None:
    """Results beside each other and beside published ones, with a warning where definitions differ."""
    from pipeline.commands import table as command
    from pipeline.errors import RecipeError
    from pipeline.forms import Form
    from pipeline.table.columns import Wishes
    from pipeline.table.scale import WAYS
    from pipeline.workspace import Workspace

    for option, word, allowed in (("format", style, command.FORMATS), ("scale", scale, WAYS)):
        if word not in allowed:
            raise RecipeError(f"--{option} {word!r}: allowed are {', '.join(allowed)}")
    wishes = Wishes(tuple(metric or ()), scale, decimals, published, ablations, baselines, interval)
    form = Form(tiny, as_published)
    words = [*form.options, *(["--store", store] if store else [])]
    words += [word for name in only or () for word in ("--variant", name)]
    words += [word for setting in settings or () for word in ("--set", setting)]
    where = command.Where(Workspace.find(store), settings or [], form, words, only or ())
    command.table(results, where, wishes, style, extra or [])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def stage(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="preprocess, features, train, …", show_default=False)],
    device: Device = "auto",
    gpus: NumberOfGpus = 0,
    jobs: Jobs = 0,
    no_wait: NoWait = False,
    share_gpu: ShareGpu = False,
    seed: Annotated[int, typer.Option(help="What a recipe's seed is.")] = 0,
    store: Store = None,
    outputs: Outputs = None,
) -> None:
    """Run one stage without a recipe: pipe stage preprocess --dataset vocaset --root DIR (--help after the name)."""
    from pipeline.commands import stage as command
    from pipeline.execute import Means
    from pipeline.workspace import Workspace

    means = Means(device, jobs, share_gpu=share_gpu, wait=not no_wait, gpus=gpus)
    command.run(name, context.args, Workspace.find(store, outputs), means, seed)


@app.command()
def runs(
    recipe: Annotated[str, typer.Option(help="Only those of this recipe, by its name.", metavar="NAME")] = "",
    limit: Annotated[int, typer.Option(help="How many, the newest first; 0: all.", min=0)] = 20,
    json: Json = False,
    store: Store = None,
) -> None:
    """What was run: when, what became of it, how long it took."""
    from pipeline.commands import runs as command
    from pipeline.workspace import Workspace

    command.runs(Workspace.find(store), recipe, limit, as_json=json)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A name that `pipe runs` shows, a part of it, or last.", metavar="RUN")],
    json: Json = False,
    store: Store = None,
) -> None:
    """One run: its steps, why each ran, what it took; while it runs, how far it is."""
    from pipeline.commands import runs as command
    from pipeline.workspace import Workspace

    command.show(Workspace.find(store), run, as_json=json)


@app.command()
def bench(
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Only this network (again for more).", metavar="NAME")
    ] = None,
    size: Annotated[str, typer.Option(help="official, or small for a try.")] = "official",
    data: Annotated[str, typer.Option(help="Whose topology, frame rate and settings: vocaset or biwi.")] = "vocaset",
    seconds: Annotated[
        list[float] | None, typer.Option(help="Length of speech to animate [10 and 60] (again for more).")
    ] = None,
    batch: Annotated[int, typer.Option(help="Clips at once, beside one alone.", min=1)] = 8,
    repeats: Annotated[int, typer.Option(help="How often everything is timed.", min=1)] = 5,
    limit: Annotated[float, typer.Option(help="Seconds; what may take longer is left out.", min=0)] = 120.0,
    device: Device = "auto",
    jobs: Jobs = 0,
    json: Json = False,
) -> None:
    """How quickly networks train and speak on this machine, and what memory they take."""
    from pipeline.commands import bench as command

    wishes = {"size": size, "data": data, "seconds": seconds or [10.0, 60.0], "batch": batch, "repeats": repeats}
    if not command.bench(models or [], wishes | {"limit": limit, "device": device, "threads": jobs}, as_json=json):
        raise typer.Exit(1)


@app.command()
def doctor(store: Store = None) -> None:
    """What this machine can do and what is missing."""
    from pipeline.commands.doctor import doctor as command
    from pipeline.workspace import Workspace

    if not command(Workspace.find(store)):
        raise typer.Exit(1)


@app.command()
def config(json: Json = False) -> None:
    """What is set, and where: pipe.toml, the environment."""
    from pipeline.commands.config import config as command
    from pipeline.config import settings

    command(settings({}), as_json=json)


@recipe_app.command("ls")
def recipe_ls() -> None:
    """The recipes at hand."""
    from pipeline.commands import look

    look.recipe_ls()


@recipe_app.command("show")
def recipe_show(
    recipe: OneRecipe, settings: Settings = None, tiny: Tiny = False, as_published: AsPublished = False
) -> None:
    """The resolved recipe, with the origin of every value."""
    from pipeline.commands import look
    from pipeline.forms import Form

    look.recipe_show(recipe, settings or [], form=Form(tiny, as_published))


@recipe_app.command("check")
def recipe_check(recipes: Recipes) -> None:
    """Check recipes without running anything."""
    from pipeline.commands import look

    look.recipe_check(recipes)
