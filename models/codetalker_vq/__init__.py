"""CodeTalker, stage 1: a discrete prior of facial motion (Xing et al., CVPR 2023).

Light to import: `Settings` alone. `network()` imports torch and returns the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.codetalker_vq.settings import Settings

if TYPE_CHECKING:
    from models.codetalker_vq.autoencoder import MotionAutoencoder

__all__ = ["Settings", "network"]


def network() -> type[MotionAutoencoder]:
    """The network's class, a `models.motion_prior.MotionPrior`."""
    from models.codetalker_vq.autoencoder import MotionAutoencoder

    return MotionAutoencoder
