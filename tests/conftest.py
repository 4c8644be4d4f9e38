"""Tests know nothing of the user's own settings, and leave his store and links alone."""

from __future__ import annotations

import os
import signal

import pytest

# Tests run side by side, and their tensors are tiny: threads of one would only spin in the way of another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Who is started in the background of a script is deaf to Ctrl-C, and so would be every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIPE_")]:
        monkeypatch.delenv(name)
