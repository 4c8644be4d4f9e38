"""A small recogniser of speech, trained from transcripts by CTC: sound in, letters out. It moves no face.

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.recogniser.settings import Settings

if TYPE_CHECKING:
    from models.recogniser.net import Recogniser

__all__ = ["Settings", "network"]


def network() -> type[Recogniser]:
    """The network's class."""
    from models.recogniser.net import Recogniser

    return Recogniser
