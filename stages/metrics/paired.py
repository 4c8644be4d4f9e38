"""Two sets of predictions of the same sequences: is one closer to the truth than the other, or is it chance?"""

from __future__ import annotations

from typing import Any

import numpy as np

from faces.metrics_statistics import EXACT_UP_TO, PATTERNS, bootstrap_interval, sign_flip_test, weighted_mean
from stages.metrics.scores import Score, Scores
from stages.metrics.units import finite, unit_of

HOW = (
    "per sequence the difference, model minus against; mean as the definition takes it; 95 % percentile bootstrap over "
    f"sequences; two-sided p of sign flips, exact up to {EXACT_UP_TO} sequences, else of {PATTERNS:,} drawn patterns; "
    "not corrected for testing several metrics"
)


def pair(model: Scores, against: Scores, units: str) -> list[dict[str, Any]]:
    """One record per definition that both have."""
    return [_record(score, against[name], units) for name, score in model.items() if name in against]


def _record(model: Score, against: Score, units: str) -> dict[str, Any]:
    """Over the sequences in which both are defined. Where lengths differ, the shorter weighs."""
    theirs = {name: place for place, name in enumerate(against.ids)}
    ours = np.array([place for place, name in enumerate(model.ids) if name in theirs], int)
    other = np.array([theirs[model.ids[place]] for place in ours], int)
    first, second = model.values[ours], against.values[other]
    weights = np.minimum(model.weights[ours], against.weights[other])
    differences = first - second
    test = sign_flip_test(differences, weights)
    return {
        "metric": model.definition.id,
        "family": model.definition.family,
        "name": model.definition.name,
        "unit": unit_of(model.definition, units),
        "value": finite(weighted_mean(first, weights)),
        "against": finite(weighted_mean(second, weights)),
        "difference": finite(weighted_mean(differences, weights)),
        "interval": bootstrap_interval(differences, weights),
        "p": finite(test.p),
        "patterns": test.patterns,
        "exact": test.exact,
        "sequences": len(differences),
        "model_lower_in": int((differences < 0).sum()),
    }
