"""Bringing the steps of one or several recipes up to date, as many at once as fit the machine.

One step that can start alone runs in this process; several at once run in a process each (`pipeline.children`), since
threads, devices and random states belong to a process. A step that several recipes share is made once. A failing step
stops nothing but what hangs on it; a wish to stop reaches all, and each stops when its work is safe.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cache import digest
from cache.store import Artifact
from pipeline.children import Child, Message
from pipeline.errand import Errand
from pipeline.errors import Interrupted, PipeError, StageError
from pipeline.gpus import Pool
from pipeline.job import Stop
from pipeline.plan import Planned, State
from pipeline.progress import Reporter
from pipeline.schedule import Busy, Demand, Grant, Machine

_LOOK_S = 0.2
"""How often a wish to stop, and GPUs of other runs, are looked for while steps are at work."""
_PATIENCE_S = 10.0
"""How long a child may take to stop at once before it is killed."""


class Hands(Protocol):
    """What does the work."""

    def look(self, errand: Errand, name: str) -> Planned:
        """How a step stands now that all before it are there."""
        ...

    def demand(self, errand: Errand, name: str) -> Demand:
        """What it takes. PipeError where this machine has not got it."""
        ...

    def make(self, errand: Errand, name: str, grant: Grant) -> Artifact:
        """Run a step in this process, and publish."""
        ...

    def order(self, errand: Errand, name: str, grant: Grant) -> bytes:
        """All that another process needs for that."""
        ...

    def made(self, errand: Errand, name: str) -> None:
        """A chosen step has its result."""
        ...

    def artifact(self, name: str) -> Artifact:
        """What another process published."""
        ...


@dataclass(eq=False)
class Node:
    """A chosen step. sources: the chosen ones it reads. key: from `ready` on; equal for equal steps of several recipes.

    state: open, ready, running, done, failed or dropped.
    """

    errand: Errand
    name: str
    label: str
    sources: Sequence[Node] = ()
    state: str = "open"
    key: str = ""
    waited: str = ""

    @property
    def entry(self) -> Planned:
        return self.errand.planned[self.name]


class Conductor:
    """Runs errands to their end."""

    def __init__(
        self, errands: Sequence[Errand], hands: Hands, machine: Machine, pool: Pool, told: Reporter, stop: Stop
    ) -> None:
        self._hands, self._machine, self._pool, self._told, self._stop = hands, machine, pool, told, stop
        self.nodes = [node for errand in errands for node in _nodes(errand)]
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._children: dict[int, Child] = {}  # by the place of their node, as are the next
        self._busy: dict[int, Busy] = {}
        self._made: dict[str, Artifact] = {}
        self._errors: list[PipeError] = []
        self._interruptions: list[Interrupted] = []

    def run(self) -> None:
        """Until every step is done, failed or dropped.

        Raises:
            Interrupted: the user asked to stop. PipeError: steps failed; it names them, and what was not run.
        """
        try:
            while any(node.state in ("open", "ready", "running") for node in self.nodes):
                self._advance()
        except BaseException as error:
            self._stop_children(at_once=isinstance(error, KeyboardInterrupt))
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("stopped at once; what was finished is kept, run again to go on") from error
            raise
        self._conclude()

    def _advance(self) -> None:
        if not self._stop.wished:
            for node in self.nodes:
                self._look_at(node)
            if not self._start() and not self._children:
                time.sleep(_LOOK_S)  # for a GPU
        else:
            for child in self._children.values():
                child.stop()
        if self._children:
            self._listen()
        elif self._stop.wished:
            self._give_up()

    # --- what can run

    def _look_at(self, node: Node) -> None:
        """Take a step as far as it goes without work: cached, ready, or dropped with what it reads."""
        if node.state != "open":
            return
        before = [other for other in node.sources if other.state != "done"]
        if any(other.state in ("failed", "dropped") for other in before):
            self._drop(node, next(other for other in before if other.state in ("failed", "dropped")))
        elif not before:
            try:
                self._plan(node)
            except PipeError as error:
                self._failed(node, error)

    def _drop(self, node: Node, lost: Node) -> None:
        node.state = "dropped"
        self._told.step(node.label, "not run", f"because of {lost.label}")

    def _plan(self, node: Node) -> None:
        entry = node.errand.planned[node.name] = self._hands.look(node.errand, node.name)
        if entry.state is State.CACHED:
            self._told.step(node.label, "cached", entry.reason)
            self._done(node)
        elif entry.key is None:
            raise StageError(f"step {node.name!r}: {entry.reason}")
        else:
            node.state, node.key = "ready", digest.of_json([entry.step.stage.name, entry.key])
            if node.key in self._made:
                self._has_too(node)

    # --- starting

    def _start(self) -> bool:
        """Whether anything has moved."""
        ready = self._distinct()
        demands: list[Demand] = []
        for node in list(ready):
            try:
                demands.append(self._hands.demand(node.errand, node.name))
            except PipeError as error:
                self._failed(node, error)
                ready.remove(node)
        grants = self._machine.grants(demands, list(self._busy.values()), self._pool.lend)
        for place, node in enumerate(ready):
            if place not in grants:
                self._waits(node, demands[place])
        alone = len(grants) == 1 and not self._busy
        for place, grant in grants.items():
            node, demand = ready[place], demands[place]
            node.waited = ""
            self._warn_of_memory(node, demand)
            if alone and grant.gpus.first:
                self._run_here(node, grant)
            else:
                self._run_apart(node, Busy(demand, grant))
        return bool(grants) or not ready

    def _distinct(self) -> list[Node]:
        """The ready steps without those whose very key is being made, or is ready before them."""
        keys = {node.key for node in self.nodes if node.state == "running"}
        found = []
        for node in self.nodes:
            if node.state == "ready" and node.key not in keys:
                keys.add(node.key)
                found.append(node)
        return found

    def _waits(self, node: Node, demand: Demand) -> None:
        if demand.gpus and self._pool.holders and node.waited != self._pool.holders:
            node.waited = self._pool.holders
            self._told.step(node.label, "waiting", f"for a GPU: {node.waited}")

    def _warn_of_memory(self, node: Node, demand: Demand) -> None:
        if demand.memory > self._machine.memory:
            there = self._machine.memory / 1e9
            self._told.warn(
                f"step {node.label!r} needs {demand.memory / 1e9:.1f} GB of memory, and this machine has {there:.1f}; "
                "it runs, alone"
            )

    def _run_here(self, node: Node, grant: Grant) -> None:
        node.state = "running"
        try:
            self._has(node, self._hands.make(node.errand, node.name, grant))
        except Interrupted as error:
            self._interrupted(node, error)
        except PipeError as error:
            self._failed(node, error)
        finally:
            grant.gpus.release()

    def _run_apart(self, node: Node, busy: Busy) -> None:
        node.state = "running"
        place = self.nodes.index(node)
        try:
            order = self._hands.order(node.errand, node.name, busy.grant)
            self._children[place] = Child(place, node.label, order, busy.grant.gpus, self._messages)
            self._busy[place] = busy
        except PipeError as error:
            busy.grant.gpus.release()
            self._failed(node, error)

    # --- listening

    def _listen(self) -> None:
        """Pass on what children tell, until one has ended or it is time to look around."""
        until = time.monotonic() + _LOOK_S
        while (left := until - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                return
            if self._heard(message):
                return

    def _heard(self, message: Message) -> bool:
        """Whether the child that told it has ended."""
        node = self.nodes[message.place]
        ended = message.tell(self._told)
        if ended is None:
            return False
        self._children.pop(message.place).close()
        self._busy.pop(message.place).grant.gpus.release()
        try:
            self._has(node, self._hands.artifact(ended.artifact()))
        except Interrupted as error:
            self._interrupted(node, error)
        except PipeError as error:
            self._failed(node, error)
        return True

    def _stop_children(self, *, at_once: bool) -> None:
        for child in self._children.values():
            child.stop(at_once=at_once)
        until = time.monotonic() + _PATIENCE_S
        while self._children and (left := until - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                break
            if message.tell(self._told) is not None:
                self._children.pop(message.place).close()
        for child in self._children.values():
            child.kill()

    # --- ends

    def _has(self, node: Node, artifact: Artifact) -> None:
        self._made[node.key] = artifact
        entry = replace(node.entry, state=State.CACHED, reason=artifact.name, artifact=artifact)
        node.errand.planned[node.name] = entry
        self._done(node)
        for other in self.nodes:
            if other.state == "ready" and other.key == node.key:
                self._has_too(other)

    def _has_too(self, node: Node) -> None:
        """Another recipe's step that this run has made, even if both were to be made anew."""
        self._told.step(node.label, "cached", self._made[node.key].name)
        self._has(node, self._made[node.key])

    def _done(self, node: Node) -> None:
        node.state = "done"
        self._hands.made(node.errand, node.name)

    def _failed(self, node: Node, error: PipeError) -> None:
        node.state = "failed"
        self._errors.append(error)
        self._told.step(node.label, "failed", _without(node.label, error))
        for other in self.nodes:
            if other.state == "ready" and other.key == node.key:
                self._drop(other, node)

    def _interrupted(self, node: Node, error: Interrupted) -> None:
        """One step that was asked to stop stops the run."""
        node.state = "open"
        self._stop.wished = True
        self._interruptions.append(error)
        self._told.step(node.label, "stopped", _without(node.label, error))

    def _give_up(self) -> None:
        """Interrupted where anything was left; a wish to stop that came with the last step's end changes nothing."""
        first = next((node for node in self.nodes if node.state in ("open", "ready")), None)
        if first is None:
            return
        before = Interrupted(f"stopped by the user before step {first.label!r}; run again to go on")
        ends = self._interruptions or [before]
        raise Interrupted("\n".join(str(error) for error in [*self._errors, *ends])) from ends[0]

    def _conclude(self) -> None:
        if not self._errors:
            return
        dropped = [node.label for node in self.nodes if node.state == "dropped"]
        lines = [str(error) for error in self._errors]
        lines += [f"not run because of {'it' if len(lines) == 1 else 'them'}: {', '.join(dropped)}"] if dropped else []
        first = self._errors[0]
        raise type(first)("\n".join(lines)) from first


def _without(label: str, error: PipeError) -> str:
    """A step's error where its name stands already."""
    return str(error).removeprefix(f"step {label!r}").removeprefix(":").lstrip()


def _nodes(errand: Errand) -> list[Node]:
    nodes = {name: Node(errand, name, errand.label(name)) for name in errand.chosen}
    for name, node in nodes.items():
        node.sources = [nodes[source] for source in errand.planned[name].step.inputs.values() if source in nodes]
    return list(nodes.values())
