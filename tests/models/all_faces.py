"""The faces that are asked the same questions, each in its two published flavours."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from models.talking_face import Clips, Speech
from tests.models import tiny, tiny_facetalk, tiny_selftalk, tiny_talkingstyle
from tests.models.tiny import SUBJECTS

EYE = torch.eye(len(SUBJECTS))


class Face(NamedTuple):
    """Settings, and the module that makes small networks and clips for them."""

    module: ModuleType
    settings: Any

    def changed(self, **changes: Any) -> Face:
        return self._replace(settings=replace(self.settings, **changes))

    def calm(self) -> Face:
        """Without noise in training."""
        noises = ("dropout", "encoder_dropout", "encoder_attention_dropout", "layerdrop", "mask_time_prob")
        return self.changed(**{name: 0.0 for name in noises if name in self.settings.__dataclass_fields__})

    def network(self) -> Any:
        """In eval mode, with motion that is not zero."""
        return self.module.network(self.settings)

    def untrained(self) -> Any:
        network = type(self.module.network(self.settings))
        return network.build(self.settings, self.module.facts(self.settings))

    def clips(self, lengths: list[int], frames: list[int]) -> Clips:
        return getattr(self.module, "clips", tiny.clips)(lengths, frames)

    def one(self, batch: Clips, i: int) -> Clips:
        return getattr(self.module, "one", tiny.one)(batch, i)


def speech(length: int, styles: Tensor = EYE[:2]) -> Speech:
    batch = tiny.clips([length], [2])
    return Speech(batch.features[0], batch.template[0], styles)


def _named(modules: dict[str, ModuleType]) -> dict[str, Face]:
    flavours = ("vocaset", "biwi")
    return {
        f"{name}-{flavour}": Face(module, settings)
        for name, module in modules.items()
        for flavour, settings in zip(flavours, module.BOTH, strict=True)
    }


_ROLLED_OUT = _named({"faceformer": tiny, "talkingstyle": tiny_talkingstyle})
_ALL = _ROLLED_OUT | _named({"selftalk": tiny_selftalk})
_DRAWN = {
    "facetalk-vertices": Face(tiny_facetalk, tiny_facetalk.MESH),
    "facetalk-track": Face(tiny_facetalk, tiny_facetalk.CODES),
}
_FORCED = {f"{name}-forced": face.changed(teacher_forcing=True) for name, face in _ROLLED_OUT.items()}


def _each(faces: dict[str, Face]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("face", faces.values(), ids=faces)


every_face = _each(_ALL)
every_speaker = _each(_ALL | _DRAWN)
"""Those whose motion is drawn, too, so that their losses are not the same twice."""
every_training = _each(_ALL | _FORCED)
every_learner = _each(_ALL | _FORCED | _DRAWN)
every_roll_out = _each(_ROLLED_OUT)
"""Those whose own frames come back as tokens."""
