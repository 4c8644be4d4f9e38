"""The two numbers of features whose shift is known, and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from models.syncnet.distances import REACH, distances, synchrony
from models.syncnet.timing import Moment, moments, windows_of


@pytest.mark.parametrize("shift", [3, 0, -7, 15, -15])
def test_a_known_shift_is_found(shift: int) -> None:
    """What is seen at i is what is heard at i + shift."""
    heard = torch.randn(60 + 2 * REACH, 16, generator=torch.Generator().manual_seed(0))
    seen = heard[REACH + shift : REACH + shift + 60]
    found = synchrony(seen, heard[REACH : REACH + 60])
    assert found.offset == shift
    inside = distances(seen, heard[REACH : REACH + 60])[max(0, -shift) : 60 - max(0, shift), REACH + shift]
    assert inside.max() < 1e-5
    if not shift:
        assert found.distance < 1e-5
    assert found.confidence > 1
    assert len(found.means) == 31
    assert found.means[REACH + shift] == min(found.means)


def test_distances_by_hand() -> None:
    """Beyond the ends of the sound are zeros."""
    seen, heard = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    found = distances(seen, heard)
    assert found.shape == (2, 31)
    assert found[0, REACH].item() == pytest.approx(5, abs=1e-5)
    assert found[0, REACH + 1].item() == pytest.approx(4, abs=1e-5)
    assert found[0, REACH - 1].item() == pytest.approx(5, abs=1e-5)
    assert found[1, REACH].item() == pytest.approx(math.sqrt(10), abs=1e-5)
    assert found[1, REACH - 1].item() == pytest.approx(1, abs=1e-5)
    result = synchrony(seen, heard)
    means = {at - REACH: (found[0, at] + found[1, at]).item() / 2 for at in range(31)}
    assert result.distance == pytest.approx(min(means.values()))
    assert result.offset == min(means, key=means.__getitem__)
    assert result.confidence == pytest.approx(sorted(means.values())[15] - min(means.values()))


def test_the_published_epsilon_is_there() -> None:
    same = torch.ones(1, 1024)
    assert distances(same, same)[0, REACH].item() == pytest.approx(1e-6 * 32, rel=0.1)


def test_nothing_in_common_is_no_confidence() -> None:
    still, heard = torch.zeros(200, 8), torch.nn.functional.normalize(torch.randn(200, 8), dim=1)
    found = synchrony(still, heard)
    assert 0.9 < found.distance <= 1
    assert found.confidence < 0.1


def test_windows() -> None:
    """As many as picture and sound both have, less the five of a window."""
    assert [windows_of(25, samples) for samples in (16_000, 15_999, 640 * 6, 640 * 6 - 1, 640 * 5, 0)] == [
        20, 19, 1, 0, 0, 0,
    ]  # fmt: skip
    assert windows_of(12, 16_000) == 7


@pytest.mark.parametrize(("fps", "frames", "pictures"), [(25, 7, 7), (30, 30, 25), (24, 48, 50), (60, 61, 25)])
def test_pictures_of_other_frame_rates(fps: int, frames: int, pictures: int) -> None:
    found = moments(frames, fps)
    assert len(found) == pictures
    times = [(one.before + one.share * (one.after - one.before)) / fps for one in found]
    last = (frames - 1) / fps
    assert times == pytest.approx([min(number / 25, last) for number in range(pictures)])
    assert all(0 <= one.before <= one.after < frames and 0 <= one.share <= 1 for one in found)


def test_the_nearer_frame() -> None:
    assert [Moment(3, 4, share).nearest for share in (0.0, 0.5, 0.6)] == [3, 3, 4]
    shown = [one.nearest for one in moments(48, 24.0)]
    assert len(shown) - len(set(shown)) == 2, "of two seconds at 24 two frames are shown twice"
