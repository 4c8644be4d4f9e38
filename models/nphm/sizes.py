"""Sizes of neural parametric head models. Light: no torch. Defaults are NPHM's; `MONO_…` are those of MonoNPHM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SHRUNK, APPENDED = "shrunk", "appended"
"""How a network's input comes in again half-way: in place of channels (NPHM), or beside them (MonoNPHM)."""


@dataclass(frozen=True)
class Slots:
    """Anchors and how an identity code is divided: [global | slot 0 | … | the slot of the whole head].

    Slots 2i and 2i + 1 of the first 2·pairs lie left and right of each other and share a member, which sees the odd one
    mirrored in x. The last slot has no anchor and sees the whole head.
    """

    anchors: int = 39
    pairs: int = 16
    global_code: int = 64
    local_code: int = 32

    @property
    def members(self) -> int:
        return self.anchors + 1 - self.pairs

    @property
    def identity(self) -> int:
        """Numbers of an identity code: 1344 of NPHM, 2176 of MonoNPHM."""
        return self.global_code + (self.anchors + 1) * self.local_code

    def problems(self) -> Iterator[str]:
        """Sentences on sizes that do not go together."""
        if min(self.anchors, self.global_code, self.local_code) < 1:
            yield "anchors, global_code and local_code must be 1 at least"
        if not 0 <= 2 * self.pairs <= self.anchors:
            yield f"pairs = {self.pairs} of anchors are more than the {self.anchors} anchors give"


@dataclass(frozen=True)
class IdentitySizes(Slots):
    """NPHM's canonical field: all members blended with one width. place: channels of the network that sets anchors."""

    width: int = 200
    layers: int = 4
    place: int = 256

    @property
    def inputs(self) -> int:
        """Numbers that a member sees: position, global and local code."""
        return 3 + self.global_code + self.local_code

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from _network("a member", self.inputs, self.width, self.layers, SHRUNK)


@dataclass(frozen=True)
class CanonicalSizes(Slots):
    """MonoNPHM's canonical field: the members of the nearest anchors, in a space with `hyper` more coordinates.

    neighbours: anchors that a point hears. spread: a weight's width is the distance of the eighth nearest anchor over
    this. colour: channels of the colour's members, 0 for a field without colour.
    bottleneck: channels that the geometry tells the colour in.
    """

    hyper: int = 2
    neighbours: int = 12
    spread: float = 3.75
    width: int = 200
    layers: int = 4
    place: int = 64
    colour: int = 0
    colour_local: int = 32
    colour_layers: int = 4
    bottleneck: int = 16

    @property
    def inputs(self) -> int:
        """Numbers that a member sees: global and local code, position."""
        return self.global_code + self.local_code + 3 + self.hyper

    @property
    def appearance(self) -> int:
        """Numbers of an appearance code."""
        return self.global_code + (self.anchors + 1) * self.colour_local

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not 1 <= self.neighbours <= self.anchors:
            yield f"neighbours = {self.neighbours} must be between 1 and the {self.anchors} anchors"
        if self.spread <= 0:
            yield f"spread = {self.spread} must be positive"
        if self.layers < 2 or self.width < 1:
            yield f"a member of {self.layers} layers and {self.width} channels is no network"


@dataclass(frozen=True)
class DeformationSizes(Slots):
    """A deformation's network. bottleneck: numbers that the identity is told in. skip: "shrunk" or "appended"."""

    bottleneck: int = 32
    expression: int = 200
    hyper: int = 0
    width: int = 512
    layers: int = 6
    skip: str = SHRUNK

    @property
    def told(self) -> int:
        """Numbers of identity that are compressed: the code, and where the anchors stand."""
        return self.identity + 3 * self.anchors

    @property
    def inputs(self) -> int:
        """Numbers that the network sees: position, compressed identity, expression code."""
        return 3 + self.bottleneck + self.expression

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.skip not in (SHRUNK, APPENDED):
            yield f"skip = {self.skip!r} must be {SHRUNK!r} or {APPENDED!r}"
        yield from _network("a deformation", self.inputs, self.width, self.layers, self.skip)


MONO_CANONICAL = CanonicalSizes(anchors=65, pairs=30)
MONO_DEFORMATION = DeformationSizes(
    anchors=65, pairs=30, bottleneck=16, expression=100, hyper=2, width=400, skip=APPENDED
)


def layer_sizes(inputs: int, width: int, layers: int, outputs: int, skip: str) -> list[tuple[int, int]]:
    """(in, out) of lin0 … lin<layers> of a network whose input comes in again at layer `layers // 2`."""
    again = layers // 2
    sizes = []
    for i in range(layers + 1):
        given = inputs if i == 0 else width + (inputs if i == again and skip == APPENDED else 0)
        made = outputs if i == layers else width - (inputs if i + 1 == again and skip == SHRUNK else 0)
        sizes.append((given, made))
    return sizes


def _network(what: str, inputs: int, width: int, layers: int, skip: str) -> Iterator[str]:
    if layers < 2 or width < 1:
        yield f"{what} of {layers} layers and {width} channels is no network"
    elif skip == SHRUNK and width <= inputs:
        yield f"{what} of {width} channels has no room for its {inputs} inputs, which come in again half-way"
