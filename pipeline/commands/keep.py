"""`pipe cache verify | gc | export | import`: what checks the store, makes room in it, and moves artifacts by hand."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import bundle
from cache import verify as check
from cache.errors import CacheError
from cache.gc import Candidate, Plan, Wishes
from cache.gc import plan as plan_gc
from cache.store import Artifact
from cache.trash import collect, dangling
from pipeline import forms
from pipeline.commands.cache import fitted
from pipeline.commands.meter import Meter
from pipeline.errors import RecipeError
from pipeline.outputs import places
from pipeline.plan import State, plan
from pipeline.progress import duration, size_text
from pipeline.recipe import Recipe, Step
from pipeline.recipe import load as load_recipe
from pipeline.stored import meant, named
from pipeline.toml import shown
from pipeline.units import ago, seconds_of, size_of
from pipeline.workspace import Workspace


def verify(workspace: Workspace, names: Sequence[str], sample: str, *, mend: bool, as_json: bool) -> bool:
    """Check artifacts; with `mend` repair what is found. Returns whether everything is sound now."""
    try:
        share = check.Sample.parse(sample)
    except (ValueError, ZeroDivisionError):
        raise RecipeError(f"--sample {sample!r}: write 1% or 3/30") from None
    folders = _folders(workspace, names)
    expected = sum(_bytes(workspace, folder) for folder in folders)
    reports, told = [], []
    with Meter("checking", int(expected * (share.high - share.low))) as meter:
        for folder in folders:
            report = check.verify(folder, share, meter.tell)
            if report is None:
                continue
            done = _mended(workspace, report) if mend and report.findings else []
            reports.append(report)
            told.append(_as_json(report, done))
            if report.findings and not as_json:
                _say(report, done, mend=mend)
    if as_json:
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        print(_sum(reports, meter.seconds))
    return all(entry["sound"] for entry in told)


def _bytes(workspace: Workspace, folder: Path) -> int:
    """What a record says of its artifact's size; what cannot be read is for the check to tell."""
    with contextlib.suppress(CacheError):
        artifact = workspace.store.at(folder)
        return int(artifact.record["bytes"]) if artifact is not None else 0
    return 0


def _folders(workspace: Workspace, words: Sequence[str]) -> list[Path]:
    every = {f"{folder.parent.name}/{folder.name}": folder for folder in check.folders(workspace.store)}
    chosen: dict[str, Path] = {}
    for word in words:
        found = meant(word, every)
        if not found:
            raise RecipeError(f"the store has no artifact {word!r}; `pipe cache ls` shows what it has")
        chosen |= {name: every[name] for name in found}
    return list((chosen if words else every).values())


def _mended(workspace: Workspace, report: check.Report) -> list[str]:
    try:
        return check.repair(workspace.store, report)
    except OSError as error:
        raise CacheError(f"{report.artifact.name} cannot be repaired: {error.filename}: {error.strerror}") from error


_LASTING = (check.Kind.DENIED, check.Kind.UNKNOWN)


def _as_json(report: check.Report, done: Sequence[str]) -> dict[str, Any]:
    lasting = [finding for finding in report.findings if finding.kind in _LASTING]
    return {
        "artifact": report.artifact.name,
        "sound": not report.findings or (bool(done) and (report.damaged or not lasting)),
        "damaged": report.damaged,
        "findings": [{"kind": f.kind.value, "file": f.file, "problem": f.problem} for f in report.findings],
        "made_by": report.made_by,
        "repaired": list(done),
        "files_read": report.checked[0],
        "bytes_read": report.checked[1],
    }


_MOST = 5


def _say(report: check.Report, done: Sequence[str], *, mend: bool) -> None:
    print(f"{report.artifact.name}: {'damaged' if report.damaged else 'to be mended'}")
    for number, finding in enumerate(report.findings):
        if number == _MOST and len(report.findings) > _MOST + 1:
            print(f"    … and {len(report.findings) - _MOST} more (--json shows all)")
            break
        print(f"    {finding}")
    for line in done[: _MOST + 1]:
        print(f"    → {line}")
    if report.damaged:
        maker = f"made by {report.made_by}; " if report.made_by else ""
        print(
            f"    {maker}{'the next run makes it again' if mend else '--repair sets it aside for the next run to redo'}"
        )


def _sum(reports: Sequence[check.Report], seconds: float) -> str:
    files = sum(report.checked[0] for report in reports)
    size = sum(report.checked[1] for report in reports)
    damaged = sum(report.damaged for report in reports)
    other = sum(bool(report.findings) and not report.damaged for report in reports)
    what = f"{len(reports)} artifacts, {files} files read, {size_text(size)} in {duration(seconds)}"
    if not damaged and not other:
        return f"{what}: all sound"
    return f"{what}: {damaged} damaged, {other} with smaller faults"


@dataclass(frozen=True)
class Limits:
    """What `pipe cache gc` was told, as written."""

    max_size: str
    older_than: str
    leftovers: str
    recipes: tuple[Path, ...]


