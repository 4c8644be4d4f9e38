"""The stage `infer`: a trained network speaks the sentences of some splits, in one style or several.

Which styles is the rule of the papers: a subject of the training set speaks in its own; anyone else in that of every
training subject, one prediction each. The speech encoder runs once per sentence, however many styles follow. A network
without styles makes one prediction of each sentence; one that draws its motion makes as many as are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from models.sampling import LONG, SAMPLERS, Sampling
from pipeline.errors import RecipeError
from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.infer.styles import mistakes
from stages.kinds.checkpoint import (
    BEST,
    CONFIG,
    LAST,
    PRIOR,
    Checkpoint,
    draws_motion,
    makes_as_told,
    modules_behind,
    other_weights,
)
from stages.kinds.features import ENCODER
from stages.kinds.sequences import Sequences

RULES = ("published", "all", "own", "mean")
USUAL = Sampling()
DRAWING = ("samples", *(field.name for field in fields(Sampling)))
"""Parameters that only networks read whose motion is drawn."""


@dataclass(frozen=True)
class Params:
    splits: list[str] = param(
        ["test"], selects=True, help="whose sentences are spoken, by the data set's names of splits"
    )
    conditions: str | list[str] = param(
        "published",
        help="styles: 'published' (own if the subject was trained on, else all), 'all', 'own', 'mean', or a list of "
        "training subjects and mixtures such as 'F2:0.3+M3:0.7'; a network without styles speaks once, by every rule",
    )
    weights: str = param("best", choices=("best", "last"), help="by validation loss, or after the last epoch")
    context: int = param(
        0,
        low=0,
        help="models upon a motion prior: look back on this many frames only, an approximation that is linear in "
        "length; 0: all, exact",
    )
    window: float = param(
        0.0,
        low=0.0,
        help="seconds of speech, 1 or more, that the speech encoder hears at once, in overlapping windows: an "
        "approximation for hours of sound; 0: all, exact",
    )
    read_lips: bool = param(
        True,
        help="a network that reads lips writes what it reads off each motion, beside what was heard in the sound; it "
        "costs about half of what making the motion does",
    )
    at_once: int = param(
        8,
        low=1,
        exec=True,
        help="motions made together: a sentence's styles or samples, and sentences; fewer need less memory",
    )
    samples: int = param(
        1,
        low=1,
        help="networks that draw their motion: how many of each sentence, the first of the recipe's seed, the "
        "second of the next number, …",
    )
    sampler: str = param(
        USUAL.sampler,
        choices=SAMPLERS,
        help="networks that diffuse: ddim takes few steps; ancestral and renoise all that they learnt with, by the "
        "posterior's step, or noising the clean prediction anew",
    )
    steps: int = param(USUAL.steps, low=1, help="ddim only: how many steps")
    eta: float = param(USUAL.eta, low=0.0, high=1.0, help="ddim only: noise added on the way; 0: none, 1: as ancestral")
    guidance: float = param(
        USUAL.guidance,
        low=0.0,
        help="networks that diffuse: how far to go from motion without speech towards motion "
        "with it; 1: not beyond that",
    )
    long: str = param(
        USUAL.long,
        choices=LONG,
        help="networks that diffuse: speech longer than what they learnt from, as a whole or in overlapping windows; "
        "auto: windows where it is long",
    )

    @property
    def sampling(self) -> Sampling:
        return Sampling(**{field.name: getattr(self, field.name) for field in fields(Sampling)})


class Infer(Stage):
    """`checkpoint`, `sequences` and `features` → `predictions`."""

    name = "infer"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "checkpoint": Slot("checkpoint", uses=(BEST, LAST, PRIOR, CONFIG)),
        "data": Slot("sequences", uses=("templates.npz", "sequences.json")),
        "features": Slot("features"),
    }
    output = "predictions"
    seeded = True
    libraries = ("numpy", "torch", "transformers")

    def check(self) -> Iterable[str]:
        if isinstance(self.params.conditions, str) and self.params.conditions not in RULES:
            yield f"conditions = {self.params.conditions!r}: write {', '.join(RULES)}, or a list of training subjects"
        else:
            yield from mistakes(self.params.conditions)
        if 0 < self.params.window < 1:
            yield f"window = {self.params.window:g}: the speech encoder hears a second or more at once; 0 is all"
        yield from self._of_sampler()
        if not self.params.splits:
            yield "splits is empty: name at least one of the data set's"

    def _of_sampler(self) -> Iterable[str]:
        """A word that nothing reads is a mistake."""
        yield from self.params.sampling.problems()
        for name in ("steps", "eta") if self.params.sampler != "ddim" else ():
            if (value := getattr(self.params, name)) != (usual := getattr(USUAL, name)):
                yield f"{name} = {value:g} is read by sampler = 'ddim' only: set that, or {name} = {usual:g} as usual"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['checkpoint'].label}-{'-'.join(self.params.splits)}"

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the two weight files, only the one that speaks."""
        return tuple(part for part in super().uses(slot) if part != other_weights(self.params.weights))

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model behind the checkpoint, and the prior that it is built upon: editing them runs inference again.
        RecipeError for words that this model does not read."""
        self._check_drawing(upstream["checkpoint"])
        return modules_behind(upstream["checkpoint"])

    def _check_drawing(self, checkpoint: Upstream) -> None:
        usual = Params()
        needless = [name for name in DRAWING if getattr(self.params, name) != getattr(usual, name)]
        model = checkpoint.params["model"]
        if draws_motion(model):
            problems = self.params.sampling.problems(checkpoint.params.get("diffusion_steps"))
            if problem := next(iter(problems), None):
                raise RecipeError(f"{problem} (step {checkpoint.step!r})")
        elif needless:
            told = ", ".join(f"{name} = {getattr(self.params, name)!r}" for name in needless)
            raise RecipeError(
                f"{told}: the network of step {checkpoint.step!r} ({model}) draws nothing, and makes one motion of a "
                f"sentence and style; leave {' and '.join(needless)} out"
            )

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sentence: of its speech, its subject and that subject's template, and of its frames where the network makes
        as many; of all styles at once."""
        data, speech = Sequences(given["data"].path), given["features"]
        told = makes_as_told(Checkpoint(given["checkpoint"].path).config.model)

        def facts(name: str) -> list[Any]:
            subject = data.entry(name).subject
            own = [speech.item(name), subject, data.template_digests.get(subject)]
            return [*own, data.entry(name).frames] if told else own

        shared = [given["checkpoint"].content, speech.content.get(ENCODER)]
        return Items({name: facts(name) for name in data.ids_in(self.params.splits)}, shared)

    def run(self, job: Job) -> None:
        from stages.infer.speak import speak

        speak(job, self.params)
