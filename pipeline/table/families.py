"""How families of metrics are headed, and which way they are good. The definitions themselves come with the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAIN = (
    *("lve", "mve", "fdd", "fdd_abs", "opening_correlation"),
    *("code_mse", "code_velocity", "diversity_samples", "diversity_codes"),
    *("lse_d", "lse_c"),
    *("chamfer_l1", "normal_consistency", "fscore_1mm", "fscore_5mm"),
)
"""What a table shows unless it is asked for something else, one column of each."""


class Better(StrEnum):
    """Which of two numbers is better; the value is the sign in a heading."""

    LOWER = "↓"
    HIGHER = "↑"
    NEAR_ZERO = "→0"
    NEITHER = ""


@dataclass(frozen=True)
class Family:
    """heading: what papers write above the column. squared: whether what they write there is of squared lengths."""

    heading: str
    better: Better
    squared: bool = False


FAMILIES = {
    "lve": Family("LVE", Better.LOWER, squared=True),
    "lvd": Family("LVD", Better.LOWER),
    "mve": Family("MVE", Better.LOWER),
    "mve_lips": Family("MVE lips", Better.LOWER),
    "mve_upper": Family("MVE upper", Better.LOWER),
    "mve_lower": Family("MVE lower", Better.LOWER),
    "fdd": Family("FDD", Better.NEAR_ZERO, squared=True),
    "fdd_abs": Family("|FDD|", Better.LOWER, squared=True),
    "opening_correlation": Family("lip r", Better.HIGHER),
    "opening_error": Family("lip opening", Better.LOWER),
    "mod": Family("MOD", Better.LOWER),
    "lip_distance": Family("lip distance", Better.LOWER),
    "velocity": Family("velocity", Better.LOWER),
    "velocity_lips": Family("velocity lips", Better.LOWER),
    "lip_readability": Family("LRP", Better.HIGHER),
    "lip_reading_error": Family("lip CER", Better.LOWER),
    "cer": Family("CER", Better.LOWER),
    "wer": Family("WER", Better.LOWER),
    "ver": Family("VER", Better.LOWER),
    "lse_d": Family("LSE-D", Better.LOWER),
    "lse_c": Family("LSE-C", Better.HIGHER),
    "diversity": Family("diversity", Better.NEITHER),
    "diversity_samples": Family("diversity of samples", Better.NEITHER),
    "code_mse": Family("code MSE", Better.LOWER),
    "code_velocity": Family("code velocity", Better.LOWER),
    "diversity_codes": Family("diversity of codes", Better.NEITHER),
    "chamfer_l1": Family("Chamfer-L1", Better.LOWER),
    "chamfer_l2": Family("Chamfer-L2", Better.LOWER, squared=True),
    "completeness": Family("completeness", Better.LOWER),
    "accuracy": Family("accuracy", Better.LOWER),
    "normal_consistency": Family("normals", Better.HIGHER),
    "fscore_1mm": Family("F@1mm", Better.HIGHER),
    "fscore_5mm": Family("F@5mm", Better.HIGHER),
}


def family(metric: str) -> str:
    """The family of a definition's id "family/variant"."""
    return metric.partition("/")[0]


def describe(metric: str) -> Family:
    """The family of a metric; one that is not known here has its own name for a heading and no best."""
    name = family(metric)
    return FAMILIES.get(name) or Family(name.replace("_", " "), Better.NEITHER)


def best(values: Sequence[float], better: Better) -> float | None:
    """The best of two values or more; None where there is nothing to choose."""
    if len(values) < 2 or better is Better.NEITHER:
        return None
    return max(values) if better is Better.HIGHER else min(values, key=abs)
