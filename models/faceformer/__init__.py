"""FaceFormer: speech-driven 3D facial animation with transformers (Fan et al., CVPR 2022).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.faceformer.settings import Settings

if TYPE_CHECKING:
    from models.faceformer.face import FaceFormer

__all__ = ["Settings", "network"]


def network() -> type[FaceFormer]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.faceformer.face import FaceFormer

    return FaceFormer
