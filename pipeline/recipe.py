"""A recipe: a small graph of steps, checked in full before anything heavy is imported.

`load` reads the file and its bases, applies `--set`, types every parameter by the stage that takes it, wires the
inputs and orders the steps; a `[matrix]` is opened into its variants (`pipeline.matrix`). All problems are gathered
and raised together as one `RecipeError`, each with file, line, table, key, the allowed values and the nearest spelling.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline import forms, needs, registry, toml
from pipeline import params as typed
from pipeline.errors import RecipeError
from pipeline.forms import AS_PUBLISHED, SWITCH, Form
from pipeline.needs import Needs
from pipeline.stage import Slot, Stage, Upstream
from pipeline.toml import Address, Leaf, Origin
from pipeline.wiring import Wiring, in_order, wire

RECIPE_KEYS = ("paper", "title", "seed", "name", "libraries", AS_PUBLISHED)
STEP_KEYS = ("stage", "inputs", "needs")
POLICIES = ("report", "strict")
"""What a recipe says of library versions, see `pipeline.libraries`."""


@dataclass(frozen=True)
class Step:
    """One use of a stage.

    name: its own in this recipe; "train@lr=1e-4" where variants of a matrix differ. values: parameter → typed value,
    component settings included. origins: parameter → where it was written; a parameter at its default has none.
    inputs: slot → step that fills it. seed: where it is not the recipe's. given_needs: what the recipe
    says of them.
    """

    name: str
    stage: Stage
    params: Mapping[str, typed.Param]
    values: Mapping[str, Any]
    origins: Mapping[str, Origin]
    inputs: Mapping[str, str]
    components: tuple[str, ...]
    seed: int | None = None
    given_needs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The name in the recipe's file."""
        return self.name.partition(AT)[0]

    @property
    def variant(self) -> str:
        """What sets it apart from its siblings in a matrix: "lr=1e-4", or ""."""
        return self.name.partition(AT)[2]

    @property
    def needs(self) -> Needs:
        """What it takes while it runs: as the stage says, or the recipe."""
        return self.stage.needs()._replace(**self.given_needs)


AT = "@"
"""Between a step's name and its variant; no name in a recipe has it."""


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `steps` are in an order in which they can run.

    variants: of a matrix: name → step as the file calls it → the step of `steps` that it is in this variant; variants
    that agree about a step share it. matrix: what is swept, "step.train.lr" → (values, where that is written).
    """

    name: str
    path: Path
    info: Mapping[str, Any]
    steps: Mapping[str, Step]
    leaves: Mapping[Address, Leaf] = field(repr=False)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    matrix: Mapping[Address, Leaf] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return int(self.info.get("seed", 0))

    @property
    def strict(self) -> bool:
        """Whether versions of libraries are part of keys."""
        return self.info.get("libraries") == "strict"

    def seed_of(self, step: Step) -> int:
        """The seed that a step runs with."""
        return self.seed if step.seed is None else step.seed

    def named(self, word: str) -> list[str]:
        """The steps that a user's word means: one, or all variants of one. RecipeError where there is none."""
        found = [word] if word in self.steps else [name for name, step in self.steps.items() if step.base == word]
        if not found:
            near = registry.nearest(word, self.steps)
            raise RecipeError(f"recipe {self.name} has no step {word!r}; it has {', '.join(self.steps)}.{near}")
        return found

    def upstream(self, step: Step) -> dict[str, Upstream]:
        """What a step's stage may know of the steps behind its slots."""
        found = {}
        for slot, source in step.inputs.items():
            behind = self.steps[source]
            found[slot] = Upstream(behind.base, behind.stage.label(self.upstream(behind)), behind.values)
        return found


