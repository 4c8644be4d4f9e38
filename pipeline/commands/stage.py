"""`pipe stage NAME …`: one stage without a recipe, its options made from its parameters, in the same store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import execute, outputs
from pipeline import params as typed
from pipeline.errors import RecipeError
from pipeline.execute import Means
from pipeline.progress import reporter, table
from pipeline.recipe import Problems, Recipe, Step, declarations, instantiate
from pipeline.registry import load_stage, names, nearest
from pipeline.stored import choose, step_for
from pipeline.toml import shown
from pipeline.workspace import Workspace

Words = list[tuple[str, str | None]]
"""Option name → its word, None for a bare flag."""


def run(name: str, arguments: Sequence[str], workspace: Workspace, means: Means, seed: int) -> None:
    """Run one stage with options such as `--dataset vocaset --root DIR --input data=NAME`. `--data NAME` is the same,
    unless a parameter is called so."""
    if name.startswith("-"):
        usage = f"pipe stage NAME [OPTIONS]: name one of {', '.join(names('stages'))}; --help stands after it"
        if name not in ("--help", "-h"):
            raise RecipeError(usage)
        print(usage)
        return
    words = _words(arguments)
    if any(option in ("help", "h") for option, _ in words):
        print(help_text(name, words))
        return
    recipe = _recipe(name, words, workspace, seed)
    step = list(recipe.steps)[-1]
    execute.run(recipe, workspace, reporter(), execute.Choice(only=step), means)
    (place,) = outputs.places(workspace, recipe, recipe.steps[step])
    print(f"result: {shown(place)}")


def help_text(name: str, words: Words) -> str:
    """The options of a stage; a component that is named adds its own."""
    stage = load_stage(name)
    given = {option.replace("-", "_"): word for option, word in words if word is not None}
    params, _ = declarations(stage, given)
    rows = [(f"  --{p.name.replace('_', '-')}", _default(p), p.help + _choices(p)) for p in params.values()]
    slots = [
        f"  --input {slot}=NAME   {spec.kind}, by name of the artifact"
        + ("" if slot in params else f"; in short --{slot} NAME")
        for slot, spec in stage.inputs.items()
    ]
    intro = f"pipe stage {name}: makes {stage.output}. {(stage.__doc__ or '').strip().splitlines()[0]}"
    return "\n".join([intro, "", table(rows, ("option", "default", "")), *slots])


def _default(param: typed.Param) -> str:
    return "required" if param.required else str(param.default)


def _choices(param: typed.Param) -> str:
    words = param.choices or (tuple(names(param.component)) if param.component else ())
    return f" ({' | '.join(words)})" if words else ""


def _words(arguments: Sequence[str]) -> Words:
    words: Words = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-"):
            raise RecipeError(f"{word!r} has no option before it; write --NAME VALUE")
        option, equals, value = word.lstrip("-").partition("=")
        if equals:
            words.append((option, value))
        elif waiting and not waiting[0].startswith("--"):
            words.append((option, waiting.pop(0)))
        else:
            words.append((option, None))
    return words


def _recipe(name: str, words: Words, workspace: Workspace, seed: int) -> Recipe:
    stage_class = load_stage(name)
    texts, inputs = _sorted(words)
    params, components = declarations(stage_class, {key: text for key, text in texts.items() if text is not None})
    for slot in [key for key in texts if key in stage_class.inputs and key not in params]:
        named = texts.pop(slot) or ""
        if inputs.setdefault(slot, named) != named:
            raise RecipeError(f"--{slot} {named} and --input {slot}={inputs[slot]}: name the artifact once")
    problems = Problems(Path(f"pipe stage {name}"))

    def report(_: str, sentence: str) -> None:
        problems.add(sentence, None)

    for _, sentence in typed.unknown(texts, [*params, *stage_class.inputs], f"stage {name!r}").items():
        report("", sentence)
    given = {
        key: True if text is None else typed.from_text(text, params[key].type)
        for key, text in texts.items()
        if key in params
    }
    values = typed.with_paths_expanded(params, typed.fill(params, given, report))
    problems.stop()
    stage = instantiate(stage_class, components, values)
    for sentence in stage.check():
        report("", sentence)
    problems.stop()
    sources = _inputs(stage.slots(), inputs, workspace)
    wired = {slot: step.name for slot, step in sources.items()}
    step = Step(stage.name, stage, params, values, {}, wired, tuple(path for path, _ in components.values()))
    steps = {source.name: source for source in sources.values()} | {step.name: step}
    return Recipe("stage", Path(f"pipe stage {name}"), {"seed": seed}, steps, {})


def _sorted(words: Words) -> tuple[dict[str, str | None], dict[str, str]]:
    """Parameter words and `--input slot=NAME` words apart."""
    texts: dict[str, str | None] = {}
    inputs: dict[str, str] = {}
    for option, word in words:
        if option == "input":
            slot, equals, artifact = (word or "").partition("=")
            if not equals:
                raise RecipeError("--input must read SLOT=NAME; `pipe cache ls` shows the names")
            inputs[slot] = artifact
        else:
            key = option.replace("-", "_")
            texts[key] = f"{texts[key]},{word}" if texts.get(key) and word else word  # again: one more in a list
    return texts, inputs


def _inputs(slots: Mapping[str, Any], named: Mapping[str, str], workspace: Workspace) -> dict[str, Step]:
    for slot in named:
        if slot not in slots:
            known = ", ".join(slots) or "nothing"
            raise RecipeError(f"there is no input {slot!r}; the stage reads {known}.{nearest(slot, slots)}")
    wanted = {slot: spec for slot, spec in slots.items() if slot in named or not spec.optional}
    return {
        slot: step_for(slot, choose(slot, spec, workspace.store, named.get(slot, ""))) for slot, spec in wanted.items()
    }
