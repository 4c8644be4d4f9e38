"""What a network that looks at mouths is told of a data set's faces."""

from __future__ import annotations

import numpy as np

from models.sight import Sight
from stages.kinds.sequences import Sequences

LIPS = "lips"


def sight_of(data: Sequences) -> Sight:
    """With the mean neutral face of the training subjects, or of all where none is trained on."""
    wanted = [name for name in data.train_subjects if name in data.templates] or sorted(data.templates)
    mean = np.array([data.templates[name] for name in wanted], np.float64).mean(axis=0)
    return Sight(data.faces, mean, data.region(LIPS), data.info.up, data.fps, str(data.path))
