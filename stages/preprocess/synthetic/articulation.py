"""What the face does while an utterance is spoken: one curve per control of `motion`.

Each unit pulls the articulators to its targets with its own strength, and the pulls of neighbours overlap in time
(coarticulation after Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993): vowels set jaw
and lips, m, b and p close them whatever stands beside, t, k, n and l give way.
"""

from __future__ import annotations

import numpy as np

from stages.preprocess.synthetic.anatomy import Array
from stages.preprocess.synthetic.motion import CONTROLS
from stages.preprocess.synthetic.speech import PHONES, Utterance, smooth
from stages.preprocess.synthetic.subjects import Manner

ARTICULATORS = ("jaw", "wide", "round", "upper", "press")

TARGETS: dict[str, tuple[tuple[float, ...], float, float]] = {
    # unit: (jaw in degrees, wide, round, upper, press), strength of jaw, strength of lips
    "a": ((11.0, 0.10, 0.00, 0.35, 0.0), 1.0, 1.0),
    "e": ((7.0, 0.55, 0.00, 0.35, 0.0), 1.0, 1.0),
    "i": ((3.5, 0.85, 0.00, 0.35, 0.0), 1.0, 1.0),
    "o": ((7.0, 0.00, 0.75, 0.15, 0.0), 1.0, 1.2),
    "u": ((3.0, 0.00, 1.00, 0.05, 0.0), 1.0, 1.2),
    "m": ((0.0, 0.00, 0.05, 0.00, 1.0), 6.0, 3.0),
    "b": ((0.0, 0.00, 0.05, 0.00, 1.0), 6.0, 3.0),
    "p": ((0.0, 0.00, 0.05, 0.00, 1.0), 6.0, 3.0),
    "f": ((1.2, 0.20, 0.00, 0.30, 0.5), 3.0, 1.5),
    "s": ((1.5, 0.50, 0.00, 0.30, 0.0), 2.5, 0.5),
    "S": ((2.0, 0.00, 0.55, 0.35, 0.0), 2.5, 1.2),
    "t": ((2.5, 0.30, 0.00, 0.30, 0.0), 0.8, 0.3),
    "k": ((4.0, 0.20, 0.00, 0.25, 0.0), 0.5, 0.2),
    "n": ((3.0, 0.20, 0.00, 0.25, 0.0), 0.6, 0.2),
    "l": ((4.5, 0.20, 0.00, 0.30, 0.0), 0.6, 0.2),
    "w": ((2.0, 0.00, 1.00, 0.10, 0.0), 1.5, 2.0),
    "_": ((0.0, 0.00, 0.00, 0.00, 0.0), 1.2, 0.8),
}
LEAD_S = 0.02
"""Lips are in place a little before the sound."""
BLINK_CLOSE_S, BLINK_OPEN_S = 0.08, 0.15


def animate(rng: np.random.Generator, utterance: Utterance, manner: Manner, fps: float) -> Array:
    """(T, K) controls in the order of `motion.CONTROLS`, one row a frame."""
    frames = int(utterance.seconds * fps)
    times = np.arange(frames) / fps
    slow = utterance.control_times
    curves = np.zeros((frames, len(CONTROLS)))
    for name, gain, curve in zip(ARTICULATORS, manner.gains, articulate(utterance, manner.blend).T, strict=True):
        curves[:, CONTROLS.index(name)] = gain * np.interp(times + LEAD_S, slow, curve)
    emphasis = np.interp(times, slow, loudness(utterance))
    curves[:, CONTROLS.index("brow")] = manner.brow * (0.8 * emphasis + 0.35 * _sway(rng, times, 0.3))
    curves[:, CONTROLS.index("smile")] = manner.smile * (1 + 0.3 * _sway(rng, times, 0.2))
    curves[:, CONTROLS.index("blink")] = blinking(rng, times, manner.blinks)
    return curves


def articulate(utterance: Utterance, blend: float) -> Array:
    """(T, 5) of ARTICULATORS at CONTROL_RATE before a subject's gains: targets averaged by overlapping strengths."""
    unit = utterance.at(utterance.control_times)
    rows = [TARGETS[phone] for phone in utterance.phones]
    targets = np.array([row[0] for row in rows])[unit]
    strength = np.array([[row[1], row[2], row[2], row[2], row[2]] for row in rows])[unit]
    blended: Array = smooth(targets * strength, blend) / smooth(strength, blend)
    return blended


def loudness(utterance: Utterance) -> Array:
    """Slow voice energy at CONTROL_RATE, 0 … 1: what brows follow."""
    voice = np.array([PHONES[phone].voice for phone in utterance.phones])[utterance.at(utterance.control_times)]
    slow = smooth(voice[:, None], 0.15)[:, 0]
    level: Array = slow / max(float(slow.max()), 1e-6)
    return level


def blinking(rng: np.random.Generator, times: Array, per_second: float) -> Array:
    """Lids: 0 open, 1 closed. At least half a second between two blinks."""
    lids = np.zeros(len(times))
    start = rng.exponential(1 / per_second)
    while len(times) and start < times[-1]:
        closing = np.clip((times - start) / BLINK_CLOSE_S, 0, 1)
        opening = np.clip((times - start - BLINK_CLOSE_S) / BLINK_OPEN_S, 0, 1)
        lids += _ease(closing) - _ease(opening)
        start += 0.5 + rng.exponential(1 / per_second)
    return np.clip(lids, 0, 1)


def _ease(t: Array) -> Array:
    eased: Array = t * t * (3 - 2 * t)
    return eased


def _sway(rng: np.random.Generator, times: Array, hertz: float) -> Array:
    sway: Array = np.sin(2 * np.pi * hertz * times + rng.uniform(0, 2 * np.pi))
    return sway
