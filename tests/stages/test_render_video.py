from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from stages.render.video import exact_rate, open_video


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (25.0, "25"), (30.0, "30"), (29.97, "30000/1001"), (30000 / 1001, "30000/1001"), (59.94, "60000/1001"),
        (23.976, "24000/1001"), (12.5, "25/2"), (5.0, "5"), (60.0, "60"), (33.3, "333/10"),
    ],
)  # fmt: skip
def test_exact_rates(fps: float, rate: str) -> None:
    assert str(exact_rate(fps)) == rate


def test_colours_survive(tmp_path: Path) -> None:
    wanted = np.array([[250, 20, 20], [20, 200, 30], [30, 40, 220], [128, 128, 128]])
    picture = np.repeat(np.repeat(wanted.reshape(2, 2, 3), 32, axis=0), 32, axis=1).astype(np.uint8)
    file = tmp_path / "a.mp4"
    with open_video(file, (64, 64), Fraction(25), None, crf=1, preset="ultrafast") as video:
        for _ in range(3):
            video.write(picture)
    with av.open(str(file)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1), "tagged BT.709, limited"
        found = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(found[16::32, 16::32].reshape(-1, 3).astype(int) - wanted).max() <= 6


@pytest.mark.parametrize("width", [64, 200, 256])
def test_what_was_in_memory_before_does_not_show(tmp_path: Path, width: int) -> None:
    rng, found = np.random.default_rng(0), set()
    y, x, t = np.meshgrid(np.arange(64), np.arange(width), np.arange(12), indexing="ij")
    moving = np.stack([128 + 60 * (np.sin(x / 9 + t / 3) + np.cos(y / 7)), 2 * x + 3 * t, 3 * y + t], axis=-1)
    pictures = (moving % 255).astype(np.uint8).transpose(2, 0, 1, 3)
    for number in range(12):
        with open_video(tmp_path / f"{number}.mp4", (width, 64), Fraction(25), None, 18, "veryfast") as out:
            for picture in pictures:
                litter = [np.full(rng.integers(1000, 60_000), number, np.uint8) for _ in range(6)]
                del litter
                out.write(picture)
        found.add((tmp_path / f"{number}.mp4").read_bytes())
    assert len(found) == 1


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)

    def fail() -> None:
        with open_video(tmp_path / "a.mp4", (64, 64), Fraction(25), None, crf=20, preset="ultrafast") as video:
            video.write(picture)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert not list(tmp_path.iterdir())


def test_sound_and_pictures_alternate_in_the_file(tmp_path: Path) -> None:
    file, seconds = tmp_path / "a.mp4", 4
    sound = np.random.default_rng(0).normal(scale=0.1, size=48_000 * seconds).astype(np.float32)
    picture = np.zeros((64, 64, 3), np.uint8)
    with open_video(file, (64, 64), Fraction(25), sound, crf=20, preset="ultrafast") as video:
        for _ in range(25 * seconds):
            video.write(picture)
    with av.open(str(file)) as container:
        packets = [(packet.pos, packet.stream.type) for packet in container.demux() if packet.pos is not None]
    kinds = [kind for _, kind in sorted(packets)]
    changes = sum(a != b for a, b in pairwise(kinds))
    assert changes > 2 * seconds, "a player need not look far for the sound of a picture"
