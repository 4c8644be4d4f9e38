"""What `pipe data check` does with a folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from faces.errors import DataError
from stages.datacheck.across import across
from stages.datacheck.corpus import Corpus
from stages.datacheck.findings import Finding, errors, lines
from stages.datacheck.sequence import Examiner, Seen


@dataclass(frozen=True)
class Report:
    """findings: those of single sequences first. frames, seconds: of motion and of sound, over all of them."""

    findings: Sequence[Finding]
    sequences: int
    frames: int
    seconds: float


def check(folder: Path, dataset: str, *, jobs: int, as_json: bool) -> bool:
    """Print what is wrong and a summary. Whether there was no error."""
    try:
        report = examine(opened(folder, dataset), jobs)
    except DataError as error:
        report = Report(list(_unopened(folder, error)), 0, 0, 0.0)
    if as_json:
        print(json.dumps(_facts(report), indent=1, ensure_ascii=False))
    else:
        for line in lines(report.findings):
            print(line)
        print(_summary(report))
    return not errors(report.findings)


def opened(folder: Path, dataset: str) -> Corpus:
    """The data in a folder: of a data set by its name, an artifact, or a user's own. DataError for what is neither."""
    from stages.datacheck.own import OwnFolder
    from stages.datacheck.prepared import Artifact, Opened
    from stages.kinds.sequences import INDEX
    from stages.preprocess.own import Settings

    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give the one with dataset.toml or sequences.json, or the raw data's")
    if dataset and dataset != "own":
        from pipeline.registry import load_component

        kind = load_component("datasets", dataset).Settings
        if not hasattr(kind, "recordings") or "root" not in {field.name for field in fields(kind)}:
            raise DataError(f"the data set {dataset!r} cannot be checked as it lies; check what preprocess makes of it")
        return Opened(*kind(root=str(folder)).recordings())
    return Artifact(folder) if (folder / INDEX).is_file() else OwnFolder(Settings(str(folder)))


def examine(corpus: Corpus, jobs: int = 0) -> Report:
    """Look at all sequences. jobs: how many at a time; 0: one for each processor."""
    examiner = Examiner(corpus)
    seen = list(_watched(examiner, corpus, jobs or os.cpu_count() or 1))
    single = [finding for s in seen for finding in s.findings]
    findings = [*corpus.problems(), *single, *across(corpus, seen)]
    return Report(findings, len(seen), sum(s.frames for s in seen), sum(s.seconds for s in seen))


def _watched(examiner: Examiner, corpus: Corpus, jobs: int) -> Iterator[Seen]:
    with ThreadPoolExecutor(jobs) as pool, _bar(len(corpus.names)) as bar:
        for seen in pool.map(examiner.see, corpus.names):
            if bar is not None:
                bar.advance(bar.task_ids[0])
            yield seen


def _bar(total: int) -> Any:
    """On the standard error stream, where that is a terminal."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    bar.add_task("sequences", total=total)
    return bar


def _unopened(folder: Path, error: DataError) -> Iterator[Finding]:
    for line in str(error).splitlines():
        what, _, mend = line.replace(f"{folder}/", "").partition("; ")
        place, _, rest = what.partition(": ")
        file, what = (place, rest) if place == "dataset.toml" else (str(folder), what)
        yield Finding(file, "DESCRIPTION", what, mend or f"see `pipe data init {folder}`")


def _facts(report: Report) -> dict[str, Any]:
    return {
        "sequences": report.sequences,
        "frames": report.frames,
        "sound_seconds": round(report.seconds, 3),
        "errors": errors(report.findings),
        "warnings": len(report.findings) - errors(report.findings),
        "findings": [finding.to_json() for finding in report.findings],
    }


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _summary(report: Report) -> str:
    bad = errors(report.findings)
    warned = len(report.findings) - bad
    counts = f"{_count(bad, 'error')}, {_count(warned, 'warning')}"
    found = counts if bad or warned else "nothing to say against them"
    return f"{report.sequences} sequences, {report.frames:,} frames, {report.seconds:.1f} s of sound: {found}"
