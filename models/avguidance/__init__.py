"""Audio-visual guidance: FaceFormer that a lip-reading expert must be able to read ("Enhancing Speech-Driven 3D Facial
Animation with Audio-Visual Guidance from Lip Reading Expert", Interspeech 2024).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.avguidance.settings import Settings

if TYPE_CHECKING:
    from models.avguidance.face import GuidedFaceFormer
    from models.sight import Spelling
    from models.talking_face import DataFacts

__all__ = ["Settings", "network", "spelling"]


def network() -> type[GuidedFaceFormer]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.avguidance.face import GuidedFaceFormer

    return GuidedFaceFormer


def spelling(settings: Settings, expert: DataFacts) -> Spelling:
    """The expert's own."""
    from models.avguidance.settings import RELEASED
    from models.lipreader.spelled import Spelled
    from models.lipreader.tokeniser import tokeniser_of

    return Spelled(tokeniser_of(expert.tokeniser), settings.casing == RELEASED)