class Problems:
    """Gathers sentences with their places."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[str] = []

    def add(self, sentence: str, origin: Origin | None, table: str = "") -> None:
        place = str(origin) if origin else toml.shown(self._path)
        self.found.append(f"{place}{f' [{table}]' if table else ''}: {sentence}")

    def stop(self) -> None:
        """Raise what was found, if anything."""
        if self.found:
            raise RecipeError("\n".join(self.found))


def load(
    path: Path,
    settings: Sequence[str] = (),
    *,
    tiny: bool = False,
    as_published: bool = False,
    variants: Sequence[str] = (),
) -> Recipe:
    """Read, check and wire a recipe. With a `[matrix]`, the steps of all its variants, each shared one once.

    Arguments:
        path: the TOML file.
        settings: `--set` words, "step.train.epochs=1".
        tiny: apply the recipe's `[tiny]` table, a minutes-long form of it that only proves that everything fits.
        as_published: apply its `[as_published]` table, below the tiny one: the paper's own way. So does the recipe
            that sets `as_published = true`; `--set` has the last word.
        variants: only these of a matrix, "lr=1e-4,seed=2"; "lr=1e-4" means all that have it. None: all.

    Raises:
        RecipeError: with a line for every problem.
    """
    registry.search(os.path.abspath(path.parent))
    leaves, overlays = forms.split(toml.read(path))
    leaves = _switched(leaves, settings, as_published=as_published)
    form = Form(tiny, SWITCH in leaves and leaves[SWITCH].value is True)
    leaves, fixed = forms.laid(path, leaves, overlays, form)
    for text in settings:
        leaves = _set(leaves, text)
    leaves = toml.expand(leaves)
    if any(address[0] == "matrix" for address in leaves):
        from pipeline import matrix  # few recipes have one

        return matrix.build(path, leaves, fixed, variants)
    if variants:
        raise RecipeError(f"--variant {variants[0]}: {toml.shown(path)} has no [matrix], so it has no variants")
    return build(path, leaves)


def _switched(leaves: dict[Address, Leaf], settings: Sequence[str], *, as_published: bool) -> dict[Address, Leaf]:
    """With the switch as it is to stand, which decides what lies below all other settings."""
    if as_published:
        leaves = forms.switched(leaves)
    for text in settings:
        if text.partition("=")[0].strip() == ".".join(SWITCH):
            leaves = _set(leaves, text)
    return leaves


def build(path: Path, leaves: dict[Address, Leaf]) -> Recipe:
    """A recipe from its leaves."""
    problems = Problems(path)
    info = _info(leaves, problems)
    names = list(dict.fromkeys(address[1] for address in leaves if address[0] == "step" and len(address) > 1))
    if not names:
        problems.add("has no steps; a recipe needs at least one [step.NAME] table", None)
    steps = {name: step for name in names if (step := _step(name, leaves, problems)) is not None}
    if len(steps) == len(names):
        wirings = {name: Wiring(name, step.stage, step.inputs) for name, step in steps.items()}
        wired = wire(wirings, lambda step, text: problems.add(text, _origin(leaves, ("step", step)), f"step.{step}"))
        problems.stop()
        order = in_order(wired, toml.shown(path))
        steps = {name: _with_inputs(steps[name], wired[name]) for name in order}
    problems.stop()
    return Recipe(str(info.get("name", path.stem)), path, info, steps, leaves)


def _set(leaves: dict[Address, Leaf], text: str) -> dict[Address, Leaf]:
    """Apply one --set. The type is the parameter's; a step or key that does not exist is reported by `build`."""
    place, equals, value = text.partition("=")
    address = tuple(part.strip() for part in place.strip().split("."))
    swept = address[0] == "matrix"
    if not equals or len(address) < 2 or not all(address):
        raise RecipeError(f"--set {text!r} must read step.NAME.PARAMETER=VALUE, for example step.train.epochs=1")
    target = address[1:] if swept else address
    if target[0] == "step" and len(target) > 1:
        steps = {other[1] for other in leaves if other[0] == "step"}
        if target[1] not in steps:
            known = ", ".join(sorted(steps))
            raise RecipeError(
                f"--set {text!r}: there is no step {target[1]!r}, only {known}.{registry.nearest(target[1], steps)}"
            )
    hint = _hint(leaves, target)
    typed_value = typed.from_text(value, list[hint] if swept else hint)  # type: ignore[valid-type]
    return toml.placed(leaves, address, Leaf(typed_value, toml.SET))


def _hint(leaves: Mapping[Address, Leaf], address: Address) -> Any:
    """The type that a --set value is meant to have; str where it cannot be told yet."""
    if address == ("recipe", "seed"):
        return int
    if address == SWITCH:
        return bool
    if address[0] == "step" and address[2:3] == ("needs",):
        return needs.HINTS.get(address[-1], str)
    if address[0] != "step" or len(address) != 3 or address[2] in STEP_KEYS:
        return str
    stage = leaves.get((*address[:2], "stage"))
    try:
        declared, _ = declarations(
            registry.load_stage(stage.value if stage else address[1]), _given(leaves, address[1])
        )
    except RecipeError:
        return str  # `build` says what is wrong with the stage
    return declared[address[2]].type if address[2] in declared else str


def _info(leaves: Mapping[Address, Leaf], problems: Problems) -> dict[str, Any]:
    info: dict[str, Any] = {}
    for address, leaf in leaves.items():
        if address[0] == "recipe" and len(address) == 2 and address[1] in RECIPE_KEYS:
            info[address[1]] = leaf.value
        elif address[0] == "recipe":
            bad = typed.unknown([".".join(address[1:])], RECIPE_KEYS, "a recipe")
            problems.add(next(iter(bad.values())), leaf.origin, "recipe")
        elif address[0] == "step" and (len(address) > 2 or (len(address) == 2 and leaf.value == {})):
            continue
        elif address[0] == "step":
            problems.add("a step is a table [step.NAME] with parameters, step.NAME.PARAMETER = VALUE", leaf.origin)
        else:
            known = ("extends", "recipe", "step", "matrix", *forms.TABLES)
            problems.add(
                f"unknown entry {'.'.join(address)!r}; a recipe has {', '.join(known)}."
                f"{registry.nearest(address[0], known)}",
                leaf.origin,
            )
    for word in [
        info.get("name", "x"),
        *{address[1] for address in leaves if address[0] == "step" and len(address) > 1},
    ]:
        if not re.fullmatch(r"\w[\w.-]*", str(word)):
            problems.add(f"{word!r} cannot be a name: it becomes a folder; use letters, digits, '_', '-' and '.'", None)
    _check_policy(info, leaves, problems)
    if type(info.get(AS_PUBLISHED, False)) is not bool:
        sentence = f"{AS_PUBLISHED!r} must be true or false, not {info[AS_PUBLISHED]!r}"
        problems.add(sentence, leaves[SWITCH].origin, "recipe")
    seed = info.get("seed", 0)
    if type(seed) is not int or seed < 0:
        problems.add(
            f"'seed' must be a whole number from 0 up, not {seed!r}", leaves["recipe", "seed"].origin, "recipe"
        )
    return info


