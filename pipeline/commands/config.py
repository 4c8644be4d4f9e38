"""`pipe config`: what is set, and where."""

from __future__ import annotations

import json

from cache.address import shown
from pipeline.config import KEYS, Settings
from pipeline.progress import table


def config(settings: Settings, *, as_json: bool) -> None:
    """Each key with its value, its origin and what it is for. Passwords in addresses are not shown."""
    values = {name: shown(setting.value) for name, setting in settings.items()}
    if as_json:
        found = {name: {"value": values[name], "origin": settings[name].origin} for name in settings}
        print(json.dumps(found, indent=1))
        return
    rows = [(name, values[name] or "-", settings[name].origin, KEYS[name].help) for name in settings]
    print(table(rows, ("key", "value", "from", "what")))
