"""A data card as a page of Markdown, which is also what the terminal shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stages.datacard.facts import Facts, Share
from stages.kinds.card import Card

MARK = {True: "yes", False: "**no**", None: "not checked"}
MOST_IDS = 8
"""Of one reason; `--json` and `sequences.json` have all."""


def page(facts: Facts) -> str:
    """The whole page, ending with a line end."""
    return "\n".join([*_head(facts), *_splits(facts), *_found(facts.card), *_skipped(facts)]) + "\n"


def _head(facts: Facts) -> Iterator[str]:
    source = facts.card.source if facts.card else None
    yield f"# {source.title if source else facts.dataset}"
    yield ""
    rows = [
        ("data set", facts.dataset),
        ("sequences", f"{facts.total.sequences:,} of {facts.total.subjects} subjects"),
        ("motion", f"{_time(facts.total.seconds)}, {facts.total.frames:,} frames, {facts.fps:g} a second"),
        ("sound", _sound(facts)),
        ("mesh", f"{facts.vertices:,} vertices, {facts.triangles:,} triangles, {facts.up} up"),
        ("units", facts.units),
        ("regions", ", ".join(f"{name} ({count:,})" for name, count in facts.regions.items()) or "none"),
    ]
    if source:
        rows += [("licence", source.licence), ("terms", source.terms), ("from", source.url), ("cite", source.citation)]
    yield from (f"* {name}: {value}" for name, value in rows)


def _sound(facts: Facts) -> str:
    rates = ", ".join(f"{rate:,}" for rate in facts.sample_rates)
    without = f"; {facts.total.silent} sequences have none" if facts.total.silent else ""
    return f"{_time(facts.total.sound_seconds)} at {rates} Hz{without}" if rates else "none"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _splits(facts: Facts) -> Iterator[str]:
    def row(name: str, share: Share) -> tuple[str, ...]:
        return name, str(share.subjects), f"{share.sequences:,}", f"{share.frames:,}", _time(share.seconds)

    yield from ("", "## Splits", "")
    rows = [row(name, share) for name, share in facts.splits.items()]
    yield from _table(("split", "subjects", "sequences", "frames", "time"), rows)


def _found(card: Card | None) -> Iterator[str]:
    if card and card.checks:
        yield from ("", "## Checks", "")
        rows = [(c.what, c.expected, c.found, MARK[c.passed]) for c in card.checks]
        yield from _table(("what", "expected", "found", "as expected"), rows)
    if card and card.remarks:
        yield from ("", "## Remarks", "", *(f"* {remark}" for remark in card.remarks))


def _skipped(facts: Facts) -> Iterator[str]:
    if facts.skipped:
        yield from ("", "## Skipped", "")
    for reason, ids in facts.skipped.items():
        more = f", … and {len(ids) - MOST_IDS} more" if len(ids) > MOST_IDS else ""
        yield f"* {len(ids)} × {reason}: {', '.join(ids[:MOST_IDS])}{more}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table that is also one to the eye."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (titles, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(titles))]

    def line(row: Sequence[str], fill: str = " ") -> str:
        return "| " + " | ".join(cell.ljust(width, fill) for cell, width in zip(row, widths, strict=True)) + " |"

    yield line(cells[0])
    yield line([""] * len(titles), "-")
    yield from (line(row) for row in cells[1:])
