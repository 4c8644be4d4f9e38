"""Tests know nothing of the user's own settings, and leave his store and links alone."""

from __future__ import annotations

import os

import pytest

# Tests run side by side, and their tensors are tiny: threads of one would only spin in the way of another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIPE_")]:
        monkeypatch.delenv(name)
