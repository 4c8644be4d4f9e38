"""What turns a sound into features, whichever it is: a name for each part, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.sound import Wave
from stages.kinds.features import Encoder

Array = NDArray[np.floating]


class Encoded(NamedTuple):
    """features: (L, C). hidden: (L, H), or None where it was not asked for."""

    features: Array
    hidden: Array | None = None


class Extractor(NamedTuple):
    """facts: what goes into the artifact. encode: a raw 16 kHz wave → its features."""

    facts: Encoder
    encode: Callable[[Wave], Encoded]
