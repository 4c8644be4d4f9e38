"""What a network that looks at mouths is told of a data set's faces."""

from __future__ import annotations

import numpy as np

from faces.errors import DataError
from models.sight import Sight
from stages.kinds.sequences import Sequences

LIPS = "lips"


def sight_of(data: Sequences) -> Sight:
    """With the mean neutral face of the training subjects, or of all where none is trained on. DataError where there is
    none."""
    if not data.middle_subjects:
        raise DataError(f"{data.path} has no neutral face, which a mouth is looked for in: run preprocess again")
    mean = np.array([data.templates[name] for name in data.middle_subjects], np.float64).mean(axis=0)
    return Sight(data.faces, mean, data.region(LIPS), data.info.up, data.fps, str(data.path))
