"""The sound of real .flv and .m4a files: whole, channels averaged, at its own rate; what is none is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from faces.errors import DataError
from stages.preprocess.container_sound import read_container, read_sound
from stages.preprocess.sound import Clip, Unusable, write_wav
from tests.stages.preprocess.av_files import write_m4a
from tests.stages.preprocess.biwi_video import write_flv

RATE = 44100


def tones(channels: int, seconds: float = 0.6) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return np.stack([(9000 * np.sin(2 * np.pi * 220 * (k + 1) * time)).astype(np.int16) for k in range(channels)])


def test_uncompressed_sound_is_kept_to_the_bit(tmp_path: Path) -> None:
    samples = tones(1)
    clip = read_container(write_flv(tmp_path / "F1_e01.flv", samples, RATE))
    assert (clip.rate, clip.samples.dtype) == (RATE, np.int16)
    np.testing.assert_array_equal(clip.samples, samples[0])


def test_channels_are_averaged(tmp_path: Path) -> None:
    samples = tones(2)
    clip = read_container(write_flv(tmp_path / "F1_e01.flv", samples, RATE))
    np.testing.assert_array_equal(clip.samples, np.rint(samples.mean(axis=0)).astype(np.int16))


@pytest.mark.parametrize("channels", [1, 2])
def test_compressed_sound_is_nearly_what_it_was(tmp_path: Path, channels: int) -> None:
    samples = tones(channels)
    clip = read_container(write_flv(tmp_path / "F1_e01.flv", samples, RATE, codec="mp3"))
    wanted = samples.mean(axis=0)
    assert 0 <= len(clip.samples) - len(wanted) < 3 * 1152  # whole blocks and what an encoder is late by
    lag = int(np.argmax(np.correlate(clip.samples.astype(float), wanted[2000:6000], "valid"))) - 2000
    part = slice(4000, 20000)
    found, true = clip.samples[part.start + lag : part.stop + lag].astype(float), wanted[part]
    assert np.corrcoef(found, true)[0, 1] > 0.99
    assert found.std() == pytest.approx(0.95 * true.std(), rel=0.02)  # LAME turns it down by that


def test_sound_alone_in_a_video(tmp_path: Path) -> None:
    clip = read_container(write_flv(tmp_path / "F1_e01.flv", tones(1), RATE, pictures=0))
    assert len(clip.samples) == len(tones(1)[0])


def test_a_video_without_sound_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="its recording has no sound"):
        read_container(write_flv(tmp_path / "F1_e01.flv", np.zeros((1, 0), np.int16), RATE))


def test_a_silent_video_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="its sound is silent"):
        read_container(write_flv(tmp_path / "F1_e01.flv", 0 * tones(1), RATE))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"F1_e01\.flv cannot be read as sound \(.+\)"),
        (b"<html>not here</html>", r"F1_e01\.flv cannot be read as sound \(.+\)"),
        (b"FLV\x01\x05\x00\x00\x00\x09" + bytes(range(256)) * 8, r"F1_e01\.flv (cannot be read as sound|: )"),
        (b"#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n", r"F1_e01\.flv cannot be read as sound"),
        (b"ffconcat version 1.0\nfile other.wav\n", r"F1_e01\.flv cannot be read as sound"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"F1_e01\.flv is a git-LFS pointer"),
    ],
)
def test_what_is_no_video_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "F1_e01.flv"
    file.write_bytes(content)
    write_wav(tmp_path / "other.wav", Clip(tones(1)[0], RATE))  # what a playlist must not reach
    with pytest.raises((DataError, Unusable)) as caught:
        read_container(file)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, DataError):
        assert caught.match(sentence)


def test_an_absent_video(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"F1_e01\.flv cannot be read as sound \(No such file"):
        read_container(tmp_path / "F1_e01.flv")


def test_every_damage_is_a_sentence_or_shorter_sound(tmp_path: Path) -> None:
    """FFmpeg mends what it can; nothing else than our two errors comes out of it."""
    file = write_flv(tmp_path / "F1_e01.flv", tones(1, 0.2), RATE, codec="mp3")
    whole, rng, outcomes = file.read_bytes(), np.random.default_rng(0), set[str]()
    told = list[str]()
    for _ in range(60):
        damaged = bytearray(whole[: int(rng.integers(1, len(whole)))])
        for place in rng.integers(0, len(damaged), 12):
            damaged[place] = int(rng.integers(256))
        file.write_bytes(damaged)
        try:
            outcomes.add("sound" if len(read_container(file).samples) <= 44100 else "long")
        except (DataError, Unusable) as error:
            outcomes.add(type(error).__name__)
            told.append(str(error))
    assert not [sentence for sentence in told if "\n" in sentence]
    assert "DataError" in outcomes
    assert outcomes <= {"sound", "DataError", "Unusable"}


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


def test_a_playlist_is_no_recording(tmp_path: Path) -> None:
    write_wav(tmp_path / "other.wav", Clip(tones(1)[0], RATE))
    for ending in (".m4a", ".mp4", ".aac"):
        file = tmp_path / f"list{ending}"
        file.write_bytes(b"#EXTM3U\n#EXTINF:1,\nother.wav\n#EXT-X-ENDLIST\n")
        with pytest.raises((DataError, Unusable), match=r"cannot be read as sound|is empty"):
            read_sound(file)


def test_what_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"no container" * 50)
    with pytest.raises(DataError, match=r"a\.m4a cannot be read as sound"):
        read_sound(tmp_path / "a.m4a")
    with pytest.raises(DataError, match=r"b\.m4a cannot be read as sound"):
        read_sound(tmp_path / "b.m4a")
    with pytest.raises(Unusable, match="silent"):
        read_sound(write_m4a(tmp_path / "c.m4a", np.zeros(8000, np.int16)))
