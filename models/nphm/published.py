"""Sizes of head models in published files, told by the names and shapes of their entries alone. Light: no torch.

NPHM's are two files, of identity and of expression; MonoNPHM's is one, whose dictionaries are joined here to their
entries with a dot (`id_decoder.…`, `ex_decoder.…`). What no shape shows are how many anchors a point of MonoNPHM hears
and how wide: they are given, or those of the time by the number of anchors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from faces.errors import DataError
from models.nphm.sizes import APPENDED, SHRUNK, CanonicalSizes, DeformationSizes, IdentitySizes, Slots
from models.recognise import Shapes, layers

IDENTITY, EXPRESSION = "id_decoder.", "ex_decoder."
MEMBERS, COLOURS = "deepSDFensemble.layers", "aggr_app.layers"
ANCHORS = ("mlp_pos.0.weight", "mlp_pos.4.weight")
IDENTITY_SIGNATURE = ("ensembled_deep_sdf.lin0.weight", *ANCHORS)
CANONICAL_SIGNATURE = (f"{MEMBERS}.0.layers.0.weight", *ANCHORS)
DEFORMATION_SIGNATURE = ("compressor.0.weight", "defDeepSDF.lin0.weight")
HEARD: Mapping[int, tuple[int, float]] = {39: (8, 4.0)}
"""Anchors → how many a point hears, and the spread, where it is not MonoNPHM's 12 and 3.75: FaceTalk's time."""

S = TypeVar("S", bound=Slots)


def identity_sizes(shapes: Shapes, source: str) -> IdentitySizes:
    """Of NPHM's identity network. source: what the file is called in errors. DataError for other entries."""
    _demand(shapes, IDENTITY_SIGNATURE, f"{source} is no identity network of NPHM")

    def read() -> IdentitySizes:
        members, width, inputs = shapes["ensembled_deep_sdf.lin0.weight"]
        told = _slots(shapes, members)
        deep = layers(shapes, r"ensembled_deep_sdf\.lin(\d+)\.") - 1
        local = inputs - 3 - told["global_code"]
        return IdentitySizes(**told, local_code=local, width=width, layers=deep, place=shapes[ANCHORS[0]][0])

    return _sound(read, source)


def deformation_sizes(shapes: Shapes, slots: Slots, source: str) -> DeformationSizes:
    """Of a deformation over the identity codes of `slots`. DataError where it is of other ones."""
    _demand(shapes, DEFORMATION_SIGNATURE, f"{source} is no deformation network of NPHM")

    def read() -> DeformationSizes:
        bottleneck, told = shapes["compressor.0.weight"]
        width, inputs = shapes["defDeepSDF.lin0.weight"]
        deep = layers(shapes, r"defDeepSDF\.lin(\d+)\.") - 1
        outputs, _ = shapes[f"defDeepSDF.lin{deep}.weight"]
        again = shapes[f"defDeepSDF.lin{deep // 2}.weight"][1]
        if again not in (width, width + inputs):
            raise ValueError("its input does not come in again half-way")
        made = DeformationSizes(
            anchors=slots.anchors, pairs=slots.pairs, global_code=slots.global_code, local_code=slots.local_code,
            bottleneck=bottleneck, expression=inputs - 3 - bottleneck, hyper=outputs - 3,
            width=width, layers=deep, skip=SHRUNK if again == width else APPENDED,
        )  # fmt: skip
        if told != made.told:
            raise DataError(
                f"{source} deforms heads told in {told} numbers, but the identity network tells {made.told} (code and "
                "anchors): the two are not of one model"
            )
        if made.hyper < 0 or made.expression < 1:
            raise ValueError("it has no room for an expression")
        return made

    return _sound(read, source)


def mono_sizes(
    shapes: Shapes, source: str, neighbours: int = 0, spread: float = 0.0
) -> tuple[CanonicalSizes, DeformationSizes]:
    """Of MonoNPHM, colour and all, from joined names. neighbours, spread: 0 for those of the time."""
    own, moves = under(shapes, IDENTITY), under(shapes, EXPRESSION)
    _demand(own, CANONICAL_SIGNATURE, f"{source} is no MonoNPHM", "its id_decoder")
    _demand(moves, DEFORMATION_SIGNATURE, f"{source} is no MonoNPHM", "its ex_decoder")

    def read() -> CanonicalSizes:
        width, inputs = own[CANONICAL_SIGNATURE[0]]
        told = _slots(own, layers(own, r"deepSDFensemble\.layers\.(\d+)\."))
        last = layers(moves, r"defDeepSDF\.lin(\d+)\.") - 1
        hyper = moves[f"defDeepSDF.lin{last}.weight"][0] - 3
        heard, wide = HEARD.get(told["anchors"], (min(12, told["anchors"]), 3.75))
        return CanonicalSizes(
            **told,
            **_colour(own, told["global_code"]),
            local_code=inputs - told["global_code"] - 3 - hyper,
            hyper=hyper,
            neighbours=neighbours or heard,
            spread=spread or wide,
            width=width,
            layers=_deep(own, MEMBERS),
            place=own[ANCHORS[0]][0],
        )

    canonical = _sound(read, source)
    return canonical, deformation_sizes(moves, canonical, f"the ex_decoder of {source}")


def under(entries: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Those whose names begin so, without it."""
    return {name.removeprefix(prefix): value for name, value in entries.items() if name.startswith(prefix)}


def _slots(shapes: Shapes, members: int) -> dict[str, int]:
    """Sizes that the network of the anchors tells, and the number of members."""
    coordinates, global_code = shapes[ANCHORS[1]][0], shapes[ANCHORS[0]][1]
    if coordinates % 3:
        raise ValueError("its anchors are no points")
    anchors = coordinates // 3
    return {"anchors": anchors, "pairs": anchors + 1 - members, "global_code": global_code}


def _colour(own: Shapes, global_code: int) -> dict[str, int]:
    first = f"{COLOURS}.0.layers.0.weight"
    if first not in own:
        return {}
    width, inputs = own[first]
    bottleneck = own["communcation_bottleneck1.weight"][0]
    local = inputs - global_code - bottleneck
    return {"colour": width, "colour_local": local, "colour_layers": _deep(own, COLOURS), "bottleneck": bottleneck}


def _deep(own: Shapes, ensemble: str) -> int:
    """Hidden layers of an ensemble's members."""
    return layers(own, rf"{re.escape(ensemble)}\.0\.layers\.(\d+)\.") - 1


def _demand(shapes: Shapes, names: tuple[str, ...], complaint: str, part: str = "it") -> None:
    if missing := [name for name in names if name not in shapes]:
        raise DataError(f"{complaint}: {part} lacks {', '.join(missing)}")


def _sound(read: Callable[[], S], source: str) -> S:
    """What is read. DataError where shapes do not go together."""
    try:
        made = read()
    except DataError:
        raise
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{source} is damaged: the shapes of its entries do not go together") from error
    for problem in made.problems():
        raise DataError(f"{source} is damaged or another model's: {problem}")
    return made
