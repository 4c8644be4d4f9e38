"""Speech without words: random strings of phoneme-like units, spoken by a formant synthesiser.

Voiced sound is a sum of harmonics shaped by three moving formants, fricatives and bursts are noise shaped in the
short-time spectrum (after Klatt, "Software for a cascade/parallel formant synthesizer", JASA 1980, much simplified).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic.anatomy import Array
from stages.preprocess.synthetic.subjects import Manner

SAMPLE_RATE = 22000
CONTROL_RATE = 200
"""Hz of the slow curves: formants, gains, articulation."""


@dataclass(frozen=True)
class Phone:
    """One unit. formants: Hz. voice, noise: gains. band: Hz, centre of the noise. seconds: its usual length."""

    formants: tuple[float, float, float]
    voice: float
    noise: float
    band: float
    seconds: float


PHONES = {
    "a": Phone((730, 1200, 2500), 1.00, 0.00, 1000, 0.15),
    "e": Phone((530, 1850, 2500), 0.90, 0.00, 1000, 0.13),
    "i": Phone((280, 2300, 3000), 0.80, 0.00, 1000, 0.13),
    "o": Phone((500, 900, 2400), 0.95, 0.00, 1000, 0.14),
    "u": Phone((310, 800, 2250), 0.80, 0.00, 1000, 0.13),
    "m": Phone((250, 1000, 2200), 0.35, 0.00, 1000, 0.085),
    "b": Phone((200, 900, 2200), 0.15, 0.05, 800, 0.075),
    "p": Phone((200, 900, 2200), 0.00, 0.12, 900, 0.085),
    "f": Phone((300, 1200, 2500), 0.00, 0.18, 6000, 0.095),
    "s": Phone((300, 1600, 2600), 0.00, 0.30, 6500, 0.105),
    "S": Phone((300, 1600, 2600), 0.00, 0.30, 3200, 0.105),
    "t": Phone((300, 1700, 2600), 0.00, 0.20, 4500, 0.065),
    "k": Phone((300, 1900, 2500), 0.00, 0.16, 2300, 0.065),
    "n": Phone((280, 1600, 2600), 0.35, 0.00, 1000, 0.075),
    "l": Phone((360, 1300, 2700), 0.55, 0.00, 1000, 0.075),
    "w": Phone((300, 700, 2200), 0.55, 0.00, 1000, 0.075),
    "_": Phone((500, 1500, 2500), 0.00, 0.00, 1000, 0.20),
}
VOWELS, CONSONANTS, PAUSE = "aeiou", "mbpfsStknlw", "_"
BANDWIDTHS = (80.0, 110.0, 160.0)


@dataclass(frozen=True)
class Utterance:
    """phones: the units spoken. edges: (P + 1,) seconds where they begin and end."""

    phones: str
    edges: Array

    @property
    def seconds(self) -> float:
        return float(self.edges[-1])

    @property
    def text(self) -> str:
        """The units as one would write them down: a pause is a space, "S" is "sh"."""
        return " ".join(self.phones.replace("S", "sh").replace(PAUSE, " ").split())

    def at(self, times: Array) -> NDArray[np.int64]:
        """Which unit sounds at each time."""
        return np.clip(np.searchsorted(self.edges, times, side="right") - 1, 0, len(self.phones) - 1)

    @property
    def control_times(self) -> Array:
        times: Array = np.arange(int(self.seconds * CONTROL_RATE) + 1) / CONTROL_RATE
        return times


def compose(rng: np.random.Generator, seconds: float, rate: float) -> Utterance:
    """A sentence of about `seconds`: words of syllables between two pauses, some with a pause among them."""
    phones, lengths = PAUSE, [PHONES[PAUSE].seconds * rng.uniform(0.85, 1.25)]
    while sum(lengths) < seconds - PHONES[PAUSE].seconds:
        word = "".join(_syllable(rng) for _ in range(rng.integers(1, 4))) + (PAUSE if rng.random() < 0.25 else "")
        phones += word
        lengths += [PHONES[phone].seconds * rng.uniform(0.85, 1.25) / rate for phone in word]
    phones += PAUSE
    lengths.append(PHONES[PAUSE].seconds * rng.uniform(0.85, 1.25))
    return Utterance(phones, np.concatenate([[0.0], np.cumsum(lengths)]))


def _syllable(rng: np.random.Generator) -> str:
    coda = CONSONANTS[rng.integers(len(CONSONANTS))] if rng.random() < 0.3 else ""
    return CONSONANTS[rng.integers(len(CONSONANTS))] + VOWELS[rng.integers(len(VOWELS))] + coda


def smooth(curves: Array, seconds: float) -> Array:
    """Gaussian smoothing along time of curves at CONTROL_RATE: (T, C) → (T, C)."""
    reach = int(np.ceil(4 * seconds * CONTROL_RATE))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (seconds * CONTROL_RATE)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(curves, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def speak(rng: np.random.Generator, utterance: Utterance, manner: Manner, rate: int = SAMPLE_RATE) -> NDArray[np.int16]:
    """The sound of an utterance in a subject's voice: (N,) int16 at `rate` samples per second."""
    slow = utterance.control_times
    unit = utterance.at(slow)
    phones = [PHONES[phone] for phone in utterance.phones]
    formants = smooth(np.array([phone.formants for phone in phones])[unit], 0.018) * manner.vocal_tract
    gains = smooth(np.array([(phone.voice, phone.noise) for phone in phones])[unit], 0.008)
    bands = np.array([phone.band for phone in phones])[unit]
    samples = round(utterance.seconds * rate)
    wave = 0.06 * _voice(rng, slow, samples, rate, formants, gains[:, 0], manner.f0)
    wave += _noise(rng, slow, samples, rate, gains[:, 1], bands)
    wave += 2e-4 * rng.standard_normal(samples)
    wave = np.tanh(0.8 * wave)
    scaled: Array = np.rint(wave * (0.5 * 32767 / np.abs(wave).max()))
    return scaled.astype(np.int16)


