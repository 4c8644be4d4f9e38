"""Tests know nothing of the user's own settings, and leave his store and links alone."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIPE_")]:
        monkeypatch.delenv(name)
