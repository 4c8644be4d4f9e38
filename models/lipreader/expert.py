"""A lip reader from a released file."""

from __future__ import annotations

from pathlib import Path

from models.lipreader.net import LipReader
from models.lipreader.published import settings_of
from models.official import read_official
from models.unfilled import unfilled


def read_expert(path: Path) -> LipReader:
    """The network of Auto-AVSR's file of weights, audio-visual or video, of any size and either layout; in eval mode.

    The file runs no code (`models.official`). DataError where it is absent, damaged or another network's.
    """
    state = read_official(path)
    settings = settings_of({name: tuple(value.shape) for name, value in state.items()}, str(path))
    with unfilled():
        network = LipReader(settings)
    network.load_official(state)
    return network.eval()
