"""SelfTalk: a self-supervised commutative training diagram to comprehend 3D talking faces (Peng et al., ACM MM 2023).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.selftalk.settings import Settings

if TYPE_CHECKING:
    from models.selftalk.face import SelfTalk

__all__ = ["Settings", "network"]


def network() -> type[SelfTalk]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.selftalk.face import SelfTalk

    return SelfTalk