def pitch(rng: np.random.Generator, times: Array, f0: float) -> Array:
    """A falling tone with a slow wave and some unrest, Hz."""
    wander = np.cumsum(rng.standard_normal(len(times))) / np.sqrt(len(times))
    wave = np.sin(2 * np.pi * times * rng.uniform(0.5, 1.0) + rng.uniform(0, 2 * np.pi))
    tone: Array = f0 * (1.04 - 0.12 * times / times[-1] + 0.06 * wave + 0.015 * wander)
    return tone


def _voice(
    rng: np.random.Generator, slow: Array, samples: int, rate: int, formants: Array, gain: Array, f0: float
) -> Array:
    tone = pitch(rng, slow, f0)
    fast = np.arange(samples) / rate
    phase = 2 * np.pi * np.cumsum(np.interp(fast, slow, tone)) / rate
    # sin(k x) from the two harmonics below it: far cheaper than a sine each
    twice_cosine, before, harmonic = 2 * np.cos(phase), np.zeros(samples), np.sin(phase)
    wave = np.zeros(samples)
    for k in range(1, int(4500 / f0) + 1):
        wave += np.interp(fast, slow, gain * k**-0.6 * _resonance(k * tone, formants)) * harmonic
        before, harmonic = harmonic, twice_cosine * harmonic - before
    return wave


def _resonance(frequency: Array, formants: Array) -> Array:
    """The gain of three resonators in a row at a moving frequency."""
    gain = np.ones(len(frequency))
    for f, width in zip(formants.T, BANDWIDTHS, strict=True):
        gain *= f**2 / np.sqrt((f**2 - frequency**2) ** 2 + (width * frequency) ** 2)
    return gain


def _noise(rng: np.random.Generator, slow: Array, samples: int, rate: int, gain: Array, bands: Array) -> Array:
    hop = round(256 * rate / SAMPLE_RATE)
    window = 2 * hop
    frames = -(-samples // hop) + 1
    white = rng.standard_normal((frames + 1) * hop)
    starts = np.arange(frames) * hop
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum = np.fft.rfft(white[starts[:, None] + np.arange(window)] * hann, axis=1)
    at = np.minimum((starts / rate * CONTROL_RATE).astype(int), len(slow) - 1)
    frequency = np.fft.rfftfreq(window, 1 / rate)
    width = (900 + 0.25 * bands[at])[:, None]
    shape = np.exp(-(((frequency - bands[at][:, None]) / width) ** 2)) * 1.2 * gain[at][:, None]
    shaped = np.fft.irfft(spectrum * shape, axis=1)
    wave = np.zeros((frames + 1) * hop)
    for half in range(2):
        wave[half * hop : (half + frames) * hop] += shaped[:, half * hop : (half + 1) * hop].ravel()
    return wave[:samples]
