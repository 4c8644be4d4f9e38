"""What `pipe data card` does with an artifact's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from stages.datacard.facts import gather
from stages.datacard.page import page


def card(folders: Sequence[Path], *, as_json: bool) -> None:
    """Print the cards of artifacts, as Markdown or as one JSON list."""
    found = [gather(folder) for folder in folders]
    if as_json:
        print(json.dumps([facts.to_json() for facts in found], indent=1, ensure_ascii=False))
    else:
        print("\n".join(page(facts) for facts in found), end="")
