"""Frame rate, unit, axes and splits as they show in the data; each with the reason, and whether it can be relied on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from stages.datacheck.across import HEAD_M, LIPS, OFF, SPREAD, UPPER, nearest_rate
from stages.datainit.naming import Naming
from stages.preprocess.own.description import METRES
from stages.preprocess.own.splits import ALL

Array = NDArray[np.float32]

KNOWN = {
    468: "MediaPipe", 478: "MediaPipe with irises", 1220: "ARKit", 5023: "FLAME", 6172: "Multiface, cut",
    7306: "Multiface", 11510: "FaceWarehouse", 23370: "BIWI", 26317: "FaceScape", 26719: "ICT-FaceKit, whole head",
    35709: "BFM, face part", 53490: "BFM 2009",
}  # fmt: skip
ENOUGH_SUBJECTS = 6
"""From so many on, whole subjects are kept for validation and test."""
SAMPLE = 400
AMBIGUOUS = 1.15
"""How much longer than deep a head must be, for the longer side to be the height."""


@dataclass(frozen=True)
class Guess:
    """value: None where nothing can be said. why: how it was told. sure: it need not be asked for."""

    value: str | float | None
    why: str
    sure: bool = True


def frame_rate(frames: Sequence[int], seconds: Sequence[float], keyed: float | None, keyed_by: str) -> Guess:
    """Of pairs of motion and sound; keyed: what the motion files themselves say."""
    if keyed:
        return Guess(nearest_rate(keyed) if abs(keyed / nearest_rate(keyed) - 1) < OFF else keyed, keyed_by)
    rates = [count / length for count, length in zip(frames, seconds, strict=True) if count and length]
    if not rates:
        return Guess(None, "there is no sound to tell it by; give --fps", sure=False)
    middle = median(rates)
    spread = median(abs(rate / middle - 1) for rate in rates)
    usual = nearest_rate(middle)
    how = f"{middle:.2f} frames a second of sound, ±{spread:.1%} over {len(rates)} clips"
    if abs(middle / usual - 1) > OFF or spread > SPREAD:
        return Guess(None, f"{how}: no usual rate; give --fps", sure=False)
    if usual in (30.0, 60.0):
        how += f"; lengths cannot tell it from {usual / 1.001:.2f}"
    return Guess(usual, how)


def unit(model: Array, area: float) -> Guess:
    """By the longest side of a head, 8 cm to 1 m, and by an area of 1."""
    side = float(np.ptp(model, axis=0).max())
    if abs(area - 1) < 0.02:
        return Guess("unit-area", f"the mesh has an area of {area:.3f}")
    fitting = [name for name, scale in METRES.items() if HEAD_M[0] < side * scale < HEAD_M[1]]
    if len(fitting) == 1:
        return Guess(fitting[0], f"the longest side is {side:.4g}")
    return Guess("unknown", f"the longest side is {side:.4g}, of a head in no usual unit; give --units", sure=False)


def axes(model: Array, moves: NDArray[np.floating], regions: Mapping[str, NDArray[np.int64]]) -> tuple[Guess, Guess]:
    """(up, front). moves: (V,) how much each vertex moves. Sideways is the axis about which the head is symmetric."""
    side = int(np.argmin([_asymmetry(model, axis) for axis in range(3)]))
    rest = [axis for axis in range(3) if axis != side]
    middle = (model.min(axis=0) + model.max(axis=0)) / 2
    lips, upper = (next((regions[n] for n in names if n in regions), None) for names in (LIPS, UPPER))
    if lips is not None and upper is not None:
        rise = model[upper].mean(axis=0) - model[lips].mean(axis=0)
        top = max(rest, key=lambda axis: abs(float(rise[axis])))
        nose = next(axis for axis in rest if axis != top)
        ahead = float((model[lips].mean(axis=0) - middle)[nose])
        return Guess(_word(top, float(rise[top])), "from the lips to the upper face"), Guess(
            _word(nose, ahead), "where the lips are"
        )
    top, nose = sorted(rest, key=lambda axis: -float(np.ptp(model[:, axis])))
    mouth = model[moves >= np.quantile(moves, 0.95)].mean(axis=0) - middle
    sure = float(np.ptp(model[:, top])) > AMBIGUOUS * float(np.ptp(model[:, nose]))
    why = "the longer side; what moves most, the mouth, is below the middle"
    return (
        Guess(_word(top, -float(mouth[top])), why + ("" if sure else "; not sure, see --up"), sure),
        Guess(
            _word(nose, float(mouth[nose])),
            "where what moves most is" + ("" if sure else "; not sure, see --front"),
            sure,
        ),
    )


def _word(axis: int, sign: float) -> str:
    return ("" if sign >= 0 else "-") + "xyz"[axis]


def _asymmetry(points: Array, axis: int) -> float:
    """How far points are from the mirror image of the whole, on average, over its length along the axis."""
    centred = (points - (points.min(axis=0) + points.max(axis=0)) / 2).astype(np.float64)
    mirrored = centred.copy()
    mirrored[:, axis] *= -1
    drawn = mirrored[:: max(1, len(points) // SAMPLE)]
    squares = (drawn**2).sum(axis=1)[:, None] - 2 * drawn @ centred.T + (centred**2).sum(axis=1)
    return float(np.sqrt(np.maximum(squares.min(axis=1), 0)).mean())


Plan = dict[str, tuple[list[str], list[str] | str]]
"""split → (subjects, sentences by name, or "all")"""


def propose_splits(naming: Naming, wish: str) -> tuple[Plan, str]:
    """The splits and how they were made; always the same for the same names. wish: subject, sentence, none or ""."""
    subjects = naming.subjects
    if wish == "none":
        return _by_place(subjects, 0), "all train, as wished"
    if wish == "subject" or (not wish and len(subjects) >= ENOUGH_SUBJECTS):
        held = max(1, len(subjects) // 6) if len(subjects) > 2 else 0
        return _by_place(subjects, held), "by subject: the last sixth tests, the sixth before validates"
    return _by_sentence(naming), "by sentence: the last tenth of each subject's tests, the tenth before validates"


def _by_place(subjects: list[str], held: int) -> Plan:
    """The last `held` subjects test, as many before validate."""
    most = len(subjects) - 2 * held
    return {
        "train": (subjects[:most], ALL),
        "val": (subjects[most : most + held], ALL),
        "test": (subjects[most + held :] if held else [], ALL),
    }


def _by_sentence(naming: Naming) -> Plan:
    """What tests for one subject trains none: each sentence is in one split."""
    splits: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for subject in naming.subjects:
        mine = naming.sentences(subject)
        held = max(1, len(mine) // 10) if len(mine) > 2 else 0
        most = len(mine) - 2 * held
        splits["train"].update(mine[:most])
        splits["val"].update(mine[most : most + held])
        splits["test"].update(mine[most + held :] if held else [])
    splits["val"] -= splits["test"]
    splits["train"] -= splits["val"] | splits["test"]
    return {split: (naming.subjects if names else [], sorted(names)) for split, names in splits.items()}
