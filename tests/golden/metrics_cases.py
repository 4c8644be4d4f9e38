"""Runner of the metrics cases: CodeTalker's and FaceDiffuser's evaluations of the same sequences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from faces import metrics
from faces.metrics import Mean
from tests.golden.case import Case, UnknownOutput
from tests.golden.patterns import Patterns

output = Patterns()


class MetricsRunner:
    """Computes any output of a metrics case, of any number of vertices, subjects and sentences."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    def sequences(self, short: bool) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(truth, prediction, template), cut to the shorter; `short` cuts predictions first, as the case says."""
        for subject, sentence in itertools.product(self.case.config["subjects"], self.case.config["sentences"]):
            truth, prediction = (self.motion(f"{kind}_{subject}_{sentence}") for kind in ("gt", "pred"))
            if short:
                prediction = prediction[: self.case.input(f"keep_{subject}_{sentence}").item()]
            yield (*metrics.to_shorter(truth, prediction), self.case.input(f"template_{subject}").reshape(-1, 3))

    def motion(self, name: str) -> np.ndarray:
        rows = self.case.input(name)
        return rows.reshape(len(rows), -1, 3)

    def mean_over_frames(self, metric: str, short: bool) -> float:
        mean = Mean("frames")
        for truth, prediction, _ in self.sequences(short):
            if metric == "lve":
                errors = metrics.lve_per_frame(truth, prediction, self.case.input("mouth_vertices"))
            else:
                errors = metrics.mve_per_frame(truth, prediction)
            mean.add(float(errors.mean()), len(truth))
        return mean.value

    def lip_errors(self) -> list[np.ndarray]:
        """(T,) of every sequence."""
        mouth = self.case.input("mouth_vertices")
        return [metrics.lve_per_frame(truth, made, mouth) for truth, made, _ in self.sequences(short=False)]

    def deviations(self, short: bool) -> np.ndarray:
        upper = self.case.input("upper_vertices")
        return np.array([metrics.fdd(*sequence, upper) for sequence in self.sequences(short)])

    @cached_property
    def blendshapes(self) -> list[tuple[np.ndarray, np.ndarray]]:
        names = [name.removeprefix("in/bs_gt_") for name in self.case.arrays if name.startswith("in/bs_gt_")]
        if not names:
            raise UnknownOutput("needs in/bs_gt_…, which the case does not hold")
        pairs = ((self.case.input(f"bs_gt_{name}"), self.case.input(f"bs_pred_{name}")) for name in names)
        return [metrics.to_shorter(*pair) for pair in pairs]

    def blendshape_deviations(self) -> np.ndarray:
        upper = self.case.config["blendshape_upper"]
        return np.array([metrics.channel_fdd(truth[:, upper], made[:, upper]) for truth, made in self.blendshapes])


@output(r"(short_)?(?:fd_)?(lve|mve)")
def _frame_errors(runner: MetricsRunner, short: str | None, metric: str) -> float:
    return runner.mean_over_frames(metric, bool(short))


@output("lve_per_frame")
def _lip_errors(runner: MetricsRunner) -> np.ndarray:
    return np.concatenate(runner.lip_errors())


@output(r"(short_)?(?:fd_)?fdd")
def _signed(runner: MetricsRunner, short: str | None) -> float:
    return float(runner.deviations(bool(short)).mean())


@output(r"(short_)?fd_abs_fdd")
def _absolute(runner: MetricsRunner, short: str | None) -> float:
    return float(np.abs(runner.deviations(bool(short))).mean())


@output("fdd_per_sequence")
def _per_sequence(runner: MetricsRunner) -> np.ndarray:
    return runner.deviations(short=False)


@output("frames")
def _frames(runner: MetricsRunner) -> int:
    return sum(len(truth) for truth, _, _ in runner.sequences(short=False))


@output("diversity")
def _diversity(runner: MetricsRunner) -> float:
    config, found = runner.case.config, []
    for subject, sentence in itertools.product(config["diversity_subjects"], config["sentences"]):
        start = f"in/div_{subject}_{sentence}_condition_"
        names = [name.removeprefix("in/") for name in runner.case.arrays if name.startswith(start)]
        found.append(metrics.diversity([runner.motion(name) for name in names]))
    counted = [value for value in found if not np.isnan(value)]
    if not counted:
        raise UnknownOutput("needs in/div_… of one sequence in two conditions, which the case does not hold")
    return float(np.mean(counted))


@output("bs_mve")
def _channels(runner: MetricsRunner) -> float:
    return float(np.mean([metrics.channel_error(*pair) for pair in runner.blendshapes]))


@output("bs_lve")
def _mouth_channels(runner: MetricsRunner) -> float:
    mouth = runner.case.config["blendshape_mouth"]
    return float(np.mean([metrics.channel_error(a[:, mouth], b[:, mouth]) for a, b in runner.blendshapes]))


@output("bs_fdd")
def _channel_fdd(runner: MetricsRunner) -> float:
    return float(runner.blendshape_deviations().mean())


@output("bs_abs_fdd")
def _absolute_channel_fdd(runner: MetricsRunner) -> float:
    return float(np.abs(runner.blendshape_deviations()).mean())
