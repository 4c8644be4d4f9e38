"""Where else the numbers of a training go while it runs: TensorBoard, Weights & Biases.

What goes there is for looking at and never part of the result. A package that lacks, or a server that wants a login, is
an error before the training begins; once it runs, a sink that fails is warned of and dropped, and the training goes on.
A resumed training goes on in the same run: its name is kept beside its state.
"""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from faces.texts import read_json
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.kinds.plain import write_json
from stages.train import Params

FILE = "log.json"
"""In the state folder: the run's name."""
PROJECT = "facepipe"
"""In Weights & Biases, unless WANDB_PROJECT names another."""


class Sink(Protocol):
    """Somewhere that numbers go."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """An event file in a folder of the run's name."""

    def __init__(self, folder: Path, name: str) -> None:
        _needed("tensorboard", "tensorboard")
        self._make = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self._folder = folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer: Any = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is None:  # from the first step on: what a killed attempt told of it and of later ones is void
            self._writer = self._make(str(self._folder), purge_step=step, flush_secs=10)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WandB:
    """A run of Weights & Biases; its own environment variables say where it goes, WANDB_MODE=offline that it stays."""

    def __init__(self, folder: Path, name: str, facts: Mapping[str, Any]) -> None:
        wandb = _needed("wandb", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
                raise StageError("log = ['wandb'] needs an account: run `wandb login`, or set WANDB_MODE=offline")
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT), name=name, id=name, resume="allow",
                dir=str(folder), config=dict(facts), reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )  # fmt: skip
        except StageError:
            raise
        except Exception as error:  # of the network, of its settings, of its own process
            raise StageError(f"log = ['wandb'] cannot begin ({error}); WANDB_MODE=offline needs no network") from error
        # Its own steps must rise; those of a resumed training go back to the last saved state.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def close(self) -> None:
        self._run.finish()


class Sinks:
    """All that were asked for. `say` tells the user of one that fails."""

    def __init__(self, sinks: Mapping[str, Sink], say: Callable[[str], None]) -> None:
        self._sinks = dict(sinks)
        self._say = say

    def add(self, name: str, sink: Sink) -> None:
        self._sinks[name] = sink

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._each(lambda sink: sink.write(step, values))

    def close(self) -> None:
        self._each(lambda sink: sink.close())
        self._sinks = {}

    def _each(self, call: Callable[[Sink], None]) -> None:
        for name, sink in list(self._sinks.items()):
            try:
                call(sink)
            except Exception as error:
                del self._sinks[name]
                told = f"{type(error).__name__}: {error}".partition("\n")[0]
                self._say(f"warning: {name} gets no more numbers ({told}); the training goes on without it")


@contextmanager
def opened(job: Job, params: Params) -> Iterator[Sinks]:
    """The sinks of `params.log`, for as long as a training runs.

    StageError where a package lacks or a sink cannot begin.
    """
    sinks = Sinks({}, job.say)
    try:
        if params.log:
            name, folder = run_name(job, params.model), Path(params.log_dir).expanduser()
            for word in dict.fromkeys(params.log):
                sinks.add(word, _open(word, folder, name, params, job.seed))
            job.say(f"log: {', '.join(params.log)} in {folder}, as {name}")
        yield sinks
    finally:
        sinks.close()


def _open(word: str, folder: Path, name: str, params: Params, seed: int) -> Sink:
    if word == "tensorboard":
        return TensorBoard(folder, name)
    return WandB(folder, name, asdict(params) | {"seed": seed})


def run_name(job: Job, model: str) -> str:
    """Of the data, the model and the time at which the first attempt began; the same for all that go on with it."""
    file = job.state / FILE
    try:
        return str(read_json(file)["name"])
    except (OSError, ValueError, KeyError, TypeError):
        label = job.inputs["features" if "features" in job.inputs else "data"].label
        words = f"{label}-{model}-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
        write_json(file, {"name": re.sub(r"[^\w-]+", "-", words)})
        return str(read_json(file)["name"])


def _needed(word: str, package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise StageError(
            f"log = [{word!r}] needs the package {package} ({error}): pip install 'facepipe[watch]'"
        ) from None
