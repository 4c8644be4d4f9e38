"""The published sizes, and a clip at once against window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.syncnet import net
from models.syncnet.net import COLUMNS, COLUMNS_PER_PICTURE, PICTURES, SIDE, SyncNet
from tests.models.syncnet.narrow import narrow
from tests.threads import one_thread

__all__ = ["one_thread"]

HEARING = {
    0: (64, 1, 3, 3), 4: (192, 64, 3, 3), 8: (384, 192, 3, 3), 11: (256, 384, 3, 3), 14: (256, 256, 3, 3),
    18: (512, 256, 5, 4),
}  # fmt: skip
LOOKING = {
    0: (96, 3, 5, 7, 7), 4: (256, 96, 1, 5, 5), 8: (256, 256, 1, 3, 3), 11: (256, 256, 1, 3, 3),
    14: (256, 256, 1, 3, 3), 18: (512, 256, 1, 6, 6),
}  # fmt: skip
NORM = ("weight", "bias", "running_mean", "running_var")


def published() -> dict[str, tuple[int, ...]]:
    """Name → shape of every entry of syncnet_v2.model, its counters aside."""
    found: dict[str, tuple[int, ...]] = {}
    for part, places in (("netcnnaud", HEARING), ("netcnnlip", LOOKING)):
        for place, shape in places.items():
            found |= {f"{part}.{place}.weight": shape, f"{part}.{place}.bias": shape[:1]}
            found |= {f"{part}.{place + 1}.{name}": shape[:1] for name in NORM}
    for part in ("netfcaud", "netfclip"):
        found |= {f"{part}.0.weight": (512, 512), f"{part}.0.bias": (512,)}
        found |= {f"{part}.1.{name}": (512,) for name in NORM}
        found |= {f"{part}.3.weight": (1024, 512), f"{part}.3.bias": (1024,)}
    return found


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = SyncNet().eval()
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert {name: tuple(value.shape) for name, value in state.items()} == published()
    weights = sum(int(np.prod(shape)) for name, shape in published().items() if "running" not in name)
    assert sum(value.numel() for value in network.parameters()) == weights == 13_631_616
    assert network.of_sound(torch.zeros(7, 1, 13, COLUMNS, device="meta")).shape == (7, 1024)
    assert network.of_pictures(torch.zeros(2, 3, 9, SIDE, SIDE, device="meta")).shape == (2, 5, 1024)
    halves = (
        network.netcnnaud(torch.zeros(1, 1, 13, 20, device="meta")),
        network.netcnnlip(torch.zeros(1, 3, 5, SIDE, SIDE, device="meta")),
    )
    assert [tuple(half.shape) for half in halves] == [(1, 512, 1, 1), (1, 512, 1, 1, 1)]


@pytest.mark.parametrize("count", [5, 6, 11])
def test_a_clip_at_once_is_window_by_window(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that end within the clip, with its end, and one that holds all of it."""
    network, shown = narrow(), pictures(count)
    with torch.no_grad():
        single = [
            network.of_pictures(
                torch.from_numpy(shown[at : at + PICTURES].astype(np.float32)).flip(-1).permute(3, 0, 1, 2)[None]
            )[0, 0]
            for at in range(count - PICTURES + 1)
        ]
    expected = torch.stack(single)
    assert count < 6 or (expected[0] - expected[1]).abs().max() > 1e-3, "windows differ"
    for most in (1, 2, 7, 16):
        monkeypatch.setattr(net, "AT_ONCE", most)
        found = network.look(iter(shown))
        assert found.shape == (count - PICTURES + 1, 8)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_blue_comes_first() -> None:
    """What the authors' file was trained on; a network that looks at the first channel alone tells."""
    network = narrow()
    network.netcnnlip[0].weight.data[:, 1:] = 0
    shown = pictures(6)
    other = shown.copy()
    other[..., :2] = 0
    torch.testing.assert_close(network.look(iter(shown)), network.look(iter(other)))
    other[..., 2] = 0
    assert not torch.allclose(network.look(iter(shown)), network.look(iter(other)))


def test_sound_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    network, coefficients = narrow(), 10 * np.random.default_rng(0).standard_normal((4 * 9 + COLUMNS + 3, 13))
    with torch.no_grad():
        expected = torch.cat(
            [
                network.of_sound(
                    torch.from_numpy(
                        coefficients[COLUMNS_PER_PICTURE * at : COLUMNS_PER_PICTURE * at + COLUMNS].T
                    ).float()[None, None]
                )
                for at in range(8)
            ]
        )
    for most in (3, 256):
        monkeypatch.setattr(net, "HEARD_AT_ONCE", most)
        found = network.hear(coefficients, 8)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std(dim=0).max() > 1e-3