def _check_policy(info: Mapping[str, Any], leaves: Mapping[Address, Leaf], problems: Problems) -> None:
    policy = info.get("libraries", POLICIES[0])
    if policy not in POLICIES:
        sentence = '\'libraries\' must be "report" (tell of other versions) or "strict" (they are part of keys)'
        problems.add(f"{sentence}, not {policy!r}", leaves["recipe", "libraries"].origin, "recipe")


def _given(leaves: Mapping[Address, Leaf], name: str) -> dict[str, Any]:
    """A step's plain keys and values; tables deeper down are joined again."""
    given: dict[str, Any] = {}
    for address, leaf in leaves.items():
        if address[:2] == ("step", name) and len(address) > 2:
            table = given
            for part in address[2:-1]:
                table = table.setdefault(part, {})
            table[address[-1]] = leaf.value
    return given


def _origin(leaves: Mapping[Address, Leaf], address: Address) -> Origin | None:
    return next((leaf.origin for other, leaf in leaves.items() if other[: len(address)] == address), None)


def _step(name: str, leaves: Mapping[Address, Leaf], problems: Problems) -> Step | None:
    given = _given(leaves, name)
    table = f"step.{name}"
    stage_name, inputs, given_needs = given.pop("stage", name), given.pop("inputs", {}), given.pop("needs", {})
    try:
        stage_class = registry.load_stage(stage_name)
        params, components = declarations(stage_class, given)
    except RecipeError as error:
        problems.add(str(error), _origin(leaves, ("step", name, "stage")) or _origin(leaves, ("step", name)), table)
        return None

    def report(key: str, sentence: str) -> None:
        problems.add(sentence, _origin(leaves, ("step", name, key)) or _origin(leaves, ("step", name)), table)

    for key, sentence in typed.unknown(given, (*params, *STEP_KEYS), f"stage {stage_name!r}").items():
        report(key, sentence)
    if not isinstance(inputs, dict) or not all(isinstance(step, str) for step in inputs.values()):
        report("inputs", "'inputs' must be a table of slot = \"step\"")
        inputs = {}
    before = len(problems.found)
    for key, sentence in needs.problems(given_needs).items():
        problems.add(sentence, _origin(leaves, ("step", name, "needs", *filter(None, [key]))), table)
    values = typed.with_paths_expanded(params, typed.fill(params, given, report))
    if len(problems.found) > before:
        return None
    stage = instantiate(stage_class, components, values)
    for sentence in stage.check():
        report(sentence.split()[0], sentence)  # sentences begin with the parameter they are about
    origins = {key: origin for key in params if (origin := _origin(leaves, ("step", name, key)))}
    paths = tuple(path for path, _ in components.values())
    return Step(name, stage, params, values, origins, inputs, paths, given_needs=given_needs)


Components = Mapping[str, tuple[str, type[Any] | None]]
"""component parameter → (dotted module, its Settings class if it has one)."""


def declarations(stage: type[Stage], given: Mapping[str, Any]) -> tuple[dict[str, typed.Param], Components]:
    """A stage's parameters together with those of the components that the given values name."""
    params = typed.declared(stage.Params)
    components: dict[str, tuple[str, type[Any] | None]] = {}
    for name, param in list(params.items()):
        value = given.get(name, param.default)
        if param.component and isinstance(value, str):
            path = registry.component_module(param.component, value)
            settings = getattr(registry.load_component(param.component, value), "Settings", None)
            components[name] = (path, settings)
            for key, extra in typed.declared(settings).items() if settings else ():
                if key in params:
                    raise RecipeError(f"{path} and stage {stage.name!r} both declare {key!r}; rename one of them")
                params[key] = extra
    return params, components


def instantiate(stage: type[Stage], components: Components, values: Mapping[str, Any]) -> Stage:
    """A stage with its typed parameters and the settings of its components."""
    own = {name: values[name] for name in typed.declared(stage.Params)}
    settings = {
        name: owner(**{key: values[key] for key in typed.declared(owner)})
        for name, (_, owner) in components.items()
        if owner is not None
    }
    return stage(stage.Params(**own), settings)


def _with_inputs(step: Step, inputs: Mapping[str, str]) -> Step:
    return replace(step, inputs=dict(inputs))


def slots(step: Step) -> Iterable[tuple[str, Slot, str]]:
    """(slot name, slot, step behind it) for the wired slots of a step."""
    for name, source in step.inputs.items():
        yield name, step.stage.inputs[name], source
