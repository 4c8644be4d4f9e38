"""Which step fills which input slot, and in what order the steps can run.

A slot is filled as the recipe says, or, where it says nothing and the slot is not optional, by the one step that makes
the right kind. Two candidates are an error that names them: a recipe must not depend on a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.errors import RecipeError
from pipeline.registry import nearest
from pipeline.stage import Slot, Stage

Report = Callable[[str, str], None]
"""Called with (step, sentence) for each problem."""


@dataclass(frozen=True)
class Wiring:
    """A step as far as wiring goes. `given`: slot → step, as the recipe says."""

    name: str
    stage: Stage
    given: Mapping[str, str]


def wire(steps: Mapping[str, Wiring], report: Report) -> dict[str, dict[str, str]]:
    """Step → slot → the step that fills it. Problems go to `report`."""
    wired: dict[str, dict[str, str]] = {}
    for name, step in steps.items():
        slots = step.stage.slots()
        for slot in step.given:
            if slot not in slots:
                report(name, _no_slot(step.stage, slot, list(slots)))
        found = {slot: _source(step, slot, spec, steps, report) for slot, spec in slots.items()}
        wired[name] = {slot: source for slot, source in found.items() if source}
    return wired


def _no_slot(stage: Stage, slot: str, known: list[str]) -> str:
    """What is said of an input that a stage never has, or does not read with these parameters."""
    there = ", ".join(known) or "none"
    if slot in stage.inputs:
        return f"stage {stage.name!r} reads no input {slot!r} as its parameters stand; it reads {there}."
    return f"stage {stage.name!r} has no input {slot!r}; it has {there}.{nearest(slot, known)}"


def _source(step: Wiring, slot: str, spec: Slot, steps: Mapping[str, Wiring], report: Report) -> str:
    if slot in step.given:
        return _given_source(step, slot, spec, steps, report)
    if spec.optional:
        return ""
    makers = [name for name, other in steps.items() if other.stage.output == spec.kind and name != step.name]
    if len(makers) == 1:
        return makers[0]
    if not makers:
        report(step.name, f"input {slot!r} needs {spec.kind}, and no step makes them; add a step that does")
    else:
        report(
            step.name,
            f'input {slot!r} could come from {" or ".join(makers)}; say which: inputs.{slot} = "{makers[-1]}"',
        )
    return ""


def _given_source(step: Wiring, slot: str, spec: Slot, steps: Mapping[str, Wiring], report: Report) -> str:
    source = step.given[slot]
    if source not in steps:
        report(step.name, f"input {slot!r} names step {source!r}, which does not exist.{nearest(source, steps)}")
        return ""
    made = steps[source].stage.output
    if made != spec.kind:
        report(step.name, f"input {slot!r} takes {spec.kind}, but step {source!r} makes {made}")
        return ""
    return source


def in_order(wired: Mapping[str, Mapping[str, str]], recipe: str) -> list[str]:
    """The steps, each after those it reads from, else as written. RecipeError on a cycle, which it spells out."""
    order: list[str] = []

    def visit(step: str, chain: tuple[str, ...]) -> None:
        if step in chain:
            circle = " → ".join([*chain[chain.index(step) :], step])
            raise RecipeError(f"{recipe}: the steps read from each other in a circle: {circle}; cut one of the inputs")
        if step not in order:
            for source in wired[step].values():
                visit(source, (*chain, step))
            order.append(step)

    for step in wired:
        visit(step, ())
    return order


def ancestors(wired: Mapping[str, Mapping[str, str]], step: str) -> set[str]:
    """The step and everything it is made from."""
    found = {step}
    for source in wired[step].values():
        found |= ancestors(wired, source)
    return found


def descendants(wired: Mapping[str, Mapping[str, str]], step: str) -> set[str]:
    """The step and everything made from it."""
    found = {step}
    for name in in_order(wired, ""):
        if found & set(wired[name].values()):
            found.add(name)
    return found
