"""Whose head speaks: an identity code, where its mouth is, and the box that it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.settings import Point
from faces.implicit.weight import LIP_ANCHORS, FacialWeight
from models.nphm.assets import read_code
from models.nphm.head import HeadModel
from stages.kinds.head import Head
from stages.kinds.identities import FOLDER, read_identity
from stages.kinds.sequences import Sequences
from stages.meshes import OWN, ZERO, Params

ROOM = 0.05
"""Of a box about a neutral face, in NPHM's units; below it ends as much above the rim."""
Code = NDArray[np.float32]


@dataclass(frozen=True)
class Cast:
    """What is known of heads. Codes (D,) and places are in the model's space."""

    head: Head
    data: Sequences
    params: Params

    def identity(self, subject: str) -> Code:
        """DataError where there is no such code."""
        table, wished = self.head.tables.identities, self.params.identity
        size = self.head.tables.identity_mean.shape[0]
        if self.params.identity_file:
            return read_code(Path(self.params.identity_file), size, "identity").numpy()
        if wished == ZERO:
            return np.zeros(size, np.float32)
        if wished == OWN:
            return self._own(subject, size)
        subjects = list(self.head.info.subjects)
        if wished in subjects:
            return table[subjects.index(wished)]
        if wished.isdecimal() and int(wished) < len(table):
            return table[int(wished)]
        known = f"numbers from 0 to {len(table) - 1}" if len(table) else "no numbers, for its table is empty"
        names = f", {', '.join(subjects)}" if subjects else ""
        raise DataError(f"{self.head.path} has no identity {wished!r}; it has {OWN}, {ZERO}, {known}{names}")

    def mouth(self, subject: str, code: Code, model: HeadModel) -> Point:
        """Where the lips of the neutral face are; else between their anchors in NPHM's set; else the mean head's."""
        lips = self.data.region("lips")
        if len(self.head.tables.anchors) == 39 and not (self.params.own and lips is not None):
            with torch.no_grad():
                placed = model.identity.place(torch.tensor(code, device=model.identity.mean_anchors.device)[None])
            return _point(placed[0, list(LIP_ANCHORS)].mean(0).cpu().numpy())
        if lips is None:
            return FacialWeight.centre
        return _point(self._rest(subject)[lips].mean(axis=0))

    def box(self, subject: str) -> tuple[Point, Point]:
        """Corners: those of the parameters, or about the subject's neutral face."""
        if self.params.boxed:
            return _point(np.array(self.params.low)), _point(np.array(self.params.high))
        rest = self._rest(subject)
        low, high = rest.min(axis=0) - ROOM, rest.max(axis=0) + ROOM
        low[1] += 2 * ROOM
        return _point(low), _point(high)

    def throat(self, subject: str) -> NDArray[np.float32] | None:
        """(3, 3) corners of the plane below which nothing is kept, of the subject's neutral face; None for none."""
        if not (chosen := self.params.throat):
            return None
        rest = self._rest(subject)
        if not all(0 <= vertex < len(rest) for vertex in chosen):
            raise DataError(
                f"throat names the vertices {', '.join(map(str, chosen))}, and {self.data.path} has those from 0 to "
                f"{len(rest) - 1}: name three of its neck, or leave throat out"
            )
        return rest[chosen]

    def _own(self, subject: str, size: int) -> Code:
        if (self.data.path / FOLDER / f"{subject}.npy").is_file():
            return read_identity(self.data.path, subject, size)
        known = self.head.known(self.data, subject)
        if known is None:
            raise DataError(
                f"{self.data.path} has no identity code of {subject}, whom the head model does not know: give sequences"
                " that the stage track has made, or set identity to zero, a subject of the head or a row of its table"
            )
        return known

    def _rest(self, subject: str) -> NDArray[np.float32]:
        return self.head.into(self.data.template_for(subject, subject))


def _point(place: NDArray[np.floating]) -> Point:
    x, y, z = place.tolist()
    return x, y, z