def gc(workspace: Workspace, limits: Limits, *, do: bool, as_json: bool) -> bool:
    """Show what would go, and with `do` remove it. Returns whether all went that should."""
    wishes = Wishes(
        size_of(limits.max_size, "--max-size") if limits.max_size else None,
        seconds_of(limits.older_than, "--older-than") if limits.older_than else None,
        seconds_of(limits.leftovers, "--leftovers"),
        _needed(workspace, limits.recipes),
    )
    planned = plan_gc(workspace.store, wishes)
    if not as_json:
        _show(workspace, planned, wishes, do=do)
    stayed = collect(workspace.store, planned) if do else []
    links = list(dangling(workspace.outputs, workspace.store.root)) if do else []
    for link in links:
        link.unlink(missing_ok=True)
    if as_json:
        print(json.dumps(_gc_json(planned, stayed, done=do), indent=1))
    elif do:
        _say_done(workspace, planned, stayed, links)
    return not stayed


def _needed(workspace: Workspace, paths: Sequence[Path]) -> dict[str, str]:
    """Artifact → recipe and step that stand on it, in every form that the recipe has."""
    needed: dict[str, str] = {}
    for path in paths:
        for form in forms.had(path):
            try:
                recipe = load_recipe(path, [], **form._asdict())
            except RecipeError:
                if form.tiny:
                    continue
                raise
            for step, entry in plan(recipe, workspace).items():
                if entry.state is State.BLOCKED and not form.tiny:
                    raise RecipeError(
                        f"--keep-recipe {shown(path)}: what step {step!r} needs cannot be told ({entry.reason}); "
                        "nothing is removed: mend that, or pin artifacts with `pipe cache pin` and leave the recipe out"
                    )
                names = [entry.artifact.name] if entry.artifact else []
                for name in names or ([] if form.tiny else _latest(workspace, recipe, entry.step)):
                    needed.setdefault(name, f"{recipe.name}/{step}")
    workspace.stats.save()
    return needed


def _latest(workspace: Workspace, recipe: Recipe, step: Step) -> list[str]:
    """The results that a step had: if the steps before it give the same bytes again, it is cached again."""
    store, stage = workspace.store, step.stage.name
    links = {Path(os.path.realpath(link)) for link in places(workspace, recipe, step)}
    made = [a for a in store.artifacts(stage) if _maker(a) == (recipe.name, step.base, step.variant)]
    newest = sorted(made, key=lambda artifact: str(artifact.record["provenance"].get("finished", "")))[-1:]
    current = [a for a in store.artifacts(stage) if a.path in links]
    return [artifact.name for artifact in newest + current]


def _maker(artifact: Artifact) -> tuple[object, object, object]:
    made = artifact.record["provenance"]
    return made.get("recipe"), made.get("step"), made.get("variant", "")


def _show(workspace: Workspace, planned: Plan, wishes: Wishes, *, do: bool) -> None:
    now = time.time()
    rows = [
        (c.name, size_text(c.size), ago(now - c.used), "" if c.seconds is None else duration(c.seconds), _why(c))
        for c in planned.goes
    ]
    if rows:
        print(fitted(rows, ("goes" if do else "would go", "frees", "last used", "took", "why")))
    freed = f"{size_text(planned.before - planned.after)} of {size_text(planned.before)}"
    print(f"{len(rows)} {'part goes' if len(rows) == 1 else 'parts go'}, {freed} in {shown(workspace.store.root)}")
    if again := sum(candidate.seconds or 0 for candidate in planned.goes):
        print(f"to make all of it again would take {duration(again)}, as long as it took before")
    if planned.kept:
        reasons = Counter(planned.kept.values()).most_common()
        print(f"kept: {', '.join(f'{count} {why}' for why, count in reasons)}")
    if wishes.max_size is not None and planned.after > wishes.max_size:
        print(f"that leaves {size_text(planned.after)}, more than --max-size: the rest is kept, or no artifact")
    if wishes.max_size is None and wishes.older_than is None:
        print("artifacts go only with --max-size or --older-than")
    if rows and not do:
        print("nothing was removed; --yes does it")


def _why(candidate: Candidate) -> str:
    before = [name.partition("/")[0] for name in candidate.first] + [f"{slot} (gone)" for slot in candidate.gone]
    return f"{candidate.why}; after {', '.join(before)}" if before else candidate.why


def _gc_json(planned: Plan, stayed: Sequence[tuple[Candidate, str]], *, done: bool) -> dict[str, Any]:
    reasons = {candidate.name: why for candidate, why in stayed}
    entries = [vars(c) | {"path": str(c.path), "stayed": reasons.get(c.name, "")} for c in planned.goes]
    return {"done": done, "before": planned.before, "after": planned.after, "goes": entries, "kept": planned.kept}


def _say_done(
    workspace: Workspace, planned: Plan, stayed: Sequence[tuple[Candidate, str]], links: Sequence[Path]
) -> None:
    for candidate, why in stayed:
        print(f"{candidate.name} stays: {why}")
    if links:
        print(f"removed from {shown(workspace.outputs)}, since they led nowhere: {len(links)} links")
    if planned.goes:
        print("done" if not stayed else "done, but for these")


def export(workspace: Workspace, name: str, target: Path) -> None:
    """Write one artifact to one file."""
    artifact = named(workspace.store, name)
    path = bundle.file_for(target, artifact)
    with Meter("writing", artifact.record["bytes"]) as meter:
        bundle.export(artifact, path, meter.tell)
    print(f"{artifact.name} → {shown(path)}, {size_text(path.stat().st_size)}")


def load(workspace: Workspace, path: Path) -> None:
    """Take an exported artifact into the store."""
    size = path.stat().st_size if path.exists() else 0
    with Meter("reading", size) as meter:
        artifact, new = bundle.load(workspace.store, path, meter.tell)
    print(f"{artifact.name} {'is in the store now' if new else 'was in the store already'}")
