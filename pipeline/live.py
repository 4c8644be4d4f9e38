"""The live tree of a run in a terminal: recipes, their steps, and how far each is.

While steps run, the tree is redrawn in place, below a step the line that it tells of itself, and what steps say scrolls
by above; at the end it is written once more, in full, as plain lines that stay. A tree higher than the terminal shows
what is at work and counts the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from pipeline.progress import Progress, Reporter, duration, rate_text

STYLES = {"running": "bold cyan", "done": "green", "cached": "dim", "failed": "bold red", "waiting": "dim"}
AT_WORK = ("running", "failed", "stopped")
STATES = ("waiting", "running", "cached", "done", "failed", "stopped", "not run")
"""What a step can be; anything else that is told of one is a line."""
_BAR = 20
_ROOM_FOR_BAR = 100
"""Columns from which on a bar fits beside counts, rate and time."""


@dataclass
class _Step:
    name: str
    state: str = "waiting"
    text: str = ""
    watch: str = ""
    since: float = field(default_factory=time.monotonic)
    progress: Progress | None = None


class LiveReporter(Reporter):
    """Draws the tree from the first `outline` to `close`."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(highlight=False)
        self._tree: dict[str, dict[str, _Step]] = {}
        self._live: Live | None = None

    def outline(self, steps: Mapping[str, Sequence[str]]) -> None:
        self._tree = {
            recipe: {label: _Step(label.removeprefix(f"{recipe}/")) for label in labels}
            for recipe, labels in steps.items()
        }
        self._width = max((cell_len(step.name) for tree in self._tree.values() for step in tree.values()), default=0)
        self._live = Live(self, console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def step(self, name: str, state: str, text: str = "", **facts: Any) -> None:
        step = self._find(name)
        if state not in STATES or step is None:
            super().step(name, state, text)
        else:
            step.state, step.text, step.watch, step.progress = state, text, "", None
            if state == "running":
                step.since = time.monotonic()

    def progress(self, step: str, progress: Progress | None) -> None:
        found = self._find(step)
        if found is not None:
            found.progress = progress

    def watch(self, step: str, text: str) -> None:
        found = self._find(step)
        if found is not None and found.state == "running":
            found.watch = text

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            for step in (step for tree in self._tree.values() for step in tree.values()):
                step.watch = ""
            for row in self._rows(list(self._tree), room=1000):
                self._console.print(row, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = console.height - 1
        rows = list(self._rows(list(self._tree), options.max_width))
        yield from rows if len(rows) <= room else self._few(rows, room, options.max_width)

    def _rows(self, recipes: Sequence[str], room: int) -> Iterator[Text]:
        for recipe in recipes:
            yield Text(recipe, style="bold", no_wrap=True, overflow="ellipsis")
            steps = list(self._tree[recipe].values())
            for step in steps:
                last = step is steps[-1]
                yield self._row("└─ " if last else "├─ ", step, room)
                yield from _below("   " if last else "│  ", step)

    def _few(self, rows: Sequence[Text], room: int, width: int) -> Iterator[Text]:
        """What is at work, and the number of the rest."""
        steps = [step for tree in self._tree.values() for step in tree.values()]
        shown = [step for step in steps if step.state in AT_WORK or (step.state == "waiting" and step.text)][: room - 1]
        spare = room - 1 - len(shown)
        for step in shown:
            yield self._row("─ ", step, width)
            below = list(_below("  ", step))[:spare]
            spare -= len(below)
            yield from below
        rest = Counter(step.state for step in steps if step not in shown)
        yield Text("… " + ", ".join(f"{count} {state}" for state, count in rest.items()), no_wrap=True)

    def _row(self, branch: str, step: _Step, room: int) -> Text:
        row = Text(no_wrap=True, overflow="ellipsis")
        row.append(branch, style="dim")
        row.append(step.name + " " * (self._width - cell_len(step.name) + 2))
        row.append(f"{step.state:<8}", style=STYLES.get(step.state, ""))
        if step.state == "running":
            row.append(f"  {duration(time.monotonic() - step.since):>6}  ", style="dim")
            row.append_text(self._doing(step, room))
        elif step.text:
            row.append("  " + step.text.splitlines()[0])
        return row

    def _doing(self, step: _Step, room: int) -> Text:
        now = step.progress
        if now is None:
            return Text(step.text)
        text = Text()
        if now.total and room >= _ROOM_FOR_BAR:
            full = round(_BAR * min(now.done / now.total, 1.0))
            text.append("━" * full, style="cyan").append("━" * (_BAR - full), style="dim").append(" ")
        return text.append(rate_text(now.done, now.total, now.unit, now.seconds))

    def _find(self, label: str) -> _Step | None:
        return next((tree[label] for tree in self._tree.values() if label in tree), None)


def _below(branch: str, step: _Step) -> Iterator[Text]:
    """The line that a running step tells of itself."""
    if step.watch:
        yield Text.assemble(
            f"{branch}  ", step.watch.partition("\n")[0], style="dim", no_wrap=True, overflow="ellipsis"
        )
