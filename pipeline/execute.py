"""Running a plan: the steps that must run, one after the other, each published before the next begins.

A failed or interrupted step loses nothing: earlier steps are published, its own finished items and its state stay in
the work folder of its key, and the next run goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cache.errors import CacheError
from cache.files import walk
from cache.lease import lease
from cache.marks import Reading
from cache.store import Artifact, Work
from pipeline import audit, damage, outputs, pretrained, provenance
from pipeline.errors import Interrupted, PipeError, RecipeError, StageError
from pipeline.exchange import Exchange
from pipeline.items import NOTHING
from pipeline.job import RunningJob, Stop
from pipeline.journal import OUT, Journal
from pipeline.plan import FORCED, Planned, State, plan, plan_step
from pipeline.progress import Reporter, duration
from pipeline.recipe import Recipe, Step, slots
from pipeline.stage import Input
from pipeline.wiring import ancestors, descendants
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Choice:
    """Which steps a run may touch, and how. `force`: run although cached."""

    only: str = ""
    start: str = ""
    until: str = ""
    force: frozenset[str] = frozenset()

    def steps(self, recipe: Recipe) -> set[str]:
        """The chosen steps. RecipeError for a step that the recipe does not have."""
        wired = {name: step.inputs for name, step in recipe.steps.items()}
        chosen = set(recipe.named(self.only)) if self.only else set(recipe.steps)
        if self.start:
            chosen &= set().union(*(descendants(wired, name) for name in recipe.named(self.start)))
        if self.until:
            chosen &= set().union(*(ancestors(wired, name) for name in recipe.named(self.until)))
        if left_out := sorted(self.forced(recipe) - chosen):
            raise RecipeError(f"--force {left_out[0]}: this step is left out by --only, --from or --until")
        return chosen

    def forced(self, recipe: Recipe) -> frozenset[str]:
        """The steps to run although they are cached."""
        return frozenset(name for word in self.force for name in recipe.named(word))


@dataclass(frozen=True)
class Means:
    """How to run; not in keys. Another device or number of threads adds up in another order: the last digits differ.

    device: "auto", "cpu", "cuda", … workers: threads, 0 for one per processor. audit: see
    `pipeline.audit`.
    """

    device: str = "auto"
    workers: int = 0
    audit: bool = False

    @property
    def threads(self) -> int:
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    recipe: Recipe, workspace: Workspace, reporter: Reporter, choice: Choice = Choice(), means: Means = Means()
) -> dict[str, Planned]:
    """Bring the chosen steps up to date; returns the plan as it stands afterwards.

    Raises:
        RecipeError: a step before the chosen ones has no result yet, or an outside file is missing. Nothing has run.
        PipeError: a step failed (exit code 1) or was interrupted (75).
    """
    if not _DEVICE.fullmatch(means.device):
        raise RecipeError(f"--device {means.device!r}: write auto, cpu, mps, cuda or cuda:1")
    planned = choose(recipe, workspace, choice)
    chosen, forced = choice.steps(recipe), choice.forced(recipe)
    outputs.check(workspace)
    reporter.width = max(len(name) for name in chosen)
    try:
        with Stop(reporter) as stop, Reading(workspace.store.root) as reading:
            exchange = Exchange(workspace, reporter, lambda: stop.wished)
            for name, step in recipe.steps.items():
                reading.add(entry.artifact.name for entry in planned.values() if entry.artifact)
                if name in chosen:
                    runner = _Runner(recipe, workspace, reporter, means, stop, exchange)
                    planned[name] = runner.bring_up_to_date(planned[name], planned, forced=name in forced)
                if name in chosen and (artifact := planned[name].artifact) is not None:
                    outputs.link(workspace, recipe, step, artifact)
    finally:
        reporter.close()
        workspace.stats.save()
    return planned


def choose(recipe: Recipe, workspace: Workspace, choice: Choice) -> dict[str, Planned]:
    """The plan of a run. RecipeError where the chosen steps cannot run."""
    planned = plan(recipe, workspace, choice.forced(recipe))
    _refuse(planned, choice.steps(recipe))
    return planned


def _refuse(planned: Mapping[str, Planned], chosen: set[str]) -> None:
    for name in (name for name in planned if name in chosen):
        for source in planned[name].step.inputs.values():
            if source not in chosen and planned[source].state is not State.CACHED:
                raise RecipeError(
                    f"step {name!r} reads from {source!r}, which is left out of this run and has no result yet; "
                    f"run it first, with --only {source} or --until {name}"
                )
    blocked = [entry for name, entry in planned.items() if name in chosen and entry.state is State.BLOCKED]
    if blocked:
        raise RecipeError("\n".join(f"step {entry.step.name!r}: {entry.reason}" for entry in blocked))


@dataclass(frozen=True)
class _Runner:
    recipe: Recipe
    workspace: Workspace
    reporter: Reporter
    means: Means
    stop: Stop
    exchange: Exchange

    def bring_up_to_date(self, entry: Planned, before: Mapping[str, Planned], *, forced: bool) -> Planned:
        step = entry.step
        if self.stop.wished:
            raise Interrupted(f"stopped by the user before step {step.name!r}; run again to go on")
        if entry.state is not State.CACHED:
            for source in step.stage.sources().pretrained.values():
                self._fetch(source)
            entry = plan_step(step, self.recipe, self.workspace, before, forced=forced)
        if entry.state is State.CACHED:
            self.reporter.step(step.name, "cached", entry.reason)
            return entry
        if entry.key is None:
            raise StageError(f"step {step.name!r}: {entry.reason}")
        artifact = self._make(entry, before)
        return replace(entry, state=State.CACHED, reason=artifact.name, artifact=artifact)

    def _fetch(self, source: str) -> None:
        try:
            pretrained.identity(source, self.workspace.stats)
        except pretrained.NotDownloaded:
            self.reporter.line(f"downloading {source}")
            pretrained.fetch(source)

    def _make(self, entry: Planned, before: Mapping[str, Planned]) -> Artifact:
        step, store = entry.step, self.workspace.store
        work = store.work(step.stage.name, entry.key or {})
        store.begin(work)
        with _told_of(step.name), lease(work.lease):
            found = None if entry.reason == FORCED else store.find(step.stage.name, work.key)
            if found is not None:  # another process published it between our look and our lease
                self.reporter.step(step.name, "cached", found.name)
                return found
            if entry.reason != FORCED and (fetched := self.exchange.fetch(step.name, work)) is not None:
                return fetched
            self.reporter.step(step.name, "running", entry.reason)
            made = self._run_and_publish(entry, work, before)
        self.exchange.offer(step.name, made)
        return made

    def _run_and_publish(self, entry: Planned, work: Work, before: Mapping[str, Planned]) -> Artifact:
        step, started = entry.step, time.time()
        job = RunningJob(
            step.name,
            work,
            {slot: _input(before[source]) for slot, _, source in slots(step)},
            seed=self.recipe.seed_of(step),
            device=self.means.device,
            workers=self.means.threads,
            reporter=self.reporter,
            stop=self.stop,
            reuse=NOTHING if entry.reason == FORCED else entry.reuse,
        )
        # Waiting threads must sleep: spinning ones make small steps many times slower on a machine that others use too.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if entry.reason == FORCED:
            job.journal.forget()
        _prune(work, job.journal)
        self._run(job, entry, before, work)
        label = step.stage.label(self.recipe.upstream(step))
        facts = provenance.facts(self.recipe, step, entry.reason, job.notes, started, _device(job, self.means.device))
        facts["inputs"] = {slot: f"{one.path.parent.name}/{one.path.name}" for slot, one in job.inputs.items()}
        artifact = self.workspace.store.publish(work, label, step.stage.output, job.journal.items(), facts)
        self.reporter.step(step.name, "done", f"{duration(time.time() - started)} → {artifact.name}")
        return artifact

    def _run(self, job: RunningJob, entry: Planned, before: Mapping[str, Planned], work: Work) -> None:
        """Run the stage; when it fails, its inputs are looked at, since one of them may have rotted."""
        try:
            self._watched(job, entry.step, work)
        except Exception as error:
            found = {slot: before[source].artifact for slot, _, source in slots(entry.step)}
            inputs = {slot: artifact for slot, artifact in found.items() if artifact is not None}
            if not _disk_is_full(error) and (told := damage.of_inputs(error, inputs, self.workspace.store)):
                raise StageError(f"{told} ({type(error).__name__}: {error})") from error
            if not hasattr(type(error), "exit_code") and (hint := damage.unchecked(inputs)):
                self.reporter.step(entry.step.name, "", hint)
            raise

    def _watched(self, job: RunningJob, step: Step, work: Work) -> None:
        if not audit.wished(self.means.audit):
            return step.stage.run(job)
        with audit.watching(step, self.recipe, work, job.inputs) as watch:
            step.stage.run(job)
        for warning in audit.sentences(step.name, watch):
            self.reporter.step(step.name, "warning", warning)


def _device(job: RunningJob, wished: str) -> str:
    """The device that was used, as far as a stage asked for one; asking now could import torch for nothing."""
    return job.device if "torch" in sys.modules else wished


def _input(entry: Planned) -> Input:
    artifact = entry.artifact
    if artifact is None:
        raise StageError(f"step {entry.step.name!r} has no result to read")
    return Input(artifact.path, artifact.kind, artifact.label, entry.step.values)


_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def _prune(work: Work, journal: Journal) -> None:
    """Remove what an earlier attempt left half-made in `out`: all that no finished item owns."""
    kept = {file for item in journal.finished.values() for file in item.files}
    for name, entry in list(walk(work.out)):
        if OUT + name not in kept:
            Path(entry.path).unlink()
    for path in work.out.rglob("*.tmp"):
        path.unlink()


@contextlib.contextmanager
def _told_of(step: str) -> Iterator[None]:
    """Turns whatever leaves a stage into a sentence that names the step."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"step {step!r} was stopped; what it had finished is kept") from error
    except Interrupted as error:
        raise Interrupted(f"step {step!r}: {error}") from error
    except Exception as error:
        raise StageError(f"step {step!r}: {sentence(error)}") from error


def sentence(error: Exception) -> str:
    """An error in the user's words; a defect of ours keeps its type and says how to see more."""
    if isinstance(error, PipeError | CacheError) or hasattr(type(error), "exit_code"):
        return str(error)
    if _disk_is_full(error):
        return "the disk is full; what was finished is kept: free some space and run again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; try a smaller batch_size, fewer workers or another device"
    return f"unexpected {type(error).__name__}: {error} (a defect; --debug shows where)"


def _disk_is_full(error: Exception) -> bool:
    """Libraries tell it in their own ways: an error number, its text, or NumPy's count of what was not written."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    return os.strerror(errno.ENOSPC) in text or bool(re.search(r"\d+ requested and \d+ written", text))
