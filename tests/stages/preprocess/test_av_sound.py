"""Sound in containers: what libsndfile does not read arrives with its times kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from stages.preprocess.av_sound import read_sound
from stages.preprocess.sound import Unusable
from tests.stages.preprocess.av_files import write_m4a


def burst(rate: int, at: float, seconds: float = 1.0) -> np.ndarray:
    """Silence with a tone of 30 ms in it."""
    time = np.arange(int(rate * seconds)) / rate
    inside = (time >= at) & (time < at + 0.03)
    return (12000 * np.sin(2 * np.pi * 440 * time) * inside).astype(np.int16)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_m4a_keeps_times_and_loudness(tmp_path: Path, rate: int, channels: int) -> None:
    samples = burst(rate, 0.4)
    clip = read_sound(write_m4a(tmp_path / "001.m4a", np.stack([samples] * channels), rate))
    assert clip.rate == rate
    assert abs(clip.seconds - 1.0) < 0.07  # AAC pads its last frame
    loud = np.flatnonzero(np.abs(clip.samples.astype(int)) > 4000) / rate
    assert abs(loud[0] - 0.4) < 0.004
    assert abs(loud[-1] - 0.43) < 0.004
    assert 9000 < np.abs(clip.samples).max() < 15000


def test_wav_goes_the_plain_way(tmp_path: Path) -> None:
    samples = burst(8000, 0.1)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="PCM_16")
    np.testing.assert_array_equal(read_sound(tmp_path / "a.wav").samples, samples)


def test_what_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"no container" * 50)
    with pytest.raises(DataError, match=r"a\.m4a cannot be read as sound"):
        read_sound(tmp_path / "a.m4a")
    with pytest.raises(DataError, match=r"b\.m4a cannot be read as sound"):
        read_sound(tmp_path / "b.m4a")
    with pytest.raises(Unusable, match="silent"):
        read_sound(write_m4a(tmp_path / "c.m4a", np.zeros(8000, np.int16)))
