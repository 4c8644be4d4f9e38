"""In whose manner a sentence is spoken: a training subject's, several, or a mixture of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StageError

MIXTURE = re.compile(r"\s*(?P<subject>[^\s:+]+)\s*:\s*(?P<weight>[-.\deE]+)\s*")


@dataclass(frozen=True)
class Style:
    """name: as files are called after it. weights: training subject → share."""

    name: str
    weights: Mapping[str, float]

    def row(self, subjects: Sequence[str]) -> list[float]:
        """Its row over the training subjects."""
        return [self.weights.get(subject, 0.0) for subject in subjects]


def styles_of(rule: str | Sequence[str], subject: str, subjects: Sequence[str], where: Path) -> list[Style]:
    """The styles in which a sentence of `subject` is spoken.

    "published": a subject of the training set in its own, anyone else in each of them; "all"; "own"; "mean": the even
    mixture of all; or a list of names and mixtures.

    Raises:
        StageError: the rule cannot be followed, or a name is not among the training subjects.
    """
    if not isinstance(rule, str):
        return [*{style.name: style for style in _named(rule, subjects, where)}.values()]
    if rule == "mean":
        return [Style("mean", dict.fromkeys(subjects, 1 / len(subjects)))]
    if rule == "all" or (rule == "published" and subject not in subjects):
        return [Style(name, {name: 1.0}) for name in subjects]
    if subject not in subjects:
        raise StageError(
            f"conditions = 'own', and {subject} was not trained on: write 'published', 'all' or 'mean', or name styles"
        )
    return [Style(subject, {subject: 1.0})]


def _named(wanted: Sequence[str], subjects: Sequence[str], where: Path) -> list[Style]:
    styles = [_style(text, subjects) for text in wanted]
    unknown = [name for style in styles for name in style.weights if name not in subjects]
    if unknown or not wanted:
        raise StageError(
            f"conditions names {', '.join(unknown) or 'nobody'}; {where} was trained on {', '.join(subjects)}"
        )
    return styles


def _style(text: str, subjects: Sequence[str]) -> Style:
    """ "F2", or "F2:0.3+M3:0.7", whose name is "F2-0.3+M3-0.7": no file may have a colon in some systems."""
    if text in subjects or ":" not in text:
        return Style(text, {text: 1.0})
    parts = [MIXTURE.fullmatch(part) for part in text.split("+")]
    weights: dict[str, float] = {}
    for part in parts:
        weight = _number(part["weight"]) if part else math.nan
        if part is None or not math.isfinite(weight) or part["subject"] in weights:
            raise StageError(f"conditions names {text!r}: write a mixture as SUBJECT:WEIGHT+SUBJECT:WEIGHT, each once")
        weights[part["subject"]] = weight
    return Style("+".join(f"{name}-{weight:g}" for name, weight in weights.items()), weights)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
