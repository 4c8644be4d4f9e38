"""How wide a SyncNet is, told by the shapes in its file. Light: no torch.

Strides, kernels and their order are the published ones always; widths are the file's, so that a narrow network in the
same format is one, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from faces.errors import DataError

Shapes = Mapping[str, tuple[int, ...]]
PARTS = ("netcnnaud", "netfcaud", "netcnnlip", "netfclip")
HEARING, LOOKING = (0, 4, 8, 11, 14, 18), (0, 4, 8, 11, 14, 18)
"""Places of the convolutions in `netcnnaud` and `netcnnlip`."""
HIDDEN, LAST = 0, 3
"""Of the linear maps in `netfcaud` and `netfclip`."""
SOURCE = (
    "take syncnet_v2.model, which the authors of SyncNet (Chung and Zisserman, Visual Geometry Group, Oxford) hand out "
    "under their terms"
)
"""Where a user finds one, the end of a sentence."""


@dataclass(frozen=True)
class Sizes:
    """Channels of the six convolutions of either half, of the hidden layers, and of the features that are compared."""

    hearing: tuple[int, ...] = (64, 192, 384, 256, 256, 512)
    looking: tuple[int, ...] = (96, 256, 256, 256, 256, 512)
    hidden: int = 512
    features: int = 1024


def sizes_of(shapes: Shapes, source: str) -> Sizes:
    """Of a file, from names and shapes. DataError where it is no SyncNet. source: it is called in errors."""
    wanted = [f"netcnnaud.{place}.weight" for place in HEARING] + [f"netcnnlip.{place}.weight" for place in LOOKING]
    wanted += [f"{part}.{place}.weight" for part in ("netfcaud", "netfclip") for place in (HIDDEN, LAST)]
    if missing := [name for name in wanted if not shapes.get(name)]:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise DataError(f"{source} is no SyncNet, it lacks {few}: {SOURCE}")
    return Sizes(
        tuple(shapes[f"netcnnaud.{place}.weight"][0] for place in HEARING),
        tuple(shapes[f"netcnnlip.{place}.weight"][0] for place in LOOKING),
        shapes[f"netfcaud.{HIDDEN}.weight"][0],
        shapes[f"netfcaud.{LAST}.weight"][0],
    )
