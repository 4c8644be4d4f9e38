"""`[matrix]`: a recipe's sweep, opened into variants that share every step on which they agree.

Each variant is built and checked as if its values stood in the recipe; then the variants are joined into one recipe in
which a step occurs once for each set of swept values that it hangs on: `preprocess`, `train@lr=1e-4`,
`metrics@lr=1e-4,seed=2`. Steps so shared have equal keys by construction, since keys know neither recipes nor
variants. Mistakes of all variants are told together, with the file and line of the matrix.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cache import digest
from pipeline import recipe as recipes
from pipeline.errors import RecipeError
from pipeline.recipe import AT, Problems, Recipe, Step
from pipeline.registry import nearest
from pipeline.toml import SET, Address, Leaf, placed

LIMIT = 256
"""Variants of one recipe. More is more likely a slip of the pen than a plan."""

_NAME_LENGTH = 40

Pick = tuple[int, ...]
"""For every axis, which of its values."""


@dataclass(frozen=True)
class Axis:
    """One swept parameter: its values, and what each is called, "lr=1e-4"."""

    address: Address
    leaf: Leaf
    names: tuple[str, ...]

    @property
    def values(self) -> list[Any]:
        values: list[Any] = self.leaf.value
        return values


def build(path: Path, leaves: Mapping[Address, Leaf], fixed: Mapping[Address, str], wanted: Sequence[str]) -> Recipe:
    """The joined recipe of all variants, or of those `wanted`. fixed: what a form of the recipe sets → which form.

    Raises:
        RecipeError: with a line for every problem.
    """
    rest = {address: leaf for address, leaf in leaves.items() if address[0] != "matrix"}
    axes = _axes(path, leaves, rest, fixed)
    if not axes:
        return recipes.build(path, rest)
    built = _variants(path, rest, axes)
    return _joined(axes, built, _wanted(axes, built, wanted))


def _axes(
    path: Path, leaves: Mapping[Address, Leaf], rest: Mapping[Address, Leaf], fixed: Mapping[Address, str]
) -> list[Axis]:
    swept = {address[1:]: leaf for address, leaf in leaves.items() if address[0] == "matrix" and len(address) > 1}
    problems = Problems(path)
    if (whole := leaves.get(("matrix",))) is not None and whole.value != {}:
        problems.add("the matrix is a table of lists, step.NAME.PARAMETER = [first, second]", whole.origin)
    for address, leaf in swept.items():
        for sentence in _mistakes(address, leaf, rest, fixed):
            problems.add(sentence, leaf.origin, "matrix")
    problems.stop()
    count = math.prod(len(leaf.value) for leaf in swept.values())
    if count > LIMIT:
        sizes = " × ".join(str(len(leaf.value)) for leaf in swept.values())
        problems.add(f"makes {count} variants ({sizes}); {LIMIT} is the limit, sweep less at once", None, "matrix")
    problems.stop()
    return [Axis(address, leaf, _names(_label(address, swept), leaf.value)) for address, leaf in swept.items()]


def _mistakes(
    address: Address, leaf: Leaf, rest: Mapping[Address, Leaf], forms: Mapping[Address, str]
) -> Iterator[str]:
    """What is wrong with an entry, apart from what building its variants tells."""
    name, steps = ".".join(address), dict.fromkeys(other[1] for other in rest if other[0] == "step" and len(other) > 1)
    if address != ("recipe", "seed") and (address[0] != "step" or len(address) < 3):
        yield f"{name!r} cannot be swept; write recipe.seed or step.NAME.PARAMETER"
    elif address[0] == "step" and address[1] not in steps:
        yield f"there is no step {address[1]!r}; there are {', '.join(steps)}.{nearest(address[1], steps)}"
    if not isinstance(leaf.value, list):
        yield f"{name} must be a list of values to try, not {leaf.value!r}"
    elif not leaf.value:
        yield f"{name} is an empty list; name at least one value"
    elif twice := [value for at, value in enumerate(leaf.value) if _is_in(value, leaf.value[:at])]:
        yield f"{name} names {twice[0]!r} twice"
    fixed = rest.get(address)
    if fixed is not None and fixed.origin == SET:
        yield f"--set {name} fixes what the matrix sweeps; choose with --variant, or --set matrix.{name}=[…]"
    elif address in forms:
        yield f"[{forms[address]}] fixes {name}, which the matrix sweeps; shorten the matrix there: matrix.{name} = […]"


def _is_in(value: Any, others: Iterable[Any]) -> bool:
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in others)


def _label(address: Address, swept: Iterable[Address]) -> str:
    """The parameter's name, with its step's where another step's of the same name is swept too."""
    alike = [other for other in swept if other[-1] == address[-1]]
    return address[-1] if len(alike) == 1 else ".".join(address[1:])


