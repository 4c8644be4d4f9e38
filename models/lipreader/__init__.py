"""A lip reader: pictures of a mouth, and sound if there is any, to text. The audio-visual conformer of Auto-AVSR (Ma et
al., "Auto-AVSR: Audio-Visual Speech Recognition with Automatic Labels", ICASSP 2023). It moves no face.

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.lipreader.settings import Settings

if TYPE_CHECKING:
    from models.lipreader.net import LipReader

__all__ = ["Settings", "network"]


def network() -> type[LipReader]:
    """The network's class."""
    from models.lipreader.net import LipReader

    return LipReader
