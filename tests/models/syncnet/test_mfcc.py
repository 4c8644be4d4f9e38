"""Coefficients against the formula written out slowly, number by number, and what must be true of them."""

from __future__ import annotations

import cmath
import math
from itertools import pairwise

import numpy as np
import pytest

from models.syncnet.mfcc import LEAST, as_16_bit, cosines, mfcc, triangles, windows

RATE = 16_000


def tone(hertz: float, samples: int, height: float = 0.25) -> np.ndarray:
    return height * np.sin(2 * math.pi * hertz * np.arange(samples) / RATE)


def slowly(samples: list[int], column: int) -> list[float]:
    """One column of 16-bit samples: plain sums, no array, no transform."""
    bent = [samples[0], *(now - 0.97 * before for before, now in pairwise(samples))]
    part = [bent[at] if at < len(bent) else 0.0 for at in range(160 * column, 160 * column + 400)]
    turns = [cmath.exp(-2j * math.pi * step / 512) for step in range(512)]
    power = [
        abs(sum(value * turns[bin_ * at % 512] for at, value in enumerate(part))) ** 2 / 512 for bin_ in range(257)
    ]
    top = 2595 * math.log10(1 + 8000 / 700)
    edges = [math.floor(513 * 700 * (10 ** (top * at / 27 / 2595) - 1) / RATE) for at in range(28)]
    logs = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        energy = sum(power[at] * (at - low) / (middle - low) for at in range(low, middle))
        energy += sum(power[at] * (high - at) / (high - middle) for at in range(middle, high))
        logs.append(math.log(energy or LEAST))
    found = [math.log(sum(power) or LEAST)]
    for order in range(1, 13):
        turned = sum(log * math.cos(math.pi * order * (2 * band + 1) / 52) for band, log in enumerate(logs))
        found.append(math.sqrt(2 / 26) * turned * (1 + 11 * math.sin(math.pi * order / 22)))
    return found


@pytest.mark.parametrize("samples", [1, 399, 400, 401, 560, 561, 1700])
def test_against_the_formula(samples: int) -> None:
    """Also a clip shorter than one window, and columns that end behind the last sample."""
    rng = np.random.default_rng(samples)
    wave = (0.2 * rng.standard_normal(samples)).clip(-1, 1) + tone(700, samples, 0.1)
    found = mfcc(wave.astype(np.float32))
    assert found.shape == (1 + max(0, math.ceil((samples - 400) / 160)), 13)
    given = [int(value) for value in as_16_bit(wave.astype(np.float32))]
    for column in {0, len(found) // 2, len(found) - 1}:
        np.testing.assert_allclose(found[column], slowly(given, column), rtol=1e-9, atol=1e-9)


def test_samples_count_as_those_of_a_16_bit_file() -> None:
    stored = np.array([-32768, -1, 0, 1, 12345, 32767], np.int16)
    assert as_16_bit(stored.astype(np.float32) / 32768).tolist() == stored.tolist()
    assert as_16_bit(np.array([1.0, -2.0, 0.6 / 32768])).tolist() == [32767, -32768, 1]


def test_loudness_is_in_the_first_coefficient_alone() -> None:
    wave = np.round(3000 * np.random.default_rng(0).standard_normal(4000)) / 32768
    soft, loud = mfcc(wave), mfcc(2 * wave)
    np.testing.assert_allclose(loud[:, 0] - soft[:, 0], math.log(4), rtol=1e-12)
    np.testing.assert_allclose(loud[:, 1:], soft[:, 1:], atol=1e-9)


def test_silence_is_a_number() -> None:
    found = mfcc(np.zeros(2000))
    np.testing.assert_allclose(found[:, 0], math.log(LEAST))
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-9)


def test_a_tone_is_in_the_band_that_holds_it() -> None:
    shares = triangles()
    assert shares.shape == (257, 26)
    assert (shares >= 0).all()
    np.testing.assert_array_equal(shares.max(axis=0), 1.0)
    peaks = shares.argmax(axis=0)
    assert (np.diff(peaks) > 0).all()
    np.testing.assert_allclose(shares[peaks[0] : peaks[-1] + 1].sum(axis=1), 1.0, err_msg="neighbours share a bin")
    for band in (3, 12, 22):
        hertz = peaks[band] * RATE / 512
        power = np.abs(np.fft.rfft(windows(32768 * tone(hertz, 400))[0], 512)) ** 2
        assert (power @ shares).argmax() == band


def test_the_transform_keeps_lengths() -> None:
    """Without the lifter the thirteen rows are orthonormal."""
    plain = cosines() / (1 + 11 * np.sin(np.pi * np.arange(13) / 22))
    np.testing.assert_allclose(plain.T @ plain, np.eye(13), atol=1e-12)


def test_a_long_clip_is_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = 0.1 * np.random.default_rng(1).standard_normal(5000)
    whole = mfcc(wave)
    monkeypatch.setattr("models.syncnet.mfcc.AT_ONCE", 4)
    np.testing.assert_allclose(mfcc(wave), whole, rtol=1e-12)