def _names(label: str, values: Sequence[Any]) -> tuple[str, ...]:
    """What each value is called, in letters that a folder can have, and each otherwise."""
    names: list[str] = []
    for value in values:
        name = f"{label}={re.sub(r'[^A-Za-z0-9_.+-]+', '-', value_text(value)).strip('-')[:_NAME_LENGTH]}"
        names.append(name if name not in names else f"{name}~{len(names) + 1}")
    return tuple(names)


def value_text(value: Any) -> str:
    """A value as one would say it: 1e-4, true, lips+nose."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "+".join(map(value_text, value))
    if isinstance(value, float) and math.isfinite(value):
        return _short(value)
    return str(value)


def _short(value: float) -> str:
    """The shorter of the two ways to write a number: 0.5, 1e-4."""
    plain = repr(value).removesuffix(".0")
    scientific = next(text for digits in range(18) if float(text := f"{value:.{digits}e}") == value)
    mantissa, _, exponent = scientific.partition("e")
    return min(plain, f"{mantissa}e{int(exponent)}", key=len)


def _variants(path: Path, rest: Mapping[Address, Leaf], axes: Sequence[Axis]) -> dict[Pick, Recipe]:
    """Every variant, checked on its own; the mistakes of all of them at once."""
    built: dict[Pick, Recipe] = {}
    mistakes: dict[str, None] = {}
    for pick in itertools.product(*(range(len(axis.values)) for axis in axes)):
        leaves = dict(rest)
        for axis, index in zip(axes, pick, strict=True):
            leaves = placed(leaves, axis.address, Leaf(axis.values[index], axis.leaf.origin))
        try:
            built[pick] = recipes.build(path, leaves)
        except RecipeError as error:
            mistakes |= dict.fromkeys(str(error).splitlines())
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    return built


def _wanted(axes: Sequence[Axis], built: Iterable[Pick], words: Sequence[str]) -> list[Pick]:
    """The variants that the user's words mean: each word a name, or a part of one such as "lr=1e-4"."""
    picks = list(built)
    parts = [frozenset(part.strip() for part in word.split(",")) for word in words]
    found = [pick for pick in picks if not words or any(each <= set(_parts(axes, pick)) for each in parts)]
    for word, each in zip(words, parts, strict=True):
        if not any(each <= set(_parts(axes, pick)) for pick in picks):
            names = [_name(axes, pick) for pick in picks]
            several = f"{', '.join(names[:8])}{', …' if names[8:] else ''}"
            raise RecipeError(
                f"--variant {word}: there is none of that name; there are {several}.{nearest(word, names)}"
            )
    return found


def _parts(axes: Sequence[Axis], pick: Pick) -> list[str]:
    return [axis.names[index] for axis, index in zip(axes, pick, strict=True)]


def _name(axes: Sequence[Axis], pick: Pick) -> str:
    return ",".join(_parts(axes, pick))


def _joined(axes: Sequence[Axis], built: Mapping[Pick, Recipe], wanted: Sequence[Pick]) -> Recipe:
    first = next(iter(built.values()))
    identities = {pick: _identities(recipe) for pick, recipe in built.items()}
    counts = {step: _axes_of(step, identities, len(axes)) for step in first.steps}
    steps: dict[str, Step] = {}
    variants: dict[str, dict[str, str]] = {}
    for pick in wanted:
        parts = _parts(axes, pick)
        names = {step: AT.join([step, *_tail(parts, counts[step])]) for step in first.steps}
        variants[_name(axes, pick)] = names
        for step in built[pick].steps.values():
            inputs = {slot: names[source] for slot, source in step.inputs.items()}
            seed = built[pick].seed
            steps.setdefault(names[step.name], replace(step, name=names[step.name], inputs=inputs, seed=seed))
    matrix = {axis.address: axis.leaf for axis in axes}
    return Recipe(first.name, first.path, first.info, steps, first.leaves, variants, matrix)


def _tail(parts: Sequence[str], chosen: Sequence[int]) -> list[str]:
    return [",".join(parts[index] for index in chosen)] if chosen else []


def _axes_of(step: str, identities: Mapping[Pick, Mapping[str, str]], count: int) -> list[int]:
    """The axes that a step hangs on: those along which it changes while all others stand still."""
    found = []
    for axis in range(count):
        lines: dict[Pick, set[str]] = {}
        for pick, names in identities.items():
            lines.setdefault((*pick[:axis], *pick[axis + 1 :]), set()).add(names[step])
        if any(len(line) > 1 for line in lines.values()):
            found.append(axis)
    return found


def _identities(recipe: Recipe) -> dict[str, str]:
    """Step → a digest of all that sets it apart while planning: stage, values, seed, and those of the steps above."""
    found: dict[str, str] = {}
    for name, step in recipe.steps.items():
        stage, values = type(step.stage), sorted(step.values.items())
        above = [(slot, found[source]) for slot, source in sorted(step.inputs.items())]
        facts = (stage.__module__, stage.__qualname__, values, recipe.seed if stage.seeded else None, above)
        found[name] = digest.of_bytes(repr(facts).encode("utf-8", "surrogatepass"))
    return found
