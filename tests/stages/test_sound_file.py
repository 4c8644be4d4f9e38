"""Sound files: what a header claims is believed only as far as the file goes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from stages.audio import speech
from stages.preprocess.sound import read_wav

TONE = 0.5 * np.sin(np.arange(16000) / 7)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "FLAC", "OGG", "AIFF", "MP3"])
def test_what_data_sets_use(tmp_path: Path, form: str) -> None:
    soundfile.write(tmp_path / "a.wav", TONE, 16000, format=form)
    assert len(read_wav(tmp_path / "a.wav").samples) >= 16000
    assert len(speech(tmp_path / "a.wav")) >= 16000


@pytest.mark.parametrize("form", ["VOC", "IRCAM", "MAT5", "SD2", "W64", "CAF"])
def test_what_none_uses_is_not_handed_to_the_library(tmp_path: Path, form: str) -> None:
    soundfile.write(tmp_path / "b", TONE, 16000, format=form, subtype="PCM_16")
    (tmp_path / "b").rename(tmp_path / "a.wav")
    for read in (read_wav, speech):
        with pytest.raises(DataError, match=r"a\.wav cannot be read as sound \(it does not begin as wav, flac"):
            read(tmp_path / "a.wav")


@pytest.mark.parametrize(("rate", "words"), [(1, "claims 1 samples a second"), (10**7, "claims 10,000,000 samples")])
def test_rates_that_would_fill_the_memory(tmp_path: Path, rate: int, words: str) -> None:
    soundfile.write(tmp_path / "a.wav", TONE, 16000, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    struct.pack_into("<II", content, 24, rate, 2 * rate)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=words):
        speech(tmp_path / "a.wav")


def test_a_flac_that_claims_billions_of_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", TONE, 16000, format="FLAC")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[21] |= 0x0F  # the four highest of 36 bits of the count
    (tmp_path / "a.wav").write_bytes(content)
    for read in (read_wav, speech):
        with pytest.raises(DataError, match=r"it claims 64,\d+,\d+,\d+ samples in"):
            read(tmp_path / "a.wav")


def test_a_pointer_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        read_wav(tmp_path / "a.wav")
