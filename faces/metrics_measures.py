"""The quantities of one sequence from what was streamed, and from texts; `Definition.measure` names them."""

from __future__ import annotations

import numpy as np

from faces import metrics_kernels as kernels
from faces.edits import error_rate
from faces.lips import correlation
from faces.metrics_definitions import (
    HEARD,
    LIP_MIDDLE,
    LIPS,
    OPENING,
    SAID_LETTERS,
    SAID_VISEMES,
    SAID_WORDS,
    UPPER_FACE,
)
from faces.metrics_parts import Lips, Parts
from faces.metrics_stream import Apart, Moving, Still
from faces.text_errors import letters, words
from faces.visemes import Visemes

CURVES = {OPENING: "opening_error", LIPS: "extent_error", LIP_MIDDLE: "lip_middle_error"}


def of_prediction(
    parts: Parts, truth: Moving, prediction: Moving, apart: Apart, fps: float, threshold: float = 0.0
) -> dict[str, float]:
    """Measure → number, NaN where undefined; only those whose parts the mesh has. threshold: a length below which an
    error of the lips counts as none; 0: there is no such."""
    found = (
        _distances(parts, apart, threshold)
        | _speeds(parts, apart.speeds, fps)
        | _lips(parts, truth.lips, prediction.lips)
    )
    if parts.has(UPPER_FACE):
        found |= _deviation(truth.dynamics - prediction.dynamics)
    return found


def of_still(parts: Parts, truth: Moving, still: Still, fps: float, threshold: float = 0.0) -> dict[str, float]:
    """The same for a face that does not move: what it lacks in speed and dynamics is all that the truth has."""
    found = (
        _distances(parts, still, threshold) | _speeds(parts, truth.speeds, fps) | _lips(parts, truth.lips, still.lips)
    )
    return found | (_deviation(truth.dynamics) if parts.has(UPPER_FACE) else {})


def of_texts(heard: str | None, lip_read: str | None) -> dict[str, float]:
    """What was read off lips against what was heard, and how many letters that was; NaN where either is unknown."""
    if heard is None or lip_read is None:
        return {"lip_reading_error": float("nan"), HEARD: 0.0}
    return {"lip_reading_error": error_rate(letters(heard), letters(lip_read)), HEARD: float(len(heard))}


def of_reading(said: str, read: str, visemes: Visemes) -> dict[str, float]:
    """What an expert read against what is said, by letters, words and visemes, and how many of each are said. NaN where
    that is none."""
    pairs: dict[tuple[str, str], tuple[list[str], list[str]]] = {
        ("lipread_cer", SAID_LETTERS): (letters(said), letters(read)),
        ("lipread_wer", SAID_WORDS): (words(said), words(read)),
        ("lipread_ver", SAID_VISEMES): (visemes.of(said), visemes.of(read)),
    }
    found: dict[str, float] = {}
    for (rate, count), (true, made) in pairs.items():
        found |= {rate: error_rate(true, made), count: float(len(true))}
    return found


def of_synchrony(distance: float | None, confidence: float | None) -> dict[str, float]:
    """What a network says of lips and sound; NaN where they were too short for it."""
    return {"lse_d": _known(distance), "lse_c": _known(confidence)}


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _distances(parts: Parts, found: Apart | Still, threshold: float) -> dict[str, float]:
    sums = found.sums.mean(axis=0)
    values = {"distance": sums[kernels.ALL] / parts.vertices}
    if parts.has(LIPS):
        squared = found.lips_squared
        values |= {"lip_squared": squared.mean(), "lip_distance": np.sqrt(squared).mean()}
        if threshold:
            values["lips_readable"] = 100 * (np.sqrt(squared) < threshold).mean()
        values["distance_lips"] = sums[kernels.LIPS] / parts.lip_mask.sum()
    if parts.has(UPPER_FACE):
        inside = parts.upper_mask.sum()
        outside = parts.vertices - inside
        values["distance_upper"] = sums[kernels.UPPER] / inside
        values["distance_lower"] = (sums[kernels.ALL] - sums[kernels.UPPER]) / outside if outside else np.nan
    return {name: float(value) for name, value in values.items()}


def _speeds(parts: Parts, speeds: tuple[float, float], fps: float) -> dict[str, float]:
    return {"velocity": fps * speeds[0]} | ({"velocity_lips": fps * speeds[1]} if parts.has(LIPS) else {})


def _deviation(value: float) -> dict[str, float]:
    return {"deviation": value, "deviation_abs": abs(value)}


def _lips(parts: Parts, truth: Lips, other: Lips) -> dict[str, float]:
    """other: of as many frames, or of one that stands still."""
    values = {name: float(np.abs(truth[role] - other[role]).mean()) for role, name in CURVES.items() if parts.has(role)}
    if parts.has(OPENING):
        values["opening_correlation"] = correlation(truth[OPENING], other[OPENING])
    return values
