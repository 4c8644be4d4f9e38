from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from models.resample import feature_length
from models.sound import standardise
from stages.audio import speech, to_16k


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 16000, 22000, 44100, 48000])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_any_rate_and_depth_give_the_same_tone(tmp_path: Path, rate: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype=subtype)
    wave = speech(tmp_path / "a.wav")
    assert wave.dtype == np.float32
    assert wave.shape == (16000,)
    inner = slice(800, -800)
    tolerance = 0.02 if subtype == "PCM_U8" else 2e-3
    np.testing.assert_allclose(wave[inner], tone(16000)[inner], atol=tolerance)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", tone(22050), 22050)
    wave = speech(tmp_path / f"a.{suffix}")
    assert np.corrcoef(wave[:15000], tone(16000)[:15000])[0, 1] > 0.999


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(16000), tone(16000, hertz=1000.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, 0 * left], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(speech(tmp_path / "a.wav"), (left + right) / 3, atol=1e-6)


def test_rate_of_16_khz_is_left_alone() -> None:
    wave = tone(16000).astype(np.float32)
    np.testing.assert_array_equal(to_16k(wave, 16000), wave)


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.zeros(0), "empty"),
        (np.zeros(16000), "silent"),
        (np.full(16000, 0.25), "silent"),
        (tone(16000)[:399], "25 ms"),
        (np.where(np.arange(16000) == 77, np.nan, tone(16000)), "not numbers"),
        (np.where(np.arange(16000) == 77, np.inf, tone(16000)), "not numbers"),
    ],
)
def test_unusable_sound_is_named(tmp_path: Path, samples: np.ndarray, word: str) -> None:
    path = write(tmp_path / "bad.wav", samples)
    with pytest.raises(DataError, match=word) as caught:
        speech(path)
    assert str(path) in str(caught.value)


def test_one_window_is_enough(tmp_path: Path) -> None:
    assert len(speech(write(tmp_path / "a.wav", tone(16000)[:400]))) == 400


def test_no_sound_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not there"):
        speech(tmp_path / "absent.wav")
    (tmp_path / "text.wav").write_text("hear, hear\n" * 9)
    with pytest.raises(DataError, match=r"text\.wav cannot be read as sound"):
        speech(tmp_path / "text.wav")


def test_standardise() -> None:
    wave = (3.0 + 0.2 * tone(16000)).astype(np.float32)
    out = standardise(wave)
    assert out.dtype == np.float32
    assert abs(out.mean()) < 1e-4
    assert abs(out.std() - 1) < 1e-3
    quiet = (1e-4 * tone(16000)).astype(np.float32)
    expected = (quiet - quiet.mean()) / np.sqrt(quiet.var() + 1e-5)
    np.testing.assert_allclose(standardise(quiet, eps=1e-5), expected, atol=1e-6)


def test_feature_length_are_the_convolutions() -> None:
    def convolutions(n: int) -> int:
        for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
            n = (n - kernel) // stride + 1
        return n

    for n in (400, 401, 719, 720, 16000, 32123, 80000):
        assert feature_length(n) == convolutions(n)
    assert feature_length(399) == 0
