"""The live tree: one line a step, within the terminal, and a full one at the end."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console

from pipeline.live import LiveReporter
from pipeline.progress import Progress, Reporter, columns, table

ROOT = Path(__file__).parents[2]


def reporter(width: int, height: int = 30) -> tuple[LiveReporter, Console]:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, height=height, highlight=False, color_system=None
    )
    live = LiveReporter(console)
    return live, console


def frame(live: LiveReporter, console: Console) -> list[str]:
    """What one drawing of the tree gives, on a terminal of its own."""
    paper = Console(file=io.StringIO(), width=console.width, height=console.height, color_system=None)
    paper.print(live)
    return paper.file.getvalue().splitlines()


def test_a_frame_shows_every_step(monkeypatch) -> None:
    live, console = reporter(120)
    live.outline({"toy": ["toy/read", "double", "sum"]})
    live.step("toy/read", "cached", "read/x--12345678")
    live.step("double", "running", "first run")
    live.progress("double", Progress(3, 12, "numbers", 6.0))
    rows = frame(live, console)
    live.close()
    assert rows[0] == "toy"
    assert rows[1].split() == ["├─", "read", "cached", "read/x--12345678"]
    assert rows[2].startswith("├─ double  running")
    assert rows[2].endswith("━━━━━━━━━━━━━━━━━━━━ 3 of 12 numbers, 2.0 s each, 18 s left")
    assert rows[3].split() == ["└─", "sum", "waiting"]


def test_frames_fit_narrow_terminals_and_wide_letters() -> None:
    live, console = reporter(40)
    live.outline({"漢字": ["漢字漢字漢字", "b"]})
    live.step("漢字漢字漢字", "running", "漢字" * 30)
    live.progress("b", Progress(1, None, "漢字" * 20, 1.0))
    rows = frame(live, console)
    live.close()
    assert len(rows) == 3
    assert all(cell_len(row) <= 40 for row in rows)
    assert [cell_len(row.partition(state)[0]) for row, state in zip(rows[1:], ("running", "waiting"), strict=True)] == [
        17,
        17,
    ]


def test_a_tree_higher_than_the_terminal_is_summed_up() -> None:
    live, console = reporter(80, height=6)
    live.outline({"many": [f"step{number}" for number in range(40)]})
    live.step("step0", "done")
    live.step("step7", "running", "first run")
    rows = frame(live, console)
    live.close()
    assert len(rows) == 2
    assert "step7" in rows[0]
    assert rows[1] == "… 1 done, 38 waiting"


def test_a_running_step_tells_of_itself_below() -> None:
    live, console = reporter(40)
    live.outline({"toy": ["read", "double", "sum"]})
    live.watch("read", "too early")
    live.step("double", "running", "first run")
    live.watch("double", "epoch 1/3 · loss 0.5")
    live.watch("double", "epoch 2/3 · [bold] loss 0.25 and more than the terminal has room for\nno second line")
    live.watch("unknown", "nobody")
    rows = frame(live, console)
    live.step("sum", "running", "first run")
    live.watch("sum", "at the end")
    last = frame(live, console)[-1]
    live.step("double", "done", "1.0 s")
    after = frame(live, console)
    live.close()
    assert [row[:13] for row in rows] == ["toy", "├─ read    wa", "├─ double  ru", "│    epoch 2/", "└─ sum     wa"]
    assert rows[3] == "│    epoch 2/3 · [bold] loss 0.25 and m…"
    assert last == "     at the end"
    assert not any("epoch" in row for row in after)
    stays = console.file.getvalue().rpartition("└─ sum")[2]
    assert "at the end" not in stays


def test_the_small_form_tells_what_it_has_room_for() -> None:
    live, console = reporter(80, height=6)
    live.outline({"many": [f"step{number}" for number in range(40)]})
    for number in range(3):
        live.step(f"step{number}", "running", "first run")
        live.watch(f"step{number}", f"loss {number}")
    rows = frame(live, console)
    live.close()
    assert [row.split()[0:2] for row in rows] == [
        ["─", "step0"],
        ["loss", "0"],
        ["─", "step1"],
        ["─", "step2"],
        ["…", "37"],
    ]


def test_plain_lines_have_no_place_for_a_line_that_changes(capsys) -> None:
    Reporter().watch("double", "loss 0.5")
    assert capsys.readouterr().out == ""


def test_what_stays_is_whole_and_what_steps_say_stands_above() -> None:
    live, console = reporter(40)
    live.outline({"toy": ["read"]})
    live.step("read", "", "a long line that says what it says and does not end at the edge")
    live.step("read", "done", "1.0 s → read/a-long-name-of-an-artifact-that-is-wider--12345678")
    live.close()
    live.line("after")
    text = console.file.getvalue()
    assert text.rstrip().endswith("after")
    assert "read/a-long-name-of-an-artifact-that-is-wider--12345678" in text.replace("\n", "")
    assert text.index("a long line") < text.rindex("└─ read")


def test_steps_that_are_not_in_the_tree_are_lines() -> None:
    live, console = reporter(80)
    live.step("other", "running", "first run")
    live.progress("other", Progress(1, 2, "x", 1.0))
    live.close()
    assert "other" in console.file.getvalue()


def test_a_run_in_a_terminal_leaves_the_tree_and_no_remains(here) -> None:
    """What a pseudo-terminal is sent: cursor movements while it runs, and after the last of them whole lines."""
    words = [sys.executable, "-m", "pipeline", "run", "toy.toml", "--device", "cpu"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, env)
    sent = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(terminal, 4096):
            sent += part
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = sent.decode()
    assert "\x1b[" in text
    last = re.sub(r"\x1b\[[\d;]*m", "", text).rpartition("\x1b[2K")[2].split("\r\n")
    rows = [line.split() for line in last if line.startswith(("├", "└"))]
    assert [(row[1], row[2]) for row in rows] == [("read", "done"), ("double", "done"), ("sum", "done")]
    assert "results: outputs/toy" in text


def test_tables_align_wide_letters() -> None:
    assert columns("漢a\u0301") == 3
    assert table([("漢字", "x"), ("abc", "y")]) == "漢字  x\nabc   y"
