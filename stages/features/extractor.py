"""What turns a sound into features, whichever it is: a name for each part, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.sound import Wave
from stages.kinds.features import Encoder

Array = NDArray[np.floating]


class Encoded(NamedTuple):
    """features: (L, C). hidden: (L, H), logits: (L, classes), or None where they were not asked for."""

    features: Array
    hidden: Array | None = None
    logits: Array | None = None


class Extractor(NamedTuple):
    """facts: what goes into the artifact. encode: a raw 16 kHz wave → its features."""

    facts: Encoder
    encode: Callable[[Wave], Encoded]


class Text(NamedTuple):
    """What a frozen recogniser makes of a sound. vocabulary, weights: what goes into the artifact.

    recognise: a raw 16 kHz wave and the features that were made of it → hidden states (L, H), logits (L, classes).
    """

    vocabulary: tuple[str, ...]
    weights: str
    recognise: Callable[[Wave, Array], tuple[Array, Array]]


def with_text(heard: Extractor, text: Text) -> Extractor:
    """The same features, and text beside them; the hidden states are the recogniser's."""

    def encode(wave: Wave) -> Encoded:
        features = heard.encode(wave).features
        return Encoded(features, *text.recognise(wave, features))

    facts = replace(heard.facts, vocabulary=text.vocabulary, text_weights=text.weights)
    return Extractor(facts, encode)
