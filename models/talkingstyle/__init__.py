"""TalkingStyle: personalized speech-driven 3D facial animation with style preservation (IEEE TVCG 2024).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.talkingstyle.settings import Settings

if TYPE_CHECKING:
    from models.talkingstyle.face import TalkingStyle

__all__ = ["Settings", "network"]


def network() -> type[TalkingStyle]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.talkingstyle.face import TalkingStyle

    return TalkingStyle
