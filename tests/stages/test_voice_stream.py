"""Sound that comes in on a pipe and frames that go out: against a network of a few lines that keeps the contract."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from faces.errors import DataError
from models.streaming import Look
from pipeline.errors import RecipeError, StageError
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.sequences import Sequences
from stages.voice.frames_out import NpyFile, Pipe
from stages.voice.raw_sound import blocks
from stages.voice.stream import stream
from tests.stages.tiny import make_sequences
from tests.stages.voices import describe, tone


class Dripping(io.RawIOBase):
    """Gives so many bytes at a time, as a pipe does."""

    def __init__(self, content: bytes, count: int) -> None:
        self._content, self._count = io.BytesIO(content), count

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, self._count) if size >= 0 else self._count)

    read1 = read


def pcm(samples: np.ndarray) -> bytes:
    return np.rint(samples * 32767).astype("<i2").tobytes()


# -- sound in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 640, 10_000])
def test_samples_arrive_whole_however_they_drip(count):
    wave = tone(0.1)[:, 0]
    found = np.concatenate(list(blocks(Dripping(pcm(wave), count))))
    np.testing.assert_allclose(found, np.rint(wave * 32767) / 32768, atol=1e-7)


def wav(rate: int, channels: int, **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(0.5, rate, channels), rate, format="WAV", **how)
    return file.getvalue()


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (16_000, 2), (44_100, 1), (8000, 2)])
def test_a_wav_is_heard_at_its_rate(rate, channels):
    found = np.concatenate(list(blocks(Dripping(wav(rate, channels), 500))))
    assert abs(len(found) - 8000) <= 1
    np.testing.assert_allclose(found[2000:7000], tone(0.5)[2000:7000, 0], atol=0.01)


def test_a_wav_of_unknown_length():
    """A recorder that writes to a pipe cannot say how long it will be."""
    content = bytearray(wav(16_000, 1))
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert len(np.concatenate(list(blocks(io.BytesIO(bytes(content)))))) == 8000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "ended before a sample came"),
        (b"\0", "ended before a sample came"),
        (b"RIFF\0\0\0\0AVI LIST", "begins as a wav and goes on as none"),
        (b"RIFF\0\0\0\0WAVE", "begins as a wav and goes on as none"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "begins as a wav and goes on as none"),
    ],
)
def test_no_sound(content, said):
    with pytest.raises(DataError, match=said):
        list(blocks(io.BytesIO(content)))


def test_a_wav_ends_where_its_samples_do():
    content = wav(16_000, 1) + b"LIST" + struct.pack("<I", 4000) + bytes(4000)
    assert len(np.concatenate(list(blocks(Dripping(content, 700))))) == 8000


@pytest.mark.parametrize(("magic", "what"), [(b"OggS", "ogg"), (b"fLaC", "flac"), (b"ID3\x04", "mp3")])
def test_sound_that_must_be_decoded_first(magic, what):
    with pytest.raises(DataError, match=f"is {what}, not samples: decode it, `ffmpeg -i FILE"):
        list(blocks(io.BytesIO(magic + bytes(100))))


def test_a_wav_of_other_samples():
    with pytest.raises(DataError, match="is a wav of 24-bit samples"):
        list(blocks(io.BytesIO(wav(16_000, 1, subtype="PCM_24"))))


# -- frames out --------------------------------------------------------------------------------------------------------


def test_a_file_of_frames_knows_its_length_at_the_end(tmp_path):
    parts = [np.random.default_rng(n).normal(size=(n, 4, 3)).astype(np.float32) for n in (3, 200)]
    with NpyFile(tmp_path / "out" / "x.npy", 4) as file:
        for part in parts:
            file.write(part)
        assert not (tmp_path / "out" / "x.npy").exists()
    assert np.array_equal(np.load(tmp_path / "out" / "x.npy"), np.concatenate(parts))


def test_ctrl_c_ends_what_is_spoken_and_keeps_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), NpyFile(tmp_path / "x.npy", 4) as file:
        file.write(np.ones((2, 4, 3), np.float32))
        raise KeyboardInterrupt
    assert np.load(tmp_path / "x.npy").shape == (2, 4, 3)


def test_a_folder_is_no_file_of_frames(tmp_path):
    with pytest.raises(DataError, match="is a folder: name a file with --out"), NpyFile(tmp_path, 4):
        pass


def test_no_room_for_frames(tmp_path):
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(DataError, match="standard output cannot be written"),
    ):
        Pipe(full).write(np.zeros((2, 4, 3), np.float32))


def test_a_device_that_is_not_there(network, asked):
    with pytest.raises(StageError, match="--device cuda:7: torch sees no such device"):
        stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked | {"device": "cuda:7"})


def test_a_context_for_a_network_that_needs_none(network, asked):
    with pytest.raises(StageError, match=r"context = 9, and .* looks back on all frames at no cost"):
        stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked | {"context": 9})


def test_a_context_reaches_the_network(network, asked, monkeypatch):
    bounds: list[int] = []
    monkeypatch.setattr(Echo, "bound_context", lambda self, frames: bounds.append(frames), raising=False)
    stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked | {"context": 9})
    assert bounds == [9]


def test_a_stream_that_breaks_leaves_no_half_file(tmp_path):
    with pytest.raises(RuntimeError), NpyFile(tmp_path / "x.npy", 4) as file:
        file.write(np.zeros((2, 4, 3), np.float32))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# -- a network ---------------------------------------------------------------------------------------------------------


class Echo:
    """One frame for every whole 1,000 samples, each moved by the style's first weight and the samples' mean."""

    looks: list[Look]

    def __init__(self) -> None:
        self.looks = []

    def stream(self, audio: Iterator[np.ndarray], template: Tensor, style: Tensor, *, look: Look) -> Iterator[Tensor]:
        self.looks.append(look)
        heard = np.zeros(0, np.float32)
        for block in audio:
            assert block.dtype == np.float32
            heard = np.concatenate([heard, block])
            if whole := len(heard) // 1000:
                means = torch.from_numpy(heard[: whole * 1000].reshape(whole, 1000).mean(1))
                yield template + style[0] + means[:, None]
                heard = heard[whole * 1000 :]


@pytest.fixture
def network(monkeypatch) -> Echo:
    made = Echo()
    monkeypatch.setattr(Checkpoint, "load_network", lambda *_, **__: made)
    return made


@pytest.fixture
def asked(tmp_path) -> dict[str, Any]:
    folders = {"checkpoint": describe(tmp_path / "net"), "data": make_sequences(tmp_path / "data")}
    face: dict[str, Any] = {"subject": "C", "mesh": None, "conditions": ["A:0.25+B:0.75"], "weights": "best"}
    return folders | face | {"ahead": None, "hop": None, "out": "", "device": "cpu", "workers": 1}


def test_frames_are_of_this_face_in_this_style(network, asked, capsys):
    sink, wave = io.BytesIO(), tone(0.5)[:, 0]
    stream(Dripping(pcm(wave), 700), sink, **asked)
    frames = np.frombuffer(sink.getvalue(), "<f4").reshape(8, 12, 3)
    template = Sequences(asked["data"]).templates["C"]
    means = (np.rint(wave * 32767) / 32768).reshape(8, 1000).mean(1)
    np.testing.assert_allclose(frames, template + 0.25 + means[:, None, None], atol=1e-5)
    said = capsys.readouterr().err
    assert "0.50 s of sound, 8 frames, " in said
    assert "the first frame came after 0.07 s of sound" in said  # 1,000 samples, in pieces of 350


def test_how_far_it_looks(network, asked):
    for ahead, hop, look in [
        (None, None, Look()),
        (1.0, 0.1, Look(ahead=1.0, hop=0.1)),
        (0.0, None, Look(ahead=0.0)),
        (-1.0, None, Look(ahead=None)),
    ]:
        stream(io.BytesIO(pcm(tone(0.1))), io.BytesIO(), **asked | {"ahead": ahead, "hop": hop})
        assert network.looks[-1] == look


def test_into_a_file(network, asked, tmp_path):
    stream(io.BytesIO(pcm(tone(0.5))), **asked | {"out": str(tmp_path / "x.npy")})
    assert np.load(tmp_path / "x.npy").shape == (8, 12, 3)


def test_a_stream_has_one_style(network, asked):
    with pytest.raises(RecipeError, match="a stream has one style, and these are 2: name one"):
        stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked | {"conditions": "all"})
    sink = io.BytesIO()
    stream(io.BytesIO(pcm(tone())), sink, **asked | {"conditions": "mean"})
    assert sink.getvalue()


def test_too_little_sound_for_a_frame(network, asked):
    with pytest.raises(DataError, match=r"0\.050 s of sound are too short for one frame"):
        stream(io.BytesIO(pcm(tone(0.05))), io.BytesIO(), **asked)


def test_motion_that_is_no_number(network, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "stream", lambda *_, **__: iter([torch.full((2, 36), torch.nan)]))
    with pytest.raises(DataError, match="is not finite"):
        stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked | {"out": str(tmp_path / "x.npy")})
    assert not (tmp_path / "x.npy").exists()


def test_a_network_that_cannot(asked, monkeypatch):
    monkeypatch.setattr(Checkpoint, "load_network", lambda *_, **__: object())
    with pytest.raises(StageError, match="'faceformer' makes all frames of a sound at once: leave --stream out"):
        stream(io.BytesIO(pcm(tone())), io.BytesIO(), **asked)
