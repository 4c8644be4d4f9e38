"""Running plans: `pipeline.conduct` decides which steps run when, and here each is made and published.

A failed or interrupted step loses nothing: earlier steps are published, its own finished items and its state stay in
the work folder of its key, and the next run goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cache.errors import CacheError, LeaseLost
from cache.files import walk
from cache.lease import Wait
from cache.marks import Reading
from cache.store import Artifact
from cache.work import Work
from pipeline import audit, damage, outputs, pretrained, provenance
from pipeline.children import packed
from pipeline.conduct import Conductor
from pipeline.errand import Errand
from pipeline.errors import Interrupted, PipeError, RecipeError, StageError
from pipeline.exchange import Exchange
from pipeline.gpus import Pool, check_gpus, own_device
from pipeline.job import AT_ITEM, RunningJob, Stop
from pipeline.journal import OUT, Journal
from pipeline.launched import launched
from pipeline.plan import FORCED, Planned, State, plan, plan_step
from pipeline.progress import Reporter, duration
from pipeline.recipe import Recipe, Step, slots
from pipeline.recording import identity, recorded
from pipeline.schedule import Demand, Grant, Machine, memory_of_machine
from pipeline.stage import Input
from pipeline.usage import Usage
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

    device: "auto", "cpu", "cuda", … workers: threads of all steps together, 0 for one per processor. share_gpu: steps,
    and other runs, may be on one GPU at the same time. audit: see `pipeline.audit`. wait: for another process that
    makes the same, else fail. gpus: that share a training, 0 for what the recipe says. processes: that share the work
    of the one step at hand.
    """

    device: str = "auto"
    workers: int = 0
    audit: bool = False
    share_gpu: bool = False
    wait: bool = True
    gpus: int = 0
    processes: int = 1

    @property
    def threads(self) -> int:
        if self.workers:
            return self.workers
        there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        place = launched()
        return there if place is None else max(1, there // place.local_size)


def run(
    recipe: Recipe, workspace: Workspace, reporter: Reporter, choice: Choice = Choice(), means: Means = Means()
) -> dict[str, Planned]:
    """Bring the chosen steps of one recipe up to date; see `run_all`."""
    return run_all([recipe], workspace, reporter, choice, means)[0]


def run_all(
    recipes: Sequence[Recipe],
    workspace: Workspace,
    reporter: Reporter,
    choice: Choice = Choice(),
    means: Means = Means(),
) -> list[dict[str, Planned]]:
    """Bring the chosen steps of recipes up to date, a step that they share once; returns the plans as they stand then.

    Raises:
        RecipeError: a step before the chosen ones has no result yet, or an outside file is missing. Nothing has run.
        PipeError: a step failed (exit code 1) or was interrupted (75).
    """
    if not _DEVICE.fullmatch(means.device):
        raise RecipeError(f"--device {means.device!r}: write auto, cpu, mps, cuda or cuda:1")
    errands = [_errand(recipe, workspace, choice, several=len(recipes) > 1) for recipe in recipes]
    workspace.stats.save()  # now, since a killed run would otherwise have hashed large inputs for nothing
    outputs.check(workspace)
    means = replace(means, device=own_device(means.device))
    pool = Pool(means.device, share=means.share_gpu)
    check_gpus(means.gpus, pool)
    machine = Machine(means.threads, memory_of_machine())
    try:
        with (
            recorded(errands, workspace, reporter, device=means.device, threads=means.threads) as told,
            Reading(workspace.store.root) as reading,
            Stop(told) as stop,
        ):
            reading.add(artifact.name for errand in errands for artifact in errand.artifacts)
            hands = _Hands(workspace, told, means, stop, pool, reading, Exchange(workspace, told, lambda: stop.wished))
            Conductor(errands, hands, machine, pool, told, stop).run()
    finally:
        reporter.close()
        workspace.stats.save()
    return [errand.planned for errand in errands]


def _errand(recipe: Recipe, workspace: Workspace, choice: Choice, *, several: bool) -> Errand:
    chosen = choice.steps(recipe)
    return Errand(
        recipe,
        choose(recipe, workspace, choice),
        [name for name in recipe.steps if name in chosen],
        choice.forced(recipe),
        prefix=f"{recipe.name}/" if several else "",
    )


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
class _Hands:
    """Does what a `Conductor` decides."""

    workspace: Workspace
    told: Reporter
    means: Means
    stop: Stop
    pool: Pool
    reading: Reading
    exchange: Exchange

    def look(self, errand: Errand, name: str) -> Planned:
        entry = errand.planned[name]
        if entry.state is State.CACHED:
            return entry
        for source in entry.step.stage.sources().pretrained.values():
            self._fetch(source)
        return plan_step(entry.step, errand.recipe, self.workspace, errand.planned, forced=name in errand.forced)

    def _fetch(self, source: str) -> None:
        try:
            pretrained.identity(source, self.workspace.stats)
        except pretrained.NotDownloaded:
            self.told.line(f"downloading {source}")
            pretrained.fetch(source)

    def demand(self, errand: Errand, name: str) -> Demand:
        step = errand.recipe.steps[name]
        count = self._gpus(step)
        gpus = self.pool.gpus if count else ()
        if gpus and count > len(gpus):
            raise StageError(f"step {errand.label(name)!r} needs {count} GPUs, and this run may use {len(gpus)}")
        return Demand(step.needs.threads == "all" and not gpus, count if gpus else 0, step.needs.bytes)

    def _gpus(self, step: Step) -> int:
        """For this process and those that it starts; what a launcher has started has devices of its own."""
        if not step.stage.divisible:
            return step.needs.gpu
        return self.means.gpus or step.needs.gpu if launched() is None else min(step.needs.gpu, 1)

    def _means(self, errand: Errand, name: str, grant: Grant) -> Means:
        place = launched()
        processes = max(1, grant.gpus.count) if place is None else place.size
        divisible = errand.recipe.steps[name].stage.divisible
        return replace(self.means, workers=grant.threads, processes=processes if divisible else 1)

    def make(self, errand: Errand, name: str, grant: Grant) -> Artifact:
        means = self._means(errand, name, grant)
        runner = Runner(errand.recipe, self.workspace, self.told, means, self.stop, errand.label(name), self.exchange)
        return runner.make(errand.planned[name], errand.planned)

    def order(self, errand: Errand, name: str, grant: Grant) -> bytes:
        """The child of a GPU step sees its own devices only, and the first of them is "cuda"."""
        from pipeline.child import Order

        device = "cuda" if grant.gpus.count and self.pool.gpus[0].word != "mps" else self.means.device
        means = replace(self._means(errand, name, grant), device=device)
        entry = errand.planned[name]
        before = {source: errand.planned[source] for source in entry.step.inputs.values()}
        order = Order(
            errand.recipe, replace(self.workspace), means, errand.label(name), entry, before, provenance.git()
        )
        with _told_of(errand.label(name)):
            return packed(order)

    def made(self, errand: Errand, name: str) -> None:
        entry = errand.planned[name]
        if entry.artifact is not None:
            self.reading.add([entry.artifact.name])
            outputs.link(self.workspace, errand.recipe, entry.step, entry.artifact)

    def artifact(self, name: str) -> Artifact:
        found = self.workspace.store.by_name(name)
        if found is None:
            raise StageError(f"{name} was published and is gone; did somebody remove it? Run again")
        return found


@dataclass(frozen=True)
class Runner:
    """Makes one artifact, in the process of the run or in one of its own. label: what the step is called."""

    recipe: Recipe
    workspace: Workspace
    reporter: Reporter
    means: Means
    stop: Stop
    label: str
    exchange: Exchange

    def make(self, entry: Planned, before: Mapping[str, Planned]) -> Artifact:
        """The artifact of a planned step. PipeError, in a sentence that names the step, where it cannot be made."""
        with _told_of(self.label):
            return self._make(entry, before)

    def _make(self, entry: Planned, before: Mapping[str, Planned]) -> Artifact:
        while True:
            try:
                return self._find_or_make(entry, before)
            except LeaseLost as error:
                self.reporter.step(self.label, "lost", str(error))

    def _find_or_make(self, entry: Planned, before: Mapping[str, Planned]) -> Artifact:
        step, store = entry.step, self.workspace.store
        with store.making(step.stage.name, entry.key or {}, step.name, self._waiter()) as work:
            if work.held is not None and work.held.after:
                self.reporter.step(self.label, "", f"taken over from {work.held.after}")
            found = None if entry.reason == FORCED else store.find(step.stage.name, work.key)
            if found is not None:  # another process published it between our look and our lease
                self.reporter.step(self.label, "cached", found.name)
                return found
            if entry.reason != FORCED and (fetched := self.exchange.fetch(self.label, work)) is not None:
                return fetched
            facts = {"pid": os.getpid(), "device": self.means.device, "threads": self.means.threads}
            self.reporter.step(self.label, "running", entry.reason, **facts, **identity(entry))
            made = self._run_and_publish(entry, work, before)
        self.exchange.offer(self.label, made)
        return made

    def _waiter(self) -> Wait | None:
        """Tells once who is waited for, and ends the waiting when the user wishes."""
        told: set[str] = set()

        def wait(owner: str) -> None:
            if self.stop.wished:
                raise Interrupted("stopped while waiting for another process; run again to go on")
            if not told:
                self.reporter.step(self.label, "waiting", f"for {owner}")
            told.add(owner)

        return wait if self.means.wait else None

    def _run_and_publish(self, entry: Planned, work: Work, before: Mapping[str, Planned]) -> Artifact:
        step, usage = entry.step, Usage()
        job = RunningJob(
            self.label,
            work,
            {slot: _input(before[source]) for slot, _, source in slots(step)},
            seed=self.recipe.seed_of(step),
            device=self.means.device,
            workers=self.means.threads,
            reporter=self.reporter,
            stop=self.stop,
            processes=self.means.processes,
            reuse=entry.reuse,
        )
        # Waiting threads must sleep: spinning ones make small steps many times slower on a machine that others use too.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if entry.reason == FORCED:
            job.journal.forget()
        _prune(work, job.journal)
        self._run(job, entry, before, work)
        label = step.stage.label(self.recipe.upstream(step))
        device = job.used_device
        origin = provenance.facts(self.recipe, step, entry.reason, job.notes, usage, device)
        origin["inputs"] = {slot: f"{one.path.parent.name}/{one.path.name}" for slot, one in job.inputs.items()}
        if job.donors:
            origin["taken_over"] = dict(job.donors)
        artifact = self.workspace.store.publish(
            work, label, step.stage.output, job.journal.items(), origin, replace=entry.reason == FORCED, warn=job.say
        )
        took, made = usage.facts(), identity(replace(entry, artifact=artifact))
        text = f"{duration(took['seconds'])} → {artifact.name}"
        self.reporter.step(self.label, "done", text, device=device, **took, **made)
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
                self.reporter.step(self.label, "", hint)
            raise

    def _watched(self, job: RunningJob, step: Step, work: Work) -> None:
        if not audit.wished(self.means.audit):
            return step.stage.run(job)
        with audit.watching(step, self.recipe, work, job.inputs) as watch:
            step.stage.run(job)
        for warning in audit.sentences(step.name, watch):
            self.reporter.step(self.label, "warning", warning)


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
    for folder, _, _ in os.walk(work.out, topdown=False):  # a stage may make its folders without looking
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    work.out.mkdir(exist_ok=True)


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
    """An error in the user's words, with the item at which it came; a defect of ours keeps its type."""
    text = _sentence(error)
    items = [note.removeprefix(AT_ITEM) for note in getattr(error, "__notes__", ()) if note.startswith(AT_ITEM)]
    return "".join(f"{item}: " for item in items if item not in text) + text


def _sentence(error: Exception) -> str:
    if isinstance(error, PipeError | CacheError) or hasattr(type(error), "exit_code"):
        return str(error)
    if _disk_is_full(error):
        return "the disk is full; what was finished is kept: free some space and run again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "out of memory; try fewer workers, another device, or less at once (micro_batch to train, at_once to infer)"
        )
    return f"unexpected {type(error).__name__}: {error} (a defect; --debug shows where)"


def _disk_is_full(error: Exception) -> bool:
    """Libraries tell it in their own ways: an error number, its text, or NumPy's count of what was not written."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    return os.strerror(errno.ENOSPC) in text or bool(re.search(r"\d+ requested and \d+ written", text))
