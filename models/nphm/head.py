"""A whole head model: a canonical field, and how an expression moves it. The dense form, with gradients for everything.

Shapes: B heads, N points. Codes are (B, D); an expression may be left out where nothing moves.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.nphm.canonical import Canonical
from models.nphm.deformation import Deformation, moved
from models.nphm.identity import Identity
from models.nphm.sizes import CanonicalSizes, DeformationSizes, IdentitySizes

NOWHERE, FORWARD, BACKWARD = "nowhere", "forward", "backward"
"""Where a deformation moves points: a head at rest has none; to their posed places; back to their canonical ones."""


class HeadModel(nn.Module):
    """NPHM (`Identity` and a forward deformation), MonoNPHM (`Canonical` and a backward one), or a head at rest."""

    def __init__(self, identity: Identity | Canonical, deformation: Deformation | None, moves: str) -> None:
        super().__init__()
        self.identity, self.deformation, self.moves = identity, deformation, moves

    @classmethod
    def build(
        cls,
        identity: IdentitySizes | CanonicalSizes,
        deformation: DeformationSizes | None = None,
        moves: str = BACKWARD,
    ) -> HeadModel:
        """A network of these sizes, drawn. ValueError with a sentence where they do not go together."""
        moves = moves if deformation else NOWHERE
        for problem in problems(identity, deformation, moves):
            raise ValueError(problem)
        field = Canonical(identity) if isinstance(identity, CanonicalSizes) else Identity(identity)
        return cls(field, Deformation(deformation) if deformation else None, moves)

    def field(self, points: Tensor, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """Signed distances (B, N) of points (B, N, 3), outside positive: of the posed head where the model moves points
        backward, of the head at rest else."""
        seen = self.canonical(points, identity, expression) if self.moves == BACKWARD else points
        return self.identity(seen, identity)

    def canonical(self, points: Tensor, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """Where posed points lie in the head at rest, (B, N, 3 + hyper); of a backward model."""
        if self.moves != BACKWARD:
            raise ValueError(f"a model that moves points {self.moves} tells no canonical places of posed points")
        return self._moved(points, identity, expression)

    def posed(self, points: Tensor, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """Where an expression moves points of the head at rest, (B, N, 3); of a forward model."""
        if self.moves != FORWARD:
            raise ValueError(f"a model that moves points {self.moves} tells no posed places of canonical points")
        return self._moved(points, identity, expression)

    def _moved(self, points: Tensor, identity: Tensor, expression: Tensor | None) -> Tensor:
        assert self.deformation is not None
        if expression is None:
            raise ValueError("points move with an expression, and none is given")
        return moved(points, self.deformation(points, identity, self.identity.place(identity), expression))


def problems(identity: IdentitySizes | CanonicalSizes, deformation: DeformationSizes | None, moves: str) -> list[str]:
    """Sentences on parts that do not go together."""
    found = list(identity.problems())
    if deformation is None:
        return found + ([] if moves == NOWHERE else [f"a head that moves points {moves} needs a deformation"])
    found += deformation.problems()
    hyper = identity.hyper if isinstance(identity, CanonicalSizes) else 0
    if deformation.told != identity.identity + 3 * identity.anchors:
        found.append("the deformation is of other identity codes than the field")
    if moves not in (FORWARD, BACKWARD):
        found.append(f"moves = {moves!r} must be {FORWARD!r} or {BACKWARD!r}")
    if deformation.hyper != hyper:
        found.append(f"the deformation gives {deformation.hyper} hyper coordinates, and the field takes {hyper}")
    return found
