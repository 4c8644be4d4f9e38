"""Audio-visual guidance: FaceFormer that a lip-reading expert must be able to read ("Enhancing Speech-Driven 3D Facial
Animation with Audio-Visual Guidance from Lip Reading Expert", Interspeech 2024).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.avguidance.settings import Settings

if TYPE_CHECKING:
    from models.avguidance.face import GuidedFaceFormer

__all__ = ["Settings", "network"]


def network() -> type[GuidedFaceFormer]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.avguidance.face import GuidedFaceFormer

    return GuidedFaceFormer
