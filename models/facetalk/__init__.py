"""FaceTalk: audio-driven motion diffusion for neural parametric head models (Aneja et al., CVPR 2024).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.facetalk.settings import Settings

if TYPE_CHECKING:
    from models.facetalk.face import FaceTalk

__all__ = ["Settings", "network"]


def network() -> type[FaceTalk]:
    """The network's class, a `models.talking_face.TalkingFace`."""
    from models.facetalk.face import FaceTalk

    return FaceTalk
