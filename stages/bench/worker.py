"""`python -m stages.bench.worker`: a task on the standard input, a line of JSON for everything measured on the output.

Lines: {"parameters": …, "trained_parameters": …}, {"inference": row}…, {"training": row}…, {"left_out": sentence}….
What goes wrong ends the process with a sentence on the error stream, after the lines of what went well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, cast

import torch

from faces.errors import DataError
from models.settings import wants_of
from pipeline.errors import PipeError
from stages.bench import Task, training
from stages.bench.sizes import build, facts, settings
from stages.bench.speaking import Speaker
from stages.bench.training import WARM_UP, Subject
from stages.processor import set_up

FIRST_WORD_SECONDS = 1.0
"""Spoken once before anything is timed."""


def measure(task: Task) -> Iterator[dict[str, Any]]:
    """Speech first: it needs less memory than training, so that each row's peak is its own."""
    wish = task.wish
    set_up(wish.threads)
    network, prior = build(task.model, wish.data, wish.size, wish.device)
    module, told = cast("torch.nn.Module", network), facts(wish.data, wish.size, task.model)
    yield {
        "parameters": sum(p.numel() for p in module.parameters()),
        "trained_parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
    }
    module.eval()
    yield from _speech(Speaker(network, told, task))
    wants = wants_of(settings(task.model, wish.data, wish.size))
    yield from _training(Subject(network, told, prior, wants), task)


def _speech(speaker: Speaker) -> Iterator[dict[str, Any]]:
    wish = speaker.task.wish
    speaker.figures(FIRST_WORD_SECONDS, 1)
    for clips in sorted({1, wish.batch}):
        known: dict[str, Any] = {}
        for seconds in sorted(wish.seconds):
            # Of a network whose every frame looks back on all others, the cost grows with the square of the length.
            expected = known["time"] * (seconds / known["seconds"]) ** 2 if known else 0.0
            if expected > wish.limit:
                yield {"left_out": f"speech of {seconds:g} s, {clips} at once: may take {expected:.0f} s"}
                continue
            known = speaker.figures(seconds, clips)
            yield {"inference": known}


def _training(subject: Subject, task: Task) -> Iterator[dict[str, Any]]:
    wish = task.wish
    repeats = wish.repeats
    for batch in sorted({1, wish.batch}):
        row = training.figures_of(subject, task, batch, repeats)
        yield {"training": row}
        expected = row["step_seconds"] * wish.batch / batch
        if batch < wish.batch and expected * (WARM_UP + 1) > wish.limit:
            yield {"left_out": f"training with a batch of {wish.batch}: a step may take {expected:.0f} s"}
            return
        repeats = max(1, min(repeats, int(wish.limit / expected) - WARM_UP))


def main() -> int:
    """Measure the task on the standard input. The exit code of the process."""
    try:
        for line in measure(Task.from_json(sys.stdin.read())):
            print(json.dumps(line), flush=True)
    except KeyboardInterrupt:
        return 130
    except (DataError, PipeError) as error:
        print(error, file=sys.stderr)
        return 1
    except (MemoryError, torch.OutOfMemoryError):
        print("it does not fit into memory", file=sys.stderr)
        return 1
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # what torch raises on a processor
            raise
        print("it does not fit into memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
