"""In whose manner a sentence is spoken: a training subject's, several, or a mixture of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StageError
from pipeline.registry import nearest

MIXTURE = re.compile(r"\s*(?P<subject>[^\s:+]+)\s*:\s*(?P<weight>[-.\deE]+)\s*")

MEAN = "mean"


@dataclass(frozen=True)
class Style:
    """name: as files are called after it. weights: training subject → share."""

    name: str
    weights: Mapping[str, float]

    def row(self, subjects: Sequence[str]) -> list[float]:
        """Its row over the training subjects."""
        return [self.weights.get(subject, 0.0) for subject in subjects]


def styles_of(
    rule: str | Sequence[str], subject: str, subjects: Sequence[str], where: Path, *, styled: bool = True
) -> list[Style]:
    """The styles in which a sentence of `subject` is spoken.

    "published": a subject of the training set in its own, anyone else in each of them; "all"; "own"; "mean": the even
    mixture of all; or a list of names, mixtures and "mean". A network without styles, `styled` false, speaks once, by
    every rule; that motion is called "mean".

    Raises:
        StageError: the rule cannot be followed, or a name is not among the training subjects.
    """
    if not styled:
        return _only(rule, subjects, where)
    if not isinstance(rule, str):
        return _named(rule, subjects, where)
    if rule == MEAN:
        return [_mean(subjects)]
    if rule == "all" or (rule == "published" and subject not in subjects):
        return [Style(name, {name: 1.0}) for name in subjects]
    if subject not in subjects:
        raise StageError(
            f"conditions = 'own', and {subject} was not trained on: write 'published', 'all' or 'mean', or name styles"
        )
    return [Style(subject, {subject: 1.0})]


def _mean(subjects: Sequence[str]) -> Style:
    return Style(MEAN, dict.fromkeys(subjects, 1 / len(subjects)))


def _only(rule: str | Sequence[str], subjects: Sequence[str], where: Path) -> list[Style]:
    named = [] if isinstance(rule, str) else [text for text in rule if text != MEAN]
    if named:
        raise StageError(
            f"conditions names {', '.join(named)}, and the network in {where} has no styles: it speaks a sentence in "
            "one manner only; leave conditions out"
        )
    return [_mean(subjects)]


def _named(wanted: Sequence[str], subjects: Sequence[str], where: Path) -> list[Style]:
    even = {MEAN: _mean(subjects)} if MEAN not in subjects else {}
    styles = [even.get(text) or style_of(text) for text in dict.fromkeys(wanted)]
    unknown = [name for style in styles for name in style.weights if name not in subjects]
    if unknown or not wanted:
        meant = "".join(dict.fromkeys(nearest(name, subjects) for name in unknown))
        raise StageError(
            f"conditions names {', '.join(unknown) or 'nobody'}; {where} was trained on {', '.join(subjects)}."
            f"{meant or ' Name one of these.'}"
        )
    names = [style.name for style in styles]
    if twice := [name for name in names if names.count(name) > 1]:
        raise StageError(f"conditions names two styles whose files would be called {twice[0]}: leave one out")
    return styles


def style_of(text: str) -> Style:
    """ "F2", or "F2:0.3+M3:0.7", whose name is "F2-0.3+M3-0.7": no file may have a colon in some systems.

    Weights add up to 1; one may be negative, which leads away from a subject. StageError for anything else.
    """
    if ":" not in text:
        return Style(text, {text: 1.0})
    parts = [MIXTURE.fullmatch(part) for part in text.split("+")]
    weights = {part["subject"]: _number(part["weight"]) for part in parts if part}
    if len(weights) < len(parts) or not math.isclose(sum(weights.values()), 1.0, abs_tol=1e-6):
        raise StageError(
            f"conditions names {text!r}: write a mixture as SUBJECT:WEIGHT+SUBJECT:WEIGHT, each subject once and the "
            "weights adding up to 1"
        )
    return Style("+".join(f"{name}-{weight:g}" for name, weight in weights.items()), weights)


def mistakes(rule: str | Sequence[str]) -> Iterator[str]:
    """What can be said against a list of conditions before anything is known of the training subjects."""
    for text in [] if isinstance(rule, str) else rule:
        try:
            style_of(text)
        except StageError as error:
            yield str(error)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
