"""What the parameters of `render` may be. Imported while planning, so it holds nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator

COLUMNS = ("truth", "prediction", "error")
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
NAMED_COLOURS = {"white": "#ffffff", "black": "#000000"}


def background_problem(colour: str) -> Iterator[str]:
    """A sentence for a background that is no colour."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", NAMED_COLOURS.get(colour, colour)):
        yield f"background must be {', '.join(NAMED_COLOURS)} or #rrggbb, not {colour!r}"


def parse_colour(colour: str) -> tuple[int, int, int]:
    """8-bit RGB of a colour that `background_problem` has nothing against."""
    digits = NAMED_COLOURS.get(colour, colour).removeprefix("#")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
