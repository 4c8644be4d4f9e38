"""A lip reader: pictures of a mouth, and sound if there is any, to text. The audio-visual conformer of Auto-AVSR (Ma et
al., "Auto-AVSR: Audio-Visual Speech Recognition with Automatic Labels", ICASSP 2023). It moves no face.

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.lipreader.settings import Settings

if TYPE_CHECKING:
    from models.lipreader.learning import LearningLipReader
    from models.sight import Spelling
    from models.talking_face import DataFacts

__all__ = ["Settings", "network", "spelling"]


def network() -> type[LearningLipReader]:
    """The network's class."""
    from models.lipreader.learning import LearningLipReader

    return LearningLipReader


def spelling(settings: Settings, expert: DataFacts | None = None) -> Spelling:
    """What cuts its transcripts into pieces. DataError where the files of a tokeniser cannot be read."""
    from models.lipreader.spelled import of_settings

    return of_settings(settings)
