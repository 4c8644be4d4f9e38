"""The figures of `pipe bench` as two tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.progress import table

Result = Mapping[str, Any]

TRAINING = ("model", "precision", "parameters", "batch", "steps/s", "clips/s", "peak MB")
SPEAKING = ("model", "precision", "clips", "seconds", "times real time", "first frame s", "peak MB")
GPU = ("GPU MB",)
BUSY = ("GPU use",)


def tables(report: Mapping[str, Any]) -> str:
    """Heading, training, speech, and a line for all that could not be measured."""
    gpu = "gpu" in report
    parts = [heading(report)]
    trained = [_trained(one, row, gpu) for one in report["models"] for row in one["training"]]
    if trained:
        length = next(row["clip_seconds"] for one in report["models"] for row in one["training"])
        heads = (*TRAINING, *(GPU + BUSY if gpu else ()))
        parts.append(f"training, clips of {length:g} s\n{table(trained, heads)}")
    spoken = [_spoken(one, row, gpu) for one in report["models"] for row in one["inference"]]
    if spoken:
        parts.append(f"speech to motion, one style\n{table(spoken, (*SPEAKING, *(GPU if gpu else ())))}")
    if missing := list(_missing(report)):
        parts.append("\n".join(missing))
    return "\n\n".join(parts)


def heading(report: Mapping[str, Any]) -> str:
    """The machine, and what was measured on it."""
    where = report.get("gpu", f"{report['threads']} threads" if report["threads"] > 1 else "1 thread")
    return (
        f"{report['processor']}, {report['processors']} processors (load {report['load']:g}), {where}, "
        f"torch {report['torch']}\n{report['size']} sizes, {report['data']}, drawn weights, "
        f"medians of {report['repeats']}"
    )


def _trained(result: Result, row: Result, gpu: bool) -> tuple[str, ...]:
    figures = (f"{row['steps_per_second']:.3g}", f"{row['clips_per_second']:.3g}", f"{row['peak_memory_mb']:,.0f}")
    busy = f"{100 * row['gpu_utilisation']:.0f} %" if "gpu_utilisation" in row else "–"
    head = (result["model"], result["precision"], f"{result['parameters']:,}", str(row["batch"]))
    return (*head, *figures, *((_on_gpu(row), busy) if gpu else ()))


def _spoken(result: Result, row: Result, gpu: bool) -> tuple[str, ...]:
    figures = (f"{row['real_time_factor']:.3g}", f"{row['first_frame']:.3g}", f"{row['peak_memory_mb']:,.0f}")
    head = (result["model"], result["precision"], str(row["clips"]), f"{row['seconds']:g}")
    return (*head, *figures, *((_on_gpu(row),) if gpu else ()))


def _on_gpu(row: Result) -> str:
    return f"{row['gpu_peak_memory_mb']:,.0f}" if "gpu_peak_memory_mb" in row else "–"


def _missing(report: Mapping[str, Any]) -> Iterator[str]:
    for result in report["models"]:
        name = f"{result['model']}, {result['precision']}"
        for what in result["left_out"]:
            yield f"{name}: left out: {what} (more than --limit {report['limit']:g})"
        if result["error"]:
            yield f"{name}: not measured to the end: {result['error']}"
