"""Run a case: compute every output that it stores and compare.

A runner is a class made from a case, with `output(name)` that returns the whole output of that name or raises
`UnknownOutput`. Runners live one module per model and are imported only when a case asks for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tests.golden.case import Case, NoNetwork, read_case, reason
from tests.golden.facts import model_of, read_raw, tolerance_of

# The word under `model` in a case → where its runner is.
RUNNERS: Mapping[str, str] = {
    "AV guidance": "tests.golden.mouth:GuidanceRunner",
    "FaceFormer": "tests.golden.faceformer:FaceFormerRunner",
    "auto_avsr audio-visual": "tests.golden.lipreader:LipReaderRunner",
    "auto_avsr decoding": "tests.golden.lipreader:DecodingRunner",
    "auto_avsr video front end": "tests.golden.lipreader:FrontEndRunner",
    "av-guidance mouth renderer": "tests.golden.mouth:MouthRunner",
    "codetalker_stage1": "tests.golden.codetalker_vq:CodeTalkerVqRunner",
    "codetalker_stage2": "tests.golden.codetalker_s2:CodeTalkerRunner",
    "facetalk": "tests.golden.facetalk:FaceTalkRunner",
    "mesh rasteriser": "tests.golden.mouth:RasteriserRunner",
    "metrics": "tests.golden.metrics_cases:MetricsRunner",
    "mononphm": "tests.golden.nphm:MonoNphmRunner",
    "nphm": "tests.golden.nphm:NphmRunner",
    "selftalk": "tests.golden.selftalk:SelfTalkRunner",
    "talkingstyle": "tests.golden.talkingstyle:TalkingStyleRunner",
}


class Runner(Protocol):
    """What the modules behind `RUNNERS` offer; made with one argument, the case."""

    def output(self, name: str) -> np.ndarray: ...


@dataclass
class Verdict:
    """How a case went. difference, tolerance: of the output that came closest to its tolerance, or exceeded it most;
    NaN where nothing was compared."""

    case: str
    status: str
    difference: float
    tolerance: float
    complaints: list[str] = field(default_factory=list)

    def line(self) -> str:
        return f"{self.case} {self.status} {self.difference:.3g} {self.tolerance:.3g}"


def run_file(path: Path) -> Verdict:
    """Run the case behind a .json file; "unknown" where no runner is known for its model.

    Whatever is wrong with the files is a miss, not a crash: other cases still run.
    """
    try:
        raw = read_raw(path)
        model = model_of(raw)
        if model not in RUNNERS:
            return Verdict(path.stem, "unknown", np.nan, tolerance_of(raw), [f"no runner for model {model!r}"])
        return run_case(read_case(path))
    except Exception as error:
        return Verdict(path.stem, "miss", np.nan, np.nan, [reason(error)])


def run_case(case: Case) -> Verdict:
    """Compute and compare all outputs of a case whose model is in `RUNNERS`."""
    verdict = Verdict(case.name, "ok", 0.0, case.facts.tolerance)
    if not case.expected:
        return replace(verdict, status="miss", difference=np.nan, complaints=["the case stores no output"])
    try:
        runner = _runner(case)
    except Exception as error:
        complaint = f"cannot be set up: {reason(error)}"
        return replace(verdict, status="miss", difference=np.nan, complaints=[complaint])
    for name, expected in case.expected.items():
        _judge(verdict, case, runner, name, expected)
    return verdict


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest absolute difference; infinities must stand in equal places. Infinite for NaN and other shapes."""
    if got.shape != expected.shape:
        return np.inf
    wide = np.complex128 if np.iscomplexobj(expected) else np.float64
    with np.errstate(invalid="ignore"):
        apart = np.abs(got.astype(wide) - expected.astype(wide))
    apart = np.where(got == expected, 0.0, apart)
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _runner(case: Case) -> Runner:
    module, _, name = RUNNERS[case.facts.model].partition(":")
    made: Any = getattr(importlib.import_module(module), name)
    runner: Runner = made(case)
    return runner


def _judge(verdict: Verdict, case: Case, runner: Runner, name: str, expected: np.ndarray) -> None:
    # Counts, indices and masks are discrete: equal or wrong.
    tolerance = case.facts.tolerance_for(name) if expected.dtype.kind in "fc" else 0.0
    apart, complaint = _compare(case, runner, name, expected)
    if apart > tolerance:
        verdict.status = "miss"
        complaint = complaint or f"out/{name}: differs by {apart:.3g}, allowed {tolerance:.3g}"
        if complaint not in verdict.complaints:
            verdict.complaints.append(complaint)
    if _severity(apart, tolerance) > _severity(verdict.difference, verdict.tolerance):
        verdict.difference, verdict.tolerance = apart, tolerance


def _compare(case: Case, runner: Runner, name: str, expected: np.ndarray) -> tuple[float, str]:
    """(largest difference, what to complain of): infinite where an output cannot be computed or compared."""
    try:
        got = case.stored_part(name, np.asarray(runner.output(name)))
        apart = difference(got, expected)
    except NoNetwork as error:
        return np.inf, reason(error)
    except Exception as error:
        return np.inf, f"out/{name}: {reason(error)}"
    shapes = f"out/{name}: has shape {got.shape}, expected {expected.shape}"
    return apart, "" if got.shape == expected.shape else shapes


def _severity(apart: float, tolerance: float) -> float:
    return apart / tolerance if tolerance else (np.inf if apart else 0.0)
