"""CodeTalker, stage 2: speech to the codes of a discrete motion prior (Xing et al., CVPR 2023).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.codetalker.settings import Settings

if TYPE_CHECKING:
    from models.codetalker.face import CodeTalker

__all__ = ["Settings", "network"]


def network() -> type[CodeTalker]:
    """The network's class, a `models.talking_face.TalkingFace` that is built upon a prior."""
    from models.codetalker.face import CodeTalker

    return CodeTalker
